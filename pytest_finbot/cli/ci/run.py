"""``finbot ci run``: pytest with the batch files of the action's inputs, and how it ended."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from pytest_finbot.cli.ci.commands import append, assignment, command, shown
from pytest_finbot.cli.ci.inputs import RunInputs, batch_paths
from pytest_finbot.cli.ci.left import REPORT, Asked, Left, LeftBatch, write_asked, write_left
from pytest_finbot.cli.ci.quiet import run_quietly, stdout
from pytest_finbot.errors import ParameterError, Problem

_OF_THE_RUNNER: Final = (
    "GITHUB_ENV",
    "GITHUB_OUTPUT",
    "GITHUB_PATH",
    "GITHUB_STATE",
    "GITHUB_STEP_SUMMARY",
)
"""Files by which a step commands the runner: no business of a backtest's."""
_INPUTS: Final = (
    "FINBOT_ARTIFACT_NAME",
    "FINBOT_BASELINE",
    "FINBOT_BATCH",
    "FINBOT_COMMENT",
    "FINBOT_EXTRA_ARGS",
    "FINBOT_FAIL_ON",
    "FINBOT_REPORT_NAME",
    "FINBOT_SHARD",
    "FINBOT_WORKERS",
)
_PROBLEM: Final = re.compile(r"(?P<file>[^:\0]{1,500})(?::(?P<line>[0-9]{1,7}))?: (?P<said>.{1,2000})")
_REFUSED: Final = "ERROR: finbot: "
_SUMMARY: Final = "session.json"
_CALL_IS_WRONG: Final = 4


@click.command()
def run() -> None:
    """Run the batch files that FINBOT_BATCH names, one a line.

    What GitHub's action does: inputs come from the environment (FINBOT_BATCH, FINBOT_WORKERS,
    FINBOT_BASELINE, FINBOT_FAIL_ON, FINBOT_SHARD, FINBOT_EXTRA_ARGS …), what pytest prints cannot
    command the runner, and a gate that is shut is not told by the exit status but left for
    "finbot ci gate". Status 4: an input cannot be meant, and nothing was run.
    """
    folder = Path(tempfile.mkdtemp(prefix="finbot-", dir=os.environ.get("RUNNER_TEMP") or None))
    # At once: whatever happens to this step, the ones after it know where to look.
    append(os.environ.get("GITHUB_OUTPUT"), assignment("folder", str(folder)))
    write_asked(folder, asked_of(os.environ))
    try:
        inputs = RunInputs.of(os.environ)
        append(os.environ.get("GITHUB_OUTPUT"), assignment("artifact-name", inputs.artifact()))
    except ParameterError as error:
        click.echo(command("error", f"{error}; nothing was run", {"title": "finbot"}))
        write_left(folder, Left(_CALL_IS_WRONG, f"{error}; nothing was run"))
        raise SystemExit(_CALL_IS_WRONG) from None
    left = run_session(inputs, folder)
    write_left(folder, left)
    # Whoever runs this without the action finds the folder here.
    click.echo(f"finbot: pytest ended with status {left.status}; reports are in {shown(str(folder))}")
    if left.why:
        click.echo(f"finbot: {shown(left.why)}")


def asked_of(environment: Mapping[str, str]) -> Asked:
    """What the action's inputs ask for, whatever is wrong with them."""
    files = (Path(path) for path in batch_paths(environment) if "\0" not in path)
    return Asked(
        environment.get("FINBOT_REPORT_NAME", "").strip(),
        tuple(map(_from_root, files)),
        environment.get("FINBOT_SHARD", "").strip(),
    )


def run_session(inputs: RunInputs, folder: Path) -> Left:
    """Run pytest; its reports are copied into ``folder``. Raises OSError where that cannot be written."""
    summary = folder / _SUMMARY
    arguments = [sys.executable, "-P", "-m", "pytest", *_formats(), *inputs.options()]
    # Last: without it nobody would know what became of the session.
    arguments.append(f"--finbot-summary-json={summary}")
    ended = run_quietly(arguments, _environment(os.environ), stdout())
    given = Left(min(ended.status, 255))
    if ended.cancelled:
        given = replace(given, status=given.status or 130, why="the job was cancelled while pytest ran")
    elif ended.status == _CALL_IS_WRONG:
        # No backtest has printed anything yet: nothing was run.
        problems = tuple(_problems(ended.tail, inputs.batches))
        number = f"{len(problems):,} problem{'s' if len(problems) > 1 else ''} of batch files"
        why = number if problems else _refusal(ended.tail)
        return replace(given, why=f"{why}; nothing was run", problems=problems)
    try:
        session = _without_runs(summary)
        recorded = int(session["exitstatus"])
        batches = tuple(_batches(session, folder / "artifact", inputs.batches))
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = "" if isinstance(error, FileNotFoundError) else f" that can be read ({error})"
        words = f"pytest ended with status {ended.status} and left no summary of a session{said}"
        return replace(given, status=given.status or 1, why=given.why or words)
    if given.status == 0 and recorded != 0:
        # Something ended the process in its own way after the verdict: a plugin, a library, an exit handler.
        words = f"pytest ended with status 0, and had told of its session that it is {recorded}"
        return replace(given, status=min(max(recorded, 1), 255), batches=batches, why=words)
    told = [batch for batch in batches if batch.status is not None]
    wanted = len({Path(path).resolve() for path in inputs.batches})
    if given.status == 0 and len(told) < max(wanted, len(batches)):
        words = f"pytest ended with status 0, and of {wanted} batch files {len(told)} have a summary"
        return replace(given, status=1, batches=batches, why=words)
    return replace(given, batches=batches)


