"""A matrix and windows put on a run: the runs it becomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from pytest_finbot.config.fields import LONGEST_NAME
from pytest_finbot.config.files import Files
from pytest_finbot.config.level import Level, put_together
from pytest_finbot.config.matrix import MOST_RUNS, Combination, Matrix, read_matrix
from pytest_finbot.config.problems import LONGEST_PATH, Findings, Place, quoted
from pytest_finbot.config.windows import Span, Windows, read_windows
from pytest_finbot.contracts import PartSpec

_DATES: Final = ("start_date", "end_date")
_AS_IT_IS: Final[tuple[Combination, ...]] = (Combination((), {}, frozenset(), ""),)

_Range = tuple[date, date]
_Parts = tuple[tuple[Span, Level], ...]


@dataclass(frozen=True, slots=True)
class _Cut:
    """Windows where they stand (``None``: wrong), and what each range of days was cut into."""

    place: Place
    windows: Windows | None
    known: dict[_Range, _Parts] = field(default_factory=dict)


class Multiplier:
    """Makes of each run the runs that its matrix and windows, or those of the batch, say."""

    def __init__(self, root: Mapping[str, Any], defaults: Level, findings: Findings, files: Files) -> None:
        self._defaults = defaults
        self._findings = findings
        self._files = files
        self._count = 0
        self._too_many: Place | None = None
        self._uncovered: dict[str, list[str]] = {}
        self._matrix: Matrix | None = None
        self._cut: _Cut | None = None
        # Nothing at all is as good as false at the top: a section with all its lines commented out.
        if root.get("matrix") is not None:
            self._matrix = self._read_matrix(root["matrix"], ("matrix",))
        if root.get("windows") is not None:
            self._cut = self._read_cut(root["windows"], ("windows",))

    def of(self, run: Level) -> Iterator[Level]:
        """The run itself where nothing is put on it; else one level for each run it becomes."""
        matrix, cut = self._matrix, self._cut
        if "matrix" in run.raw:
            matrix = self._read_matrix(run.raw["matrix"], (*run.place, "matrix"))
        if "windows" in run.raw:
            cut = self._read_cut(run.raw["windows"], (*run.place, "windows"))
        if matrix is None and cut is None:
            self._count += 1
            yield run
            return
        combinations = _AS_IT_IS
        place = run.place
        if matrix is not None:
            run = _with_bad(run, matrix.broken)
            combinations = matrix.combinations or _AS_IT_IS
            place = matrix.place
        if cut is None:
            if self._admits(len(combinations), place):
                for combination in combinations:
                    yield self._put_on(run, combination)
            return
        ranges = [self._range(run, combination, cut) for combination in combinations]
        cuts = [() if days is None else self._spans(days, cut) for days in ranges]
        if not self._admits(sum(len(spans) or 1 for spans in cuts), cut.place):
            return
        for combination, days, spans in zip(combinations, ranges, cuts, strict=True):
            whole = self._put_on(run, combination)
            if days is None or not spans:
                # What is wrong with its windows has been told; the rest of it can be looked at.
                yield self._without_days(whole, cut)
            covered = None if days is None or not spans else self._covered(run, days, spans)
            for span, part in spans:
                yield self._windowed(whole, part, span, covered)

    def notes(self) -> tuple[str, ...]:
        """Days of runs that are in no window, a line for all runs that lack the same ones."""
        return tuple(
            f"{days} is in no window of {', '.join(runs[:3])}"
            + (f" and {len(runs) - 3:,} more runs" if len(runs) > 3 else "")
            for days, runs in self._uncovered.items()
        )

    def tell_count(self) -> None:
        """Tell of more runs than are allowed, once all have been asked for."""
        if self._too_many is not None:
            message = f"makes {self._count:,} runs of the file; at most {MOST_RUNS:,} are allowed"
            self._findings.add(self._too_many, message)

    def _admits(self, count: int, place: Place) -> bool:
        self._count += count
        if self._count > MOST_RUNS and count > 1 and self._too_many is None:
            self._too_many = place
        return self._too_many is None

    def _read_matrix(self, raw: Any, place: Place) -> Matrix | None:
        return None if raw is False else read_matrix(raw, place, self._findings, self._files)

    def _read_cut(self, raw: Any, place: Place) -> _Cut | None:
        return None if raw is False else _Cut(place, read_windows(raw, place, self._findings))

    # ---------------------------------------------------------------------------- matrix

    def _put_on(self, run: Level, combination: Combination) -> Level:
        return Level(
            place=run.place,
            raw=run.raw,
            id=self._named(run, run.id, combination.label),
            values=put_together(run.values, combination.values),
            bad=run.bad | combination.bad if combination.bad else run.bad,
            absent=run.absent,
            parts=combination.parts,
        )

    def _named(self, run: Level, name: str | None, label: str) -> str | None:
        if name is None or not label:
            return name
        found = f"{name}.{label}"
        if len(found) > LONGEST_NAME:
            message = (
                f"makes ids of more than {LONGEST_NAME} characters, "
                f"such as {quoted(found, LONGEST_PATH)} ({len(found)}); give a shorter one"
            )
            # Once: the first of many.
            self._findings.add_once((*run.place, "id"), message)
        return found

    # --------------------------------------------------------------------------- windows

    def _range(self, run: Level, combination: Combination, cut: _Cut) -> _Range | None:
        """First and last day that are cut into windows; ``None`` where they are not known."""
        windows = cut.windows
        if windows is None:
            return None
        levels = (combination.values, run.values, self._defaults.values)
        start, end = (next((level[name] for level in levels if name in level), None) for name in _DATES)
        first, last = windows.first or start, windows.last or end
        if first is None or last is None:
            return None
        if first > last:
            if windows.first or windows.last:
                self._findings.add(cut.place, f"their first day {first} is after their last day {last}")
            return None
        return first, last

    def _spans(self, days: _Range, cut: _Cut) -> _Parts:
        assert cut.windows is not None, "a range was found"
        if days not in cut.known:
            spans = cut.windows.spans(*days, MOST_RUNS + 1)
            if not spans:
                first, last = days
                length = (last - first).days + 1
                message = f"{cut.windows.fits()} between {first} and {last}, which is {length} days"
                self._findings.add(cut.place, message)
            empty = next((span for span in spans if span.end < span.start), None)
            if empty is not None:
                # A day that its month has not becomes the last one: few days of it may be none.
                self._findings.add(
                    cut.place,
                    f"the in-sample of window {empty.number} ({empty.start} to {empty.end}) is empty; "
                    "make in_sample longer, or begin earlier in the month",
                )
                spans = ()
            cut.known[days] = tuple((span, _part_of(span, cut.place)) for span in spans)
        return cut.known[days]

    def _covered(self, run: Level, days: _Range, spans: _Parts) -> _Range:
        """First and last day that are in some window; what is left over at the end is noted."""
        last = max(span.end for span, _ in spans)
        if last < days[1]:
            left = f"{last + timedelta(days=1)} to {days[1]}"
            runs = self._uncovered.setdefault(left, [])
            if run.id is not None and run.id not in runs:
                runs.append(run.id)
        return days[0], last

    def _windowed(self, run: Level, part: Level, span: Span, whole: _Range | None) -> Level:
        return Level(
            place=run.place,
            raw=run.raw,
            id=self._named(run, run.id, span.label),
            values={**run.values, **part.values},
            bad=run.bad,
            absent=run.absent,
            parts=(*run.parts, part),
            part=PartSpec(run.id or "", span.kind, span.number, span.own_from),
            whole=whole,
        )

    def _without_days(self, run: Level, cut: _Cut) -> Level:
        """The run with all its days; days that only its windows should give are not known."""
        windows = cut.windows
        days = (True, True) if windows is None else (windows.first, windows.last)
        told = {name for name, day in zip(_DATES, days, strict=True) if day}
        return _with_bad(run, frozenset(told - run.values.keys() - self._defaults.values.keys()))


def _with_bad(run: Level, names: frozenset[str]) -> Level:
    """The run, of which what ``names`` say is not known."""
    return dataclasses.replace(run, bad=run.bad | names) if names else run


def _part_of(span: Span, place: Place) -> Level:
    raw = dict(zip(_DATES, (span.start.isoformat(), span.end.isoformat()), strict=True))
    return Level(
        place, raw, values=dict(zip(_DATES, (span.start, span.end), strict=True)), inner=("windows",)
    )
