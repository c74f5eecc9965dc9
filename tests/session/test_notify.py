"""``notify``: who is told when a batch has ended, by a real service on this machine; nobody sees the URL."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("apprise")

SECRET = "s3cr3t-t0k3n"
VARIABLE = "TEAM_CHANNEL"
RUNS = "- {id: equal}\n- {id: first, params: {weights: {AAA: 1.0}}}\n"


class Service:
    """Takes messages; answers ``status``, or, where that is ``None``, only when it is closed."""

    def __init__(self):
        self.status = 200
        self.taken = []
        self.closed = threading.Event()
        self.hanging = lambda: None
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.taken.append((self.path, json.loads(body)))
                if service.status is None:
                    service.hanging()
                    service.closed.wait(60)
                    return
                self.send_response(service.status)
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def url(self):
        return f"json://user:{SECRET}@127.0.0.1:{self.server.server_port}/{SECRET}"

    @property
    def messages(self):
        return [message for _, message in self.taken]

    def close(self):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def service():
    made = Service()
    yield made
    made.close()


@pytest.fixture
def told(project, service, monkeypatch):
    """Run the project's batch, and give the lines about notifiers; nothing of it holds the secret."""
    for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "CI_JOB_URL", "BUILD_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLE, service.url)

    def run(*options, status=0):
        result = project.pytest(*options)
        said = result.stdout.str() + result.stderr.str()
        assert result.ret == status, said
        assert SECRET not in said
        for path in project.path.rglob("*"):
            if path.is_file():
                assert SECRET.encode() not in path.read_bytes(), path
        return [line for line in result.outlines if line.startswith("notify: ")]

    return run


def add(project, *notifiers):
    """Name notifiers in the batch file that is there."""
    path = project.path / "finbot.yaml"
    lines = "".join(f"  - {one}\n" for one in notifiers)
    path.write_text(f"notify:\n{lines}{path.read_text()}")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_batch_that_has_ended_is_told_once_with_its_counts_and_a_link(
    project, service, told, workers, monkeypatch
):
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example")
    monkeypatch.setenv("GITHUB_REPOSITORY", "team/strategies")
    monkeypatch.setenv("GITHUB_RUN_ID", "4711")
    project.batch(RUNS)
    add(project, f"{{url_env: {VARIABLE}}}")
    assert told("-n", workers) == [f"notify: {VARIABLE}, of small: sent"]
    [(path, message)] = service.taken
    assert path == f"/{SECRET}"
    assert message["title"].startswith("small: nothing is gated")
    assert "(2 of 2 backtests succeeded)" in message["title"]
    assert "https://github.example/team/strategies/actions/runs/4711" in message["message"]
    assert project.summary()["batch_id"] in message["message"]
    assert message["type"] == "warning"
    [manifest] = project.path.glob(".finbot/batches/*/*/*/manifest.json")
    assert json.loads(manifest.read_text())["notify"] == [{"url_env": VARIABLE, "when": "always"}]


def test_only_what_went_wrong_is_told_who_asked_for_that(project, service, told):
    project.gated(RUNS)
    add(project, f"{{url_env: {VARIABLE}, when: on-failure}}", "{url_env: NOBODY_SET_IT, when: on-change}")
    assert told() == []
    text = (project.path / "finbot.yaml").read_text()
    project.write("finbot.yaml", text.replace("AAA: 1.0", "AAA: 0.5"))
    assert told(status=1) == [
        f"notify: {VARIABLE}, of small: sent",
        "notify: NOBODY_SET_IT, of small: not sent: the variable is not set",
    ]
    [message] = service.messages
    assert message["title"].startswith("small: not as accepted")
    assert "1 identical, 1 moved" in message["message"]
    assert "furthest: first, NAV -" in message["message"]
    assert "The gate is shut." in message["message"]
    assert message["type"] == "failure"