def _formats() -> list[str]:
    """Reports beside those that every session writes: a page with charts, where the extra for it is there."""
    from pytest_finbot.errors import MissingDependencyError
    from pytest_finbot.reports.html.bokeh import check_bokeh

    try:
        check_bokeh()
    except MissingDependencyError:
        return []
    return ["--finbot-report=html"]


def _problems(output: str, files: Sequence[str]) -> Iterator[Problem]:
    """What pytest says of batch files that it refuses, a line each: ``finbot.yaml:3: key: message``.

    Without a line (``finbot.yaml: file not found``) only of one of ``files``: other text has colons too.
    """
    told = False
    asked = set(map(_from_root, map(Path, files)))
    for line in output.splitlines():
        found = _PROBLEM.fullmatch(line)
        if told and found is not None:
            file = _from_root(Path(found["file"]))
            if found["line"] or file in asked:
                yield Problem(file, int(found["line"] or 0), "", found["said"])
        told = told or line.startswith(_REFUSED)


def _refusal(output: str) -> str:
    """Why pytest refuses its call, in its own words."""
    for line in output.splitlines():
        for begin in (_REFUSED, "pytest: error: "):
            if line.startswith(begin) and line != begin:
                return line.removeprefix(begin).removesuffix("; nothing was run")[:2_000]
    return "pytest refused to begin, and its log says why"


def _environment(now: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in now.items() if name not in {*_OF_THE_RUNNER, *_INPUTS}}


def _batches(session: Any, artifact: Path, files: Sequence[str]) -> Iterator[LeftBatch]:
    """The session's batches, their reports copied. Raises OSError, ValueError, KeyError, TypeError."""
    for number, said in enumerate(session["batches"]):
        name = str(said["batch_name"])
        reports = {key: Path(path) for key, path in said["reports"].items()}
        if not reports:
            yield LeftBatch(name, None, reason=str(said.get("reason", "")))
            continue
        source = next(iter(reports.values())).parent
        target = artifact / (name if not (artifact / name).exists() else f"{name}-{number}")
        _copy(source, (*reports.values(), source / REPORT), target)
        yield LeftBatch(
            name,
            str(said["status"]),
            batch_id=str(said["batch_id"]),
            folder=target.name,
            file=_file_of(source / str(said["source"]), str(said["file"]), files),
        )


def _without_runs(summary: Path) -> Any:
    """The session's document without its runs, which are most of it. Raises OSError, ValueError."""
    from pytest_finbot.registry.strict_json import decode

    with summary.open("rb") as file:
        # A run is a line, and nothing else begins like one.
        return decode(b"".join(line for line in file if not line.startswith(b'{"run_id":')))


def _copy(source: Path, reports: Sequence[Path], target: Path) -> None:
    """A batch's reports and logs; not the tables of its runs, which are many and large."""
    target.mkdir(parents=True)
    for path in dict.fromkeys(reports):
        if path.is_file():
            shutil.copyfile(path, target / path.name)
    if (source / "logs").is_dir():
        shutil.copytree(source / "logs", target / "logs")


def _file_of(copy: Path, told: str, files: Sequence[str]) -> str:
    """Which of ``files`` a batch was read from; empty where it is none of them, or that cannot be told.

    ``told`` is its path from pytest's root folder. Where that is not one above this, the ``copy`` that the
    batch left decides.
    """
    named = [Path(path) for path in files if Path(path).name == copy.name]
    there = {(root / told).resolve() for root in (Path.cwd(), *Path.cwd().parents)}
    found = [path for path in named if path.resolve() in there]
    if named and not found:
        content = copy.read_bytes()
        found = [path for path in named if path.is_file() and path.read_bytes() == content]
    return _from_root(found[0]) if found else ""


def _from_root(path: Path) -> str:
    """As GitHub wants it: from the root of the repository, with forward slashes."""
    root = Path(os.environ.get("GITHUB_WORKSPACE") or ".").resolve()
    full = path.resolve()
    return (full.relative_to(root) if full.is_relative_to(root) else full).as_posix()
