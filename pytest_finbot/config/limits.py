"""How a limit is written: ``1e-9``, ``25 bp``, ``0.1 %``, ``1.2 pp``, ``{rtol: …, atol: …}``, ``false``.

Relative or absolute is never guessed. A single value is read by what the check measures, and
where it could be meant in two ways it is refused with both of them written out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from pytest_finbot.config.problems import Place, describe, quoted, unknown_key
from pytest_finbot.config.scalars import is_unusual
from pytest_finbot.config.source import unusual_words
from pytest_finbot.contracts import SERIES_CHECKS, Limit
from pytest_finbot.errors import did_you_mean
from pytest_finbot.tolerances import METRIC_UNITS, MetricUnit

Kind = Literal["series", "fills"] | MetricUnit
"""What a limit is read by: a daily series, the fills, or the unit of a metric."""

CHECKS_WITH_LIMIT: Final = (*SERIES_CHECKS, *(f"metrics.{name}" for name in METRIC_UNITS))
"""Every check that takes a limit, in the order in which they are written."""

KEYS: Final = ("rtol", "atol")
SERIES_KEYS: Final = (*KEYS, "share", "none_beyond")

_POWERS: Final = {"bp": -4, "bps": -4, "%": -2, "pp": -2}
_AMOUNT: Final = re.compile(
    r"([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:[eE]([-+]?[0-9]{1,4}))?\s*([A-Za-z%]*)", re.ASCII
)

_RELATIVE: Final = {"bp": "rtol", "bps": "rtol", "%": "rtol"}
_SINGLE: Final[Mapping[Kind, Mapping[str, str]]] = {
    "series": {"": "rtol", **_RELATIVE},
    "fills": {"": "rtol", **_RELATIVE},
    "currency": _RELATIVE,
    "fraction": {"": "atol", "bp": "atol", "bps": "atol", "pp": "atol"},
    "ratio": {"": "atol", **_RELATIVE},
    "count": {"": "atol", **_RELATIVE},
}
"""What a single value is by its unit, ``""`` where it is a plain number."""

_EXAMPLES: Final[Mapping[Kind, str]] = {
    "series": "a number, 25 bp, 0.1 %",
    "fills": "a number, 25 bp, 0.1 %",
    "currency": "10 bp, 0.1 %",
    "fraction": "a number, 15 bp, 1.2 pp",
    "ratio": "a number, 10 bp, 0.1 %",
    "count": "a number, 10 bp, 0.1 %",
}
_OWN_UNIT: Final = {
    "nav": "currency",
    "cash": "currency",
    "market_values": "currency",
    "quantity": "units held",
    "fills": "the unit of each value",
    "currency": "currency",
    "ratio": "the ratio itself",
    "count": "pieces",
}
"""What ``atol`` is in, by the check or by its kind."""

_OFF: Final = frozenset({"off", "no", "none", "false", "null"})


class LimitError(ValueError):
    """A limit that cannot be read. ``faults``: the place within it, and what is wrong there."""

    def __init__(self, faults: list[tuple[Place, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{key[0]}: {fault}" if key else fault for key, fault in faults))


def read_limit(check: str, value: Any) -> Limit | None:
    """The limit that a batch file writes as ``value`` for ``check``; ``None``: switched off.

    ``check`` is ``nav``, ``cash``, ``market_values``, ``quantity``, ``fills`` or
    ``metrics.<name>``. Raises LimitError, a ValueError, in words for whoever wrote the file.
    """
    kind = _kind(check)
    if value is False:
        return None
    if value is None:
        raise _fault("nothing (null) is no limit; write false to switch the check off")
    if kind == "date":
        if value is True:
            return Limit()
        raise _fault(
            f"{check} is a date; expected true (it must be equal) or false, got {describe(value)}"
            + _off_hint(value)
        )
    if isinstance(value, dict):
        return _read_mapping(check, kind, value)
    key, amount = _read_single(check, kind, value)
    return Limit(**{key: amount})


def read_fraction(value: Any) -> float:
    """A fraction from 0 to 1, written as a number, ``5 %`` or ``50 bp``. Raises LimitError."""
    shown, amount, unit = _amount(value, "a number from 0 to 1, or text such as 5 %")
    if unit == "pp":
        raise _fault(f"{shown} is a difference between fractions; write {shown.replace('pp', '%')}")
    if not 0 <= amount <= 1:
        raise _fault(f"{shown} is not from 0 to 1; write 5 % as 0.05 or as 5 %")
    return amount


def read_deviation(value: Any) -> float:
    """A fraction of 0 or more, written as a number, ``0.5 %`` or ``5 bp``. Raises LimitError."""
    expected = "a number of 0 or more, or text such as 0.5 %"
    if value is None or value is False or (isinstance(value, str) and value.lower() in _OFF):
        raise _fault(
            f"expected {expected}, got {describe(value)}; a large number (1000) lets everything pass"
        )
    shown, amount, unit = _amount(value, expected)
    if unit == "pp":
        raise _fault(f"{shown} is a difference between fractions; write {shown.replace('pp', '%')}")
    if amount < 0:
        raise _fault(f"{shown} is not at least 0")
    return amount


def _kind(check: str) -> Kind:
    if check in SERIES_CHECKS:
        return "fills" if check == "fills" else "series"
    unit = METRIC_UNITS.get(check.removeprefix("metrics.")) if check.startswith("metrics.") else None
    if unit is None:
        raise _fault(f"{quoted(check)} is no check with a limit{did_you_mean(check, CHECKS_WITH_LIMIT)}")
    return unit


def _fault(message: str) -> LimitError:
    return LimitError([((), message)])


def _off_hint(value: Any) -> str:
    is_off = isinstance(value, str) and value.lower() in _OFF
    return "; write false to switch the check off" if is_off else ""


# ------------------------------------------------------------------------ the two forms


def _read_mapping(check: str, kind: Kind, given: Mapping[str, Any]) -> Limit:
    allowed = SERIES_KEYS if kind == "series" else KEYS
    if not given:
        raise _fault(f"empty; give at least one of {', '.join(allowed)}, or write false")
    found: dict[str, float] = {}
    faults: list[tuple[Place, str]] = []
    for key, value in given.items():
        try:
            if key not in allowed:
                raise _fault(unknown_key(key, allowed, allowed))
            found[key] = _read_keyed(check, kind, key, value)
        except LimitError as error:
            faults += [((key,), message) for _, message in error.faults]
    # Where rtol itself is wrong, nothing is said of what it should be compared with.
    rtol = found.get("rtol", 0.0 if "rtol" not in given else None)
    if rtol is not None and found.get("none_beyond", rtol) < rtol:
        message = (
            f"{given['none_beyond']} is below the rtol of {given.get('rtol', 0)}; "
            "none_beyond is the wider of the two"
        )
        faults.append((("none_beyond",), message))
    if faults:
        raise LimitError(faults)
    return Limit(**found)


def _read_keyed(check: str, kind: Kind, key: str, value: Any) -> float:
    if key == "atol":
        expected = "a number, 15 bp or 1.2 pp" if kind == "fraction" else "a number"
    else:
        expected = "a number, 25 bp or 0.1 %"
    shown, amount, unit = _amount(value, expected)
    if key == "share":
        if not 0 < amount <= 1:
            raise _fault(f"{shown} is not above 0 and at most 1; write 99 % as 0.99 or as 99 %")
    elif amount < 0:
        raise _fault(f"{shown} is not at least 0")
    if key != "atol":
        if unit == "pp":
            raise _no_points(shown, key, kind)
    elif kind != "fraction" and unit:
        own = _OWN_UNIT.get(check, _OWN_UNIT.get(kind, ""))
        if unit == "pp":
            raise _fault(f"{shown} is between fractions, but atol is in {own}; write a number")
        raise _fault(f"{shown} is relative, but atol is in {own}; write a number, or {shown} as rtol")
    elif unit == "%":
        raise _two_ways(shown)
    return amount


def _read_single(check: str, kind: Kind, value: Any) -> tuple[str, float]:
    keys = "rtol, atol, share and none_beyond" if kind == "series" else "rtol and atol"
    shown, amount, unit = _amount(value, f"{_EXAMPLES[kind]}, a mapping of {keys}, or false")
    if amount < 0:
        raise _fault(f"{shown} is not at least 0")
    key = _SINGLE[kind].get(unit)
    if key is not None:
        return key, amount
    if unit == "":
        raise _fault(
            f"{shown} is ambiguous: write {{atol: {shown}}} for currency, "
            "or 10 bp or 0.1 % for a part of the baseline"
        )
    raise _two_ways(shown) if unit == "%" else _no_points(shown, check, kind)


def _two_ways(shown: str) -> LimitError:
    points = shown.strip("'").replace("%", "pp")
    return _fault(
        f"{shown} is ambiguous: write {points} for an absolute difference, "
        f"or {{rtol: {shown.strip(chr(39))}}} for a part of the baseline"
    )


def _no_points(shown: str, what: str, kind: Kind) -> LimitError:
    way = "write bp or %, or give it as atol" if kind == "fraction" else "write bp or %"
    return _fault(f"{shown} is an absolute difference between fractions, which {what} is not; {way}")


# --------------------------------------------------------------------------- amounts


def _amount(value: Any, expected: str) -> tuple[str, float, str]:
    """How the amount is shown, the amount (a fraction where it has a unit), and its unit."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if is_unusual(value):
            raise _fault(unusual_words(value))
        return str(value), value + 0.0, ""  # no -0.0
    match = _AMOUNT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise _fault(f"expected {expected}, got {describe(value)}{_off_hint(value)}")
    digits, exponent, unit = match.groups()
    if not unit:
        raise _fault(f"expected {expected}, got {describe(value)}; write the number without quotes")
    if unit not in _POWERS:
        # Not the nearest one: of "bpp", bp and pp are as near, and a hundred times apart.
        near = f"did you mean '{unit.lower()}'?" if unit.lower() in _POWERS else "expected one of bp, %, pp"
        raise _fault(f"{quoted(value)}: {quoted(unit)} is no unit; {near}")
    # The power goes into the text, so that 0.1 % is the float 0.001 to the last bit.
    amount = float(f"{digits}e{int(exponent or 0) + _POWERS[unit]}") + 0.0
    if is_unusual(amount):
        raise _fault(unusual_words(amount))
    return quoted(value), amount, unit
