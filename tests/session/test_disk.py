"""Disks that are full, read-only or gone: what a run came to is told, and nothing earlier is harmed."""

import errno
import os
import subprocess

import pytest

from pytest_finbot.registry import open_registry
from pytest_finbot.registry.upkeep.verify import verify

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])
HARM = """\
import numpy as np


def weights(market):
    return np.full(market.close.shape, 0.5)


def filling(spec, market):
    with open(".finbot/filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return weights(market)
"""
RUNS = "- {{id: before}}\n- {{id: bad, strategy: 'ours:{how}'}}\n- {{id: after}}\n"


@pytest.fixture
def small_disk(project):
    """``.finbot`` on a disk of its own, of one mebibyte."""
    folder = project.path / ".finbot"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def harm(project, how, workers):
    """A batch whose second run harms the disk under the registry, one after the other."""
    project.write("ours.py", HARM)
    project.batch(RUNS.format(how=how))
    # Loadscope: one worker gets the whole file, so that `before` is before.
    return project.pytest("-n", workers, "--dist", "loadscope")


def check_told(project, result, why):
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [f"run bad ended with status success (final NAV *), but could not be recorded:*{why}*"]
    )
    result.stdout.fnmatch_lines(["*small: 1 of 3 runs succeeded, 2 not run*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert project.statuses() == {"before": "success", "bad": "not_run", "after": "not_run"}


def check_goes_on(project):
    """Once there is room again, the batch is gone on with, and nothing recorded was lost."""
    project.write("ours.py", HARM.replace("filling", "old") + OWN)
    result = project.pytest("--finbot-resume", "last")
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["resumed: 1 done before, 2 executed now*"])
    assert set(project.statuses().values()) == {"success"}
    found = [
        finding for finding in verify(open_registry(project.path / ".finbot")) if finding.level == "fault"
    ]
    assert found == []


OWN = """

def filling(spec, market):
    return weights(market)
"""


@WORKERS
def test_a_full_disk(project, small_disk, workers):
    result = harm(project, "filling", workers)
    check_told(project, result, "No space left on device")
    (small_disk / "filler").unlink()
    check_goes_on(project)


@WORKERS
@pytest.mark.parametrize("error", ["EDQUOT", "EROFS"])
def test_any_failing_write_to_the_registry(project, workers, error):
    """Injected, for what cannot be had by a mount: from the second run on every append fails."""
    project.write(
        "conftest.py",
        f"""
        import errno
        import os

        from pytest_finbot.registry import append_file

        class Failing:
            def __getattr__(self, name):
                return getattr(os, name)

            def write(self, descriptor, data):
                if os.path.exists("full"):
                    raise OSError(errno.{error}, os.strerror(errno.{error}))
                return os.write(descriptor, data)

        append_file.os = Failing()
        """,
    )
    project.write(
        "ours.py",
        HARM + "\n\ndef marking(spec, market):\n    open('full', 'w').close()\n    return weights(market)\n",
    )
    project.batch(RUNS.format(how="marking"))
    result = project.pytest("-n", workers, "--dist", "loadscope")
    check_told(project, result, os.strerror(getattr(errno, error)))
    result.stdout.fnmatch_lines(["*problem: the end of the batch could not be recorded:*"])


def test_a_registry_in_a_place_that_cannot_be_written_runs_nothing(project, small_disk):
    if subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], capture_output=True).returncode:
        pytest.skip("a disk cannot be mounted anew here")
    project.batch("- {id: plain}\n")
    result = project.pytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*cannot open the registry*Read-only file system*"])
