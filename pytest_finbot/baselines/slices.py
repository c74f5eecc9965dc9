"""A slice of a run held to the accepted result of the whole run.

A slice is executed from the run's beginning, so that it carries what came before. What it is held
to is the part of the baseline on its own sessions; its metrics are those of the slice, of which
nothing is accepted.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date

import numpy as np

from pytest_finbot.baselines.results import RunResult
from pytest_finbot.contracts import Cause, RunSpec


@dataclass(frozen=True, slots=True)
class Slice:
    """Sessions ``first`` to ``last``, both included, of the run ``of``."""

    of: str
    first: date
    last: date


def slice_of(spec: RunSpec) -> Slice | None:
    """The slice that ``spec`` is; ``None`` where it is a run of its own."""
    part = spec.part
    if part is None or part.kind != "slice":
        return None
    return Slice(part.of, part.own_from or spec.start_date, spec.end_date)


def own_sessions(result: RunResult, sliced: Slice) -> RunResult:
    """``result`` on the sessions of ``sliced``, without metrics; fills keep their order."""
    first, last = np.datetime64(sliced.first, "D"), np.datetime64(sliced.last, "D")
    begin, end = np.searchsorted(result.sessions, first), np.searchsorted(result.sessions, last, "right")
    rows = slice(int(begin), int(end))
    fills = result.fills
    if fills is not None:
        fills = fills[(fills.session >= first) & (fills.session <= last)]
    return dataclasses.replace(
        result,
        sessions=result.sessions[rows],
        nav=result.nav[rows],
        cash=None if result.cash is None else result.cash[rows],
        quantity=None if result.quantity is None else result.quantity[rows],
        market_values=None if result.market_values is None else result.market_values[rows],
        fills=fills,
        metrics={},
        undefined={},
    )


def causes_of_slice(causes: tuple[Cause, ...], sliced: Slice) -> tuple[Cause, ...]:
    """``causes`` without what only says that a slice is not the whole.

    Digests of data are kept by year: of the year in which the slice ends, nothing can be told. Of
    flows it cannot be told either whether they are others, or only fewer.
    """
    left = tuple(
        Cause(cause.part, f"{cause.detail} (a slice has those until its last day)")
        if _setting(cause) == "flows"
        else cause
        for cause in causes
        if _setting(cause) not in ("end_date", "own_from")
    )
    if any(cause.part != "not deterministic" for cause in left):
        return left
    return (
        Cause(
            "unknown",
            "no recorded part differs as far as a slice can tell: prices of "
            f"{sliced.last.year} are compared only where the whole run is",
        ),
    )


def _setting(cause: Cause) -> str:
    """The setting that a cause is about; nothing where it is about none."""
    return cause.detail.split(" ", 1)[0] if cause.part == "config" else ""
