"""bt behind the contract: what it trades, what that costs, what it leaves out, in its own numbers."""

import dataclasses
import random
import sys
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.checks.orders import check_orders
from pytest_finbot.contracts import (
    ActionSpec,
    CostSpec,
    DataSpec,
    Flow,
    MarketData,
    RunSpec,
)
from pytest_finbot.engines.bt import BtEngine
from pytest_finbot.engines.portfolio import PortfolioEngine
from pytest_finbot.engines.resolve import engine_problems
from pytest_finbot.errors import MissingDependencyError, ParameterError
from pytest_finbot.market.store import load_market
from pytest_finbot.valuation.books import Books

pytestmark = pytest.mark.engine("bt")

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
TEN = ("AAPL", "BAC", "CVX", "GE", "HD", "JNJ", "JPM", "KO", "MSFT", "XOM")


def a_spec(symbols="AB", strategy="fixed_weights", **changes):
    spec = RunSpec(
        name="run",
        engine="bt",
        strategy=strategy,
        params={},
        symbols=tuple(symbols),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
        rebalance_freq="none",
    )
    return dataclasses.replace(spec, **changes)


def a_market(closes, symbols="ABCDEFGH"):
    closes = np.ascontiguousarray(closes, dtype=np.float64)
    closes.setflags(write=False)
    return MarketData(
        sessions=np.datetime64("2020-01-01") + np.arange(len(closes)),
        symbols=tuple(symbols[: closes.shape[1]]),
        close=closes,
        field="close",
        source="prices.csv",
    )


def decided(monkeypatch, weights):
    """A strategy that decides ``weights`` {row: weights of each symbol}."""
    module = type(sys)("decided_weights")

    def strategy(spec, market):
        from pytest_finbot.contracts import TargetWeights

        return TargetWeights(np.array(list(weights), np.int64), np.array(list(weights.values()), np.float64))

    module.strategy = strategy
    monkeypatch.setitem(sys.modules, "decided_weights", module)
    return "decided_weights:strategy"


def proven(spec, market):
    """The result of bt, which keeps the contract and every identity."""
    result = BtEngine().run(spec, market)
    check_result(result, spec, market)
    checks = (
        *check_books(result, spec),
        check_declared(result, spec, market),
        check_marks_at_market(result, market, spec.marks),
        check_orders(Books(result), spec, market, result.decisions),
    )
    assert not [check for check in checks if check.failed]
    return result


def rows_of(result):
    fills = result.fills
    columns = (fills.session, fills.asset, fills.quantity, fills.price, fills.fee, fills.slippage)
    return [tuple(float(value) for value in row) for row in zip(*columns, strict=True)]


# ---------------------------------------------------------------------- by hand


def test_weights_are_filled_at_the_close_that_decides(monkeypatch):
    strategy = decided(monkeypatch, {0: [0.5, 0.25], 2: [0.25, 0.5]})
    result = proven(a_spec(strategy=strategy), a_market([[10, 20], [12, 20], [16, 25]]))
    # 1000: 50 A and 12.5 B, 250 in cash; 1100; then 800 + 312.5 + 250 = 1362.5
    assert result.nav.tolist() == [1000, 1100, 1362.5]
    assert result.cash == pytest.approx([250, 250, 340.625], rel=1e-14)
    assert result.quantity == pytest.approx(
        np.array([[50, 12.5], [50, 12.5], [21.2890625, 27.25]]), rel=1e-14
    )
    wanted = [(0, 0, 50, 10), (0, 1, 12.5, 20), (2, 0, -28.7109375, 16), (2, 1, 14.75, 25)]
    assert np.array(rows_of(result)) == pytest.approx(np.array([(*row, 0, 0) for row in wanted]), rel=1e-14)
    assert result.start_cash == 1000
    assert result.rejected_orders == ()


def test_next_close_is_sized_and_filled_a_session_later(monkeypatch):
    strategy = decided(monkeypatch, {0: [0.5, 0.0], 2: [0.0, 0.0]})
    result = proven(a_spec(strategy=strategy, fill="next_close"), a_market([[10, 20], [20, 20], [30, 25]]))
    assert rows_of(result) == [(1, 0, 25, 20, 0, 0)]
    assert result.nav.tolist() == [1000, 1000, 1250]
    assert "the decision of 2020-01-03 was not executed" in result.warnings[0]
    assert result.decisions.fill_rows.tolist() == [1]


def test_symbols_that_fall_out_are_closed_whole(monkeypatch):
    strategy = decided(monkeypatch, {0: [0.3, 0.7], 1: [1.0, 0.0], 2: [0.0, 0.0]})
    result = proven(a_spec(strategy=strategy), a_market([[7, 3], [11, 13], [17, 19], [23, 29]]))
    assert result.quantity[1, 1] == 0.0
    assert result.quantity[2].tolist() == [0, 0]
    assert result.nav[3] == result.nav[2] == result.cash[2]
    assert len(result.fills) == 5


