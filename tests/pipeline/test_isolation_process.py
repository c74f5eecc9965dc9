"""The child process as its parent's guest: what it inherits, holds and leaves behind."""

import contextlib
import faulthandler
import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_finbot.pipeline.isolation import Child, available

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


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
    return child.run(job, said=messages.append, **options), messages


def by_name(job, say):
    """Does what the job says by its name, and returns the number of its process."""
    match job:
        case b"spin":
            while True:
                pass
        case b"exit_0":
            os._exit(0)
        case b"exit_3":
            os._exit(3)
        case b"kill_itself":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"crash":
            os.abort()
        case b"leave_a_child":
            global _left
            _left = subprocess.Popen(["sleep", "60"])
        case b"raise_an_error":
            raise ValueError("not caught by the job")
    return str(os.getpid()).encode()


def test_a_watchdog_of_the_parent_does_not_stop_the_child(child_of):
    faulthandler.dump_traceback_later(600)  # as pytest's own faulthandler_timeout does
    try:
        # On a loaded machine 0.2 s may be over before it can answer.
        stacks = (run(child_of(by_name), b"spin", timeout=seconds)[0].stack for seconds in (0.2, 2, 20))
        assert any(stacks)
        assert run(child_of(by_name), b"pid", timeout=10)[0].how == "finished"
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize("missing", [["pidfd_open"], ["pidfd_open", "waitid"]])
def test_it_works_where_the_system_does_not_tell_of_a_death(child_of, monkeypatch, missing):
    for name in missing:
        monkeypatch.delattr(os, name, raising=False)
    child = child_of(by_name)
    hows = [
        run(child, job, timeout=timeout)[0].how
        for job, timeout in ((b"pid", 10), (b"exit_3", 10), (b"spin", 0.2), (b"pid", 10))
    ]
    assert hows == ["finished", "died", "timeout", "finished"]
    assert run(child, b"crash")[0].signal == "SIGABRT"
    child.close()


@on_linux
def test_no_process_and_no_descriptor_is_left_after_200_jobs(child_of):
    def children():
        return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()

    def descriptors():
        return sorted(os.listdir("/proc/self/fd"))

    child = child_of(by_name)
    run(child, b"exit_0")
    before = children(), descriptors()
    jobs = (b"pid", b"exit_0", b"kill_itself", b"leave_a_child", b"pid", b"raise_an_error", b"spin", b"pid")
    for job in jobs * 25:
        run(child, job, timeout=0.02 if job == b"spin" else None)
    child.close()
    assert (children(), descriptors()) == before


def test_a_close_lets_the_process_go(child_of):
    child = child_of(by_name)
    pid = int(run(child, b"pid")[0].value)
    child.close()
    assert not Path(f"/proc/{pid}").exists()
    child.close()
    assert run(child, b"pid")[0].how == "finished"  # a child may be used again


def test_descriptors_of_the_parent_are_not_held(child_of):
    read, write = os.pipe()
    child = child_of(by_name, close=[write])
    run(child, b"pid")
    os.close(write)
    os.set_blocking(read, False)
    assert os.read(read, 1) == b""  # all writers are gone, while the child lives
    os.close(read)


@on_linux
def test_two_children_do_not_hold_each_other_open(child_of):
    def links():
        found = set()
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # the one that lists them
                found.add(os.readlink(f"/proc/self/fd/{fd}"))
        return found

    first, second = child_of(by_name), child_of(lambda job, say: "\n".join(links()).encode())
    before = links()
    run(first, b"pid")
    ours = {name for name in links() - before if name.startswith(("socket:", "pipe:"))}
    assert len(ours) == 4
    assert not ours & set(run(second)[0].value.decode().splitlines())


def test_a_copy_that_a_job_makes_of_its_process_gives_no_second_result(child_of):
    def work(job, say):
        forked = os.fork()
        if forked:
            os.waitpid(forked, 0)
        return b"copy" if forked == 0 else b"original"

    child = child_of(work)
    assert [run(child)[0].value for _ in range(3)] == [b"original"] * 3


def test_a_job_that_closes_the_channel_ends_with_its_own_words(child_of):
    def work(job, say):
        os.closerange(3, 256)
        return b""

    ended, _ = run(child_of(work), timeout=10)
    assert (ended.how, ended.exit_code) == ("died", 1)
    assert "Bad file descriptor" in ended.output.stderr


def test_the_child_exits_by_the_systems_own_exit(child_of, monkeypatch):
    def refuse(status):
        raise AssertionError("the session's stand-in")

    monkeypatch.setattr(os, "_exit", refuse)
    ended, _ = run(child_of(by_name), b"raise_an_error")
    assert ended.exit_code == 1
    assert "stand-in" not in ended.output.stderr


def test_a_thread_of_the_parent_neither_warns_nor_blocks(child_of, recwarn):
    stop = threading.Event()

    def print_much():
        while not stop.wait(0.0001):
            sys.stdout.write("")

    threads = [threading.Thread(target=print_much) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        child = child_of(lambda job, say: str(threading.active_count()).encode())
        for _ in range(5):
            ended, _ = run(child, timeout=10)
            assert (ended.how, ended.value) == ("finished", b"1")
            child.close()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not list(recwarn)


def test_the_child_has_its_own_group_and_default_signals_and_no_input(child_of, monkeypatch):
    def work(job, say):
        assert os.getpgid(0) == os.getpid()
        assert sys.stdin.read() == ""
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
        assert handlers == [signal.SIG_DFL] * 3
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT, signal.SIGTERM}
        return b"yes"

    former = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        assert run(child_of(work))[0].value == b"yes"
    finally:
        signal.signal(signal.SIGUSR1, former)


def test_a_child_belongs_to_the_process_that_made_it(child_of):
    child = child_of(by_name)
    run(child, b"pid")
    pid = child.pid
    forked = os.fork()
    if forked == 0:
        child.close()
        os._exit(0)
    os.waitpid(forked, 0)
    assert run(child, b"pid")[0].value == str(pid).encode()


def test_garbage_of_the_parent_is_not_put_away_by_the_child(child_of, tmp_path):
    class Folder:
        def __del__(self):
            (tmp_path / str(os.getpid())).touch()

    garbage = Folder()
    garbage.itself = garbage
    gc.disable()
    try:
        del garbage
        run(child_of(lambda job, say: str(gc.collect()).encode()))
    finally:
        gc.enable()
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_where_there_is_no_fork_it_says_so(monkeypatch):
    assert available() is None
    monkeypatch.delattr(os, "fork")
    assert available() == f"this platform ({sys.platform}) has no os.fork"
