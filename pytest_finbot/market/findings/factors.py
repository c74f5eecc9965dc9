"""Does a panel of factors fit the run? What does not fit is NaN, and a strategy trades nothing on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pytest_finbot.contracts import BoolArray, DataFinding, FloatArray, SessionArray
from pytest_finbot.market.factor_panel import FactorPanel
from pytest_finbot.market.findings.words import count
from pytest_finbot.market.table_file import some
from pytest_finbot.market.wide import WideTable

MOST_UNCOVERED = 0.5
"""The fraction of the run's sessions that may be without any value before it is told."""


def factor_findings(
    panel: FactorPanel, known: Mapping[str, FloatArray], symbols: Sequence[str], sessions: SessionArray
) -> tuple[DataFinding, ...]:
    """What is odd about panel factors ``known``, each [T, N] on the run's ``sessions`` and ``symbols``.

    ``factor_symbol_missing``: symbols without a value, ``factor_not_covered``: no symbol has a value
    on more than half of the sessions, ``factor_constant``: every value is the same.
    """
    return tuple(
        finding
        for name, values in sorted(known.items())
        for finding in _of_factor(name, panel.read(name), values, symbols, sessions)
    )


def _of_factor(
    name: str, table: WideTable, values: FloatArray, symbols: Sequence[str], sessions: SessionArray
) -> Iterator[DataFinding]:
    there: BoolArray = ~np.isnan(values)
    yield from _missing_symbols(name, table, there, symbols, sessions)
    yield from _not_covered(name, table, there, sessions)
    held = values[there]
    if np.count_nonzero(there.any(axis=1)) > 1 and held.min() == held.max():
        message = (
            f"factor '{name}': every value is {held[0]:.10g} from {sessions[0]} to {sessions[-1]}: it ranks "
            "nothing"
        )
        yield DataFinding("factor_constant", "odd", message, None, str(sessions[0]), len(held))


def _missing_symbols(
    name: str, table: WideTable, there: BoolArray, symbols: Sequence[str], sessions: SessionArray
) -> Iterator[DataFinding]:
    without = [symbols[column] for column in np.flatnonzero(~there.any(axis=0)).tolist()]
    if not without:
        return
    spare = {_letters(symbol): symbol for symbol in reversed(table.symbols) if symbol not in symbols}
    has = set(table.symbols)

    def say(symbol: str) -> str:
        if symbol in has:
            return f"{symbol} (only on other dates)"
        near = spare.get(_letters(symbol))
        return symbol if near is None else f"{symbol} (did you mean '{near}'?)"

    message = (
        f"factor '{name}' has no value from {sessions[0]} to {sessions[-1]} for {len(without):,} of "
        f"{count(len(symbols), 'symbol')}: {some(map(say, without))}"
    )
    symbol = without[0] if len(without) == 1 else None
    yield DataFinding("factor_symbol_missing", "odd", message, symbol, str(sessions[0]), len(without))


def _letters(symbol: str) -> str:
    """``brkb`` of ``BRK.B`` and ``brk-b``."""
    return "".join(letter for letter in symbol.casefold() if letter.isalnum())


def _not_covered(
    name: str, table: WideTable, there: BoolArray, sessions: SessionArray
) -> Iterator[DataFinding]:
    rows = np.flatnonzero(there.any(axis=1))
    without = len(sessions) - len(rows)
    if without <= MOST_UNCOVERED * len(sessions):
        return
    # Month ends and the like: dates that the run has no session on are used for nothing.
    inside = table.sessions[(table.sessions >= sessions[0]) & (table.sessions <= sessions[-1])]
    off = len(np.setdiff1d(inside, sessions))
    elsewhere = f"; {off:,} of its {count(len(inside), 'date')} there are no sessions" if off else ""
    message = (
        f"factor '{name}' has no value for any symbol on {without:,} of {count(len(sessions), 'session')} "
        f"({without / len(sessions):.1%}) from {sessions[0]} to {sessions[-1]}; its first there is on "
        f"{sessions[rows[0]]}, its last on {sessions[rows[-1]]}{elsewhere}. Nothing is carried forward"
    )
    first = sessions[np.flatnonzero(~there.any(axis=1))[0]]
    yield DataFinding("factor_not_covered", "odd", message, None, str(first), without)