def test_negative_weights_are_short_and_what_is_left_is_cash(monkeypatch):
    strategy = decided(monkeypatch, {0: [-0.5, 0.2]})
    result = proven(a_spec(strategy=strategy), a_market([[10, 20], [12, 30]]))
    assert result.quantity[0].tolist() == [-50, 10]
    assert result.cash.tolist() == [1300, 1300]
    assert result.nav.tolist() == [1000, 1000]


def test_cash_that_does_not_pay_is_borrowed_and_said_so(monkeypatch):
    strategy = decided(monkeypatch, {0: [1.5, 0.5]})
    result = proven(a_spec(strategy=strategy), a_market([[10, 20], [11, 20]]))
    assert result.cash.tolist() == [-1000, -1000]
    assert result.nav.tolist() == [1000, 1150]
    assert result.rejected_orders == ()
    assert result.native["conventions"]["short_of_cash"] == "borrows"


def test_a_purchase_is_smaller_by_its_costs(monkeypatch):
    costs = CostSpec(commission_bps=100)
    strategy = decided(monkeypatch, {0: [0.5, 0.0]})
    result = proven(a_spec(strategy=strategy, costs=costs), a_market([[10, 20]] * 3))
    # all that leaves cash is 500: x * 1.01 = 500
    assert result.cash[0] == pytest.approx(500, abs=1e-9)
    assert result.fills.quantity[0] == pytest.approx(500 / 1.01 / 10, rel=1e-12)
    assert result.fills.fee[0] == pytest.approx(5 / 1.01, rel=1e-12)


def test_a_sale_is_larger_by_its_costs_and_a_closing_one_is_not(monkeypatch):
    costs = CostSpec(commission_per_share=0.1)
    strategy = decided(monkeypatch, {0: [1.0, 0.0], 1: [0.5, 0.0], 2: [0.0, 0.0]})
    result = proven(a_spec(strategy=strategy, costs=costs), a_market([[10, 20]] * 3))
    bought = 1000 / 10.1
    nav = bought * 10
    # it raises value - 0.5 * NAV = 0.5 * NAV in cash: x * (10 - 0.1)
    sold = 0.5 * nav / 9.9
    assert result.fills.quantity == pytest.approx([bought, -sold, -(bought - sold)], rel=1e-9)
    assert result.fills.fee == pytest.approx(np.abs(result.fills.quantity) * 0.1, rel=1e-12)
    assert result.quantity[2, 0] == 0.0


def test_a_position_that_is_closed_pays_from_cash(monkeypatch):
    costs = CostSpec(commission_bps=100)
    strategy = decided(monkeypatch, {0: [1.0, 0.0], 1: [0.0, 1.0]})
    result = proven(a_spec(strategy=strategy, costs=costs), a_market([[10, 20]] * 3))
    assert result.cash[1] == pytest.approx(-0.01 * 1000 / 1.01, rel=1e-9)  # the fee of the sale


def test_slippage_is_in_the_price_and_commission_is_of_what_is_paid(monkeypatch):
    costs = CostSpec(commission_bps=100, slippage_bps=200)
    strategy = decided(monkeypatch, {0: [0.5, -0.5]})
    result = proven(a_spec(strategy=strategy, costs=costs), a_market([[10, 20]] * 2))
    fills = result.fills
    assert fills.price == pytest.approx([10.2, 19.6], rel=1e-12)
    units = np.abs(fills.quantity)
    assert fills.slippage == pytest.approx(units * [0.2, 0.4], rel=1e-12)
    assert fills.fee == pytest.approx(units * fills.price * 0.01, rel=1e-12)
    assert result.nav[0] == pytest.approx(1000 - fills.fee.sum() - fills.slippage.sum(), rel=1e-12)


def test_multipliers_are_in_sizes_values_and_costs(monkeypatch):
    costs = CostSpec(commission_bps=100, commission_per_share=1.0, slippage_bps=100)
    strategy = decided(monkeypatch, {0: [0.5, 0.25]})
    spec = a_spec(strategy=strategy, costs=costs, multipliers={"A": 5.0})
    result = proven(spec, a_market([[10, 20], [11, 20]]))
    assert result.multiplier.tolist() == [5, 1]
    fills = result.fills
    units = fills.quantity
    assert fills.fee == pytest.approx(units * fills.price * [5, 1] * 0.01 + units, rel=1e-12)
    assert fills.slippage == pytest.approx(units * [0.5, 0.2], rel=1e-12)
    free = proven(dataclasses.replace(spec, costs=CostSpec()), a_market([[10, 20], [11, 20]]))
    assert free.quantity[0].tolist() == [10, 12.5]
    assert free.nav.tolist() == [1000, 1050]


