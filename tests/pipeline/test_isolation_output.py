"""What a job prints: kept with the job, bounded, and never mixed with what its parent prints."""

import ctypes
import fcntl
import logging
import os
import subprocess
import sys
import textwrap
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.pipeline.isolation import KEPT_END, KEPT_START, Child, output
from pytest_finbot.pipeline.isolation.output import Collected

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@pytest.fixture
def printed():
    """The output of a function run in a child."""
    children = []

    def run(work, times=1):
        def as_bytes(job, say):
            return str(work()).encode()

        children.append(Child(as_bytes))
        ended = [children[-1].run(b"", said=lambda message: None, timeout=20) for _ in range(times)]
        assert [each.how for each in ended] == ["finished"] * times, ended[-1].output.stderr
        return ended[0].output if times == 1 else [each.output for each in ended]

    yield run
    for child in children:
        child.close()


def test_every_way_to_print_is_captured_by_stream(printed):
    def work():
        print("print ä")
        print("stderr β", file=sys.stderr)
        print("original stdout", file=sys.__stdout__)
        sys.stdout.buffer.write(b"bytes\n")
        os.write(1, b"descriptor\n")
        subprocess.run(["sh", "-c", "echo child; echo child error >&2"], check=True)
        ctypes.CDLL(None).printf(b"from C\n")

    out = printed(work)
    assert out.stdout == "print ä\noriginal stdout\nbytes\ndescriptor\nchild\nfrom C\n"
    assert out.stderr == "stderr β\nchild error\n"
    assert out.cut == 0


def test_bytes_that_are_no_text_and_text_that_has_no_bytes_are_shown(printed):
    def work():
        os.write(1, b"\xff\xfe|")
        print("lone \udc80")

    assert printed(work).stdout == "\ufffd\ufffd|lone \\udc80\n"


def test_what_was_printed_last_is_there_when_the_process_dies():
    def work(job, say):
        print("progress ...", end="")
        os._exit(3)

    assert Child(work).run(b"", said=lambda message: None).output.stdout == "progress ..."


def test_what_was_printed_is_there_when_the_time_is_up():
    def work(job, say):
        print("waiting")
        while True:
            pass

    for seconds in (0.2, 2, 20):  # a loaded machine may not have come to it sooner
        ended = Child(work).run(b"", said=lambda message: None, timeout=seconds)
        if ended.output.stdout:
            break
    assert (ended.how, ended.output.stdout) == ("timeout", "waiting\n")


@pytest.mark.skipif(sys.platform != "linux", reason="pipes have one size elsewhere")
@pytest.mark.parametrize("status", [None, 3])
def test_output_in_a_large_pipe_is_complete_at_the_end(status):
    def work(job, say):
        fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)
        os.write(1, b"x" * 900_000 + b" last")
        if status is not None:
            os._exit(status)
        return b""

    child = Child(work)
    ended = child.run(b"", said=lambda message: None)
    child.close()
    assert ended.exit_code == status
    assert ended.output.stdout.endswith("xxx last")
    assert ended.output.cut == 900_005 - KEPT_START - KEPT_END


def test_log_records_and_warnings_are_part_of_stderr(printed):
    def work():
        logging.getLogger("strategy").warning("thin market")
        warnings.warn("old parameter", UserWarning, stacklevel=1)
        print("on")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        out = printed(work)
    assert "thin market" in out.stderr
    assert "UserWarning: old parameter" in out.stderr
    assert out.stdout == "on\n"


def test_a_log_handler_made_in_the_parent_writes_to_the_job(printed):
    handler = logging.StreamHandler(sys.stdout)
    logging.getLogger("theirs").addHandler(handler)
    try:
        assert printed(lambda: logging.getLogger("theirs").warning("thin market")).stdout == "thin market\n"
    finally:
        logging.getLogger("theirs").removeHandler(handler)


