"""What a record says of its prices: how many were not there, what became of them, what is odd."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from pytest_finbot.contracts import PERIODS_PER_YEAR, MarketData, MissingPrices, RunSpec

_MOST_DROPPED: Final = 100
_MOST_FINDINGS: Final = 50
_MOST_WARNINGS: Final = 10
_MOST_SYMBOLS: Final = 5
_NEVER_CLOSED: Final = "24/7"
_A_MONTH: Final = 28
_NEARLY_ALL: Final = 0.9
"""Days of which five in seven, or a few more, are no market that never closes."""


def data_counters(market: MarketData) -> dict[str, int]:
    """Of the phase market_data.

    ``prices_missing``: closes of the sessions used that are not the file's own; ``prices_filled``:
    those that the policy put there. What a dropped session lacked is not counted.
    """
    missing = market.missing
    return {
        "sessions": len(market.sessions),
        "symbols": len(market.symbols),
        "prices_missing": 0 if market.observed is None else int(np.count_nonzero(~market.observed)),
        "prices_filled": 0 if missing is None else sum(missing.filled.values()),
        "sessions_dropped": 0 if missing is None else len(missing.dropped),
        "odd": len(market.odd),
    }


def data_notes(spec: RunSpec, market: MarketData) -> dict[str, Any]:
    """``RunRecord.data_notes``: only what there is to say.

    ``missing``: what the policy did, under every policy but ``error``; of the sessions it dropped
    the first hundred are named, ``dropped_count`` counts them all. ``odd``: the first fifty
    findings of ``odd_count``. ``snapshot``: the id of the data that was used instead of the file.
    """
    notes: dict[str, Any] = {}
    if market.missing is not None:
        missing = market.missing
        notes["missing"] = {
            "policy": missing.policy,
            "filled": dict(missing.filled),
            "dropped": list(missing.dropped[:_MOST_DROPPED]),
            "dropped_count": len(missing.dropped),
            "first": missing.first,
            "look_ahead": missing.look_ahead,
        }
    if market.odd:
        notes["odd"] = [dataclasses.asdict(finding) for finding in market.odd[:_MOST_FINDINGS]]
        notes["odd_count"] = len(market.odd)
    if spec.data.snapshot is not None:
        notes["snapshot"] = spec.data.snapshot
    return notes


def data_warnings(market: MarketData) -> Iterator[str]:
    """A line for prices that were known only later, one for figures a year of a market that never
    closes, and one for each odd finding up to the tenth.
    """
    if market.missing is not None and market.missing.look_ahead:
        yield _look_ahead(market.missing)
    yield from _year(market)
    for finding in market.odd[:_MOST_WARNINGS]:
        yield finding.message
    if len(market.odd) > _MOST_WARNINGS:
        yield f"and {len(market.odd) - _MOST_WARNINGS:,} more odd findings about its prices"


def _year(market: MarketData) -> Iterator[str]:
    """Where there is a session on every day, without a calendar as far as a month of them shows."""
    days = int((market.sessions[-1] - market.sessions[0]) / np.timedelta64(1, "D")) + 1
    if market.calendar == _NEVER_CLOSED:
        has = _NEVER_CLOSED
    elif market.calendar is None and days >= _A_MONTH and len(market.sessions) >= _NEARLY_ALL * days:
        has = "this market"
    else:
        return
    yield f"figures a year count {PERIODS_PER_YEAR} sessions; {has} has 365"


def _look_ahead(missing: MissingPrices) -> str:
    count = sum(missing.filled.values())
    named = ", ".join(list(missing.filled)[:_MOST_SYMBOLS])
    more = ", …" if len(missing.filled) > _MOST_SYMBOLS else ""
    prices, were = ("price", "was") if count == 1 else ("prices", "were")
    return (
        f"data.missing: {missing.policy} looks ahead: {count:,} {prices} of {named}{more}, "
        f"the first on {missing.first}, {were} put in by what was known only later"
    )
