"""The built-in engine, wrong in one way each; named in runs as ``wrong_engines:…``."""

import dataclasses

import numpy as np

from pytest_finbot.contracts import ActionSpec, CostSpec, TargetWeights
from pytest_finbot.engines.decisions import decide
from pytest_finbot.engines.portfolio import PortfolioEngine, simulate
from pytest_finbot.errors import FinbotError
from pytest_finbot.strategies.resolve import target_weights

_LEFT_BEHIND = []


def right(spec, market):
    return PortfolioEngine().run(spec, market)


def _changed(result, **parts):
    return dataclasses.replace(result, **parts)


def _with_targets(spec, market, change):
    targets = target_weights(spec, market)
    return simulate(spec, market, TargetWeights(targets.rows, change(targets.weights.copy())))


def knows_tomorrow(spec, market):
    """What it decides on is the price of the next day; what it trades at is not."""
    close = np.vstack([market.close[1:], market.close[-1:]])
    return simulate(spec, market, target_weights(spec, dataclasses.replace(market, close=close)))


def fills_at_tomorrows_close(spec, market):
    close = np.vstack([market.close[1:], market.close[-1:]])
    result = right(spec, dataclasses.replace(market, close=close))
    return _changed(result, mark=market.close)


def walks_a_set(spec, market):
    result = right(spec, market)
    return _changed(result, warnings=(*result.warnings, "traded: " + ", ".join(set(market.symbols))))


def remembers(spec, market):
    _LEFT_BEHIND.append(spec.name)
    result = right(spec, market)
    return _changed(result, warnings=(*result.warnings, f"run {len(_LEFT_BEHIND)}"))


def makes_no_small_trades(spec, market):
    return right(dataclasses.replace(spec, min_trade=500.0), market)


def serves_the_first_best(spec, market):
    return _with_targets(spec, market, lambda weights: weights * np.linspace(1.0, 0.98, weights.shape[1]))


def trades_on_nothing(spec, market):
    return _with_targets(spec, market, lambda weights: weights if weights.any() else weights + 0.01)


def charges_nothing(spec, market):
    return right(dataclasses.replace(spec, costs=CostSpec()), market)


def sells_for_nothing(spec, market):
    """Its sales pay no fee, in fill and cash alike."""
    result = right(spec, market)
    fills = result.fills
    free = np.where(fills.quantity < 0.0, fills.fee, 0.0)
    saved = np.cumsum(np.bincount(fills.session, free, len(result.nav)))
    fills = dataclasses.replace(fills, fee=fills.fee - free)
    return _changed(result, fills=fills, nav=result.nav + saved, cash=result.cash + saved)


def pays_rebates(spec, market):
    """What it charges comes back with the fill's price: books that add up, and NAV that rises."""
    result = right(dataclasses.replace(spec, costs=CostSpec()), market)
    costs = spec.costs
    rate = (costs.commission_bps + costs.slippage_bps) * 1e-4 + costs.commission_per_share * 1e-2
    fills = result.fills
    fee = np.abs(fills.quantity) * fills.price * rate
    price = fills.price - np.sign(fills.quantity) * 2.0 * fills.price * rate
    back = np.zeros(len(result.nav))
    np.add.at(back, fills.session, fee)
    paid = np.zeros(len(fee)) if not costs.slippage_bps else fee
    return _changed(
        result,
        fills=dataclasses.replace(fills, price=price, fee=fee, slippage=paid),
        nav=result.nav + np.cumsum(back),
        cash=result.cash + np.cumsum(back),
    )


def swallows_errors(spec, market):
    try:
        return right(spec, market)
    except FinbotError:
        raise
    except Exception:  # noqa: BLE001 - that is what is wrong with it
        none = TargetWeights(np.empty(0, np.int64), np.empty((0, len(market.symbols))))
        return simulate(spec, market, none)


def takes_any_strategy(spec, market):
    known = spec.strategy != "no_such_strategy"
    return right(spec if known else dataclasses.replace(spec, strategy="fixed_weights", params={}), market)


def cannot_travel(spec, market):
    return _changed(right(spec, market), native={"size": lambda: 1.0})


def loses_cash_for_a_day(spec, market):
    result = right(spec, market)
    cash = result.cash.copy()
    cash[100:101] -= 0.01
    return _changed(result, cash=cash)


def marks_at_yesterdays_close(spec, market):
    result = right(spec, market)
    mark = np.vstack([market.close[:1], market.close[:-1]])
    return _changed(
        result, mark=mark, nav=result.cash + (result.quantity * mark * result.multiplier).sum(axis=1)
    )


def gives_single_precision(spec, market):
    result = right(spec, market)
    return _changed(result, sessions=result.sessions.astype("datetime64[ns]"))


def drops_orders(spec, market):
    """Of the symbol AAA, whatever the strategy decides."""
    column = market.symbols.index("AAA")

    def without(weights):
        weights[:, column] = 0.0
        return weights

    return _changed(_with_targets(spec, market, without), decisions=decide(spec, market))


def shrinks_in_silence(spec, market):
    result = right(dataclasses.replace(spec, max_gross_exposure=1.0), market)
    return _changed(result, warnings=(), native={})


def never_trades_in_silence(spec, market):
    result = right(
        dataclasses.replace(spec, units="whole" if spec.start_capital < 100.0 else spec.units), market
    )
    return _changed(result, warnings=())


def knows_no_whole_units(spec, market):
    return right(dataclasses.replace(spec, units="fractional"), market)


def fills_at_the_close_always(spec, market):
    return right(dataclasses.replace(spec, fill="close"), market)


def knows_no_flows(spec, market):
    return right(dataclasses.replace(spec, flows=()), market)


def knows_no_dividends(spec, market):
    return right(
        dataclasses.replace(spec, actions=ActionSpec(splits=spec.actions.splits)),
        dataclasses.replace(market, dividends=None),
    )


def knows_no_splits(spec, market):
    return right(
        dataclasses.replace(spec, actions=ActionSpec(dividends=spec.actions.dividends)),
        dataclasses.replace(market, splits=None),
    )


def knows_no_multipliers(spec, market):
    return right(dataclasses.replace(spec, multipliers={}), market)


def starts_with_more(spec, market):
    return right(dataclasses.replace(spec, start_capital=1.5 * spec.start_capital), market)
