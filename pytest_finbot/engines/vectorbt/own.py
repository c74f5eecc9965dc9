"""Strategies of vectorbt's own kind: what they are given, and what they owe."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from pytest_finbot.contracts import MarketData, RunSpec
from pytest_finbot.engines.adapting.own_strategy import refuse_what_only_weights_have
from pytest_finbot.engines.vectorbt.records import charged_problem, filled_orders, frame, timing_problem
from pytest_finbot.errors import EngineError, ParameterError

KIND = "a class with a method portfolio(close, open, **account) that returns a vectorbt.Portfolio"
_NAMED = 5
"""Columns that a message names each."""


def refuse_what_it_decides_itself(spec: RunSpec) -> None:
    """Raises ParameterError where ``spec`` asks for what only its strategy could do."""
    # When its orders are filled is the strategy's to say; what it says is held to fill afterwards.
    refuse_what_only_weights_have("vectorbt", spec, ("close", "next_close", "next_open"))
    if spec.costs.commission_per_share:
        raise ParameterError(
            f"costs.commission_per_share: strategy {spec.strategy!r} is written for engine 'vectorbt', which "
            "charges fractions of value; expected costs.commission_bps, or a function that returns target "
            "weights"
        )


def own_portfolio(library: Any, spec: RunSpec, market: MarketData, strategy: type[Any]) -> Any:
    """The portfolio of ``strategy``, found to be one account on the run's prices and terms.

    Raises EngineError where it is not; what ``strategy`` raises passes.
    """
    opened = None if market.open is None else frame(market.open, market)
    with _settings_kept(library):
        method = strategy(**spec.params).portfolio
        portfolio = method(frame(market.close, market), opened, **_taken(method, _account_terms(spec)))
    problem = _problem(library, spec, market, portfolio)
    if problem is not None:
        told, expected = problem
        raise EngineError(f"engine {spec.engine!r}: {spec.strategy}.portfolio {told}; expected {expected}")
    return portfolio


def _account_terms(spec: RunSpec) -> dict[str, Any]:
    """Keyword arguments of vectorbt's that make an account as ``spec`` has it."""
    terms: dict[str, Any] = {
        "init_cash": float(spec.start_capital),
        "group_by": True,
        "cash_sharing": True,
        "fees": spec.costs.commission_bps * 1e-4,
        "slippage": spec.costs.slippage_bps * 1e-4,
        "log": True,
    }
    if spec.units == "whole":
        terms["size_granularity"] = 1.0
    return terms


def _taken(method: Any, terms: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``terms`` that ``method`` has names for."""
    parameters = inspect.signature(method).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return dict(terms)
    return {name: value for name, value in terms.items() if name in parameters}


def _problem(library: Any, spec: RunSpec, market: MarketData, portfolio: Any) -> tuple[str, str] | None:
    """What is wrong with ``portfolio`` and what is expected; ``None`` where nothing is."""
    kind = type(portfolio)
    if not isinstance(portfolio, library.Portfolio):
        return f"returned {kind.__module__}.{kind.__qualname__}", "a vectorbt.Portfolio"
    wrapper, prices = portfolio.wrapper, frame(market.close, market)
    if not wrapper.index.equals(prices.index):
        length = len(wrapper.index)
        also = " others" if length == len(prices) else ""
        return f"has {length:,}{also} sessions", f"the {len(prices):,} of the prices it was given"
    if list(wrapper.columns) != list(prices.columns):
        return f"has the columns {_names(wrapper.columns)}", _names(prices.columns)
    accounts = len(wrapper.get_columns())
    if accounts == 1 and len(prices.columns) > 1 and not portfolio.cash_sharing:
        accounts = len(prices.columns)
    if accounts != 1:
        return f"has {accounts} accounts", "one: group_by=True and cash_sharing=True, as in account"
    cash = float(np.asarray(portfolio.get_init_cash()).reshape(-1)[0])
    if cash != spec.start_capital:
        return f"starts with {cash:,.2f}", f"the start capital: init_cash={spec.start_capital:,.2f}"
    orders, logged = len(portfolio.order_records), filled_orders(portfolio.log_records)
    if logged != orders:
        return (
            f"has logs of {logged:,} of its {orders:,} orders",
            "log=True, as in account: without logs nobody knows which orders were rejected",
        )
    return charged_problem(portfolio.log_records, spec) or timing_problem(
        portfolio.log_records, spec.fill, market
    )


def _names(columns: Any) -> str:
    more = len(columns) - _NAMED
    return ", ".join(map(str, columns[:_NAMED])) + (f" and {more:,} more" if more > 0 else "")


@contextmanager
def _settings_kept(library: Any) -> Iterator[None]:
    """``vectorbt.settings`` are afterwards what they were."""
    before = _values(library.settings)
    try:
        yield
    finally:
        _put_back(library.settings, before)


def _values(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _values(value) if isinstance(value, dict) else value for name, value in config.items()}


def _put_back(config: Any, before: Mapping[str, Any]) -> None:
    for name in [name for name in config if name not in before]:
        del config[name]
    for name, value in before.items():
        now = config.get(name)
        if isinstance(value, dict) and isinstance(now, dict):
            _put_back(now, value)
        elif now is not value:
            config[name] = value
