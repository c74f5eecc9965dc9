"""How values are spelled in Markdown, and how names and messages are kept from being markup."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.baselines import headline

if TYPE_CHECKING:
    from pytest_finbot.baselines.facts import FillFact
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
    "sides",
    "plain",
    "name",
    "html_name",
    "html_text",
    "code",
    "cut",
    "shown",
    "shown_lines",
    "plain_money",
    "signed",
    "bp",
    "only_bp",
    "figure",
    "within",
    "trade",
    "spent",
)
"""Functions of this module that templates may use."""

_HUGE = 1e15
_INVISIBLE: Final = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"))
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, marks and a symbol that nobody sees."""
_MOST_PILED: Final = 4
_LONGEST_NAME: Final = 120
_FOUND_LATER: Final = re.compile(
    r"""[@$]                              # mentions, addresses, commits of others; mathematics
    | [#&!~%^] ["\w]                      # issues, merge requests, labels, milestones, epics
    | :// | \bwww\. | \b(?:mailto|xmpp):
    | :(?!\d\dZ?\b)[\w+-]+(?: : | \Z)      # emoji, but no time of day; a colon of ours may follow
    | (?-i:\b[A-Z][A-Z0-9]*-\d) | \bgh-\d | \bGHSA- | \bCVE-
    | \b(?=\d*[a-f])[0-9a-f]{7,64}\b      # commits
    | \[\w+: | \[\[                       # GitLab's vulnerabilities and pages
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What forges make something of after rendering, wherever it is not code."""


def money(value: Any) -> str:
    """``612,168.59``; an en dash for what is undefined."""
    return _spelled(value, lambda number: _unsigned_zero(f"{number:,.2f}"))


def percent(value: Any) -> str:
    """A fraction as ``12.35 %``."""
    return _spelled(value, lambda number: _unsigned_zero(f"{number * 100:.2f}") + " %")


def ratio(value: Any) -> str:
    return _spelled(value, lambda number: f"{number:.3f}")


def count(value: Any) -> str:
    return _spelled(value, lambda number: f"{number:,}")


def seconds(value: Any) -> str:
    return _spelled(value, lambda number: f"{number:.3f} s")


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


def sides(name: str, baseline: Any, now: Any) -> tuple[str, str]:
    """A metric before and now; with more digits where its usual ones would not tell the two apart."""
    before, after = metric(baseline, name), metric(now, name)
    if before == after and isinstance(baseline, float) and isinstance(now, float) and baseline != now:
        return f"{baseline:.10g}", f"{now:.10g}"
    return before, after


def shown(text: Any) -> str:
    """``text`` on one line, in characters that can be seen: all others are shown as their code points.

    Those are control, bidirectional, zero-width, private and unassigned characters, letters that are
    blank, and marks piled onto one letter, which would cover the lines above and below.
    """
    line = " ".join(str(text).split())
    if line.isascii() and line.isprintable():
        return line
    piled = 0
    seen = []
    for character in line:
        category = unicodedata.category(character)
        piled = piled + 1 if category in ("Mn", "Me") else 0
        hidden = category in _INVISIBLE or character in _BLANK or "\U000e0100" <= character <= "\U000e01ef"
        seen.append(_code_point(character) if hidden or piled > _MOST_PILED else character)
    return "".join(seen)


def shown_lines(text: Any) -> str:
    """As :func:`shown`, line by line, with the blanks that a line begins with."""
    lines = str(text).replace("\t", "    ").split("\n")
    return "\n".join(line[: len(line) - len(line.lstrip(" "))] + shown(line) for line in lines)


def plain(text: Any) -> str:
    """``text`` as Markdown that shows exactly these characters and does nothing.

    For table cells and sentences: no HTML, no emphasis, no link, no line break. What GitHub and GitLab
    look for once the Markdown is HTML (mentions, references, mathematics, emoji) is found whatever it
    was escaped with, but never in code: a text with such a thing is code, see :func:`code`.
    """
    line = shown(text)
    if _FOUND_LATER.search(line):
        return code(line)
    line = re.sub(r"([\\`*_{}\[\]!|~])", r"\\\1", line).replace("&", "&amp;")
    line = line.replace("<", "&lt;").replace(">", "&gt;")
    # At the beginning of a line: lists, headings, rules, commands (`/close`) to GitLab and to bots.
    return re.sub(r"^(\d{1,9})(?=[.)](?:\s|$))|^(?=[-+](?:\s|$)|[#/]|::|[-=]+$|---)", r"\1\\", line)


def code(text: Any) -> str:
    """``text`` as code in HTML: exact in Markdown, in its tables, and within HTML such as a ``<summary>``.

    Backticks would not do: HTML knows none, and a table takes their ``|``. An empty comment before each
    ``@`` keeps addresses from becoming links, which cmark-gfm looks for in code of this kind as well.
    """
    line = re.sub(
        r"[^A-Za-z0-9 ,;=()'?%+\-\u0080-\U0010ffff]", lambda found: f"&#{ord(found[0])};", shown(text)
    )
    return f"<code>{line.replace('&#64;', '<!-- -->&#64;')}</code>"


def name(text: Any) -> str:
    """A run's, strategy's or file's name, as code; of a very long one its beginning and its end."""
    line = _short(text)
    if line and re.fullmatch(r"[A-Za-z0-9_.:/-]+", line):
        return f"`{line}`"
    return code(line) if line else "(no name)"


def html_name(text: Any) -> str:
    """The same within HTML, where Markdown is not read."""
    return code(_short(text) or "(no name)")


def html_text(text: Any) -> str:
    """A word or a day within HTML; as code where it is more than letters and digits."""
    return str(text) if re.fullmatch(r"[A-Za-z0-9 -]*", str(text)) else html_name(text)


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


def only_bp(value: Any) -> str:
    """A fraction as ``+3,332.1 bp``."""
    return NOTHING if value is None else headline.bp_in_words(value)


def figure(value: Any) -> str:
    """Any value with at most six significant digits; an en dash for none."""
    if value is None:
        return NOTHING
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def within(value: Any) -> str:
    """A limit, or what is held to it: ``9,991.01``, below 1 three significant digits (``9.99e-05``)."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= abs(value) < _HUGE:
        return f"{value:.3g}" if isinstance(value, float) else figure(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def trade(fill: Mapping[str, Any] | FillFact) -> str:
    """A fill as ``buy 25 AAPL at 101.2, fee 1.26``; its day is told beside it."""
    if not isinstance(fill, Mapping):
        fill = dataclasses.asdict(fill)
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


def _spelled(value: Any, spell: Callable[[Any], str]) -> str:
    """A number in its spelling, however large; an en dash for none, text as it is shown elsewhere."""
    if value is None:
        return NOTHING
    if not isinstance(value, int | float):
        return plain(value)
    return spell(value) if abs(value) < _HUGE else f"{Decimal(value):.6g}"


def _unsigned_zero(spelled: str) -> str:
    """``0.00`` where rounding left ``-0.00``, which reads like a loss."""
    return spelled.lstrip("-") if not spelled.strip("-0.,") else spelled


def _short(text: Any) -> str:
    line = shown(text)
    if len(line) <= _LONGEST_NAME:
        return line
    tail = _LONGEST_NAME // 3
    return f"{line[: _LONGEST_NAME - tail - 1]}…{line[-tail:]}"


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"
