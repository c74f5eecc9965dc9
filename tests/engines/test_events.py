"""Flows, dividends, splits and multipliers: each by an account small enough to reckon by hand."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.contracts import ActionSpec, CostSpec, DataSpec, Flow, MarketData, RunSpec, TargetWeights
from pytest_finbot.engines.portfolio import PortfolioEngine, simulate
from pytest_finbot.engines.split_adjusted import split_adjusted
from pytest_finbot.errors import ParameterError
from pytest_finbot.valuation.returns import returns_of, wealth

REINVEST = ActionSpec(booking="reinvest")


def a_spec(symbols="A", **changes):
    spec = RunSpec(
        name="run",
        engine="portfolio",
        strategy="fixed_weights",
        params={},
        symbols=tuple(symbols),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
    )
    return dataclasses.replace(spec, **changes)


def a_market(closes, *, opens=None, dividends=None, splits=None, observed=None):
    def table(values):
        return None if values is None else np.asarray(values, np.float64).reshape(np.shape(closes))

    closes = table(closes)
    return MarketData(
        sessions=np.datetime64("2020-01-01") + np.arange(len(closes)),
        symbols=tuple("ABCDEFGH"[: closes.shape[1]]),
        close=closes,
        field="close",
        source="prices.csv",
        open=table(opens),
        dividends=table(dividends),
        splits=table(splits),
        observed=None if observed is None else np.asarray(observed).reshape(closes.shape),
    )


def decided(*decisions):
    """Decisions as (row, weight of A, weight of B …)."""
    return TargetWeights(
        np.array([row for row, *_ in decisions], np.int64),
        np.array([weights for _, *weights in decisions], np.float64),
    )


def day(number):
    return date(2020, 1, number)


def run(spec, market, *decisions):
    """The result; its books hold, whatever else the test is about."""
    result = simulate(spec, market, decided(*decisions))
    assert [check for check in check_books(result, spec) if check.failed] == []
    return result


# ----------------------------------------------------------------------------- dividends


def test_a_dividend_goes_to_cash_on_its_day_for_what_was_held_when_it_began():
    # 50 units at 10; 2 a unit on the day the price falls by it.
    market = a_market([[10], [8], [8]], dividends=[[0], [2], [0]])
    result = run(a_spec(), market, (0, 0.5))
    assert result.cash.tolist() == [500, 600, 600]
    assert result.income[:, 0].tolist() == [0, 100, 0]
    assert result.nav.tolist() == [1000, 1000, 1000]


def test_units_bought_on_the_day_itself_are_paid_nothing():
    market = a_market([[10], [10]], dividends=[[3], [0]])
    result = run(a_spec(), market, (0, 1.0))
    assert result.income.tolist() == [[0], [0]]
    assert result.nav.tolist() == [1000, 1000]


def test_a_short_position_pays_the_dividend():
    market = a_market([[10, 10], [10, 10]], dividends=[[0, 0], [2, 1]])
    result = run(a_spec("AB"), market, (0, -0.5, 0.5))
    assert result.income[1].tolist() == [-100, 50]
    assert result.cash.tolist() == [1000, 950]


def test_a_reinvested_dividend_buys_at_the_close_without_costs():
    # 100 units less 1 % costs; 2 a unit at a close of 8 is a quarter of a unit each.
    costs = CostSpec(commission_bps=100, commission_per_share=0.5, booking="from_cash")
    market = a_market([[10], [8], [16]], dividends=[[0], [2], [0]])
    result = run(a_spec(actions=REINVEST, costs=costs), market, (0, 1.0))
    assert result.quantity[:, 0].tolist() == [100, 125, 125]
    assert result.cash.tolist() == [-60, -60, -60]
    assert result.income[1, 0] == 200
    fills = result.fills
    assert [fills.session[1], fills.quantity[1], fills.price[1], fills.fee[1]] == [1, 25, 8, 0]


def test_whole_units_reinvest_what_buys_whole_ones_and_keep_the_rest():
    # 100 units are paid 77: nine units at 8, and 5 in cash.
    market = a_market([[10], [8]], dividends=[[0], [0.77]])
    result = run(a_spec(actions=REINVEST, units="whole"), market, (0, 1.0))
    assert result.quantity[1, 0] == 109
    assert result.cash[1] == pytest.approx(5)


def test_what_a_short_position_pays_is_not_reinvested():
    market = a_market([[10, 10], [10, 10]], dividends=[[0, 0], [2, 1]])
    result = run(a_spec("AB", actions=REINVEST), market, (0, -0.5, 0.5))
    assert result.quantity[1].tolist() == [-50, 55]
    assert result.cash[1] == 900


def test_reinvested_units_are_there_when_the_close_is_decided_on():
    market = a_market([[10], [8]], dividends=[[0], [2]])
    result = run(a_spec(actions=REINVEST), market, (0, 1.0), (1, 0.5))
    assert result.fills.session.tolist() == [0, 1, 1]
    assert result.fills.quantity.tolist() == [100, 25, -62.5]
    assert result.cash[1] == 500


def test_a_position_sold_at_the_open_keeps_its_last_dividend_in_cash():
    market = a_market([[10], [10], [8]], opens=[[10], [10], [8]], dividends=[[0], [0], [2]])
    result = run(a_spec(actions=REINVEST, fill="next_open"), market, (0, 1.0), (1, 0.0))
    assert result.quantity[:, 0].tolist() == [0, 100, 0]
    assert result.nav[2] == result.cash[2] == 1000


def test_a_short_position_turned_at_the_open_paid_its_dividend_and_buys_nothing_for_it():
    market = a_market([[10], [10], [8]], opens=[[10], [10], [8]], dividends=[[0], [0], [2]])
    result = run(a_spec(actions=REINVEST, fill="next_open"), market, (0, -0.5), (1, 0.8))
    # 50 units short: 1,500 of cash less 100 paid, NAV 1,000; 100 units long at 8 then.
    assert result.quantity[:, 0].tolist() == [0, -50, 100]
    assert result.cash[2] == 200


def test_fills_at_the_open_come_before_what_is_reinvested_at_the_close():
    market = a_market([[10], [10], [8]], opens=[[10], [10], [8]], dividends=[[0], [0], [2]])
    result = run(a_spec(actions=REINVEST, fill="next_open"), market, (0, 1.0), (1, 0.6))
    # NAV 1000 at the open of the third day, the dividend of 200 in it: 75 units of 100 are kept.
    assert result.fills.quantity.tolist() == [100, -25, 25]
    assert result.fills.session.tolist() == [1, 2, 2]


# -------------------------------------------------------------------------------- splits


def test_a_position_held_over_a_split_has_twice_the_units_and_the_same_value():
    market = a_market([[10], [5], [6]], splits=[[1], [2], [1]])
    result = run(a_spec(), market, (0, 0.5))
    assert result.quantity[:, 0].tolist() == [50, 100, 100]
    assert result.nav.tolist() == [1000, 1000, 1100]
    assert result.splits[:, 0].tolist() == [1, 2, 1]
    assert len(result.fills) == 1


def test_a_short_position_is_split_too():
    market = a_market([[10], [5], [6]], splits=[[1], [2], [1]])
    result = run(a_spec(), market, (0, -0.5))
    assert result.quantity[:, 0].tolist() == [-50, -100, -100]
    assert result.nav.tolist() == [1000, 1000, 900]


def test_a_split_comes_before_the_trades_of_its_day():
    market = a_market([[10], [5]], splits=[[1], [2]])
    result = run(a_spec(), market, (0, 0.5), (1, 0.25))
    assert result.fills.quantity.tolist() == [50, -50]
    assert result.quantity[1, 0] == 50


def test_the_dividend_of_a_split_s_day_is_for_the_units_before_it():
    market = a_market([[10], [4]], splits=[[1], [2]], dividends=[[0], [2]])
    result = run(a_spec(actions=REINVEST), market, (0, 1.0))
    # 100 units are paid 200; they are 200 units at 4, and 50 more are bought.
    assert result.income[1, 0] == 200
    assert result.quantity[1, 0] == 250
    assert result.nav[1] == 1000


def test_a_fraction_that_a_split_leaves_is_kept_until_the_next_trade():
    market = a_market([[10], [6.25], [6.25], [10]], splits=[[1], [1.5], [1], [1]])
    result = run(a_spec(units="whole"), market, (0, 0.55), (3, 0.5))
    assert result.quantity[:, 0].tolist() == [55, 82.5, 82.5, 63]  # half of a NAV of 1,275 at 10


def test_strategies_see_no_fall_at_a_split_and_know_of_none_to_come():
    market = a_market(
        [[10], [5], [6], [2]],
        opens=[[9], [4], [6], [2]],
        splits=[[1], [2], [1], [4]],
        dividends=[[1], [1], [1], [1]],
    )
    seen = split_adjusted(market)
    assert seen.close[:, 0].tolist() == [10, 10, 12, 16]
    assert seen.open[:, 0].tolist() == [9, 8, 12, 16]
    assert seen.dividends[:, 0].tolist() == [1, 1, 2, 2]
    assert seen.splits is None
    assert not seen.close.flags.writeable
    assert market.close[:, 0].tolist() == [10, 5, 6, 2]


def test_prices_without_a_split_are_passed_on_as_they_are():
    market = a_market([[10], [5]], splits=[[1], [1]])
    assert split_adjusted(market) is market
    unsplit = a_market([[10], [5]])
    assert split_adjusted(unsplit) is unsplit


def test_a_crossover_does_not_sell_because_of_a_split():
    closes = np.full(12, 10.0) + np.arange(12)
    splits = np.ones(12)
    splits[8:9], closes[8:] = 2.0, closes[8:] / 2.0
    spec = a_spec(strategy="sma_crossover", params={"fast": 2, "slow": 4}, rebalance_freq="D")
    held = PortfolioEngine().run(spec, a_market(closes[:, None], splits=splits)).quantity[:, 0]
    assert held[7] > 0
    assert held[8:].tolist() == [2 * held[7]] * 4
    fooled = PortfolioEngine().run(spec, a_market(closes[:, None])).quantity[:, 0]
    assert fooled[-3] == 0


# --------------------------------------------------------------------------------- flows


def test_a_deposit_is_in_nav_and_in_what_its_day_decides_on():
    market = a_market([[10], [20], [20]])
    result = run(a_spec(flows=(Flow(day(2), 500.0),)), market, (0, 1.0), (1, 1.0))
    assert result.nav.tolist() == [1000, 2500, 2500]
    assert result.flows.tolist() == [0, 500, 0]
    assert result.fills.quantity.tolist() == [100, 25]
    assert result.cash[1] == 0


def test_a_deposit_between_decisions_waits_in_cash():
    market = a_market([[10], [20], [20]])
    result = run(a_spec(flows=(Flow(day(2), 500.0),)), market, (0, 1.0), (2, 1.0))
    assert result.cash.tolist() == [0, 500, 0]
    assert result.quantity[:, 0].tolist() == [100, 100, 125]


def test_flows_of_one_day_add_up_and_come_before_there_is_any_decision_too():
    flows = (Flow(day(1), 500.0), Flow(day(1), -200.0), Flow(day(3), 10.0))
    result = run(a_spec(flows=flows), a_market([[10], [10], [10]]), (1, 1.0))
    assert result.flows.tolist() == [300, 0, 10]
    assert result.cash.tolist() == [1300, 0, 10]
    assert result.quantity[1, 0] == 130


def test_what_fills_at_the_open_knows_nothing_of_the_day_s_flow():
    market = a_market([[10], [20], [20]], opens=[[9], [16], [20]])
    result = run(a_spec(fill="next_open", flows=(Flow(day(2), 500.0),)), market, (0, 1.0), (1, 1.0))
    assert result.fills.quantity.tolist() == [62.5, 25]
    assert result.cash.tolist() == [1000, 500, 0]
    assert result.nav[1] == 62.5 * 20 + 500


@pytest.mark.parametrize("fill", ["close", "next_close", "next_open"])
@pytest.mark.parametrize("amount", [-300.0, 1.0, 5_000.0])
def test_returns_are_the_same_whatever_is_paid_in_or_out(fill, amount):
    closes = np.array([[10.0], [12.0], [9.0], [11.0], [13.0]])
    market = a_market(closes, opens=closes)
    decisions = [(row, 1.0) for row in range(5)]
    spec = a_spec(fill=fill)
    without = run(spec, market, *decisions)
    flows = run(dataclasses.replace(spec, flows=(Flow(day(3), amount),)), market, *decisions)
    assert flows.nav[2] - amount == pytest.approx(without.nav[2])
    differs = ~np.isclose(returns_of(wealth(flows)), returns_of(wealth(without)), rtol=1e-12, atol=1e-15)
    # For an order at the next open the money waits a night, and dilutes that one return.
    assert np.flatnonzero(differs).tolist() == ([3] if fill == "next_open" else [])


def test_a_withdrawal_beyond_cash_overdraws_it_and_says_when():
    market = a_market([[10], [10], [10], [10]])
    flows = (Flow(day(2), -100.0), Flow(day(3), -50.0))
    result = run(a_spec(flows=flows), market, (0, 1.0))
    assert result.cash.tolist() == [0, -100, -150, -150]
    assert result.warnings == (
        "cash is -100.00 after the withdrawal of 2020-01-02: positions are not sold for it before the "
        "next decision",
    )


def test_a_withdrawal_that_the_day_s_trades_pay_for_is_no_news():
    result = run(a_spec(flows=(Flow(day(2), -100.0),)), a_market([[10], [10]]), (0, 1.0), (1, 1.0))
    assert result.cash.tolist() == [0, 0]
    assert result.quantity[:, 0].tolist() == [100, 90]
    assert result.warnings == ()


@pytest.mark.parametrize("fill", ["close", "next_close"])
def test_a_withdrawal_of_more_than_there_is_ends_the_account(fill):
    market = a_market([[10], [10], [10], [10]])
    result = run(a_spec(fill=fill, flows=(Flow(day(3), -1500.0),)), market, (0, 1.0), (2, 1.0), (3, 1.0))
    assert any(
        "NAV is -500.00" in warning and "all positions were closed" in warning for warning in result.warnings
    )
    assert result.quantity[-1, 0] == 0
    assert result.nav[-1] == -500


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (
            date(2020, 1, 2),
            "2020-01-02 is not a session of the run, expected one; the next session is 2020-01-03",
        ),
        (date(2019, 12, 1), "the next session is 2020-01-01"),
        (date(2020, 2, 1), "2020-02-01 is after the run's last session 2020-01-04"),
    ],
)
def test_a_flow_on_no_session_names_its_day_and_the_next(when, words):
    market = a_market([[10], [10], [10], [10]])
    market = dataclasses.replace(market, sessions=market.sessions[[0, 2, 3]], close=market.close[:3])
    with pytest.raises(ParameterError, match=words):
        PortfolioEngine().run(a_spec(params={"weights": {"A": 1.0}}, flows=(Flow(when, 1.0),)), market)


def test_a_flow_that_is_no_number_is_refused():
    with pytest.raises(ParameterError, match="2020-01-01 is nan, expected a finite number"):
        simulate(a_spec(flows=(Flow(day(1), float("nan")),)), a_market([[10]]), decided((0, 1.0)))


# --------------------------------------------------------------------------- multipliers


def test_a_contract_of_fifty_is_worth_fifty_times_its_price():
    market = a_market([[10, 10], [11, 10]])
    result = run(a_spec("AB", multipliers={"A": 50.0}), market, (0, 1.0, -0.5))
    assert result.quantity[0].tolist() == [2, -50]
    assert result.multiplier.tolist() == [50, 1]
    assert result.nav.tolist() == [1000, 1100]
    assert result.fills.price.tolist() == [10, 10]


def test_costs_in_basis_points_are_of_the_contract_s_value_and_a_unit_s_are_a_unit_s():
    costs = CostSpec(slippage_bps=100, commission_bps=10, commission_per_share=3.0, booking="from_cash")
    result = run(a_spec(multipliers={"A": 50.0}, costs=costs), a_market([[10]]), (0, 1.0))
    fills = result.fills
    assert fills.quantity.tolist() == [2]
    assert fills.price[0] == pytest.approx(10.1)
    assert fills.slippage[0] == pytest.approx(2 * 50 * 0.1)
    assert fills.fee[0] == pytest.approx(2 * 50 * 10.1 * 0.001 + 2 * 3.0)
    assert result.cash[0] == pytest.approx(1000 - 2 * 50 * 10.1 - fills.fee[0])


def test_targeted_costs_of_a_contract_leave_its_weight_invested():
    costs = CostSpec(slippage_bps=20, commission_bps=10, commission_per_share=1.0)
    result = run(a_spec(multipliers={"A": 50.0}, costs=costs), a_market([[10], [12]]), (0, 0.7), (1, 0.7))
    assert result.quantity[:, 0] * 50 * [10, 12] == pytest.approx(0.7 * result.nav)


def test_the_least_trade_is_measured_in_the_contract_s_value():
    market = a_market([[10]])
    spec = a_spec(min_trade=90.0)
    assert len(run(spec, market, (0, 0.08)).fills) == 0
    contract = dataclasses.replace(spec, multipliers={"A": 50.0}, units="whole")
    assert run(contract, market, (0, 0.6)).quantity.tolist() == [[1]]


def test_dividends_of_a_contract_are_per_unit_of_what_it_stands_for():
    market = a_market([[10], [10]], dividends=[[0], [1]])
    result = run(a_spec(multipliers={"A": 50.0}, actions=REINVEST), market, (0, 1.0))
    assert result.income[1, 0] == 100
    assert result.quantity[1, 0] == pytest.approx(2.2)
    assert result.nav[1] == 1100


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"AAPLE": 50.0}, r"'AAPLE' is not a symbol of the run; did you mean 'AAPL'\? \(its symbols: AAPL\)"),
        ({"AAPL": 0.0}, "AAPL has 0.0, expected a number above zero"),
        ({"AAPL": float("inf")}, "AAPL has inf, expected a number above zero"),
    ],
)
def test_a_multiplier_that_is_none_is_refused(given, words):
    market = dataclasses.replace(a_market([[10]]), symbols=("AAPL",))
    with pytest.raises(ParameterError, match=words):
        simulate(a_spec(["AAPL"], multipliers=given), market, decided((0, 1.0)))


# --------------------------------------------------------------- closes that nobody saw


def test_fills_at_closes_that_are_not_the_file_s_own_are_counted_and_the_first_is_named():
    market = a_market([[10, 10], [10, 10], [10, 10]], observed=[[True, True], [True, False], [False, False]])
    result = run(a_spec("AB"), market, (0, 0.5, 0.5), (1, 0.2, 0.2), (2, 0.5, 0.2))
    assert result.warnings == (
        "2 of 5 fills are in sessions whose close is not in the file but was put there by data.missing; "
        "the first is of B on 2020-01-02",
    )


def test_a_close_that_was_filled_and_not_traded_at_is_no_news():
    market = a_market([[10], [10]], observed=[[True], [False]])
    assert run(a_spec(), market, (0, 1.0)).warnings == ()


def test_where_nothing_happens_the_account_is_the_same_bit_for_bit():
    closes = np.linspace(7.0, 9.0, 20)[:, None]
    plain = run(a_spec(), a_market(closes), (0, 0.7), (9, 0.3))
    nothing = a_market(closes, dividends=np.zeros(20), splits=np.ones(20), observed=np.ones(20, bool))
    spec = a_spec(flows=(Flow(day(5), 0.0),), multipliers={"A": 1.0}, actions=REINVEST)
    quiet = run(spec, nothing, (0, 0.7), (9, 0.3))
    for column in ("nav", "cash", "quantity", "income", "flows", "splits", "multiplier"):
        assert (getattr(plain, column) == getattr(quiet, column)).all()
    assert quiet.warnings == ()
