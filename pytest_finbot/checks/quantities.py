"""Quantities against their roll-forward from the session before, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import FloatArray, IntArray
from pytest_finbot.valuation.books import Books


@dataclass(frozen=True, slots=True, eq=False)
class QuantityCells:
    """Cells whose quantity does not follow exactly: ``off`` in units, ``worth`` in currency."""

    row: IntArray
    column: IntArray
    off: FloatArray
    worth: FloatArray


def quantity_cells(books: Books, relative: float) -> QuantityCells:
    """Differences between quantities and their roll-forward, in order of session and asset."""
    quantity, splits, fills = books.quantity, books.splits, books.result.fills
    assets = quantity.shape[1]
    residual = np.empty(quantity.shape)
    residual[:1] = quantity[:1]
    np.subtract(
        quantity[1:], quantity[:-1] if splits is None else quantity[:-1] * splits[1:], out=residual[1:]
    )
    if len(fills):
        row, column, moved = _summed_by_cell(fills.session, fills.asset, fills.quantity, assets)
        before = np.where(row > 0, quantity[row - 1, column], 0.0)
        if splits is not None:
            before = before * splits[row, column]
        # As an engine rolls it: (before + fills) is rounded once, so that an exact engine is exact here.
        residual[row, column] = quantity[row, column] - (before + moved)
    flat = residual.reshape(-1)
    cells = np.flatnonzero(flat)
    at_row, at_column = np.divmod(cells, max(assets, 1))
    off = flat[cells]
    price = np.abs(books.mark[at_row, at_column]) * books.result.multiplier[at_column]
    worth = np.abs(off) * price
    # Without a mark there is no price to say what is missing: then units must agree, to rounding.
    unpriced = ~(price > 0.0)
    if unpriced.any():
        largest = np.maximum(
            np.abs(quantity[at_row, at_column]),
            np.where(at_row > 0, np.abs(quantity[at_row - 1, at_column]), 0.0),
        )
        lost = ~(np.abs(off) <= relative * np.maximum(largest, 1.0))
        worth = np.where(unpriced, np.where(lost, np.inf, 0.0), worth)
    return QuantityCells(at_row, at_column, off, worth)


def largest_by_row(cells: QuantityCells) -> IntArray:
    """Which cell is worth most in each row that has one; what is not a number is worth most."""
    size = np.where(np.isnan(cells.worth), np.inf, cells.worth)
    begins = np.flatnonzero(np.concatenate(([True], cells.row[1:] != cells.row[:-1])))
    lengths = np.diff(begins, append=len(size))
    top = np.flatnonzero(size == np.repeat(np.maximum.reduceat(size, begins), lengths))
    group = np.repeat(np.arange(len(begins)), lengths)[top]
    first: IntArray = top[np.concatenate(([True], group[1:] != group[:-1]))]
    return first


def _summed_by_cell(
    session: IntArray, asset: IntArray, quantity: FloatArray, assets: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Row, column and sum of quantities of each cell [T, N] that has fills."""
    cell = session.astype(np.int64, copy=False) * assets + asset
    if not (cell[1:] > cell[:-1]).all():
        cell, of = np.unique(cell, return_inverse=True)
        quantity = np.bincount(of.reshape(-1), weights=quantity).astype(np.float64, copy=False)
    row, column = np.divmod(cell, assets)
    return row, column, np.asarray(quantity, np.float64)
