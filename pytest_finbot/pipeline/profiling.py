"""Where one run's time went, function by function, in whatever process executes it.

A profiler slows down what it watches, Python code most: its shares tell, its seconds do not.
"""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from pytest_finbot.errors import MissingDependencyError
from pytest_finbot.registry.strict_json import encode

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_finbot.pipeline.outcome import RunOutcome

ProfilerName = Literal["cprofile", "pyinstrument"]

FOLDER: Final = "profile"
"""Folder of a run's profile, in the run's own folder."""
_FUNCTIONS: Final = 40
"""Functions listed in ``profile.txt`` of cProfile, by the time in them and all they called."""


class _Profiler(Protocol):
    def start(self) -> None:
        """Raises RuntimeError or ValueError where something else is profiling this thread."""
        ...

    def stop(self) -> None: ...

    def write(self, folder: Path) -> list[str]: ...


class _CProfile:
    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def start(self) -> None:
        self._profile.enable()

    def stop(self) -> None:
        self._profile.disable()

    def write(self, folder: Path) -> list[str]:
        self._profile.dump_stats(folder / "profile.pstats")
        words = io.StringIO()
        pstats.Stats(self._profile, stream=words).sort_stats("cumulative").print_stats(_FUNCTIONS)
        (folder / "profile.txt").write_text(words.getvalue(), encoding="utf-8", errors="backslashreplace")
        return ["profile.pstats", "profile.txt"]


class _Pyinstrument:
    def __init__(self) -> None:
        from pyinstrument import Profiler

        self._profiler = Profiler(async_mode="disabled")

    def start(self) -> None:
        self._profiler.start()

    def stop(self) -> None:
        self._profiler.stop()

    def write(self, folder: Path) -> list[str]:
        for name, words in (
            ("profile.html", self._profiler.output_html()),
            ("profile.txt", self._profiler.output_text(unicode=True, color=False)),
        ):
            (folder / name).write_text(words, encoding="utf-8", errors="backslashreplace")
        return ["profile.html", "profile.txt"]


def check_profiler(name: ProfilerName) -> None:
    """Raise MissingDependencyError where the profiler is not installed."""
    if name == "pyinstrument" and find_spec("pyinstrument") is None:
        raise MissingDependencyError(
            "--finbot-profile pyinstrument: pyinstrument is not installed; "
            "pip install 'pytest-finbot[profile]', or use cprofile"
        )


class RunProfile:
    """Profiles what is executed within it, once. Entering and leaving never raise."""

    def __init__(self, name: ProfilerName) -> None:
        self._name = name
        self._profiler: _Profiler = _CProfile() if name == "cprofile" else _Pyinstrument()
        self.why_not: str | None = None
        """Why there is no profile, where there is none."""

    def __enter__(self) -> RunProfile:
        try:
            self._profiler.start()
        except (RuntimeError, ValueError) as error:
            self.why_not = f"it could not be profiled with {self._name}: {error}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.why_not is None:
            self._profiler.stop()

    def write(self, run_folder: Path, run: RunOutcome, timings: Mapping[str, float]) -> list[str]:
        """Write the profile and ``phases.json`` into ``profile/`` of the run's folder.

        Returns the names of the files, relative to that folder. Raises OSError.
        """
        folder = run_folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        names = [] if self.why_not is not None else self._profiler.write(folder)
        told = encode(self._phases(run, timings), f"the phase times of run {run.spec.name}")
        (folder / "phases.json").write_bytes(told + b"\n")
        return [f"{FOLDER}/{name}" for name in (*names, "phases.json")]

    def _phases(self, run: RunOutcome, timings: Mapping[str, float]) -> dict[str, Any]:
        """Seconds of each phase, as they were under the profiler."""
        phases = [
            {
                "name": phase.name,
                "status": phase.status,
                "seconds": phase.seconds,
                "counters": dict(phase.counters),
                "reason": phase.reason,
            }
            for phase in run.phases
        ]
        return {
            "run": run.spec.name,
            "profiler": self._name,
            "not_profiled": self.why_not,
            "phases": phases,
            "timings": dict(timings),
        }
