"""Forges on loopback, a job's environment, and reports to tell."""

import dataclasses
import inspect
import json
import os

import pytest
from click.testing import CliRunner
from pytest_httpserver import HTTPServer

from pytest_finbot.cli.main import main
from pytest_finbot.errors import ReportError
from pytest_finbot.forges import http
from tests.forges.fakes import GITHUB_TOKEN, GITLAB_TOKEN, FakeGitHub, FakeGitLab
from tests.reports.test_report import FINE, GATE, moved, report_of
from tests.reports.test_summary import a_record

_APART = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def _servers():
    """Two origins, for all tests: to stop one takes half a second."""
    with HTTPServer(host="127.0.0.1") as one, HTTPServer(host="127.0.0.1") as other:
        yield one, other


@pytest.fixture
def servers(_servers):
    for server in _servers:
        server.clear()
    yield _servers
    for server in _servers:
        server.check()


@pytest.fixture
def server(servers):
    return servers[0]


@pytest.fixture
def slept(monkeypatch):
    """Seconds that a client would have slept."""
    seconds = []
    monkeypatch.setattr(http.time, "sleep", seconds.append)
    return seconds


@pytest.fixture(autouse=True)
def no_job(monkeypatch):
    """None of the variables of a job that these tests may run in themselves."""
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "GITLAB_", "CI_", "FINBOT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def pull_request_event(head="us/fund", number=7, **more):
    return {
        "number": number,
        "pull_request": {
            "number": number,
            "head": {"repo": head and {"full_name": head}, "sha": SHA},
            "base": {"repo": {"full_name": "us/fund"}},
        },
        "sender": {"login": "ann"},
        **more,
    }


class Job:
    """A step of a job: its environment, its files, and what the command said."""

    def __init__(self, path, monkeypatch):
        self.path, self.monkeypatch = path, monkeypatch
        self.output = path / "output"
        self.report = path / "batch_report.json"

    def set(self, **environment):
        for name, value in environment.items():
            self.monkeypatch.setenv(name, str(value))

    def event(self, document):
        (self.path / "event.json").write_text(json.dumps(document))
        self.set(GITHUB_EVENT_PATH=self.path / "event.json")

    def tells(self, report):
        self.report.write_text(json.dumps(report.to_json()))

    def ci(self, *words):
        done = CliRunner(**_APART).invoke(main, ["ci", *map(str, words)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        for token in (GITHUB_TOKEN, GITLAB_TOKEN):
            assert token not in done.stdout + done.stderr
        return done

    def comment(self, *words):
        return self.ci("comment", self.report, *words)


@pytest.fixture
def job(tmp_path, monkeypatch, slept):
    return Job(tmp_path, monkeypatch)


@pytest.fixture
def github(server, job):
    """GitHub, and a job of pull request 7 of us/fund."""
    fake = FakeGitHub(server)
    job.set(
        GITHUB_API_URL=fake.url,
        GITHUB_GRAPHQL_URL=f"{fake.url}/graphql",
        GITHUB_TOKEN=GITHUB_TOKEN,
        GITHUB_REPOSITORY="us/fund",
        GITHUB_SERVER_URL="https://github.example",
        GITHUB_RUN_ID="99",
        GITHUB_OUTPUT=job.output,
    )
    job.event(pull_request_event())
    return fake


@pytest.fixture
def gitlab(server, job):
    fake = FakeGitLab(server)
    job.set(
        CI_API_V4_URL=f"{fake.url}/api/v4",
        CI_PROJECT_ID=11,
        CI_MERGE_REQUEST_IID=5,
        CI_MERGE_REQUEST_PROJECT_URL="https://gitlab.example/us/fund",
        FINBOT_GITLAB_TOKEN=GITLAB_TOKEN,
    )
    return fake


@pytest.fixture
def unrendered(monkeypatch):
    """No report can be rendered, whatever is in it."""

    def fail(report, **limits):
        raise ReportError("batch.md.j2:1: nothing to count")

    monkeypatch.setattr("pytest_finbot.reports.markdown.markdown_report", fail)


def green():
    return report_of(a_record("fine"))


def red(name="far"):
    gate = dataclasses.replace(GATE, verdicts={"identical": 2, "moved": 1})
    facts = dataclasses.replace(
        FINE,
        status="partial",
        success=2,
        failed=1,
        error_categories={"regression": 1},
        gate=gate,
    )
    return report_of(moved(name, -300.0), facts=facts)
