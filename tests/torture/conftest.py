"""What the torture tests share: surroundings of their own, and which processes are theirs."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

MARK = "FINBOT_TORTURE"
"""Environment variable by which a test's processes are known, whatever they are started by."""
PATIENCE = 120.0
"""Seconds until a test gives up waiting. Nothing is asserted on time: it only keeps CI from hanging."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if hasattr(signal, "SIGKILL") and hasattr(os, "fork"):
        return
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.skip(reason=f"there is no SIGKILL or no fork on {sys.platform}"))


class Surroundings:
    """An environment for processes of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings = ("PYTEST_", "FINBOT_", "CI", "GITHUB_ACTOR", "COV_")
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(settings)
        } | {
            MARK: str(folder),
            "FINBOT_CACHE_DIR": str(folder / "cache"),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            # Linear algebra in as many threads as the machine has cores gives these processes nothing.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }

    def processes(self) -> dict[int, str]:
        """Processes of this test that live, with their command lines. Empty where that cannot be told."""
        found = {}
        wanted = f"{MARK}={self.folder}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().decode().replace("\0", " ")
            except OSError:  # gone meanwhile, or somebody else's
                continue
        return found

    def left(self) -> dict[int, str]:
        """The processes that are still there when they had every time to end; empty as it should be."""
        until = time.monotonic() + PATIENCE
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.05)
        return left


@pytest.fixture(scope="session")
def surroundings_of() -> type[Surroundings]:
    """Makes surroundings for a folder, for what several tests share."""
    return Surroundings


@pytest.fixture
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    """Ends whatever a failed test leaves behind."""
    made = Surroundings(tmp_path)
    monkeypatch.setenv("FINBOT_CACHE_DIR", made.environment["FINBOT_CACHE_DIR"])
    yield made
    for pid in made.processes():
        os.kill(pid, signal.SIGKILL)