def test_each_job_has_its_own_output(printed):
    jobs = iter(range(100))

    def work():
        number = next(jobs)  # counted in the child: it is the same for all
        print(f"out {number}")
        print(f"err {number}", file=sys.stderr)

    for number, out in enumerate(printed(work, times=50)):
        assert (out.stdout, out.stderr) == (f"out {number}\n", f"err {number}\n")


def test_a_stream_put_in_place_or_closed_by_one_job_is_not_the_next_ones():
    def work(job, say):
        print("before")
        if job == b"replace":
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        if job == b"close":
            os.close(1)
        return b""

    child = Child(work)
    for job in (b"replace", b"", b"close", b""):
        ended = child.run(job, said=lambda message: None)
        assert (ended.how, ended.output.stdout) == ("finished", "before\n")
    child.close()


def test_of_much_output_both_ends_are_kept_and_the_cut_is_said(printed):
    size = 40_000_000

    def work():
        os.write(1, b"first ")
        left = size
        while left:
            left -= os.write(1, b"x" * min(left, 1 << 20))
        os.write(1, b" last")

    out = printed(work)
    assert out.cut == size + 11 - KEPT_START - KEPT_END
    assert out.stdout.startswith("first xxx")
    assert out.stdout.endswith("xxx last")
    assert f"… cut: {out.cut:,} bytes of output …" in out.stdout
    assert len(out.stdout) < KEPT_START + KEPT_END + 100


@given(st.lists(st.binary(max_size=12), max_size=20))
def test_whatever_the_portions_start_end_and_count_are_right(portions):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "KEPT_START", 8)
        patch.setattr(output, "KEPT_END", 8)
        collected = Collected()
        for portion in portions:
            collected._add(portion)
    whole = b"".join(portions)
    assert collected.cut == max(0, len(whole) - 16)
    if collected.cut:
        marker = f"\n… cut: {collected.cut:,} bytes of output …\n"
        assert collected.text() == whole[:8].decode(errors="replace") + marker + whole[-8:].decode(
            errors="replace"
        )
    else:
        assert collected.text() == whole.decode(errors="replace")


INNER = """
    import atexit
    import ctypes
    import faulthandler
    import os
    import subprocess
    import sys

    from pytest_finbot.pipeline.isolation import Child

    atexit.register(print, "at exit of", os.getpid())


    def work(job, say):
        if job == b"crash":
            ctypes.string_at(0)
        print("job stdout")
        print("job stderr", file=sys.stderr)
        print("job __stderr__", file=sys.__stderr__)
        os.write(1, b"job descriptor\\n")
        subprocess.run(["echo", "job child"], check=True)
        ctypes.CDLL(None).printf(b"job C\\n")
        return b""


    def test_job():
        assert faulthandler.is_enabled()
        sys.stdout.write("parent stdout, not flushed;")
        sys.__stdout__.write("parent __stdout__, not flushed;")
        ctypes.CDLL(None).printf(b"parent C, not flushed;")
        child = Child(work)
        ended = child.run(b"", said=lambda message: None)
        crashed = child.run(b"crash", said=lambda message: None)
        child.close()
        assert ended.output.stdout == "job stdout\\njob descriptor\\njob child\\njob C\\n"
        assert ended.output.stderr == "job stderr\\njob __stderr__\\n"
        assert crashed.signal == "SIGSEGV"
        assert "Fatal Python error: Segmentation fault" in crashed.output.stderr
        assert crashed.output.stdout == ""
"""


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_inside_pytest_the_output_is_apart_whatever_pytest_captures(tmp_path, capture):
    (tmp_path / "test_inner.py").write_text(textwrap.dedent(INNER))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-rP", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"),
            *("-p", "no:xdist", f"--capture={capture}", "-o", "log_cli=true", "test_inner.py"),
        ],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "1 passed" in said
    assert "job" not in said.replace("test_job", "")
    assert "Fatal" not in said
    for words in ("parent stdout, not", "parent __stdout__, not", "parent C, not", "at exit of"):
        assert said.count(words) == 1, words