def test_what_cannot_be_sent_costs_a_line_and_no_status(project, service, told, monkeypatch):
    service.status = 500
    monkeypatch.setenv("CLOSED", f"json://user:{SECRET}@127.0.0.1:1/{SECRET}")
    monkeypatch.setenv("NO_URL", f"nothing-apprise-knows://{SECRET}")
    project.batch(RUNS)
    add(project, f"{{url_env: {VARIABLE}}}", "{url_env: CLOSED}", "{url_env: NO_URL}")
    assert told() == [
        f"notify: {VARIABLE}, of small: not sent: the service refused it (HTTP 500)",
        "notify: CLOSED, of small: not sent: the service could not be reached, or did not answer",
        "notify: NO_URL, of small: not sent: what it holds is no URL that Apprise knows",
    ]


def test_a_service_that_hangs_is_left_behind(project, service, told, monkeypatch):
    service.status = None
    monkeypatch.setenv(VARIABLE, service.url + "?rto=50&cto=50")
    project.write(
        "conftest.py",
        """
        import pytest_finbot.session.notifying

        pytest_finbot.session.notifying.SECONDS = 3.0
        """,
    )
    project.batch(RUNS)
    add(project, f"{{url_env: {VARIABLE}}}")
    assert told() == [f"notify: {VARIABLE}, of small: not sent: no answer within 3 s"]
    assert not senders(project.path)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_waiting_and_nothing_else(project, service, told, monkeypatch, number):
    service.status = None
    pid = project.path / "pid"
    service.hanging = lambda: os.kill(int(pid.read_text()), number)
    monkeypatch.setenv(VARIABLE, service.url + "?rto=50&cto=50")
    project.write("conftest.py", "import os\n\nopen('pid', 'w').write(str(os.getpid()))\n")
    project.batch(RUNS)
    add(project, f"{{url_env: {VARIABLE}}}")
    assert told() == [f"notify: {VARIABLE}, of small: not sent: interrupted"]
    assert project.summary()["status"] == "completed"
    assert not senders(project.path)


def senders(folder):
    """Command lines of processes that still send, of sessions in ``folder``: other tests send as well."""
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                words = file.read()
            where = os.readlink(f"/proc/{entry}/cwd")
        except OSError:
            continue
        if b"pytest_finbot.session.sender" in words and where == str(folder):
            found.append(words)
    return found


def test_a_library_that_breaks_says_nothing_of_the_url(project, told):
    project.write(
        "apprise.py",
        f"""
        import os, sys

        print(os.environ["{VARIABLE}"])
        print(os.environ["{VARIABLE}"], file=sys.stderr)
        raise ValueError(os.environ["{VARIABLE}"])
        """,
    )
    project.batch(RUNS)
    add(project, f"{{url_env: {VARIABLE}}}")
    assert told() == [f"notify: {VARIABLE}, of small: not sent: Apprise failed (ValueError)"]


def test_who_only_looks_tells_nobody(project, service, told):
    project.batch(RUNS)
    add(project, f"{{url_env: {VARIABLE}}}")
    assert told("--collect-only", "-q") == []
    assert service.taken == []


def test_a_library_that_is_missing_is_told_before_anything_runs(project, service, told, monkeypatch):
    project.write("conftest.py", "import sys\n\nsys.modules['apprise'] = None\n")
    project.batch(RUNS)
    add(project, f"{{url_env: {VARIABLE}}}")
    assert told(status=4) == []
    assert not (project.path / "output").exists()
    monkeypatch.delenv(VARIABLE)
    assert told() == [f"notify: {VARIABLE}, of small: not sent: the variable is not set"]


def test_a_batch_that_could_not_be_summed_up_is_told(project, service, told):
    project.write(
        "conftest.py",
        """
        import pytest_finbot.session.finish as finish
        import pytest_finbot.session.controller as controller

        def broken(*args, **kwargs):
            raise OSError("the disk is full")

        controller.finish_batch = broken
        """,
    )
    project.batch(RUNS)
    add(project, f"{{url_env: {VARIABLE}, when: on-failure}}")
    assert told(status=1) == [f"notify: {VARIABLE}, of small: sent"]
    assert [message["title"] for message in service.messages] == ["small: no result"]
