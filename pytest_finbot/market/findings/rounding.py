"""Prices with too few decimals for what they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_finbot.contracts import DataFinding, FloatArray
from pytest_finbot.market.findings.steps import Scan
from pytest_finbot.market.findings.words import count
from pytest_finbot.market.window import Window

COARSE = 0.002
"""A last decimal that is more than this fraction of the price says little about a day's move."""
MOST_DECIMALS = 4
"""Prices with more are taken for unrounded."""

_A_MONTH = 21
_SAMPLE = 64


def rounding_findings(window: Window, scanned: Scan, field: str) -> Iterator[DataFinding]:
    """Symbols with at least a month of sessions on which rounding is coarse (odd)."""
    prices = scanned.prices
    if len(prices) < _A_MONTH:
        return
    tick = ticks(prices)
    if not tick.any():
        return
    low = np.fmin.reduce(prices, axis=0)
    for column in np.flatnonzero(low * COARSE < tick).tolist():
        rows, values = scanned.of(column)
        if len(values) < _A_MONTH:
            continue
        unit = float(_ticks(values[:, None])[0])
        coarse = np.flatnonzero(values * COARSE < unit)
        if len(coarse) < _A_MONTH:
            continue
        symbol, days = window.symbols[column], window.sessions
        first, last = days[rows[coarse[0]]], days[rows[coarse[-1]]]
        message = (
            f"{symbol} ({field}): rounded to {unit:g}, more than {100.0 * COARSE:g} % of the price on "
            f"{count(len(coarse), 'session')} from {first} to {last}"
        )
        yield DataFinding("coarse_rounding", "odd", message, symbol, str(first), len(coarse))


def ticks(prices: FloatArray) -> FloatArray:
    """One unit of the last decimal of each column of ``prices`` [T, N], by some 64 of them.

    0 where they have more than 4 decimals. What is missing does not count.
    """
    return _ticks(prices[:: max(1, len(prices) // _SAMPLE)])


def _ticks(prices: FloatArray) -> FloatArray:
    tick = np.zeros(prices.shape[1])
    left = np.arange(prices.shape[1])
    for decimals in range(MOST_DECIMALS + 1):
        with np.errstate(over="ignore", invalid="ignore"):
            whole = prices[:, left] * 10.0**decimals
            # Doubles, and floats of 32 bits, that are nearest to a decimal are that near to it.
            rounded = ~(np.abs(whole - np.rint(whole)) > 1e-6 + 1e-7 * np.abs(whole)).any(axis=0)
        tick[left[rounded]] = 10.0**-decimals
        left = left[~rounded]
        if not len(left):
            break
    return tick
