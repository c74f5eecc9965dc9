"""Prices that a starter batch can run on: those a repository has, looked into, not only looked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from pytest_finbot.contracts import MarketData

SAMPLE: Final = "data/sample_prices.csv"
MOST_SYMBOLS: Final = 4
FEWEST_SESSIONS: Final = 130
"""Half a year: less, and the starter's strategies would decide nothing."""

_MOST_FILES: Final = 12
"""Files of a folder that are looked into."""
_CALENDARS: Final = ("XNYS", "24/7", "weekdays")
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.^-]*")
_NO_TEXT: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What YAML takes for something else than a symbol."""


@dataclass(frozen=True)
class StarterPrices:
    """Prices with the symbols and the window that they really hold, as a batch file writes them."""

    path: str
    field: Literal["close", "adj_close"]
    symbols: tuple[str, ...]
    start: date
    end: date
    calendar: str | None = None


@dataclass(frozen=True)
class _Held:
    """One symbol's days that have a price, first and last, with nothing missing between."""

    symbol: str
    first: date
    last: date
    sessions: int
    adjusted: bool = False


def sample(content: bytes) -> StarterPrices:
    """The sample that is shipped, of which ``content`` is the file."""
    lines = content.decode().split()
    days = [line.partition(",")[0] for line in lines[1:]]
    return StarterPrices(
        SAMPLE,
        "adj_close",
        tuple(lines[0].split(",")[1:]),
        date.fromisoformat(days[0]),
        date.fromisoformat(days[-1]),
        "XNYS",
    )


def own_prices(folder: Path) -> tuple[StarterPrices | None, str]:
    """The repository's prices, if a run can use them; else ``None``, with the reason.

    The reason is empty where there are none at all.
    """
    from pytest_finbot.errors import FinbotError
    from pytest_finbot.market.locate import find_prices

    path = find_prices(folder)
    if path is None:
        return None, ""
    shown = path.relative_to(folder).as_posix()
    try:
        held = sorted(_held(path), key=lambda one: -one.sessions)
    except (FinbotError, OSError) as error:
        return None, f"{shown} cannot be used: {_first_line(error)}"
    held = [one for one in held if one.sessions >= FEWEST_SESSIONS][:MOST_SYMBOLS]
    why = f"no symbol has prices of {FEWEST_SESSIONS} sessions without a gap"
    while held:
        found = _together(path, shown, held)
        if isinstance(found, StarterPrices):
            return found, ""
        why = found
        held.pop()  # the one with the shortest history
    return None, f"{shown} cannot be used: {why}"


def _held(path: Path) -> Iterator[_Held]:
    import numpy as np

    from pytest_finbot.market.ohlcv import looks_like_bars, symbol_bars, symbol_files
    from pytest_finbot.market.table_file import read_table_file
    from pytest_finbot.market.wide import wide_table

    if path.is_dir():
        for symbol, names in list(symbol_files(path).items())[:_MOST_FILES]:
            bars = symbol_bars(read_table_file(path / names[0]))
            adjusted = bars.adj_close is not None
            closes = bars.adj_close if adjusted else bars.close
            if closes is not None and len(names) == 1:
                yield from _without_gap(symbol, bars.sessions, np.asarray(closes), adjusted)
        return
    table = read_table_file(path)
    if looks_like_bars(table):
        return
    wide = wide_table(table)
    for column, symbol in enumerate(wide.symbols):
        yield from _without_gap(symbol, wide.sessions, wide.values[:, column], adjusted=False)


def _without_gap(symbol: str, sessions: object, closes: object, adjusted: bool) -> Iterator[_Held]:
    import numpy as np

    days, values = np.asarray(sessions), np.asarray(closes)
    rows = np.flatnonzero(np.isfinite(values) & (values > 0))
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        yield _Held(
            symbol,
            date.fromisoformat(str(days[rows[0]])),
            date.fromisoformat(str(days[rows[-1]])),
            len(rows),
            adjusted,
        )


def _together(path: Path, shown: str, held: Sequence[_Held]) -> StarterPrices | str:
    """The symbols in the window that all of them have, loaded as a run loads it; or why that fails."""
    from pytest_finbot.contracts import DataSpec, RunSpec
    from pytest_finbot.errors import FinbotError
    from pytest_finbot.market.store import PriceStore

    start, end = max(one.first for one in held), min(one.last for one in held)
    names = sorted(one.symbol for one in held)
    field: Literal["close", "adj_close"] = "adj_close" if all(one.adjusted for one in held) else "close"
    if start >= end:
        return "its symbols have no window in common"
    spec = RunSpec(
        name="starter",
        engine="portfolio",
        strategy="fixed_weights",
        params={},
        symbols=tuple(names),
        start_date=start,
        end_date=end,
        start_capital=100_000.0,
        data=DataSpec(path=str(path), field=field),
    )
    try:
        market = PriceStore().load(spec)
    except FinbotError as error:
        return _first_line(error)
    if len(market.sessions) < FEWEST_SESSIONS:
        return f"its symbols have only {len(market.sessions)} sessions in common"
    return StarterPrices(shown, field, tuple(map(_yaml, names)), start, end, _calendar(market, start, end))


def _calendar(market: MarketData, start: date, end: date) -> str | None:
    """The calendar whose sessions are exactly those of the prices, if it is a usual one."""
    import numpy as np

    from pytest_finbot.errors import FinbotError
    from pytest_finbot.market.calendars import sessions_between

    for name in _CALENDARS:
        try:
            if np.array_equal(sessions_between(name, start, end), market.sessions):
                return name
        except FinbotError:
            continue  # not recorded for these days
    return None


def _yaml(symbol: str) -> str:
    plain = _PLAIN.fullmatch(symbol) and symbol.casefold() not in _NO_TEXT
    return symbol if plain else json.dumps(symbol, ensure_ascii=False)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).splitlines()[:2])
