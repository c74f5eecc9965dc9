"""The key ``windows``: one run on many stretches of time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, ClassVar, Final, Literal, cast

from pydantic import GetJsonSchemaHandler, ValidationError, create_model

from pytest_finbot.config.fields import IsoDate, Strict
from pytest_finbot.config.periods import Period, PeriodText, later
from pytest_finbot.config.problems import Findings, Place, describe
from pytest_finbot.contracts import PartKind

Kind = Literal["rolling", "anchored", "calendar_years", "walk_forward"]

_NEEDED: Final[dict[Kind, tuple[str, ...]]] = {
    "rolling": ("length",),
    "anchored": ("length",),
    "calendar_years": (),
    "walk_forward": ("in_sample", "out_of_sample"),
}
_POSSIBLE: Final[dict[Kind, tuple[str, ...]]] = {
    "rolling": ("step",),
    "anchored": ("step",),
    "calendar_years": (),
    "walk_forward": ("step", "anchored"),
}
_ONE_DAY: Final = timedelta(days=1)


class _Windows(Strict):
    """How a range of days is cut into windows."""

    noun: ClassVar[str] = "windows"


_FIELDS: Final[dict[str, Any]] = {
    "kind": (Kind, "rolling"),
    # Absent until given; null is none of them.
    "from": (IsoDate, cast(Any, None)),
    "to": (IsoDate, cast(Any, None)),
    "length": (PeriodText, cast(Any, None)),
    "step": (PeriodText, cast(Any, None)),
    "in_sample": (PeriodText, cast(Any, None)),
    "out_of_sample": (PeriodText, cast(Any, None)),
    "anchored": (bool, False),
}
# Made by hand, as "from" is a word of Python's own.
WindowsModel: type[_Windows] = create_model(
    "WindowsModel", __base__=_Windows, __module__=__name__, __doc__=_Windows.__doc__, **_FIELDS
)


class OrFalse:
    """Tells editors of the keys of ``windows``, or false."""

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"const": False}, handler(WindowsModel.__pydantic_core_schema__)]}


@dataclass(frozen=True, slots=True)
class Span:
    """One window: its days, both included, and its part of a run's id."""

    kind: PartKind
    number: int
    label: str
    start: date
    end: date
    own_from: date | None = None


@dataclass(frozen=True, slots=True)
class Windows:
    """How the days from ``first`` to ``last`` are cut; ``None``: those of the run."""

    kind: Kind
    first: date | None
    last: date | None
    length: Period
    step: Period
    in_sample: Period
    anchored: bool

    def spans(self, first: date, last: date, most: int) -> tuple[Span, ...]:
        """The windows between the two days, both included; no more than ``most``.

        Only those that fit whole, but for calendar years, which are cut to the range. Windows
        of a walk-forward come in pairs; one of out-of-sample days begins with its in-sample
        days, and follows the one before it without a gap where ``step`` is as long.
        """
        if self.kind == "calendar_years":
            found = self._years(first, last)
        elif self.kind == "walk_forward":
            found = self._pairs(first, last)
        else:
            found = self._windows(first, last)
        return tuple(itertools.islice(found, most))

    def fits(self) -> str:
        """What has to fit into the range, in words."""
        if self.kind == "walk_forward":
            return f"no {self.in_sample} of in-sample and {self.length} of out-of-sample days fit"
        return f"no window of {self.length} fits"

    def _years(self, first: date, last: date) -> Iterator[Span]:
        for number, year in enumerate(range(first.year, last.year + 1), 1):
            start, end = max(first, date(year, 1, 1)), min(last, date(year, 12, 31))
            yield Span("window", number, str(year), start, end)

    def _windows(self, first: date, last: date) -> Iterator[Span]:
        for times in itertools.count():
            steps, length = (self.step, times), (self.length, 1)
            start: date | None = first
            if self.kind == "anchored":
                after = later(first, length, steps)
            else:
                start, after = later(first, steps), later(first, steps, length)
            if start is None or after is None or after - _ONE_DAY > last:
                return
            end = after - _ONE_DAY
            yield Span("window", times + 1, f"{start}_{end}", start, end)

    def _pairs(self, first: date, last: date) -> Iterator[Span]:
        for times in itertools.count():
            # In this order out-of-sample days join whatever the units are.
            until_own = ((self.in_sample, 1), (self.step, times))
            start = first if self.anchored else later(first, (self.step, times))
            own, after = later(first, *until_own), later(first, *until_own, (self.length, 1))
            if start is None or own is None or after is None or after - _ONE_DAY > last:
                return
            label = f"wf{times + 1:02}"
            yield Span("in_sample", times + 1, f"{label}_in", start, own - _ONE_DAY)
            yield Span("out_of_sample", times + 1, f"{label}_out", start, after - _ONE_DAY, own)


def read_windows(raw: Any, place: Place, findings: Findings) -> Windows | None:
    """What ``windows`` at ``place`` says; ``None``, and told, where it is wrong."""
    if not isinstance(raw, dict):
        keys = ", ".join(name for name in _FIELDS if name != "anchored")
        findings.add(place, f"expected a mapping of {keys}, or false, got {describe(raw)}")
        return None
    try:
        said: dict[str, Any] = WindowsModel.model_validate(raw).__dict__
    except ValidationError as error:
        findings.add_invalid(place, error, WindowsModel)
        return None
    kind: Kind = said["kind"]
    sound = True
    for key in _NEEDED[kind]:
        if said[key] is None:
            sound = False
            findings.add((*place, key), f"missing; windows of kind: {kind} need {key}", at=place)
    allowed = {"kind", "from", "to", *_NEEDED[kind], *_POSSIBLE[kind]}
    for key in raw:
        if key not in allowed:
            sound = False
            kinds = [other for other in _NEEDED if key in (*_NEEDED[other], *_POSSIBLE[other])]
            findings.add((*place, key), f"not for kind: {kind}; it is for kind: {' or '.join(kinds)}")
    if not sound:
        return None
    length = said["out_of_sample"] if kind == "walk_forward" else said["length"]
    return Windows(
        kind=kind,
        first=said["from"],
        last=said["to"],
        length=length,
        step=said["step"] or length,
        in_sample=said["in_sample"],
        anchored=said["anchored"],
    )
