"""Parts of a run put together again: slices of time, and the out-of-sample parts of a walk-forward.

Slices join as they are: each has been through the sessions of those before it, so their NAVs are
pieces of one, and what the two sides of a seam say of the same sessions must be the same.
Out-of-sample parts are accounts of their own, each begun with the same capital: what is linked is
their growth, session by session, from the start capital of the first.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from pytest_finbot.contracts import EngineResult, FloatArray, PartKind, RunSpec, SessionArray
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.tables import RecordedSeries, read_series
from pytest_finbot.reports.stitched import StitchedFacts, StitchedPart
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.metrics import compute_metrics

if TYPE_CHECKING:
    from pytest_finbot.registry.fold import BatchFold
    from pytest_finbot.registry.protocol import Registry

SEAM_TOLERANCE: Final = 1e-9
"""How far, as a fraction of NAV, two slices may be apart on a session that both have."""

_OF_POSITIONS: Final = frozenset({"turnover", "trades", "costs", "exposure_gross", "cash_share"})
"""Metrics that a NAV alone does not give."""

_ENDING: Final[Mapping[PartKind, str]] = {"slice": ".nav.csv", "out_of_sample": ".out_of_sample.csv"}
_COLUMNS: Final = ("session", "nav", "part")


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """A run that is to be put together with others: ``own_from`` is its first own day (ISO date)."""

    run: str
    of: str
    kind: PartKind
    number: int
    own_from: str


class CannotStitchError(Exception):
    """Why parts do not make a whole, in words; ``fault``: they were meant to, and should."""

    def __init__(self, why: str, *, fault: bool = True) -> None:
        super().__init__(why)
        self.fault = fault


def planned_parts(runs: Iterable[RunSpec]) -> tuple[PlannedPart, ...]:
    """The runs that are slices, or parts of a walk-forward, in order."""
    return tuple(
        PlannedPart(
            spec.name,
            spec.part.of,
            spec.part.kind,
            spec.part.number,
            (spec.part.own_from or spec.start_date).isoformat(),
        )
        for spec in runs
        if spec.part is not None and spec.part.kind != "window"
    )


def stitch_all(
    parts: Sequence[PlannedPart], fold: BatchFold, registry: Registry, folder: Path
) -> tuple[StitchedFacts, ...]:
    """Put together what belongs together, and write each NAV into ``folder`` / ``stitched``.

    What earlier sessions wrote there is removed: it is not of these parts. What cannot be put
    together is told, with the reason, in its facts; a whole of which no part was selected is no
    whole of this session. Raises OSError where the files cannot be written or removed.
    """
    folder /= "stitched"
    _clear(folder)
    wholes: dict[tuple[str, PartKind], list[PlannedPart]] = {}
    in_sample: dict[tuple[str, int], PlannedPart] = {}
    expected = set(fold.expected) if parts else set()
    for part in parts:
        if part.kind == "in_sample":
            in_sample[part.of, part.number] = part
        else:
            wholes.setdefault((part.of, part.kind), []).append(part)
    told = []
    for (of, kind), members in wholes.items():
        members.sort(key=lambda part: part.number)
        left_out = sum(part.run not in expected for part in members)
        if left_out == len(members):
            continue
        try:
            if left_out:
                raise CannotStitchError(
                    f"{left_out:,} of its {len(members):,} parts were not selected", fault=False
                )
            whole = _stitch(of, kind, members, fold, registry, folder)
        except CannotStitchError as error:
            whole = StitchedFacts(of, kind, (), why_not=str(error), fault=error.fault)
        if whole.parts and kind == "out_of_sample":
            beside = [in_sample.get((of, part.number)) for part in members]
            whole = dataclasses.replace(whole, in_sample=_in_sample(beside, fold, registry))
        told.append(whole)
    return tuple(told)


@dataclass(frozen=True, slots=True, eq=False)
class _Own:
    """The own sessions of one part, and what they start from."""

    run: str
    sessions: SessionArray
    nav: FloatArray
    flows: FloatArray
    nav_before: float
    start_cash: float
    metrics: Mapping[str, Any]
    series: RecordedSeries
    first_row: int
    last_day: str
    """Last day of the part (ISO date), be it a session or not."""

    @property
    def before(self) -> FloatArray:
        """NAV of the session before [T]."""
        return np.concatenate(([self.nav_before], self.nav[:-1]))

    @property
    def growth(self) -> FloatArray:
        """NAV before the session's flow over the NAV of the session before [T]."""
        grown: FloatArray = (self.nav - self.flows) / self.before
        return grown

    @property
    def facts(self) -> StitchedPart:
        days = self.sessions
        return StitchedPart(self.run, str(days[0]), str(days[-1]), len(days), dict(self.metrics))


