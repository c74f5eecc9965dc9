"""Prices as strategies see them: a split is no fall of a half.

Raw closes jump at a split, and a strategy that compares prices would take that for a return. It is
given prices in units of the first session instead: each close and open times the product of the
splits up to and including its session. Ratios of such prices are the returns of a position held
over the split. Only splits of the past enter, so nothing is looked ahead at; prices divided by the
splits still to come, as vendors publish them, have the same ratios, but know of those splits.

Dividends stay out of it (price returns), and are themselves given a unit of the first session.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from pytest_finbot.contracts import FloatArray, MarketData


def split_adjusted(market: MarketData) -> MarketData:
    """``market`` in units of its first session, without splits; itself where nothing was split."""
    splits = market.splits
    if splits is None or bool((splits == 1.0).all()):
        return market
    factor = np.cumprod(splits, axis=0)
    return dataclasses.replace(
        market,
        close=_shared(market.close * factor),
        open=None if market.open is None else _shared(market.open * factor),
        # A dividend is for the units before its session's split.
        dividends=None if market.dividends is None else _shared(market.dividends * (factor / splits)),
        splits=None,
    )


def _shared(values: FloatArray) -> FloatArray:
    values.flags.writeable = False
    return values
