"""What a run declares, and what the engine's account has of it.

An engine says itself which flows, income, splits and multipliers there were, and every identity
takes its word. The batch and the market know better: what they declare has to be in the account,
and what the account has of its own is told.

A kind that is declared (``flows``, ``dividends``, ``splits``, ``multipliers``) is held exactly, on
every session and for every symbol of the market. A kind of which nothing is declared is the
engine's own: it may know contributions or interest that no batch file speaks of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_finbot.checks.figures import money, units
from pytest_finbot.contracts import (
    BoolArray,
    CheckResult,
    EngineResult,
    FloatArray,
    IntArray,
    MarketData,
    RunSpec,
    Verdict,
)

NAME = "declared"
_RELATIVE = 1e-9
_NAMED = 5
"""Assets that a message names each; the count is whole."""


def check_declared(result: EngineResult, spec: RunSpec, market: MarketData) -> CheckResult:
    """Whether the account starts with its capital and has what ``spec`` and ``market`` declare.

    * ``start_cash`` is the start capital;
    * multipliers are those of ``spec``, 1 for what it does not name;
    * flows are those of ``spec``, by session;
    * a split multiplies what was held when its session began, and nothing else does;
    * income is units held when the session began x dividend x multiplier, by session and asset.

    Each to 1e-9 of itself, amounts of currency to 1e-9 * max(\\|NAV\\|, capital), and
    ``result.cent`` where an engine books in cents. ``value`` counts what is not as declared.
    ``result`` has passed ``checks.contract.check_result``.
    """
    with np.errstate(all="ignore"):
        account = _Account.of(result, spec, market)
        kinds = [
            ("start capital", account.start_capital()),
            *([("multipliers", account.multipliers())] if spec.multipliers else []),
            *([("flows", account.flows())] if spec.flows else []),
            *([("splits", account.splits(market.splits))] if market.splits is not None else []),
            *([("dividends", account.dividends(market.dividends))] if market.dividends is not None else []),
        ]
    faults = [fault for _, fault in kinds if fault is not None]
    if not faults:
        held = f"booked as declared: {', '.join(name for name, _ in kinds)}"
        return CheckResult(NAME, Verdict.IDENTICAL, held, 0.0, 0.0)
    return CheckResult(
        NAME,
        Verdict.ERROR,
        f"engine {spec.engine!r} " + "; ".join(fault.message for fault in faults),
        float(sum(fault.count for fault in faults)),
        0.0,
        faults[0].session,
        faults[0].asset,
    )


def beyond_declared(result: EngineResult, spec: RunSpec, market: MarketData) -> tuple[str, ...]:
    """What ``result`` has that nobody declared, each with its sum or count, first session and asset.

    A warm-up that was left out; assets that the market does not know; flows, income, splits and
    multipliers of the engine's own. ``result`` has passed ``checks.contract.check_result``.
    """
    with np.errstate(all="ignore"):
        return tuple(_Account.of(result, spec, market).beyond())


@dataclass(frozen=True, slots=True)
class _Fault:
    """What of one kind is not as declared, and where first."""

    message: str
    count: int = 1
    session: str | None = None
    asset: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Account:
    """A result [T, N] beside the market's rows from ``first`` on.

    ``columns`` [K] are the assets that the market knows, ``theirs`` [K] its columns of them.
    """

    result: EngineResult
    spec: RunSpec
    market: MarketData
    first: int
    columns: IntArray
    theirs: IntArray

    @classmethod
    def of(cls, result: EngineResult, spec: RunSpec, market: MarketData) -> _Account:
        number = {symbol: n for n, symbol in enumerate(market.symbols)}
        place = np.array([number.get(asset, -1) for asset in result.assets], np.int64)
        columns = np.flatnonzero(place >= 0)
        first = len(market.sessions) - len(result.sessions)
        return cls(result, spec, market, first, columns, place[columns])

    # ------------------------------------------------------------------------ declared

    def start_capital(self) -> _Fault | None:
        said, wanted = float(self.result.start_cash), float(self.spec.start_capital)
        if abs(said - wanted) <= _RELATIVE * abs(wanted):
            return None
        day = str(self.result.sessions[0])
        return _Fault(f"starts with {money(said)}, expected the start capital {money(wanted)}", session=day)

    def multipliers(self) -> _Fault | None:
        wanted = np.array([self.spec.multipliers.get(asset, 1.0) for asset in self.result.assets])
        said = np.asarray(self.result.multiplier, np.float64)
        wrong = np.abs(said - wanted) > _RELATIVE * wanted
        wrong &= np.isin(np.arange(len(wanted)), self.columns)
        if not wrong.any():
            return None
        n, count = int(wrong.argmax()), int(wrong.sum())
        asset = self.result.assets[n]
        return _Fault(
            f"{_verb(said[n] == 1.0, 'multipliers')}: {asset} has {said[n]:g}, declared is {wanted[n]:g}"
            f"{_and_more(count)}",
            count,
            asset=asset,
        )

    def flows(self) -> _Fault | None:
        sessions, said = self.result.sessions, np.asarray(self.result.flows, np.float64)
        days = np.array([flow.date for flow in self.spec.flows], "datetime64[D]")
        amounts = np.array([flow.amount for flow in self.spec.flows], np.float64)
        row = np.searchsorted(sessions, days)
        there = sessions[np.minimum(row, len(sessions) - 1)] == days
        wanted = np.zeros(len(sessions))
        np.add.at(wanted, row[there], amounts[there])
        wrong = np.flatnonzero(~(np.abs(said - wanted) <= self._allowed(slice(None))))
        lost = np.flatnonzero(~there & (amounts != 0.0))
        count = len(wrong) + len(lost)
        if not count:
            return None
        if len(lost) and not (len(wrong) and sessions[wrong[0]] < days[lost[0]]):
            k = int(lost[0])
            return _Fault(
                f"ignores flows: {money(amounts[k])} is declared on {days[k]}, which is none of its sessions "
                f"({sessions[0]} to {sessions[-1]}){_and_more(count)}",
                count,
                str(days[k]),
            )
        t = int(wrong[0])
        return _Fault(
            f"{_verb(said[t] == 0.0, 'flows')}: on {sessions[t]} it has {money(said[t])}, "
            f"declared is {money(wanted[t])}{_and_more(count)}",
            count,
            str(sessions[t]),
        )

    def splits(self, declared: FloatArray) -> _Fault | None:
        result = self.result
        if result.splits is declared:
            return None
        wanted, said = self._of_market(declared), self._of_result(result.splits)
        row, k = self._cells(wanted != said)
        wanted, said, column = wanted[row, k], said[row, k], self.columns[k]
        # A split of what is not held moves nothing: an engine need not know of it.
        wrong = (np.abs(said - wanted) > _RELATIVE * wanted) & (self._held_before(row, column) != 0.0)
        if not wrong.any():
            return None
        at, count = int(wrong.argmax()), int(wrong.sum())
        return self._fault_at(
            row[at],
            column[at],
            count,
            _verb(said[at] == 1.0, "splits"),
            f"has a factor of {units(said[at])}, declared is {units(wanted[at])}",
        )

    def dividends(self, declared: FloatArray) -> _Fault | None:
        result = self.result
        amount, said = self._of_market(declared), self._of_result(result.income)
        happens = amount != 0.0
        if not _is_everywhere(result.income, 0.0):
            happens = happens | (said != 0.0)
        row, k = self._cells(happens)
        column = self.columns[k]
        paid = self._held_before(row, column) * amount[row, k] * result.multiplier[column]
        booked = said[row, k]
        wrong = ~(np.abs(booked - paid) <= self._allowed(row))
        if not wrong.any():
            return None
        at, count = int(wrong.argmax()), int(wrong.sum())
        held = float(self._held_before(row[at : at + 1], column[at : at + 1])[0])
        return self._fault_at(
            row[at],
            column[at],
            count,
            _verb(booked[at] == 0.0, "dividends"),
            f"has income of {money(booked[at])}, expected {money(paid[at])}: {units(held)} units held x "
            f"{units(amount[row[at], k[at]])} x multiplier {result.multiplier[column[at]]:g}",
        )

    # -------------------------------------------------------------------- beyond what is

    def beyond(self) -> Iterator[str]:
        result, engine = self.result, f"engine {self.spec.engine!r}"
        if self.first:
            yield (
                f"{engine} leaves out the first {self.first:,} of {len(self.market.sessions):,} sessions "
                f"(a warm-up): its account begins on {result.sessions[0]}"
            )
        if len(self.columns) != len(result.assets):
            known = set(self.market.symbols)
            strange = [asset for asset in result.assets if asset not in known]
            yield (
                f"{engine} has {len(strange):,} asset{'s' if len(strange) > 1 else ''} that "
                f"{'are' if len(strange) > 1 else 'is'} not among the run's symbols: {_names(strange)}; "
                "nothing here can check their marks"
            )
        flows = np.asarray(result.flows, np.float64)
        if not self.spec.flows and (booked := np.flatnonzero(flows)).size:
            yield (
                f"{engine} books flows of its own: {money(flows[booked].sum())} in {len(booked):,} "
                f"session{'s' if len(booked) > 1 else ''}, the first on {result.sessions[booked[0]]}"
            )
        own = self._own(result.income, 0.0, self.market.dividends is not None)
        if own is not None:
            row, column = own
            amounts = np.asarray(result.income, np.float64)[row, column]
            yield f"{engine} books income of its own: {money(amounts.sum())} in {self._told(row, column)}"
        own = self._own(result.splits, 1.0, self.market.splits is not None)
        if own is not None:
            row, column = own
            factor = result.splits[row[0], column[0]]
            yield f"{engine} has splits of its own: {self._told(row, column)} by {units(factor)}"
        multiplied = np.asarray(result.multiplier, np.float64) != 1.0
        if self.spec.multipliers:
            multiplied[self.columns] = False
        if multiplied.any():
            n, count = int(multiplied.argmax()), int(multiplied.sum())
            yield (
                f"{engine} has multipliers of its own: of {count:,} asset{'s' if count > 1 else ''}, the "
                f"first of {result.assets[n]}, {result.multiplier[n]:g}"
            )

    def _own(self, values: FloatArray, nothing: float, declared: bool) -> tuple[IntArray, IntArray] | None:
        """Cells in which something happened that is the engine's own; ``None`` where nothing did."""
        if _is_everywhere(values, nothing):
            return None
        if declared and len(self.columns) == len(self.result.assets):
            return None
        happened: BoolArray = np.asarray(values) != nothing
        if declared:
            happened[:, self.columns] = False
        row, column = self._cells(happened)
        return (row, column) if len(row) else None

    def _told(self, row: IntArray, column: IntArray) -> str:
        """``3 places, the first of KO on 2015-03-05``: sessions and assets [C] in order."""
        count = len(row)
        return (
            f"{count:,} place{'s' if count > 1 else ''} (one a session and asset), the first of "
            f"{self.result.assets[int(column[0])]} on {self.result.sessions[row[0]]}"
        )

    # ------------------------------------------------------------------------- helpers

    def _allowed(self, rows: slice | IntArray) -> FloatArray:
        """What an amount of currency of each of ``rows`` may be off by."""
        nav = np.asarray(self.result.nav, np.float64)[rows]
        allowed: FloatArray = _RELATIVE * np.fmax(np.abs(nav), self.spec.start_capital) + self.result.cent
        return allowed

    def _held_before(self, row: IntArray, column: IntArray) -> FloatArray:
        """Units of each of C cells held when its session began."""
        before: FloatArray = np.where(row > 0, self.result.quantity[np.maximum(row, 1) - 1, column], 0.0)
        return before

    def _of_market(self, values: FloatArray) -> FloatArray:
        """The market's ``values`` of the result's sessions and the K known assets."""
        values = values[self.first :]
        return values if self._is_whole(self.theirs, values) else values[:, self.theirs]

    def _of_result(self, values: FloatArray) -> FloatArray:
        values = np.asarray(values, np.float64)
        return values if self._is_whole(self.columns, values) else values[:, self.columns]

    @staticmethod
    def _is_whole(columns: IntArray, values: FloatArray) -> bool:
        return np.array_equal(columns, np.arange(values.shape[1]))

    @staticmethod
    def _cells(chosen: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
        row, column = np.divmod(np.flatnonzero(chosen), max(chosen.shape[1], 1))
        return row, column

    def _fault_at(self, row: int, column: int, count: int, what: str, told: str) -> _Fault:
        asset, session = self.result.assets[int(column)], str(self.result.sessions[row])
        return _Fault(f"{what}: {asset} {told} on {session}{_and_more(count)}", count, session, asset)


def _verb(nothing: bool, kind: str) -> str:
    return f"ignores {kind}" if nothing else f"does not book {kind} as declared"


def _and_more(count: int) -> str:
    return "" if count == 1 else f", and {count - 1:,} more"


def _names(assets: list[str]) -> str:
    more = len(assets) - _NAMED
    return ", ".join(assets[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _is_everywhere(values: npt.NDArray[np.float64], constant: float) -> bool:
    """Whether all of ``values`` are ``constant``; a broadcast scalar is asked once, not T x N times."""
    if values.size and not any(values.strides):
        return bool(values.flat[0] == constant)
    return bool((values == constant).all())