# ------------------------------------------------------------------ whole units


def test_whole_units_are_rounded_down_and_short_ones_to_more(monkeypatch):
    strategy = decided(monkeypatch, {0: [0.123, -0.123]})
    result = proven(a_spec(strategy=strategy, units="whole"), a_market([[10, 10]] * 2))
    assert result.quantity[0].tolist() == [12, -13]
    notes = " ".join(result.native["conventions"]["notes"])
    assert "rounded down to whole units" in notes


def test_an_order_of_less_than_one_unit_is_told(monkeypatch):
    strategy = decided(monkeypatch, {0: [0.009, 0.5], 1: [0.009, 0.5]})
    result = proven(a_spec(strategy=strategy, units="whole"), a_market([[10, 10]] * 2))
    told = [(order.session, order.asset, order.reason) for order in result.rejected_orders]
    words = "the order comes to less than one unit, and bt dropped it"
    assert told == [(0, 0, words), (1, 0, words)]
    assert result.rejected_orders[0].quantity == pytest.approx(0.9)


def test_an_adjustment_of_less_than_one_unit_is_a_convention_and_counted(monkeypatch):
    strategy = decided(monkeypatch, {0: [0.5, 0.0], 1: [0.505, 0.0]})
    result = proven(a_spec(strategy=strategy, units="whole"), a_market([[10, 10]] * 2))
    assert result.rejected_orders == ()
    assert len(result.fills) == 1
    assert result.native["adjustments of less than one unit"] == 1


@pytest.mark.parametrize(
    ("held", "wanted", "units"),
    [
        (10, 10.4, 10),
        (10, 9.6, 9),  # of a long position less than one unit is sold as one
        (-10, -10.4, -10),
        (-10, -9.6, -10),
        (-10, -1.4, -2),
        (-10, -0.4, 0),  # 9.6 units are bought as 9, unless that leaves less than one short
    ],
)
def test_how_whole_units_are_adjusted(monkeypatch, held, wanted, units):
    strategy = decided(monkeypatch, {0: [held / 100, 0.0], 1: [wanted / 100, 0.0]})
    result = proven(a_spec(strategy=strategy, units="whole"), a_market([[10, 10]] * 2))
    assert result.quantity[:, 0].tolist() == [held, units]
    notes = " ".join(result.native["conventions"]["notes"])
    assert "less than one unit is only ordered to reduce a long position" in notes
    assert "would leave less than one unit short closes the position" in notes


# ------------------------------------------------------------------- the bounds


def test_an_account_that_is_lost_is_told_and_its_decisions_end(monkeypatch):
    strategy = decided(monkeypatch, {0: [-1.0, 0.5], 2: [-1.0, 0.5], 3: [0.1, 0.1]})
    costs = CostSpec(commission_bps=10)
    market = a_market([[10, 20], [12, 20], [40, 21], [41, 20], [42, 20]])
    result = proven(a_spec(strategy=strategy, costs=costs), market)
    assert result.nav[2] < 0
    assert result.quantity[2:].tolist() == [[0, 0]] * 3
    assert "bt closed every position and traded nothing afterwards; 2 decisions" in result.warnings[0]
    assert result.decisions.rows.tolist() == [0]
    assert result.native["bankrupt"] is True


@pytest.mark.parametrize("sessions", [1, 2])
def test_few_sessions_are_enough(monkeypatch, sessions):
    strategy = decided(monkeypatch, {0: [0.5, 0.5]})
    assert len(proven(a_spec(strategy=strategy), a_market([[10, 20]] * sessions)).nav) == sessions


def test_nothing_traded_is_told(monkeypatch):
    strategy = decided(monkeypatch, {0: [0.0, 0.0]})
    result = proven(a_spec(strategy=strategy), a_market([[10, 20]] * 3))
    assert result.nav.tolist() == [1000] * 3
    assert result.warnings == ("the strategy never took a position: 0 fills in 3 sessions",)


def test_odd_names_of_symbols_are_names(monkeypatch):
    names = ("BRK.B", "A>B", "^GSPC", "EUR/USD", "finbot", "0", "price", "nan", "価格", "x y")
    weights = np.linspace(0.01, 0.1, len(names))
    strategy = decided(monkeypatch, {0: weights, 2: weights[::-1]})
    closes = np.outer([1.0, 1.1, 1.3, 1.2], np.arange(1.0, len(names) + 1))
    market = a_market(closes, names)
    result = proven(a_spec(names, strategy=strategy), market)
    assert result.assets == names
    own = PortfolioEngine().run(a_spec(names, strategy=strategy, engine="portfolio"), market)
    assert result.quantity == pytest.approx(own.quantity, rel=1e-12)


