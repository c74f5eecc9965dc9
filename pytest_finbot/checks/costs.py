"""Costs that a run asks for against what its fills say was paid.

Books add up without a fee that was never charged: it is in neither cash nor fill. What was asked is
known, though, so each fill is held to it. Engines may round, and have a least or a largest fee; what
none may do is charge nothing, and say nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_finbot.checks.figures import money
from pytest_finbot.contracts import (
    BoolArray,
    CheckResult,
    EngineResult,
    FloatArray,
    MarketData,
    RunSpec,
    Verdict,
)
from pytest_finbot.valuation.books import Books

NAME = "costs_charged"
OFF = 0.01
"""Fraction of what was asked by which the whole may be off without a word: rounding, and the price that
basis points are of, come to less."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One column of fills, and what was asked of it: ``keys`` in words, ``wanted`` [F], ``said`` [F]."""

    noun: str
    keys: str
    wanted: FloatArray
    said: FloatArray


def check_costs(books: Books, spec: RunSpec, market: MarketData) -> tuple[CheckResult, tuple[str, ...]]:
    """Whether what was traded paid the ``costs`` of ``spec``; and what is told of those that are off.

    It fails where a fill has no fee although a commission is asked for, or where no fill at all has
    slippage although that is asked for: ``value`` counts the fills. What reinvests a dividend costs
    nothing, and less than a ``cent`` may be rounded away. Sums that are more than :data:`OFF` from what
    was asked are told. Skipped where no costs are asked for or nothing was traded that has any.
    """
    result, costs = books.result, spec.costs
    if not (costs.commission_bps or costs.commission_per_share or costs.slippage_bps):
        return CheckResult(NAME, Verdict.SKIPPED, "no costs are asked for"), ()
    with np.errstate(all="ignore"):
        value, paying = np.abs(books.fill_value), ~_reinvesting(result, spec, market)
        units = np.abs(np.asarray(result.fills.quantity, np.float64))
        commission = value * (costs.commission_bps * 1e-4) + units * costs.commission_per_share
        kinds = [
            Kind("fee", _commission(spec), commission, np.asarray(result.fills.fee, np.float64)),
            Kind(
                "slippage",
                f"slippage_bps {costs.slippage_bps:g}",
                value * (costs.slippage_bps * 1e-4),
                np.asarray(result.fills.slippage, np.float64),
            ),
        ]
        asked = [(kind, paying & (kind.wanted > result.cent)) for kind in kinds]
        asked = [(kind, of) for kind, of in asked if of.any()]
        if not asked:
            return CheckResult(NAME, Verdict.SKIPPED, "nothing was traded that has costs"), ()
        for kind, of in asked:
            free = of & (kind.said == 0.0)
            if free.any() and (kind.noun == "fee" or free.sum() == of.sum()):
                return _not_charged(result, kind, of, free), ()
        told = tuple(words for kind, of in asked for words in _off(kind, of, result))
    verdict = Verdict.WITHIN if told else Verdict.IDENTICAL
    return CheckResult(NAME, verdict, "every fill paid the costs that are asked for", 0.0, 0.0), told


def _not_charged(result: EngineResult, kind: Kind, of: BoolArray, free: BoolArray) -> CheckResult:
    n, count, every = int(free.argmax()), int(free.sum()), int(of.sum())
    session = str(result.sessions[result.fills.session[n]])
    asset = result.assets[int(result.fills.asset[n])]
    have = "has" if count == 1 else "have"
    words = (
        f"{kind.keys} is asked for, and {count:,} of {every:,} fills {have} no {kind.noun}: "
        f"{'' if count == 1 else 'the first of '}{asset} on {session}, expected {money(kind.wanted[n])}"
    )
    return CheckResult(NAME, Verdict.ERROR, words, float(count), 0.0, session, asset)


def _off(kind: Kind, of: BoolArray, result: EngineResult) -> tuple[str, ...]:
    """Told where the sum is not what was asked, beyond what rounding may come to."""
    wanted, said = float(kind.wanted[of].sum()), float(kind.said[of].sum())
    if abs(said - wanted) <= OFF * wanted + result.cent * int(of.sum()):
        return ()
    off = of & (np.abs(kind.said - kind.wanted) > OFF * kind.wanted + result.cent)
    n = int((off if off.any() else of).argmax())
    return (
        f"{kind.keys} is asked for, which makes {money(wanted)}, and fills have a {kind.noun} of "
        f"{money(said)}: the first that is off is {result.assets[int(result.fills.asset[n])]} on "
        f"{result.sessions[result.fills.session[n]]} with {money(kind.said[n])}, expected "
        f"{money(kind.wanted[n])}",
    )


def _commission(spec: RunSpec) -> str:
    costs = spec.costs
    said = [f"commission_bps {costs.commission_bps:g}"] if costs.commission_bps else []
    said += [f"commission_per_share {costs.commission_per_share:g}"] if costs.commission_per_share else []
    return " and ".join(said)


def _reinvesting(result: EngineResult, spec: RunSpec, market: MarketData) -> BoolArray:
    """Fills [F] that may be dividends put to work: purchases of what pays in that session."""
    fills = result.fills
    none = np.zeros(len(fills), np.bool_)
    if spec.actions.booking != "reinvest" or market.dividends is None:
        return none
    place = {symbol: n for n, symbol in enumerate(market.symbols)}
    column = np.array([place.get(asset, -1) for asset in result.assets], np.int64)[fills.asset]
    known, row = column >= 0, fills.session + (len(market.sessions) - len(result.sessions))
    none[known] = market.dividends[row[known], column[known]] != 0.0
    buys: BoolArray = none & (np.asarray(fills.quantity) > 0.0)
    return buys
