"""What every held position is valued at, and how old that price is.

A position is valued at a price of its own session. Where there is none the last price of an
earlier session stands in, at most so many *trading* sessions old, and every such use is
counted and named: a stale price is the quietest way for a NAV to be wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_finbot.contracts import BoolArray, EngineResult, FloatArray, IntArray, MarketData, MarkSpec

NAMED = 200
"""Uses, and positions without a mark, that are named each; the counts are whole."""
_NEVER = "it has no price on that session, or on any before it in the run's window"


@dataclass(frozen=True, slots=True)
class MarkFallback:
    """A position valued at the price of ``from_session``, ``age`` trading sessions before ``session``."""

    session: str
    asset: str
    from_session: str
    age: int


@dataclass(frozen=True, slots=True)
class Unmarked:
    """A held position that has no valid mark on ``session`` (ISO date), and why."""

    session: str
    asset: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Prices [T, N] that positions are valued at, and where they are not of their own session.

    Positions are counted one a session and asset that is held: ``held`` are the ``updated``
    ones, those with a price of that session, and ``fallback_count``, ``look_ahead_count`` (the
    price was put there from what was known only later) and ``unmarked_count`` together.
    ``fallbacks`` and ``unmarked`` name the first :data:`NAMED` of each, in order of session.
    """

    mark: FloatArray
    held: int
    updated: int
    fallbacks: tuple[MarkFallback, ...] = ()
    fallback_count: int = 0
    look_ahead_count: int = 0
    unmarked: tuple[Unmarked, ...] = ()
    unmarked_count: int = 0

    @property
    def share_unmarked(self) -> float:
        """Fraction of the held positions that have no valid mark; 0 where nothing is held."""
        return self.unmarked_count / self.held if self.held else 0.0

    def to_json(self) -> dict[str, Any]:
        """For the record: only what there is; ``{}`` where every held position has a fresh mark."""
        told: dict[str, Any] = {}
        if self.fallback_count:
            told["fallback_count"] = self.fallback_count
            told["fallbacks"] = [dataclasses.asdict(use) for use in self.fallbacks]
        if self.look_ahead_count:
            told["look_ahead_count"] = self.look_ahead_count
        if self.unmarked_count:
            told["unmarked_count"] = self.unmarked_count
            told["unmarked"] = [dataclasses.asdict(position) for position in self.unmarked]
        return {**told, "held": self.held} if told else {}


