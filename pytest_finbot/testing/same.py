"""Whether two results are the same: to the last bit by digests, or within a tolerance with the place."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_finbot.contracts import EngineResult, Fills, FloatArray

Array = npt.NDArray[Any]
TOLERANCE = 1e-9
"""Fraction of the largest value: sums in another order differ by less."""

_ARRAYS = ("sessions", "nav", "cash", "quantity", "mark", "multiplier", "flows", "income", "splits")


def digests(result: EngineResult) -> dict[str, str]:
    """A digest of each part of ``result``: every array by its bits, and what is told in words."""
    parts = {name: _bits(getattr(result, name)) for name in _ARRAYS}
    for column in dataclasses.fields(Fills):
        parts[f"fills.{column.name}"] = _bits(getattr(result.fills, column.name))
    words = {
        "assets": list(result.assets),
        "start_cash": float(result.start_cash).hex(),
        "rejected_orders": [
            [int(order.session), int(order.asset), float(order.quantity).hex(), order.reason]
            for order in result.rejected_orders
        ],
        "warnings": list(result.warnings),
    }
    for name, value in words.items():
        parts[name] = hashlib.sha256(json.dumps(value).encode()).hexdigest()
    return parts


def not_the_same(one: dict[str, str], other: dict[str, str]) -> str:
    """Names of the parts whose digests differ, with commas between; empty where none does."""
    return ", ".join(name for name in one if one[name] != other.get(name))


def differs(name: str, one: Array, other: Array, result: EngineResult) -> str | None:
    """Where ``one`` and ``other``, [T] or [T, N], are first further apart than the tolerance."""
    if one.shape != other.shape:
        return f"{name} has shape {one.shape} in one and {other.shape} in the other"
    if not one.size:
        return None
    scale = max(float(np.nanmax(np.abs(one))), float(np.nanmax(np.abs(other))))
    off = ~(np.abs(one - other) <= TOLERANCE * scale)
    off &= ~(np.isnan(one) & np.isnan(other))
    if not off.any():
        return None
    where = tuple(int(number) for number in np.unravel_index(int(off.argmax()), off.shape))
    asset = f" of {result.assets[where[1]]}" if len(where) > 1 else ""
    return (
        f"{name}{asset} on {result.sessions[where[0]]} is {one[where]:.10g} in one and {other[where]:.10g} "
        "in the other"
    )


def fills_differ(one: Fills, other: Fills, result: EngineResult, until: int) -> str | None:
    """Where the fills of the sessions up to row ``until`` first differ."""
    mine, theirs = _until(one, until), _until(other, until)
    for number in range(max(len(mine), len(theirs))):
        if number >= len(mine) or number >= len(theirs):
            row = (mine if number < len(mine) else theirs)[number]
            which = "the first" if number < len(mine) else "the second"
            return (
                f"only {which} has a fill of {result.assets[int(row[1])]} on {result.sessions[int(row[0])]}"
            )
        a, b = mine[number], theirs[number]
        if not np.allclose(a, b, rtol=TOLERANCE, atol=0.0):
            return (
                f"fill {number} is of {a[2]:.10g} {result.assets[int(a[1])]} at {a[3]:.10g} on "
                f"{result.sessions[int(a[0])]} in one, of {b[2]:.10g} {result.assets[int(b[1])]} at "
                f"{b[3]:.10g} on {result.sessions[int(b[0])]} in the other"
            )
    return None


def _until(fills: Fills, row: int) -> FloatArray:
    """Session, asset, quantity and price of each fill, in an order of its own: that of columns."""
    table = np.column_stack([fills.session, fills.asset, fills.quantity, fills.price]).astype(np.float64)
    table = table[table[:, 0] <= row]
    ordered: FloatArray = table[np.lexsort(table.T[::-1])]
    return ordered


def _bits(values: Array) -> str:
    values = np.ascontiguousarray(values)
    return hashlib.sha256(f"{values.dtype.str} {values.shape}".encode() + values.tobytes()).hexdigest()
