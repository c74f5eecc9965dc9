"""Hash of a run's settings.

Two settings that could give different numbers never share a hash; two spellings of the same
ones always do. What counts as a spelling depends on who reads it. The built-in engine and
strategies take ``50`` and ``50.0`` for one number. A user's own code sees the value itself, and
``n // 2``, ``range(n)`` or ``isinstance`` can tell the two apart: there, the type counts.
"""

from __future__ import annotations

import math
from typing import Any, Final

from pytest_finbot.contracts import MarkSpec, RunSpec
from pytest_finbot.errors import ParameterError
from pytest_finbot.fingerprint.canonical import sha256_of_json

_LARGEST_INTEGER: Final = 2**53 - 1
"""The largest whole number that RFC 8785 writes as it stands."""
_MOST_BITS: Final = 10_000
"""Python itself refuses to write down longer whole numbers in decimal."""
_DEEPEST: Final = 100


def config_document(spec: RunSpec) -> dict[str, Any]:
    """Everything of ``spec`` that can change the numbers, as plain JSON values.

    Left out on purpose: name, description, tags, reports, outputs, line, ``rejected_orders``, the
    tolerances in ``checks``, and the paths of data files, whose *values* are covered by the data digest.
    """
    return {
        "engine": spec.engine,
        "strategy": spec.strategy,
        "params": dict(spec.params),
        "symbols": list(spec.symbols),
        "start_date": spec.start_date.isoformat(),
        "end_date": spec.end_date.isoformat(),
        "start_capital": _real(spec.start_capital),
        "data": {
            "field": spec.data.field,
            "calendar": spec.data.calendar,
            "missing": spec.data.missing,
        },
        "costs": {
            "commission_bps": _real(spec.costs.commission_bps),
            "commission_per_share": _real(spec.costs.commission_per_share),
            "slippage_bps": _real(spec.costs.slippage_bps),
            "booking": spec.costs.booking,
        },
        "rebalance_freq": spec.rebalance_freq,
        "fill": spec.fill,
        "units": spec.units,
        "min_trade": _real(spec.min_trade),
        "max_gross_exposure": _real(spec.max_gross_exposure),
        "bundle": _bundle(spec),
        "seed": spec.seed,
        **_said(spec),
    }


def _said(spec: RunSpec) -> dict[str, Any]:
    """Settings that came later than the first hashes: in the document only where they say something."""
    said: dict[str, Any] = {}
    if spec.data.missing == "forward_fill":
        said["missing_limit"] = spec.data.missing_limit
    if spec.marks != MarkSpec():
        said["marks"] = {"max_age": spec.marks.max_age, "max_unmarked": _real(spec.marks.max_unmarked)}
        if spec.marks.max_deviation != MarkSpec().max_deviation:
            said["marks"]["max_deviation"] = _real(spec.marks.max_deviation)
    if spec.part is not None and spec.part.own_from is not None:
        said["own_from"] = spec.part.own_from.isoformat()  # metrics are those of its own sessions
    if spec.flows:
        said["flows"] = [[flow.date.isoformat(), _real(flow.amount)] for flow in spec.flows]
    if spec.multipliers:
        said["multipliers"] = {symbol: _real(value) for symbol, value in spec.multipliers.items()}
    if spec.cash_buffer:
        said["cash_buffer"] = _real(spec.cash_buffer)
    actions = spec.actions
    dividends, splits = actions.dividends, actions.splits
    if dividends != "none":
        said["dividends"] = (
            dividends
            if isinstance(dividends, str)
            else [[one.symbol, one.ex_date.isoformat(), _real(one.amount)] for one in dividends]
        )
        said["dividend_booking"] = actions.booking
    if splits != "none":
        said["splits"] = (
            splits
            if isinstance(splits, str)
            else [[one.symbol, one.ex_date.isoformat(), _real(one.ratio)] for one in splits]
        )
    return said


