"""A batch file, read, validated and expanded: every problem of it, or every run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from pytest_finbot.config.comparing import with_references
from pytest_finbot.config.files import Files
from pytest_finbot.config.level import EXPANDING, Level, read_level
from pytest_finbot.config.matrix import told_parts
from pytest_finbot.config.merge import Merger
from pytest_finbot.config.models import BatchHead, BatchModel, DefaultsModel, RunModel
from pytest_finbot.config.multiply import Multiplier
from pytest_finbot.config.notify import Notifier, notifiers
from pytest_finbot.config.problems import LONGEST_PATH, Findings, Place, describe, quoted
from pytest_finbot.config.sharing import Share
from pytest_finbot.config.source import Document, read_document
from pytest_finbot.config.waivers import taken
from pytest_finbot.contracts import RunSpec, Waiver
from pytest_finbot.errors import BatchFileError, Problem

Inspect = Callable[[RunSpec], Iterable[tuple[Place, str]]]
"""What a higher layer finds wrong with a run: a key's path within the run, and a message."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch file, ready to be run. ``text`` is the file as it was, for the record."""

    path: Path
    """Absolute."""
    text: bytes
    batch_name: str
    description: str
    output_root: Path
    """Absolute; see :attr:`output`."""
    max_workers: int | None
    durability: Literal["item", "second"]
    runs: tuple[RunSpec, ...]
    run_count: int
    """Runs of the file; stays when :meth:`without_runs` lets go of them."""
    baseline: Path | None = None
    """Absolute folder of accepted results, which may not exist yet; ``None``: nothing is gated."""
    waivers: tuple[Waiver, ...] = ()
    """Those of the batch file, then those of ``waivers.yaml`` beside it; expired ones too."""
    notes: tuple[str, ...] = ()
    """What is no mistake, and worth knowing: days that are in no window, runs that are left out."""
    notify: tuple[Notifier, ...] = ()
    """Who is told when the batch has ended; the names of variables, never what is in them."""
    left_out: tuple[str, ...] = ()
    """Runs of the file that this session was not asked for."""
    share: Share | None = None
    """Which share of the file's runs ``runs`` are; ``None``: all of them."""

    @property
    def output(self) -> Path:
        """The folder that outputs go to. Each shard has one of its own, so that none replaces another's."""
        share = self.share
        # A batch's name has no dot: no other batch is called so.
        ending = "" if share is None else f".shard-{share.index}-of-{share.count}"
        return self.output_root / f"{self.batch_name}{ending}"

    def without_runs(self) -> Batch:
        """The same batch without its specs, which may be most of a process's memory."""
        return dataclasses.replace(self, runs=())


def load_batch(path: Path, *, inspect: Inspect | None = None, snapshots: Path | None = None) -> Batch:
    """Read a batch file. Relative paths in it are relative to its own folder.

    ``snapshots`` is the folder of recorded data that ``data.snapshot`` names; ``None``: that of
    the registry in the working directory, ``.finbot/snapshots``.

    ``inspect`` is called with every run that could be resolved, and what it finds is told
    with everything else, located in the run or in the defaults.

    Raises BatchFileError with every problem of the file and of the files it names.
    """
    document = read_document(path)
    findings = Findings(document.shown, document.positions)
    files = Files(path, snapshots)
    head = _head(document, findings)
    defaults = _defaults(document, findings, files, head)
    runs = _runs(document, findings, files)
    merger = Merger(defaults, head.engine, findings, files, head.checks)
    multiplier = Multiplier(document.root, defaults, findings, files)
    specs = _specs(document, findings, merger, multiplier, runs, inspect)
    merger.tell_absent()
    multiplier.tell_count()
    baseline = _baseline(head, findings, files)
    waivers = taken(head.waivers, document, ("waivers",)) + files.waivers()
    problems = _all_problems(document, findings, files)
    if problems:
        raise BatchFileError(problems)
    return Batch(
        path=files.folder / path.name,
        text=document.content,
        batch_name=head.batch_name,
        description=head.description,
        output_root=Path(files.absolute(head.output_root)),
        max_workers=head.max_workers,
        durability=head.durability,
        runs=specs,
        run_count=len(specs),
        baseline=baseline,
        waivers=waivers,
        notes=multiplier.notes(),
        notify=notifiers(head.notify),
    )


