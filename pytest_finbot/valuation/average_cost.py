"""Realised P&L of every fill by the average-cost method, for all assets at once.

Average cost follows a recurrence over an asset's fills (AICPA and IRS call it the average
basis method; most brokers and performance systems do the same):

* a fill that opens or adds moves the average: ``A' = (A * held + p * q) / (held + q)``;
* a fill that reduces leaves it, and realises ``(p - A)`` on each unit closed;
* a fill through zero closes all that was held and opens the rest at ``p``.

Each step is an affine map of the step before, so all of it is two prefix scans with weights
between 0 and 1: no division by running products, nothing that loses digits in a long
history, and no Python loop over fills.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import Fills, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class AverageCost:
    """What each of F fills did, in the order of the fills, in currency.

    ``realised`` [F] is the P&L it closed, before fees; ``basis_change`` [F] what it added to
    the cost of the position (signed: a short position has a negative cost).
    """

    realised: FloatArray
    basis_change: FloatArray


def average_cost(fills: Fills, multiplier: FloatArray, split_factor: FloatArray | None) -> AverageCost:
    """Realised P&L and change of cost basis by fill.

    ``multiplier`` [N]; ``split_factor`` [T, N] is the product of an asset's splits up to and
    including the session, or ``None`` where nothing was split. ``fills`` are in order of
    session, as their contract says. Positions start at zero and follow from the fills alone.
    """
    if not len(fills):
        nothing = np.empty(0)
        return AverageCost(nothing, nothing)
    order = np.argsort(fills.asset, kind="stable")
    asset = fills.asset[order]
    quantity = np.asarray(fills.quantity, np.float64)[order]
    price = np.asarray(fills.price, np.float64)[order]
    if split_factor is not None:
        # In units of the time before any split, a split is not an event.
        factor = split_factor[fills.session[order], asset]
        quantity, price = quantity / factor, price * factor

    first = np.empty(len(asset), np.bool_)
    first[0] = True
    np.not_equal(asset[1:], asset[:-1], out=first[1:])
    held = _scan(np.where(first, 0.0, 1.0), quantity)
    before = _previous(held, first)

    against = np.sign(before) * np.sign(quantity) < 0
    through_zero = against & (np.abs(quantity) > np.abs(before))
    closed = np.where(against, np.where(through_zero, before, -quantity), 0.0)
    # Weight of the fill's price in the new average: 0 reduces, 1 opens.
    weight = np.where(against, 0.0, np.divide(quantity, held, out=np.ones_like(held), where=held != 0))
    weight[first | through_zero] = 1.0
    average = _scan(1.0 - weight, weight * price)

    size = multiplier[asset]
    realised = closed * (price - _previous(average, first)) * size
    basis = held * average * size
    change = basis - _previous(basis, first)

    out_realised, out_change = np.empty_like(realised), np.empty_like(change)
    out_realised[order], out_change[order] = realised, change
    return AverageCost(out_realised, out_change)


def _previous(values: FloatArray, first: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> FloatArray:
    """Each asset's value one fill earlier, 0 before its first."""
    shifted = np.empty_like(values)
    shifted[0] = 0.0
    shifted[1:] = values[:-1]
    shifted[first] = 0.0
    return shifted


def _scan(scale: FloatArray, offset: FloatArray) -> FloatArray:
    """``x[k] = scale[k] * x[k-1] + offset[k]`` for all k, where ``scale[0]`` is 0.

    Recursive doubling (Hillis and Steele, Data Parallel Algorithms, CACM 29(12), 1986): each
    pass joins the map of every element with that of the element ``step`` before it, until
    every chain has reached an element that starts anew.
    """
    scale, offset = scale.copy(), offset.copy()
    step = 1
    while step < len(scale) and scale.any():
        offset[step:] += scale[step:] * offset[:-step]
        scale[step:] = scale[step:] * scale[:-step]
        step *= 2
    return offset
