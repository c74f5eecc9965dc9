"""What becomes of the child when its parent is interrupted, or dies."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

PARENT = """
    import os, signal, subprocess, sys, time
    from pytest_finbot.pipeline.isolation import Child

    def work(job, say):
        if job == b"sleep":
            process = subprocess.Popen(["sleep", "60"])
            say(b"%d %d" % (os.getpid(), process.pid))
            process.wait()
        return str(os.getpid()).encode()

    def said(message):
        print(message.decode(), flush=True)

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    child = Child(work)
"""


def start(body):
    # A session of its own, as a terminal's foreground group: Ctrl-C goes to all of the group.
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT) + textwrap.dedent(body)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def runs(pid):
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()[:1] not in ("", "Z")


def wait_until_gone(*pids):
    until = time.monotonic() + 5
    while any(map(runs, pids)):
        assert time.monotonic() < until, f"still there: {[pid for pid in pids if runs(pid)]}"
        time.sleep(0.005)


def test_ctrl_c_reaches_the_parent_alone_which_ends_the_job():
    parent = start(
        """
        try:
            child.run(b"sleep", said=said)
        except KeyboardInterrupt:
            print("interrupted", child.pid, flush=True)
        print(child.run(b"", said=said).how, flush=True)
        child.close()
        """
    )
    with parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert all(map(runs, pids))
        os.killpg(parent.pid, signal.SIGINT)
        rest = parent.stdout.read()
    assert rest == "interrupted None\nfinished\n"
    assert parent.returncode == 0
    wait_until_gone(*pids)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a busy child with its parent")
def test_a_killed_parent_takes_a_busy_child_along():
    with start('child.run(b"sleep", said=said)') as parent:
        pid, grandchild = map(int, parent.stdout.readline().split())
        parent.kill()
        wait_until_gone(pid)
        os.kill(grandchild, signal.SIGKILL)  # nobody is left to do it


def test_a_killed_parent_takes_an_idle_child_along():
    with start('print(child.run(b"", said=said).value.decode(), flush=True); time.sleep(60)') as parent:
        pid = int(parent.stdout.readline())
        assert runs(pid)
        parent.kill()
        wait_until_gone(pid)
