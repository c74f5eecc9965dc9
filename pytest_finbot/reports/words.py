"""How values are spelled in Markdown, and how names and messages are kept from being markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pytest_finbot.baselines import headline

if TYPE_CHECKING:
    from pytest_finbot.reports.phase_facts import TimeSpent

NOTHING = "\u2013"
"""An en dash."""

FILTERS = (
    "money",
    "percent",
    "ratio",
    "count",
    "seconds",
    "metric",
    "plain",
    "name",
    "cut",
    "plain_money",
    "signed",
    "bp",
    "figure",
    "trade",
    "spent",
)
"""Functions of this module that templates may use."""

_HUGE = 1e15
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;"), ("$", "&#36;"))
_INVISIBLE = frozenset(("Cc", "Cf", "Co", "Cs", "Zl", "Zp"))


def money(value: Any) -> str:
    """``612,168.59``; an en dash for what is undefined."""
    return NOTHING if value is None else _unsigned_zero(f"{value:,.2f}")


def percent(value: Any) -> str:
    """A fraction as ``12.35 %``."""
    return NOTHING if value is None else _unsigned_zero(f"{value * 100:.2f}") + " %"


def ratio(value: Any) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def count(value: Any) -> str:
    return NOTHING if value is None else f"{value:,}"


def seconds(value: Any) -> str:
    return NOTHING if value is None else f"{value:.3f} s"


def metric(value: Any, name: str) -> str:
    """A metric's value in the spelling of its unit; text as it is."""
    from pytest_finbot.valuation.metric_kinds import METRIC_KINDS, Unit

    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not abs(value) < _HUGE:
        # Three hundred digits tell less than two and a power of ten. A whole number may be too
        # large for a float, and a decimal has room.
        return f"{value:.6g}" if isinstance(value, float) else f"{Decimal(value).normalize():.6g}"
    unit = METRIC_KINDS[name].unit if name in METRIC_KINDS else None
    spell = {Unit.CURRENCY: money, Unit.FRACTION: percent, Unit.RATIO: ratio, Unit.COUNT: count}
    return spell[unit](value) if unit in spell else str(value)


def plain(text: Any) -> str:
    """``text`` as Markdown that shows exactly these characters and does nothing.

    For table cells and sentences: no HTML, no mention, no emphasis, no mathematics, no
    line break; control and bidirectional characters are shown as their code points.
    """
    cleaned = "".join(
        character
        if unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
        else _code_point(character)
        for character in " ".join(str(text).split())
    )
    cleaned = re.sub(r"([\\`*_{}\[\]!|~])", r"\\\1", cleaned)
    for character, entity in _ENTITIES:
        cleaned = cleaned.replace(character, entity)
    return cleaned


def name(text: Any) -> str:
    """A run's, strategy's or file's name: as code where its characters are safe in it."""
    return f"`{text}`" if re.fullmatch(r"[A-Za-z0-9_.:/-]+", str(text)) else plain(text)


def cut(text: Any, limit: int) -> str:
    """At most ``limit`` characters of ``text``, with an ellipsis where more were."""
    whole = str(text)
    return whole if len(whole) <= limit else whole[: limit - 1] + "…"


def plain_money(value: Any) -> str:
    """``612,168.59``; ``no number`` for what is none."""
    return headline.money(value)


def signed(value: Any) -> str:
    """``+203,985.53``; more digits where two would show nothing."""
    return NOTHING if value is None else headline.signed_money(value)


def bp(value: Any) -> str:
    """A fraction as ``+33.32 %, +3,332.1 bp``, as ``+9.5 bp`` below a tenth of a percent."""
    return NOTHING if value is None else headline.fraction_in_words(value)


def figure(value: Any) -> str:
    """Any value with at most six significant digits; an en dash for none."""
    if value is None:
        return NOTHING
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def trade(fill: Mapping[str, Any]) -> str:
    """A fill as ``buy 25 AAPL at 101.2, fee 1.26``; its day is told beside it."""
    quantity = fill["quantity"]
    verb = "trade" if quantity is None else "buy" if quantity > 0 else "sell"
    size, price, fee = (
        "no number" if value is None else f"{value:.10g}"
        for value in (None if quantity is None else abs(quantity), fill["price"], fill["fee"])
    )
    return f"{verb} {size} {fill['asset']} at {price}, fee {fee}"


def spent(time: TimeSpent) -> str:
    """``loading 0.2 s, engine 1.5 s, …``: seconds of all workers together, by what they went into."""
    profiling = ("profiling",) if time.profiling else ()
    parts = ("loading", "engine", "checks", "recording", *profiling, "waiting")
    return ", ".join(f"{part} {getattr(time, part):,.1f} s" for part in parts)


def _unsigned_zero(spelled: str) -> str:
    """``0.00`` where rounding left ``-0.00``, which reads like a loss."""
    return spelled.lstrip("-") if not spelled.strip("-0.,") else spelled


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"
