"""How the checks spell money and units in their messages."""

from __future__ import annotations


def money(value: float) -> str:
    """``1,000.00``; three digits where that would round away what is to be seen."""
    return f"{value + 0.0:,.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def units(value: float) -> str:
    """``1,000.5``: units of an asset, ten digits of them."""
    return f"{value:,.10g}"