# ------------------------------------------------------- beside the built-in engine


STRATEGIES = {
    "fixed_weights": {},
    "sma_crossover": {"fast": 50, "slow": 200},
    "momentum_rotation": {"top": 3, "lookback": 126},
}


@pytest.fixture(scope="module")
def ten_shares():
    return load_market(on_shares("fixed_weights"), {})


def on_shares(strategy, **changes):
    return a_spec(
        TEN,
        strategy=strategy,
        params=STRATEGIES[strategy],
        start_date=date(2010, 1, 4),
        end_date=date(2022, 12, 28),
        start_capital=100_000.0,
        data=DataSpec(str(SHARED / "sp500_20_daily.csv.gz")),
        rebalance_freq="M",
        **changes,
    )


@pytest.mark.parametrize("fill", ["close", "next_close"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_costs_it_is_the_built_in_engine(ten_shares, strategy, fill):
    spec = on_shares(strategy, fill=fill)
    result = proven(spec, ten_shares)
    own = PortfolioEngine().run(dataclasses.replace(spec, engine="portfolio"), ten_shares)
    assert np.abs(result.nav / own.nav - 1).max() <= 1e-12
    assert np.abs(result.quantity - own.quantity).max() <= 1e-9
    assert len(result.fills) == len(own.fills)
    assert result.rejected_orders == ()


def test_costs_on_real_prices_keep_every_identity(ten_shares):
    costs = CostSpec(commission_bps=10, commission_per_share=0.005, slippage_bps=5)
    spec = on_shares("momentum_rotation", costs=costs, units="whole")
    result = proven(spec, ten_shares)
    fills, units = result.fills, np.abs(result.fills.quantity)
    assert fills.fee == pytest.approx(units * fills.price * 1e-3 + units * 0.005, rel=1e-9)
    closes = ten_shares.close[fills.session, fills.asset]
    assert fills.price == pytest.approx(closes * (1 + 5e-4 * np.sign(fills.quantity)), rel=1e-12)


# ---------------------------------------------------------- refused, and no trace


PRICES = [[10, 20], [11, 20], [12, 19], [13, 22]]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"fill": "next_open"}, "fill"),
        ({"min_trade": 10.0}, "min_trade"),
        ({"flows": (Flow(date(2020, 1, 2), 5.0),)}, "flows"),
        ({"actions": ActionSpec(dividends="from_prices")}, "dividends"),
        ({"actions": ActionSpec(splits="from_prices")}, "splits"),
        ({"costs": CostSpec(commission_bps=10.0, booking="from_cash")}, "costs.booking"),
    ],
)
def test_what_it_cannot_is_refused_before_anything_runs(changes, key):
    spec = a_spec(**changes)
    assert [".".join(path) for path, _ in engine_problems(spec)] == [key]
    with pytest.raises(ParameterError, match="engine 'bt' has no "):
        BtEngine().run(spec, a_market(PRICES))


def test_a_missing_package_is_told_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "bt", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'pytest-finbot\[bt\]'"):
        BtEngine().run(a_spec(), a_market(PRICES))


def test_a_second_run_gives_the_same_bits_and_nothing_is_left_behind(monkeypatch, capfd):
    import bt

    strategy = decided(monkeypatch, {0: [0.3, 0.7], 2: [0.6, 0.1]})
    spec = a_spec(strategy=strategy, costs=CostSpec(commission_bps=7, slippage_bps=3))
    methods = bt.core.SecurityBase.transact, bt.core.SecurityBase.allocate
    filters = list(warnings.filters)
    first, second = (BtEngine().run(spec, a_market(PRICES)) for _ in range(2))
    for name in ("nav", "cash", "quantity", "mark"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert rows_of(first) == rows_of(second)
    assert (bt.core.SecurityBase.transact, bt.core.SecurityBase.allocate) == methods
    assert warnings.filters == filters
    assert capfd.readouterr() == ("", "")


def test_importing_it_draws_no_random_numbers():
    """A fresh process: the import happens once."""
    import subprocess

    program = (
        "import random, numpy as np; random.seed(1); np.random.seed(1)\n"
        "from pytest_finbot.engines.adapting.undisturbed import undisturbed\n"
        "with undisturbed():\n    import bt\n"
        "print(random.random(), np.random.random())"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    random.seed(1)
    wanted = random.random()
    assert told.split() == [str(wanted), str(np.random.RandomState(1).random_sample())]
