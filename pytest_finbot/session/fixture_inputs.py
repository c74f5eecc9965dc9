"""What a test hands to ``finbot_regression.check``, as one result; each mistake told by its argument.

Nothing is repaired: days that are not in order, twice there or not days are somebody's bug,
and a baseline of them would keep it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_finbot.baselines.results import FillTable, MetricValue, RunResult
from pytest_finbot.contracts import FloatArray, SessionArray
from pytest_finbot.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

_FILL_COLUMNS = ("session", "asset", "quantity", "price")
_WITH_FEE = (*_FILL_COLUMNS, "fee")


def result_of(
    nav: Any,
    *,
    positions: Any = None,
    cash: Any = None,
    quantities: Any = None,
    fills: Any = None,
    metrics: Any = None,
) -> RunResult:
    """The result a test computed by itself; what it does not give stays unknown.

    ``nav`` [T] is a Series by day or a pair (sessions, values); ``cash`` [T] a Series, or T
    values; ``positions`` (market values) and ``quantities`` are frames of T days x assets;
    ``fills`` is a frame with a row a trade, in order. Raises ParameterError, naming the
    argument, for anything else.
    """
    sessions, values = _nav(nav)
    if not np.isfinite(values).all():
        row = int((~np.isfinite(values)).argmax())
        raise ParameterError(f"nav: {values[row]} on {sessions[row]}; expected a number on every session")
    wide = {
        name: _by_asset(frame, name, sessions)
        for name, frame in (("positions", positions), ("quantities", quantities))
        if frame is not None
    }
    traded = None if fills is None else _fill_columns(fills, sessions)
    held = (asset for names, _ in wide.values() for asset in names)
    assets = tuple(dict.fromkeys((*held, *(() if traded is None else traded["asset"]))))
    number = {asset: n for n, asset in enumerate(assets)}

    def spread(name: str) -> FloatArray | None:
        if name not in wide:
            return None
        names, matrix = wide[name]
        spread_out = np.zeros((len(sessions), len(assets)))
        spread_out[:, [number[asset] for asset in names]] = matrix
        return spread_out

    return RunResult(
        sessions=sessions,
        nav=values,
        assets=assets,
        cash=None if cash is None else _cash(cash, sessions),
        quantity=spread("quantities"),
        market_values=spread("positions"),
        fills=None if traded is None else _fill_table(traded, number),
        metrics={} if metrics is None else _metrics(metrics),
    )


# ------------------------------------------------------------------------------- series


def _nav(nav: Any) -> tuple[SessionArray, FloatArray]:
    import pandas as pd

    if isinstance(nav, pd.Series):
        days, values = _days(nav.index, "nav"), _numbers(nav, "nav")
    elif isinstance(nav, tuple | list) and len(nav) == 2:
        days = _days(nav[0], "nav, its sessions")
        values = _numbers(_one_dimensional(nav[1], "nav, its values"), "nav, its values")
        if len(days) != len(values):
            raise ParameterError(f"nav: {len(days):,} sessions and {len(values):,} values; expected as many")
    else:
        raise ParameterError(
            f"nav: got {_kind(nav)}; expected a pandas Series with a DatetimeIndex, a pair "
            "(sessions, values), or what finbot_regression.run returned"
        )
    if not len(days):
        raise ParameterError("nav: it is empty; expected at least one session")
    falls = np.flatnonzero(days[1:] <= days[:-1])
    if len(falls):
        before, after = days[falls[0]], days[falls[0] + 1]
        if before == after:
            raise ParameterError(f"nav: {after} is there twice; expected each session once")
        raise ParameterError(
            f"nav: {after} comes after {before}; expected sessions in order (nav.sort_index())"
        )
    return days, values


def _cash(cash: Any, sessions: SessionArray) -> FloatArray:
    import pandas as pd

    if isinstance(cash, pd.Series):
        _require_sessions(_days(cash.index, "cash"), "cash", sessions)
        return _numbers(cash, "cash")
    values = _numbers(_one_dimensional(cash, "cash"), "cash")
    if len(values) != len(sessions):
        raise ParameterError(
            f"cash: {len(values):,} values; expected {len(sessions):,}, one a session of nav"
        )
    return values


def _by_asset(frame: Any, name: str, sessions: SessionArray) -> tuple[list[str], FloatArray]:
    """Asset names [N], and values [T, N]."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise ParameterError(f"{name}: got {_kind(frame)}; expected a DataFrame, sessions x assets")
    _require_sessions(_days(frame.index, name), name, sessions)
    assets = _asset_names(frame.columns, f"{name}, its columns")
    twice = next((asset for n, asset in enumerate(assets) if asset in assets[:n]), None)
    if twice is not None:
        raise ParameterError(f"{name}: column {twice!r} is there twice; expected one an asset")
    matrix = np.empty((len(sessions), len(assets)))
    for n, asset in enumerate(assets):
        matrix[:, n] = _numbers(frame.iloc[:, n], f"{name}[{asset!r}]")
    return assets, matrix


