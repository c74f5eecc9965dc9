"""A job in a child process: what it gives back, and that nothing it does outlives or harms its parent."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from pytest_finbot.pipeline.isolation import Child
from pytest_finbot.pipeline.isolation.process import Process

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a subreaper")


@pytest.fixture
def child_of():
    """Makes a child for a function; all are closed at the end."""
    children = []

    def make(work, **options):
        children.append(Child(work, **options))
        return children[-1]

    yield make
    for child in children:
        child.close()


def run(child, job=b"", **options):
    messages = []
    ended = child.run(job, said=options.pop("said", messages.append), **options)
    return ended, messages


def out_of_time(child, job=b"", so_far=lambda ended, messages: True):
    """Ended by a deadline: soon, or later where a loaded machine had not brought the job ``so_far``."""
    for seconds in (0.3, 3, 30):
        ended, messages = run(child, job, timeout=seconds)
        assert ended.seconds >= seconds
        if so_far(ended, messages):
            break
    return ended, messages


def has_said(ended, messages):
    return bool(messages)


def wait_until_gone(*pids):
    until = time.monotonic() + 5
    while any(map(runs, pids)):
        assert time.monotonic() < until, f"still there: {[pid for pid in pids if runs(pid)]}"
        time.sleep(0.005)


def runs(pid):
    """Whether a process lives; one that is dead and that nobody waited for does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()[:1] not in ("", "Z")


def by_name(job, say):
    """Does what the job says by its name."""
    return JOBS[job.decode()](say) or b"done"


def spin(say):
    while True:
        pass


def sleep(say):
    time.sleep(60)


def numpy_for_a_minute(say):
    values = np.random.default_rng(1).random(10_000_000)
    while True:
        np.sort(values)


def wait_for_a_child(say):
    with subprocess.Popen(["sleep", "60"]) as process:
        say(str(process.pid).encode())
        process.wait()


def swallow_everything(say):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(60)


def daemon(say):
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(write, str(os.getpid()).encode())
            os.execvp("sleep", ["sleep", "60"])
        os._exit(0)
    os.wait()
    say(os.read(read, 100))
    os.close(read)
    os.close(write)


def daemon_and_sleep(say):
    daemon(say)
    time.sleep(60)


def thread_that_spins(say):
    threading.Thread(target=spin, args=(say,)).start()


def thread_and_join(say):
    thread = threading.Thread(target=spin, args=(say,))
    thread.start()
    thread.join()


def leave_a_child(say):
    global _left
    _left = subprocess.Popen(["sleep", "60"])
    say(str(_left.pid).encode())


def leave_a_dead_child(say):
    global _left
    _left = subprocess.Popen(["true"])
    os.waitid(os.P_PID, _left.pid, os.WEXITED | os.WNOWAIT)


def kill_itself(say):
    os.kill(os.getpid(), signal.SIGKILL)


def crash(say):
    import ctypes

    ctypes.string_at(0)


def raise_an_error(say):
    raise ValueError("not caught by the job")


def pid(say):
    return str(os.getpid()).encode()


JOBS = {
    function.__name__: function
    for function in (
        spin,
        sleep,
        numpy_for_a_minute,
        wait_for_a_child,
        swallow_everything,
        daemon,
        daemon_and_sleep,
        thread_that_spins,
        thread_and_join,
        leave_a_child,
        leave_a_dead_child,
        kill_itself,
        crash,
        raise_an_error,
        pid,
    )
} | {
    "exit_0": lambda say: os._exit(0),
    "exit_3": lambda say: os._exit(3),
    "sys_exit": lambda say: sys.exit(0),
}


def test_a_job_gives_its_value_and_its_messages_in_order(child_of):
    def work(job, say):
        for number in range(100):
            say(str(number).encode())
        return job.upper()

    ended, messages = run(child_of(work), b"abc")
    assert (ended.how, ended.value, ended.exit_code, ended.signal) == ("finished", b"ABC", None, None)
    assert messages == [str(number).encode() for number in range(100)]
    assert ended.left_children == 0


