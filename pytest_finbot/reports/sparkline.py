"""A line of numbers as a line of text: eight heights of block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

BLOCKS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = " "
"""Where there is no number."""


def sparkline(values: Sequence[float | None], width: int | None = None) -> str:
    """One character a value, the least as ``▁`` and the greatest as ``█``.

    ``None`` and what is not finite are gaps. Values that are all the same are a line in the
    middle: nothing moved. More than ``width`` values are drawn as the last ``width`` of them.
    Raises ValueError for a width below 1.
    """
    if width is not None and width < 1:
        raise ValueError(f"width is {width}, expected 1 or more")
    drawn = values if width is None else values[-width:]
    known = [value for value in drawn if value is not None and math.isfinite(value)]
    if not known:
        return GAP * len(drawn)
    low, high = min(known), max(known)
    return "".join(
        _block(value, low, high) if value is not None and math.isfinite(value) else GAP for value in drawn
    )


def _block(value: float, low: float, high: float) -> str:
    # Halved first: the span of the largest numbers is more than a float can hold.
    span = high / 2 - low / 2
    if not span:  # of the smallest, half is nothing
        return BLOCKS[len(BLOCKS) // 2 - 1]
    height = (value / 2 - low / 2) / span
    return BLOCKS[min(int(height * len(BLOCKS)), len(BLOCKS) - 1)] if height == height else BLOCKS[0]