def _require_sessions(days: SessionArray, name: str, sessions: SessionArray) -> None:
    if np.array_equal(days, sessions):
        return
    if len(days) == len(sessions):
        row = int(np.flatnonzero(days != sessions)[0])
        said = f"row {row + 1:,} is {days[row]} where nav has {sessions[row]}"
    else:
        stray = np.setxor1d(days, sessions)
        said = f"{len(days):,} rows where nav has {len(sessions):,} sessions"
        if len(stray):
            side = "nav" if stray[0] in sessions else name
            said += f"; {stray[0]} is in {side} alone"
    raise ParameterError(f"{name}: {said}; expected the sessions of nav")


def _days(index: Any, name: str) -> SessionArray:
    """The days of an index, or of anything list-like."""
    import pandas as pd

    expected = "expected days: a DatetimeIndex without time zone, or dates"
    if not isinstance(index, pd.Index):
        index = pd.Index(_one_dimensional(index, name))
    if len(index) and not isinstance(index, pd.DatetimeIndex):
        for label in index:
            if label is None or label is pd.NaT:
                raise ParameterError(f"{name}: a day is missing (NaT); {expected}")
            if not isinstance(label, date | np.datetime64):
                hint = "; pd.to_datetime reads text" if isinstance(label, str) else ""
                raise ParameterError(f"{name}: its index holds {label!r}, {_kind(label)}; {expected}{hint}")
            if isinstance(label, datetime) and label.tzinfo is not None:
                raise ParameterError(f"{name}: {label} has a time zone; {expected}")
    elif getattr(index, "tz", None) is not None:
        raise ParameterError(
            f"{name}: its index has the time zone {index.tz}; {expected} (index.tz_localize(None))"
        )
    stamps = pd.DatetimeIndex(index).to_numpy()
    if np.isnat(stamps).any():
        raise ParameterError(f"{name}: a day is missing (NaT); {expected}")
    days: SessionArray = stamps.astype("datetime64[D]")
    within = np.flatnonzero(days != stamps)
    if len(within):
        moment = pd.Timestamp(stamps[within[0]])
        raise ParameterError(f"{name}: {moment} is a time of day; {expected} (index.normalize())")
    return days


def _numbers(values: pd.Series | Any, name: str) -> FloatArray:
    """float64 [T] of a Series or array of numbers; NaN where pandas says that there is none."""
    import pandas as pd
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

    series = values if isinstance(values, pd.Series) else pd.Series(values)
    kind = series.dtype
    if not len(series):
        return np.empty(0)
    if not is_numeric_dtype(kind) or is_bool_dtype(kind) or is_complex_dtype(kind):
        odd = next((value for value in series if not _is_number(value)), series.iloc[0])
        raise ParameterError(f"{name}: holds {odd!r} (dtype {kind}); expected numbers")
    return np.ascontiguousarray(series.to_numpy(dtype=np.float64, na_value=np.nan))