def value_marks(result: EngineResult, market: MarketData, marks: MarkSpec) -> Marks:
    """The marks of ``result``, with those that are missing taken from earlier sessions.

    The engine's finite mark stands, whatever it is. Where the market's price of that session was
    filled in from an earlier one (``market.observed``) it counts as a fallback of the age of that
    price. A held position whose mark is not finite gets the last price, at most
    ``marks.max_age`` trading sessions old, that the engine or an observed close of the market
    gives, in units after the splits since. What is older, or was never priced, is ``unmarked``
    and keeps the engine's value. Trading sessions are those of ``market.calendar``; where there
    is none, those of the file, sessions that the policy for missing prices left out included.

    ``result`` has passed ``checks.contract.check_result``. ``Marks.mark`` is the engine's own
    array where nothing was replaced.
    """
    held = np.asarray(result.quantity) != 0
    count = int(np.count_nonzero(held))
    finite = np.isfinite(result.mark)
    columns_of = _market_columns(result, market)
    rows_of = np.searchsorted(market.sessions, result.sessions)
    filled = _filled(result, market, rows_of, columns_of)
    doubtful = held & (~finite if filled is None else ~finite | filled)
    columns = np.flatnonzero(doubtful.any(axis=0))
    if not len(columns):
        return Marks(result.mark, count, count)

    look_ahead = market.missing is not None and market.missing.look_ahead
    row, column = np.divmod(np.flatnonzero(doubtful), len(result.assets))
    missing = ~finite[row, column]
    prices = _Prices(result, market, rows_of, columns_of, look_ahead)
    source = prices.latest(rows_of[row], column, columns)
    numbers = _session_numbers(market, rows_of[row], source)
    age = numbers[rows_of[row]] - numbers[source]
    known = source >= 0
    valid = known & (age <= marks.max_age)

    replaced = valid & missing
    mark = result.mark
    if replaced.any():
        mark = np.array(result.mark, np.float64)
        mark[row[replaced], column[replaced]] = prices.at(
            source[replaced], rows_of[row[replaced]], column[replaced]
        )
    ahead = ~missing & prices.look_ahead
    used = valid & ~ahead
    unmarked = ~valid & ~ahead

    def first(chosen: BoolArray) -> list[tuple[str, str, str, int, bool]]:
        """Session, asset, session and age of the price, and whether there is one: of the first chosen."""
        k = np.flatnonzero(chosen)[:NAMED]
        return list(
            zip(
                result.sessions[row[k]].astype(str).tolist(),
                [result.assets[n] for n in column[k].tolist()],
                market.sessions[source[k]].astype(str).tolist(),
                age[k].tolist(),
                known[k].tolist(),
                strict=True,
            )
        )

    fallbacks = [MarkFallback(day, asset, since, old) for day, asset, since, old, _ in first(used)]
    without = [
        Unmarked(day, asset, _why(since, old, marks.max_age) if priced else _NEVER)
        for day, asset, since, old, priced in first(unmarked)
    ]
    return Marks(
        mark=mark,
        held=count,
        updated=count - len(row),
        fallbacks=tuple(fallbacks),
        fallback_count=int(np.count_nonzero(used)),
        look_ahead_count=int(np.count_nonzero(ahead)),
        unmarked=tuple(without),
        unmarked_count=int(np.count_nonzero(unmarked)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Prices:
    """What the result's assets could be valued at on the market's M sessions.

    ``rows_of`` [T] and ``columns_of`` [N] are the market's row of each session and column of
    each asset, -1 for one it does not know.
    """

    result: EngineResult
    market: MarketData
    rows_of: IntArray
    columns_of: IntArray
    look_ahead: bool

    def latest(self, row: IntArray, column: IntArray, columns: IntArray) -> IntArray:
        """The market's row of the latest price at or before each of K cells, -1 where there is none.

        ``row`` is the market's, ``column`` the result's; ``columns`` are those that occur.
        """
        theirs = self.columns_of[columns]
        known = bool((theirs >= 0).all())
        if known and not self.look_ahead and self.market.observed is None:
            return row
        usable = self._observed(theirs)
        if not known or self.look_ahead:
            # A mark of the engine's where the market's price was carried forward is that same old price.
            own = np.isfinite(self.result.mark[:, columns])
            usable[self.rows_of] |= own if self.look_ahead else own & (theirs < 0)
        rows = np.arange(len(usable), dtype=np.int32)[:, np.newaxis]
        last = np.where(usable, rows, np.int32(-1))
        np.maximum.accumulate(last, axis=0, out=last)
        place = np.zeros(len(self.columns_of), np.int64)
        place[columns] = np.arange(len(columns))
        found: IntArray = last[row, place[column]].astype(np.int64)
        return found

    def at(self, source: IntArray, row: IntArray, column: IntArray) -> FloatArray:
        """The price of row ``source`` of the market in units of its session ``row``, for each of K cells.

        The engine's own mark of that session, where it has a finite one; else the market's close.
        """
        theirs = self.columns_of[column]
        in_market = theirs >= 0
        price = np.full(len(source), np.nan)
        price[in_market] = self.market.close[source[in_market], theirs[in_market]]
        mine = np.minimum(np.searchsorted(self.rows_of, source), len(self.rows_of) - 1)
        own: FloatArray = np.asarray(self.result.mark[mine, column], np.float64)
        price = np.where((self.rows_of[mine] == source) & np.isfinite(own), own, price)
        splits = self.result.splits
        if not bool((splits == 1.0).all()):
            factor = np.ones((len(self.market.sessions), splits.shape[1]))
            factor[self.rows_of] = splits
            factor = np.cumprod(factor, axis=0, dtype=np.float64)
            price = price * factor[source, column] / factor[row, column]
        return price

    def _observed(self, theirs: IntArray) -> BoolArray:
        """Whether each of C columns has an observed close [M, C]; an array of one's own."""
        observed = np.zeros((len(self.market.sessions), len(theirs)), np.bool_)
        mine = theirs >= 0
        if self.market.observed is None:
            observed[:, mine] = True
        elif mine.all() and len(theirs) == self.market.observed.shape[1]:
            np.take(self.market.observed, theirs, axis=1, out=observed)
        else:
            observed[:, mine] = self.market.observed[:, theirs[mine]]
        return observed


def _market_columns(result: EngineResult, market: MarketData) -> IntArray:
    """Each asset's column in the market [N], -1 for what it does not know."""
    if result.assets == market.symbols:
        return np.arange(len(result.assets))
    number = {symbol: n for n, symbol in enumerate(market.symbols)}
    return np.array([number.get(asset, -1) for asset in result.assets], np.int64)


def _filled(
    result: EngineResult, market: MarketData, rows_of: IntArray, columns_of: IntArray
) -> BoolArray | None:
    """Cells [T, N] whose price in the market was put there by the policy; ``None``: none was."""
    if market.observed is None or bool(market.observed.all()):
        return None
    observed: BoolArray = market.observed
    if len(rows_of) != len(market.sessions):
        observed = observed[rows_of]
    if result.assets != market.symbols:
        observed = observed[:, columns_of]  # -1 takes a column, and gives it back in the next line
    filled: npt.NDArray[np.bool_] = ~observed
    filled[:, columns_of < 0] = False
    return filled


def _session_numbers(market: MarketData, *rows: IntArray) -> IntArray:
    """A number for each of the market's sessions [M], so that differences count trading sessions.

    Only those of the sessions in ``rows`` are asked for.
    """
    if market.calendar is not None:
        from pytest_finbot.market.calendars import session_numbers

        wanted = np.zeros(len(market.sessions), np.bool_)
        for some in rows:
            wanted[some] = True
        numbers = np.zeros(len(market.sessions), np.int64)
        numbers[wanted] = session_numbers(market.calendar, market.sessions[wanted])
        return numbers
    dropped: Sequence[str] = () if market.missing is None else market.missing.dropped
    if not dropped:
        return np.arange(len(market.sessions))
    every = np.union1d(market.sessions, np.array(dropped, "datetime64[D]"))
    return np.searchsorted(every, market.sessions)


def _why(since: str, age: int, max_age: int) -> str:
    sessions = "session" if age == 1 else "sessions"
    return (
        f"its last price is of {since}, {age} trading {sessions} earlier, and at most {max_age} are allowed"
    )