def _head(document: Document, findings: Findings) -> BatchHead:
    """The batch's own keys; those that are wrong are told, and stand at their defaults."""
    given = {key: value for key, value in document.root.items() if key not in ("defaults", "runs")}
    try:
        return BatchHead.model_validate(given)
    except ValidationError as error:
        findings.add_invalid((), error, BatchModel)
        bad = {detail["loc"][0] for detail in error.errors(include_url=False)}
    sound = {key: value for key, value in given.items() if key not in bad}
    return BatchHead.model_validate({"batch_name": "unnamed", **sound})


def _baseline(head: BatchHead, findings: Findings, files: Files) -> Path | None:
    if head.baseline is None:
        return None
    path = files.absolute(head.baseline)
    if os.path.exists(path) and not os.path.isdir(path):
        given = quoted(head.baseline, LONGEST_PATH)
        findings.add(("baseline",), f"{given} is a file; expected a folder, which may not exist yet")
    return Path(path)


def _defaults(document: Document, findings: Findings, files: Files, head: BatchHead) -> Level:
    raw = document.root.get("defaults")
    raw = {} if raw is None else raw  # a section with all its lines commented out
    if isinstance(raw, dict) and not raw.keys().isdisjoint(EXPANDING):
        for key in EXPANDING:
            if key in raw:
                findings.add(
                    ("defaults", key), f"stands at the top of the file, or in a run: {key} is no default"
                )
        raw = {key: value for key, value in raw.items() if key not in EXPANDING}
    level = read_level(raw, ("defaults",), findings, files)
    if level is None:
        return Level(("defaults",), {}, bad={*DefaultsModel.model_fields})
    if document.root.get("engine", head.engine) != head.engine:
        level.bad.add("engine")
    elif "engine" in document.root and level.values.get("engine", head.engine) != head.engine:
        findings.add(("engine",), "engine and defaults.engine differ; keep one")
    return level


def _runs(document: Document, findings: Findings, files: Files) -> list[Level]:
    if "runs" not in document.root:
        findings.add(("runs",), "missing; a batch needs runs", at=())
        return []
    raw = document.root["runs"]
    if not isinstance(raw, list):
        findings.add(("runs",), f"expected a list of runs, got {describe(raw)}")
        return []
    if not raw:
        findings.add(("runs",), "no runs; a batch needs at least one")
    levels = (
        read_level(run, ("runs", number), findings, files, kind=RunModel) for number, run in enumerate(raw)
    )
    return [level for level in levels if level is not None]


def _specs(
    document: Document,
    findings: Findings,
    merger: Merger,
    multiplier: Multiplier,
    runs: Sequence[Level],
    inspect: Inspect | None,
) -> tuple[RunSpec, ...]:
    specs: list[tuple[RunSpec, Level]] = []
    first: dict[str, Level] = {}
    for given in runs:
        line = document.positions.line(given.place)
        for run in multiplier.of(given):
            if run.id is not None:
                # The id becomes a folder, and some file systems do not tell "A" from "a".
                earlier = first.setdefault(run.id.casefold(), run)
                if earlier is not run:
                    _tell_duplicate(run, earlier, document, findings)
            spec = merger.spec(run, line)
            if spec is None:
                continue
            specs.append((spec, run))
            for place, message in inspect(spec) if inspect is not None else ():
                findings.add(merger.owner(run, place), message)
    if all(spec.compare_with is None for spec, _ in specs):
        return tuple(spec for spec, _ in specs)
    ids = [run.id for run in first.values() if run.id is not None]
    return tuple(with_references(specs, ids, merger, findings))


def _tell_duplicate(run: Level, earlier: Level, document: Document, findings: Findings) -> None:
    line = document.positions.line(earlier.place)
    source = f"the run on line {line}"
    if earlier.parts:
        source += f" with {told_parts(earlier.parts)}"
    aside = (
        "" if earlier.id == run.id else f" (as '{earlier.id}'; ids become folders, where case may not count)"
    )
    place: Place = (*run.place, "id")
    if run.place == earlier.place:
        # Two combinations of one matrix: by what tells them apart, and their names do not.
        pairs = zip(run.parts, earlier.parts, strict=False)
        place = next((own.place for own, other in pairs if own.place != other.place), place)
    findings.add_once(place, f"the id '{run.id}' is already that of {source}{aside}")


def _all_problems(document: Document, findings: Findings, files: Files) -> list[Problem]:
    """Of the batch file first, by line; then file by file of those it names."""
    own = {*document.problems, *findings.sorted()}
    problems = sorted(own, key=lambda problem: (problem.line, problem.key, problem.message))
    for shown in sorted(files.problems):
        problems.extend(files.problems[shown])
    return problems