def test_a_message_arrives_while_the_job_goes_on(child_of, tmp_path):
    answer = tmp_path / "answer"

    def work(job, say):
        say(b"question")
        while not answer.exists():
            time.sleep(0.001)
        return answer.read_bytes()

    def said(message):
        (tmp_path / "half").write_bytes(b"answer to " + message)
        (tmp_path / "half").rename(answer)

    ended, _ = run(child_of(work), said=said, timeout=10)
    assert ended.value == b"answer to question"


def test_frames_of_50_mb_pass_in_every_direction(child_of):
    def work(job, say):
        say(job)
        return job[::-1]

    job = bytes(25_000_000) + b"\x01" * 25_000_000
    ended, messages = run(child_of(work), job, timeout=60)
    assert messages == [job]
    assert ended.value == job[::-1]


def test_one_process_serves_until_something_goes_wrong(child_of):
    child = child_of(by_name)
    assert child.pid is None
    first = run(child, b"pid")[0].value
    assert child.pid == int(first) != os.getpid()
    assert [run(child, b"pid")[0].value for _ in range(3)] == [first] * 3
    assert run(child, b"exit_3")[0].how == "died"
    assert child.pid is None
    assert run(child, b"pid")[0].value != first


@pytest.mark.parametrize(
    "job",
    ["spin", "sleep", "numpy_for_a_minute", "wait_for_a_child", "swallow_everything", "thread_and_join"],
)
def test_a_deadline_ends_whatever_the_job_does(child_of, job):
    child = child_of(by_name)
    so_far = {"so_far": has_said} if job == "wait_for_a_child" else {}
    ended, messages = out_of_time(child, job.encode(), **so_far)
    assert (ended.how, ended.value, ended.exit_code, ended.signal) == ("timeout", None, None, None)
    assert ended.left_children == len(messages)
    wait_until_gone(*(int(pid) for pid in messages))
    assert run(child, b"pid")[0].how == "finished"


@pytest.mark.parametrize(
    ("job", "function"), [("spin", "spin"), ("thread_and_join", "spin"), ("sleep", "sleep")]
)
def test_after_a_deadline_it_is_told_where_the_job_stood(child_of, job, function):
    where = f"in {function}\n"
    ended, _ = out_of_time(child_of(by_name), job.encode(), lambda ended, _: where in (ended.stack or ""))
    assert f'File "{__file__}"' in ended.stack
    assert where in ended.stack
    assert ended.output.stderr == ""


def test_a_job_that_took_the_handler_away_is_ended_without_a_word(child_of):
    def work(job, say):
        signal.signal(signal.SIGURG, signal.SIG_DFL)
        time.sleep(60)

    ended, _ = out_of_time(child_of(work), so_far=lambda ended, _: ended.stack is None)
    assert (ended.how, ended.stack) == ("timeout", None)


@on_linux
def test_a_deadline_ends_a_job_that_starts_daemons_faster_than_one_can_look(child_of):
    seconds = f"60.{os.getpid()}"

    def work(job, say):
        while True:
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.execvp("sleep", ["sleep", seconds])
                os._exit(0)
            os.wait()

    ended, _ = out_of_time(child_of(work), so_far=lambda ended, _: ended.left_children > 1)
    assert ended.left_children > 1
    table = subprocess.run(["ps", "-eo", "stat=,args="], capture_output=True, text=True).stdout
    assert not [line for line in table.splitlines() if seconds in line and not line.startswith("Z")]


@on_linux
def test_a_deadline_ends_a_daemon_in_a_session_of_its_own(child_of):
    ended, (pid,) = out_of_time(child_of(by_name), b"daemon_and_sleep", has_said)
    assert (ended.how, ended.left_children) == ("timeout", 1)
    wait_until_gone(int(pid))