def _bundle(spec: RunSpec) -> dict[str, Any] | None:
    bundle = spec.bundle
    if bundle is None:
        return None
    settings: dict[str, Any] = {
        "factors": [[factor.name, _real(factor.weight), factor.direction] for factor in bundle.factors],
        "winsorize": bundle.winsorize,
        "winsorize_limits": [_real(limit) for limit in bundle.winsorize_limits],
        "zscore": bundle.zscore,
        "neutralize_by": bundle.neutralize_by,
    }
    if is_foreign(spec.engine, spec.strategy):
        # Words to the built-in strategies; a user's own may act on them.
        settings |= {
            "universe": bundle.universe,
            "factor_set": bundle.factor_set,
            "horizon_days": bundle.horizon_days,
        }
    return settings


def config_hash(spec: RunSpec) -> str:
    """SHA-256 of :func:`config_document`: equal for two runs only if their settings are.

    The same in every process, whatever the order of keys. Raises ParameterError, naming the
    key, for a value that a batch file could not hold.
    """
    exact = is_foreign(spec.engine, spec.strategy)
    return sha256_of_json(_encoded(config_document(spec), "", exact, 0))


def is_foreign(engine: str, strategy: str) -> bool:
    """Whether a user's own code (``pkg.module:callable``) reads the settings."""
    return ":" in engine or ":" in strategy


def _real(value: Any) -> Any:
    """A float field's value as the float it stands for; left alone where there is none."""
    if isinstance(value, float):
        return float(value)
    if type(value) is int and abs(value) <= _LARGEST_INTEGER:
        return float(value)
    return value


def _encoded(value: Any, where: str, exact: bool, depth: int) -> Any:
    """``value`` in words that RFC 8785 keeps apart wherever the values are.

    What it has no word of its own for becomes an object with one key that starts with ``$``;
    keys of the user's that start so get another ``$``. Raises ParameterError.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return _text(value, where)
    if kind is int:
        if abs(value) <= _LARGEST_INTEGER:
            return value
        if value.bit_length() > _MOST_BITS:
            raise ParameterError(
                f"{where} has {value.bit_length()} bits; expected a whole number of at most {_MOST_BITS}"
            )
        return {"$int": hex(value)}
    if kind is float:
        return _number(value, where, exact)
    if kind is list or kind is dict:
        if depth > _DEEPEST:
            raise ParameterError(
                f"{where[:60]}… is nested more than {_DEEPEST} levels deep, or contains itself"
            )
        if kind is list:
            return [
                _encoded(item, f"{where}[{number}]", exact, depth + 1) for number, item in enumerate(value)
            ]
        encoded = {}
        for key, item in value.items():
            name = _key(key, where)
            path = f"{where}.{key}" if where else key
            encoded[name] = _encoded(item, path, exact, depth + 1)
        return encoded
    expected = "a list" if kind is tuple else "text, a number, true or false, null, a list or a mapping"
    raise ParameterError(f"{where} is of type {kind.__module__}.{kind.__qualname__}; expected {expected}")


def _number(value: float, where: str, exact: bool) -> Any:
    if not math.isfinite(value):
        raise ParameterError(f"{where} is {value!r}; expected a finite number")
    if value == 0.0 and math.copysign(1.0, value) < 0.0:
        return {"$float": "-0"}
    if not value.is_integer():
        return value
    if exact:
        return {"$float": value.hex()}
    whole = int(value)
    return whole if abs(whole) <= _LARGEST_INTEGER else {"$int": hex(whole)}


def _text(value: str, where: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ParameterError(f"{where}: {value!r} is not valid Unicode: {error.reason}") from None
    return value


def _key(key: Any, where: str) -> str:
    if type(key) is not str:
        raise ParameterError(
            f"{where} has the key {key!r} of type {type(key).__name__}; expected text: write it in quotes"
        )
    _text(key, f"{where}, a key")
    return f"${key}" if key.startswith("$") else key