def _one_dimensional(values: Any, name: str) -> Any:
    import pandas as pd

    if isinstance(values, pd.Series | pd.Index):
        return values
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str | bytes):
        raise ParameterError(f"{name}: got {_kind(values)}; expected a list or an array")
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise ParameterError(f"{name}: has shape {values.shape}; expected one dimension")
    return values


# ------------------------------------------------------------------------ fills, metrics


def _fill_columns(fills: Any, sessions: SessionArray) -> dict[str, Any]:
    import pandas as pd

    if not isinstance(fills, pd.DataFrame):
        raise ParameterError(
            f"fills: got {_kind(fills)}; expected a DataFrame with the columns {', '.join(_FILL_COLUMNS)} "
            "and, where there are any, fee"
        )
    names = [str(name) for name in fills.columns]
    for name in names:
        if name not in _WITH_FEE:
            hint = did_you_mean(name, _WITH_FEE) or f"; expected {', '.join(_WITH_FEE)}"
            raise ParameterError(f"fills: unknown column {name!r}{hint}")
    for name in _FILL_COLUMNS:
        if name not in names:
            raise ParameterError(f"fills: no column {name!r}; expected {', '.join(_WITH_FEE)}")
    if len(set(names)) != len(names):
        raise ParameterError(f"fills: a column is there twice; expected {', '.join(_WITH_FEE)} once each")
    days = _days(pd.Index(fills["session"]), "fills['session']")
    unknown = np.flatnonzero(~np.isin(days, sessions))
    if len(unknown):
        row = int(unknown[0])
        raise ParameterError(f"fills: row {row + 1:,} is on {days[row]}, which is no session of nav")
    falls = np.flatnonzero(days[1:] < days[:-1])
    if len(falls):
        row = int(falls[0])
        raise ParameterError(
            f"fills: row {row + 2:,} is on {days[row + 1]}, after one on {days[row]}; expected them in order"
        )
    columns = {name: _numbers(fills[name], f"fills[{name!r}]") for name in ("quantity", "price")}
    columns["fee"] = _numbers(fills["fee"], "fills['fee']") if "fee" in names else np.zeros(len(days))
    return {"session": days, "asset": _asset_names(fills["asset"], "fills['asset']"), **columns}


def _fill_table(columns: Mapping[str, Any], number: Mapping[str, int]) -> FillTable:
    return FillTable(
        session=columns["session"],
        asset=np.array([number[asset] for asset in columns["asset"]], dtype=np.int64),
        quantity=columns["quantity"],
        price=columns["price"],
        fee=columns["fee"],
    )


def _asset_names(labels: Any, name: str) -> list[str]:
    """Names of assets as text; whole numbers, which some vendors use, in digits."""
    names = []
    for label in labels:
        whole = isinstance(label, int | np.integer) and not isinstance(label, bool)
        if not whole and not isinstance(label, str):
            raise ParameterError(
                f"{name}: {label!r} is {_kind(label)}; expected names of assets, text or whole numbers"
            )
        names.append(str(label))
    return names


def _metrics(metrics: Any) -> dict[str, MetricValue]:
    if not isinstance(metrics, Mapping):
        raise ParameterError(f"metrics: got {_kind(metrics)}; expected a mapping of names to numbers")
    plain: dict[str, MetricValue] = {}
    for name, value in metrics.items():
        if not isinstance(name, str):
            raise ParameterError(f"metrics: the name {name!r} is {_kind(name)}; expected text")
        plain[name] = _metric(f"metrics[{name!r}]", value)
    return plain


def _metric(name: str, value: Any) -> MetricValue:
    if isinstance(value, np.integer | np.floating):
        value = value.item()
    if isinstance(value, str):
        # The dates among the metrics that a run returns.
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise ParameterError(f"{name}: the text {value!r}; expected a number or None") from None
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        if isinstance(value, float) and not math.isfinite(value):
            raise ParameterError(f"{name}: is {value}; expected a finite number, or None where undefined")
        return value
    raise ParameterError(f"{name}: got {value!r}, {_kind(value)}; expected a number or None")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    return f"of type {type(value).__name__}"
