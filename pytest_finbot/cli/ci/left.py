"""What ``finbot ci run`` leaves in a folder for the steps after it: how pytest ended, where reports lie."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_finbot.errors import ParameterError, Problem

FOLDER: Final = "FINBOT_CI_FOLDER"
"""Variable of the environment that names the folder."""
REPORT: Final = "batch_report.json"
_FILE: Final = "run.json"
_ASKED: Final = "asked.json"
_FORMAT: Final = "finbot-ci-run"


@dataclass(frozen=True, slots=True)
class LeftBatch:
    """A batch of the session. ``folder`` has its reports, relative to ``artifact`` in the folder."""

    name: str
    status: str | None
    """As recorded; ``None`` where the batch left no summary."""
    batch_id: str = ""
    reason: str = ""
    folder: str = ""
    file: str = ""
    """Its batch file, relative to the repository's root where it lies in it; empty where not known."""


@dataclass(frozen=True, slots=True)
class Left:
    """How the session ended."""

    status: int
    """The exit status that the job is to have: pytest's, unless that cannot be trusted."""
    why: str = ""
    """What pytest does not say of it itself."""
    batches: tuple[LeftBatch, ...] = ()
    problems: tuple[Problem, ...] = ()
    """What is wrong with batch files, where that is why nothing was run."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, left before pytest begins."""

    report_name: str = ""
    files: tuple[str, ...] = ()
    """The batch files, as :attr:`LeftBatch.file`."""
    shard: str = ""


def write_left(folder: Path, left: Left) -> None:
    """Leave it, whole or not at all. Raises OSError."""
    from pytest_finbot.registry.strict_json import encode

    draft = folder / f".{_FILE}.tmp"
    draft.write_bytes(encode({"format": _FORMAT, "version": 1, **dataclasses.asdict(left)}, "the run"))
    os.replace(draft, folder / _FILE)


def write_asked(folder: Path, asked: Asked) -> None:
    """Raises OSError."""
    from pytest_finbot.registry.strict_json import encode

    (folder / _ASKED).write_bytes(encode(dataclasses.asdict(asked), "what was asked for"))


def read_asked(folder: Path | None) -> Asked:
    """As far as it can be told: what is said with it is said beside the status, and is none."""
    from pytest_finbot.registry.strict_json import decode

    if folder is None:
        return Asked()
    try:
        said = decode((folder / _ASKED).read_bytes())
        return Asked(str(said["report_name"]), tuple(map(str, said["files"])), str(said["shard"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Asked()


def read_left(folder: Path | None) -> Left:
    """Raises ParameterError where pytest's end is not told, or not in a form that can be trusted."""
    if folder is None:
        raise ParameterError(
            f"the step that runs pytest has not told of its folder ({FOLDER}): it did not begin, or was cut"
        )
    from pytest_finbot.registry.strict_json import decode

    path = folder / _FILE
    try:
        return _left(decode(path.read_bytes()))
    except FileNotFoundError:
        raise ParameterError(f"{path} is missing: pytest was not run to its end") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{path} cannot be read: {error}") from error


def _left(said: Any) -> Left:
    """Raises ValueError, KeyError or TypeError."""
    if not isinstance(said, dict) or (said.get("format"), said.get("version")) != (_FORMAT, 1):
        raise ValueError(f"it is no {_FORMAT} of version 1")
    status = said["status"]
    if type(status) is not int or not 0 <= status <= 255:
        raise ValueError(f"status is {status!r}; expected a whole number from 0 to 255")
    batches = tuple(LeftBatch(**one) for one in said["batches"])
    if status == 0 and (not batches or any(batch.status is None for batch in batches)):
        raise ValueError("status is 0 and not every batch has a summary")
    return Left(status, str(said["why"]), batches, tuple(Problem(**one) for one in said["problems"]))


def folder_of(environment: Mapping[str, str]) -> Path | None:
    """The folder that the step before told of."""
    named = environment.get(FOLDER, "")
    return Path(named) if named else None
