"""Two results brought to the same sessions and assets, so that rows and columns mean the same."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pytest_finbot.baselines.results import RunResult
from pytest_finbot.contracts import FloatArray, IntArray, SessionArray
from pytest_finbot.tolerances import SCALE_FLOOR


@dataclass(frozen=True, eq=False)
class Pair:
    """``now`` and ``baseline`` on their common ``sessions`` [T] and on the ``assets`` [N] of either.

    An asset that one side does not name is one that it does not hold: quantity and market
    value 0. ``missing`` and ``added`` are the baseline's sessions that are gone, and new ones.
    """

    now: RunResult
    baseline: RunResult
    sessions: SessionArray
    assets: tuple[str, ...]
    missing: SessionArray
    added: SessionArray
    start_nav: float
    """The baseline's first NAV (currency), before sessions were left out."""

    @property
    def same_sessions(self) -> bool:
        return not len(self.missing) and not len(self.added)

    @cached_property
    def scale(self) -> FloatArray:
        """By what NAV, cash and market values are measured [T]: |NAV| of the baseline, floored."""
        floor = SCALE_FLOOR * self.start_nav
        nav = np.abs(self.baseline.nav)
        return np.where(np.isfinite(nav), np.maximum(nav, floor), floor)

    @cached_property
    def quantity_scale(self) -> FloatArray:
        """By what quantities are measured [N]: the largest the baseline ever holds."""
        quantity = self.baseline.quantity
        if quantity is None or not len(quantity):
            return np.zeros(len(self.assets))
        most: FloatArray = np.maximum(quantity.max(axis=0), -quantity.min(axis=0))
        if not np.isfinite(most).all():
            most = np.where(np.isfinite(quantity), np.abs(quantity), 0.0).max(axis=0)
        return most


def align(now: RunResult, baseline: RunResult) -> Pair:
    """Both on what they have in common; nothing is copied where they agree already."""
    start_nav, missing, added = baseline.start_nav, baseline.sessions[:0], baseline.sessions[:0]
    if not np.array_equal(now.sessions, baseline.sessions):
        missing = np.setdiff1d(baseline.sessions, now.sessions)
        added = np.setdiff1d(now.sessions, baseline.sessions)
        _, rows_now, rows_baseline = np.intersect1d(
            now.sessions, baseline.sessions, assume_unique=True, return_indices=True
        )
        now, baseline = _rows(now, rows_now), _rows(baseline, rows_baseline)
    assets = tuple(dict.fromkeys((*baseline.assets, *now.assets)))
    return Pair(
        _columns(now, assets),
        _columns(baseline, assets),
        baseline.sessions,
        assets,
        missing,
        added,
        start_nav,
    )


def _rows(result: RunResult, rows: IntArray) -> RunResult:
    """The result on some of its sessions; fills stay whole, they are compared in their order."""

    def chosen(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else values[rows]

    return dataclasses.replace(
        result,
        sessions=result.sessions[rows],
        nav=result.nav[rows],
        cash=chosen(result.cash),
        quantity=chosen(result.quantity),
        market_values=chosen(result.market_values),
    )


def _columns(result: RunResult, assets: tuple[str, ...]) -> RunResult:
    """The result with the columns ``assets``."""
    if result.assets == assets:
        return result
    place = {asset: n for n, asset in enumerate(assets)}
    where = np.array([place[asset] for asset in result.assets], dtype=np.int64)

    def spread(values: FloatArray | None) -> FloatArray | None:
        if values is None:
            return None
        wide = np.zeros((len(values), len(assets)))
        wide[:, where] = values
        return wide

    fills = result.fills
    if fills is not None and len(fills):
        fills = dataclasses.replace(fills, asset=where[fills.asset])
    return dataclasses.replace(
        result,
        assets=assets,
        quantity=spread(result.quantity),
        market_values=spread(result.market_values),
        fills=fills,
    )