def _stitch(
    of: str,
    kind: PartKind,
    members: Sequence[PlannedPart],
    fold: BatchFold,
    registry: Registry,
    folder: Path,
) -> StitchedFacts:
    records = {record["name"]: record for record in fold.records([part.run for part in members])}
    owns = [_own(part, records.get(part.run), registry) for part in members]
    for earlier, later in itertools.pairwise(owns):
        if later.sessions[0] <= earlier.sessions[-1]:
            words = f"{earlier.run} and {later.run} overlap: {later.sessions[0]} is in both"
            raise CannotStitchError(words, fault=kind == "slice")
        if kind == "slice":
            _check_seam(earlier, later)
    sessions = np.concatenate([own.sessions for own in owns])
    if kind == "slice":
        nav, flows = (np.concatenate([getattr(own, name) for own in owns]) for name in ("nav", "flows"))
        start = owns[0].nav_before
    else:
        start = owns[0].start_cash
        for own in owns:
            _check_growth(own)
        growth = np.concatenate([own.growth for own in owns])
        nav, flows = start * np.cumprod(growth), np.zeros(len(sessions))
    metrics = _metrics(sessions, nav, flows, start)
    holes = tuple(_holes(members, owns)) if kind == "out_of_sample" else ()
    undefined = {}
    if holes and metrics.get("cagr_calendar") is not None:
        metrics["cagr_calendar"] = None
        undefined["cagr_calendar"] = f"days of no part lie within: {', '.join(holes)}"
    file = folder / f"{of}{_ENDING[kind]}"
    _write(file, sessions, nav, owns)
    return StitchedFacts(
        of=of,
        kind=kind,
        parts=tuple(own.facts for own in owns),
        first_session=str(sessions[0]),
        last_session=str(sessions[-1]),
        sessions=len(sessions),
        start_nav=float(start),
        metrics=metrics,
        holes=holes,
        undefined=undefined,
        file=f"{folder.name}/{file.name}",
    )


def _holes(members: Sequence[PlannedPart], owns: Sequence[_Own]) -> Iterator[str]:
    """Days that lie between two parts and are in neither, weekends aside."""
    for earlier, later in itertools.pairwise(zip(members, owns, strict=True)):
        last = date.fromisoformat(earlier[1].last_day)
        first = date.fromisoformat(later[0].own_from)
        if np.busday_count(last + timedelta(days=1), first):
            yield f"{last + timedelta(days=1)} to {first - timedelta(days=1)}"


def _in_sample(
    beside: Sequence[PlannedPart | None], fold: BatchFold, registry: Registry
) -> tuple[StitchedPart | None, ...]:
    """Facts of the in-sample parts, ``None`` for one that was not selected or has no result."""
    records = {record["name"]: record for record in fold.records([part.run for part in beside if part])}
    found: list[StitchedPart | None] = []
    for part in beside:
        try:
            found.append(_own(part, records.get(part.run), registry).facts if part else None)
        except CannotStitchError:
            found.append(None)  # a failed run, which is told as one: the others are put together without it
    return tuple(found)


def _own(part: PlannedPart, record: Mapping[str, Any] | None, registry: Registry) -> _Own:
    if record is None:
        raise CannotStitchError(f"{part.run} left no record")
    if record.get("series") is None:
        error = record.get("error") or {}
        raise CannotStitchError(f"{part.run} gave no result ({error.get('category', 'unknown')})")
    try:
        series = read_series(registry.objects, record, verify=True)
    except RegistryError as error:
        raise CannotStitchError(f"{part.run} cannot be read: {error}") from error
    row = int(np.searchsorted(series.sessions, np.datetime64(part.own_from, "D")))
    if row >= len(series.sessions):
        raise CannotStitchError(f"{part.run} has no session from {part.own_from} on")
    start_cash = (record.get("books") or {}).get("start_cash")
    if start_cash is None:
        raise CannotStitchError(f"{part.run} does not say what it began with")
    return _Own(
        run=part.run,
        sessions=series.sessions[row:],
        nav=series.nav[row:],
        flows=series.flows[row:],
        nav_before=float(series.nav[row - 1]) if row else float(start_cash),
        start_cash=float(start_cash),
        metrics=record.get("metrics") or {},
        series=series,
        first_row=row,
        last_day=record.get("end_date") or str(series.sessions[-1]),
    )