@on_linux
@pytest.mark.parametrize("job", ["leave_a_child", "daemon"])
def test_what_a_finished_job_left_running_is_ended_and_counted(child_of, job):
    child = child_of(by_name)
    before = run(child, b"pid")[0].value
    ended, (pid,) = run(child, job.encode())
    assert (ended.how, ended.value, ended.left_children) == ("finished", b"done", 1)
    wait_until_gone(int(pid))
    assert run(child, b"pid")[0].value != before


def test_a_child_that_is_dead_already_is_not_left(child_of):
    child = child_of(by_name)
    before = run(child, b"pid")[0].value
    assert run(child, b"leave_a_dead_child")[0].left_children == 0
    assert run(child, b"pid")[0].value == before


def test_a_thread_that_goes_on_does_not_meet_the_next_job(child_of):
    child = child_of(by_name)
    before = run(child, b"pid")[0].value
    ended, _ = run(child, b"thread_that_spins")
    assert (ended.how, ended.left_children) == ("finished", 0)
    assert run(child, b"pid")[0].value != before


@pytest.mark.parametrize(
    ("job", "exit_code", "name", "words"),
    [
        ("exit_0", 0, None, ""),
        ("exit_3", 3, None, ""),
        ("kill_itself", None, "SIGKILL", ""),
        ("crash", None, "SIGSEGV", "string_at"),
        ("raise_an_error", 1, None, "ValueError: not caught by the job"),
        ("sys_exit", 1, None, "SystemExit: 0"),
    ],
)
def test_a_death_is_told_by_its_exit_status_or_signal(child_of, job, exit_code, name, words):
    ended, _ = run(child_of(by_name), job.encode())
    assert (ended.how, ended.value) == ("died", None)
    assert (ended.exit_code, ended.signal) == (exit_code, name)
    assert words in ended.output.stderr


def test_a_crash_takes_its_children_along(child_of):
    def work(job, say):
        say(str(subprocess.Popen(["sleep", "60"]).pid).encode())
        os.abort()

    ended, (pid,) = run(child_of(work))
    assert (ended.signal, ended.left_children) == ("SIGABRT", 1)
    wait_until_gone(int(pid))


def test_a_process_killed_from_outside_during_a_job_died(child_of):
    def work(job, say):
        say(b"now")
        time.sleep(60)

    child = child_of(work)
    ended, _ = run(child, said=lambda message: os.kill(child.pid, signal.SIGKILL))
    assert (ended.how, ended.signal) == ("died", "SIGKILL")


def test_a_job_that_kills_a_process_in_use_is_not_begun_again(child_of, tmp_path):
    def work(job, say):
        if job:
            with (tmp_path / "begun").open("ab") as file:
                file.write(job)
            os._exit(3)
        return b""

    child = child_of(work)
    assert run(child)[0].how == "finished"
    assert run(child, b"once")[0].exit_code == 3
    assert (tmp_path / "begun").read_bytes() == b"once"


@pytest.mark.parametrize("seen_late", [False, True])
def test_a_process_killed_while_idle_costs_no_job(child_of, monkeypatch, seen_late):
    child = child_of(by_name)
    before = int(run(child, b"pid")[0].value)
    os.kill(before, signal.SIGKILL)
    os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
    if seen_late:
        looks = iter([False])
        really = Process.dead
        monkeypatch.setattr(Process, "dead", lambda self: next(looks, None) is None and really(self))
    ended, _ = run(child, b"pid")
    assert ended.how == "finished"
    assert int(ended.value) != before


def test_a_cancelled_job_is_ended(child_of):
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) == 2

    child = child_of(by_name)
    ended, _ = run(child, b"sleep", cancelled=cancelled)
    assert (ended.how, ended.value) == ("cancelled", None)
    assert child.pid is None


def test_an_error_in_the_parent_ends_the_job_and_goes_on(child_of):
    def work(job, say):
        say(str(os.getpid()).encode())
        time.sleep(60)

    seen = []

    def said(message):
        seen.append(int(message))
        raise LookupError("the parent's own")

    child = child_of(work)
    with pytest.raises(LookupError, match="the parent's own"):
        run(child, said=said)
    wait_until_gone(*seen)
    assert child.pid is None
