"""Long series in few points, so that a page stays small: the extremes of every stretch are kept."""

from __future__ import annotations

import functools

import numpy as np

from pytest_finbot.contracts import FloatArray, IntArray


def extremes(values: FloatArray, most: int) -> IntArray:
    """Rows, rising, that draw ``values`` [T] as all of them would: about ``most`` of them at the most.

    Of every stretch its least and its greatest are among them, and one that is no number, where there
    is one: a gap stays a gap. The first and the last always are.
    """
    length = len(values)
    if length <= most:
        return np.arange(length)
    stretches = max(most // 2 - 1, 1)
    width = -(-length // stretches)
    padded = np.zeros(stretches * width)
    padded[:length] = values
    table = padded.reshape(stretches, width)
    inside = (np.arange(stretches * width) < length).reshape(stretches, width)
    number = np.isfinite(table)
    begins = np.arange(stretches) * width
    gaps = ~number & inside
    rows = np.concatenate(
        [
            (begins + np.where(number & inside, table, np.inf).argmin(axis=1)),
            (begins + np.where(number & inside, table, -np.inf).argmax(axis=1)),
            (begins + gaps.argmax(axis=1))[gaps.any(axis=1)],
            [0, length - 1],
        ]
    )
    kept: IntArray = np.unique(rows)
    return kept[kept < length]


def evenly(rows: IntArray, most: int) -> IntArray:
    """At most ``most`` of ``rows``, evenly, the first and the last among them."""
    if len(rows) <= most:
        return rows
    places = np.linspace(0, len(rows) - 1, most).round().astype(np.int64)
    return rows[places[np.diff(places, prepend=-1) > 0]]


_STEPS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", np.uint8)
_GAP = ord(".")


def spark(values: FloatArray, most: int = 60) -> str:
    """``values`` [T] at ``most`` rows, evenly, as characters: heights from ``A`` to ``_``; a gap is ``.``."""
    points = values[_even_rows(len(values), most)]
    number = np.isfinite(points)
    if not number.any():
        return "." * len(points)
    low, high = float(points[number].min()), float(points[number].max())
    # Halved first: the span of the largest numbers is more than a float can hold.
    span = high / 2 - low / 2
    top = len(_STEPS) - 1
    heights = np.full(len(points), top // 2)
    if span > 0:
        heights[number] = ((points[number] / 2 - low / 2) / span * top).round()
    return np.where(number, _STEPS[heights], _GAP).astype(np.uint8).tobytes().decode("ascii")


@functools.lru_cache(maxsize=64)
def _even_rows(length: int, most: int) -> IntArray:
    return evenly(np.arange(length), most)