def _check_growth(own: _Own) -> None:
    """A loss is a return only of what is above zero: of two negative NAVs the ratio looks like a gain."""
    sound = (own.before > 0.0) & (own.nav - own.flows > 0.0) & np.isfinite(own.growth)
    if not sound.all():
        row = int(np.argmin(sound))
        raise CannotStitchError(
            f"NAV of {own.run} is not above zero around {own.sessions[row]}: it has no return to link",
            fault=False,
        )


def _check_seam(earlier: _Own, later: _Own) -> None:
    """The later slice has been through the earlier one's sessions: it must have found the same."""
    rows = np.searchsorted(later.series.sessions[: later.first_row], earlier.sessions)
    if rows[-1] >= later.first_row or not np.array_equal(later.series.sessions[rows], earlier.sessions):
        raise CannotStitchError(f"{later.run} does not have the sessions of {earlier.run}")
    found = [
        _Seen("NAV", earlier.nav, later.series.nav[rows], np.abs(earlier.nav)),
        *_positions(earlier.series, earlier.first_row, later.series, rows),
    ]
    moved = [(int(np.argmax(seen.moved)), seen) for seen in found if seen.moved.any()]
    if moved:
        row, seen = min(moved, key=lambda one: one[0])
        raise CannotStitchError(
            f"what comes later changes what came before: {seen.what} on {earlier.sessions[row]} is "
            f"{seen.before[row]:,.10g} in {earlier.run} and {seen.after[row]:,.10g} in {later.run}; its "
            "strategy or engine looks ahead or does not carry its state through time (or prices or code "
            "changed between the two), so slices of it are not the whole run"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One series [T] of the same sessions, as two slices have it; ``scale`` [T] is what 1 is of it."""

    what: str
    before: FloatArray
    after: FloatArray
    scale: FloatArray

    @property
    def moved(self) -> npt.NDArray[np.bool_]:
        return ~(np.abs(self.after - self.before) <= SEAM_TOLERANCE * self.scale)


def _positions(
    earlier: RecordedSeries, first_row: int, later: RecordedSeries, rows: npt.NDArray[np.int64]
) -> Iterator[_Seen]:
    """Quantities of each asset: what was bought at the last close shows in NAV only a session later."""
    nothing = np.zeros(len(rows))
    for asset in dict.fromkeys((*earlier.assets, *later.assets)):
        before, after = (
            series.quantity[which, series.assets.index(asset)] if asset in series.assets else nothing
            for series, which in ((earlier, slice(first_row, None)), (later, rows))
        )
        if not np.array_equal(before, after):
            scale = np.full(len(rows), np.abs(before).max())
            yield _Seen(f"the quantity of {asset}", before, after, scale)


def _metrics(sessions: SessionArray, nav: FloatArray, flows: FloatArray, start: float) -> dict[str, Any]:
    none = np.zeros((len(sessions), 0))
    result = EngineResult.of(
        sessions=sessions,
        assets=(),
        nav=nav,
        cash=nav,
        quantity=none,
        mark=none,
        start_cash=start,
        flows=flows,
    )
    values = compute_metrics(result, Books(result)).values
    return {name: value for name, value in values.items() if name not in _OF_POSITIONS}


def _clear(folder: Path) -> None:
    """Remove what was put together before, and nothing that was not written here."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for ending in _ENDING.values():
        for file in folder.glob(f"*{ending}"):
            with file.open(encoding="utf-8", errors="replace") as before:
                ours = before.readline().rstrip("\n") == ",".join(_COLUMNS)
            if ours:
                file.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _write(file: Path, sessions: SessionArray, nav: FloatArray, owns: Sequence[_Own]) -> None:
    file.parent.mkdir(exist_ok=True)
    parts = [own.run for own in owns for _ in range(len(own.sessions))]
    draft = file.with_name(f".{file.name}.tmp")
    with draft.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(_COLUMNS)
        table.writerows(zip(sessions.astype(str).tolist(), nav.tolist(), parts, strict=True))
    os.replace(draft, file)
