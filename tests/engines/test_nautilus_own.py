"""Strategies that are written for nautilus_trader: how they are built, what is denied, what they raise."""

import dataclasses
import random
import textwrap
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.contracts import CostSpec, DataSpec, MarketData, MarkSpec, RunSpec
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.errors import EngineError, ParameterError

pytestmark = pytest.mark.engine("nautilus")

STRATEGIES = """
    from __future__ import annotations

    import random
    from decimal import Decimal

    from nautilus_trader.config import StrategyConfig
    from nautilus_trader.model.data import BarType
    from nautilus_trader.model.enums import OrderSide, TimeInForce
    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.trading.strategy import Strategy
    import pandas as pd


    class OneConfig(StrategyConfig, frozen=True):
        instrument_id: InstrumentId
        bar_type: BarType
        sizes: list[int] = []
        limit: Decimal | None = None
        fails_in: str = ""


    class One(Strategy):
        '''Orders sizes[n] units on bar n.'''

        def __init__(self, config: OneConfig) -> None:
            super().__init__(config)
            self.sizes = list(config.sizes)
            self.here("init")

        def here(self, place):
            if self.config.fails_in == place:
                raise LookupError(f"in {place}")

        def on_start(self):
            self.here("start")
            self.subscribe_bars(self.config.bar_type)
            if self.config.fails_in == "timer":
                self.clock.set_timer("t", pd.Timedelta(days=1), callback=lambda event: self.here("timer"))

        def on_bar(self, bar):
            self.here("bar")
            size = self.sizes.pop(0) if self.sizes else 0
            if not size:
                return
            side = OrderSide.BUY if size > 0 else OrderSide.SELL
            instrument = self.cache.instrument(self.config.instrument_id)
            quantity = instrument.make_qty(abs(size))
            if self.config.limit is None:
                order = self.order_factory.market(instrument.id, side, quantity)
            else:
                order = self.order_factory.limit(
                    instrument.id, side, quantity, instrument.make_price(self.config.limit)
                )
            self.submit_order(order)

        def on_order_filled(self, event):
            self.here("filled")

        def on_position_opened(self, event):
            self.here("position")

        def on_stop(self):
            self.here("stop")

        def on_dispose(self):
            self.here("dispose")


    class Cancelling(One):
        def on_stop(self):
            self.cancel_all_orders(self.config.instrument_id)


    class Closing(One):
        def on_stop(self):
            self.close_all_positions(self.config.instrument_id)


    class Quitting(One):
        def on_bar(self, bar):
            super().on_bar(bar)
            if not self.sizes:
                self.shutdown_system("enough")


    class ManyConfig(StrategyConfig, frozen=True):
        instrument_ids: list[InstrumentId]
        bar_types: list[BarType]


    class Many(Strategy):
        def __init__(self, config: ManyConfig | None = None) -> None:
            super().__init__(config)
            self.seen = []

        def on_start(self):
            for bar_type in self.config.bar_types:
                self.subscribe_bars(bar_type)

        def on_bar(self, bar):
            self.seen.append(bar)
            if len(self.seen) == 2:
                for each in self.config.instrument_ids:
                    quantity = self.cache.instrument(each).make_qty(random.randint(1, 9))
                    self.submit_order(self.order_factory.market(each, OrderSide.BUY, quantity))


    class Plain(Strategy):
        pass


    class Keywords(Strategy):
        def __init__(self, size, *, symbol="A.SIM"):
            super().__init__()
            self.size = size


    class Unsaid(Strategy):
        def __init__(self, config):
            super().__init__(config)
"""


@pytest.fixture(autouse=True)
def strategies(tmp_path, monkeypatch):
    tmp_path.joinpath("nautilus_test_own.py").write_text(textwrap.dedent(STRATEGIES))
    monkeypatch.syspath_prepend(tmp_path)


def a_spec(strategy="One", symbols="A", **changes):
    spec = RunSpec(
        name="run",
        engine="nautilus",
        strategy=f"nautilus_test_own:{strategy}",
        params={},
        symbols=tuple(symbols),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
        units="whole",
    )
    return dataclasses.replace(spec, **changes)


def a_market(*closes):
    closes = np.ascontiguousarray(closes, dtype=np.float64).T.copy()
    return MarketData(
        sessions=np.datetime64("2020-01-01") + 3 * np.arange(len(closes)),
        symbols=tuple("ABCDEFGH"[: closes.shape[1]]),
        close=closes,
        field="close",
        source="prices.csv",
    )


A = [10.0, 11.0, 12.0, 9.0]


def run(spec, market):
    return resolve_engine("nautilus").run(spec, market)


def proven(spec, market):
    result = run(spec, market)
    check_result(result, spec, market)
    checks = [
        *check_books(result, spec),
        check_declared(result, spec, market),
        check_marks_at_market(result, market, MarkSpec()),
    ]
    assert [check.message for check in checks if check.failed] == []
    return result


def told(result):
    return [(each.session, each.asset, each.quantity, each.reason) for each in result.rejected_orders]


# ----------------------------------------------------------------------------------- how it trades


def test_market_orders_fill_at_the_close_of_their_bar():
    costs = CostSpec(commission_bps=10.0)
    result = proven(a_spec(params={"sizes": [20, 30, -50]}, costs=costs), a_market(A))
    fills = result.fills
    assert fills.session.tolist() == [0, 1, 2]
    assert fills.quantity.tolist() == [20, 30, -50]
    assert fills.price.tolist() == [10, 11, 12]
    assert fills.fee.tolist() == [0.2, 0.33, 0.6]
    assert result.cash.tolist() == pytest.approx([799.8, 469.47, 1068.87, 1068.87], abs=1e-9)
    assert result.nav.tolist() == pytest.approx([999.8, 1019.47, 1068.87, 1068.87], abs=1e-9)
    assert result.decisions is None
    assert result.rejected_orders == ()
    assert result.native["instruments"]["A"].startswith("Equity A.SIM")
    conventions = result.native["conventions"]
    assert (conventions["fill"], conventions["short_of_cash"]) == ("close", "rejects")


def test_fractional_units_are_traded_where_they_are_asked_for():
    result = proven(a_spec(params={"sizes": [20]}, units="fractional"), a_market(A))
    assert result.native["instruments"]["A"].startswith("Commodity A.SIM, prices of 0 and units of 9")


def test_what_is_done_when_the_data_end_is_in_the_last_session():
    result = proven(a_spec("Closing", params={"sizes": [20]}), a_market(A))
    assert result.fills.session.tolist() == [0, 3]
    assert result.quantity[:, 0].tolist() == [20, 20, 20, 0]
    assert result.nav.tolist() == [1000, 1020, 1040, 980]


# ------------------------------------------------------------------- orders that come to nothing


def test_an_order_that_cash_does_not_pay_for_is_told_with_nautilus_reason():
    result = proven(a_spec(params={"sizes": [90, 90, -90]}), a_market(A))
    assert told(result) == [
        (
            1,
            0,
            90.0,
            "denied by nautilus: NOTIONAL_EXCEEDS_FREE_BALANCE: free=100.00 USD, balance_impact=-990.00 USD",
        )
    ]
    assert result.quantity[:, 0].tolist() == [90, 90, 0, 0]


def test_a_short_sale_is_told():
    (order,) = told(proven(a_spec(params={"sizes": [-5]}), a_market(A)))
    assert order[:3] == (0, 0, -5.0)
    assert order[3].startswith("rejected by nautilus: SHORT SELLING not permitted on a CASH account")


def test_an_order_that_waits_when_the_data_end_is_told():
    result = proven(a_spec(params={"sizes": [5], "limit": "8.5"}), a_market([10.0, 11.0, 12.0]))
    assert told(result) == [(2, 0, 5.0, "not filled when the data ended: ACCEPTED")]


def test_a_limit_order_fills_at_its_price_when_the_market_gets_there():
    result = proven(a_spec(params={"sizes": [0, 5], "limit": "10"}), a_market([11.0, 12.0, 13.0, 9.0, 14.0]))
    assert result.fills.session.tolist() == [3]
    assert result.fills.price.tolist() == [10.0]  # nautilus' own: the limit, though the bar opens at 9
    assert result.rejected_orders == ()


def test_what_the_strategy_cancels_is_no_rejected_order():
    spec = a_spec("Cancelling", params={"sizes": [5], "limit": "8.5"})
    assert proven(spec, a_market([10.0, 11.0])).rejected_orders == ()


def test_a_backtest_that_nautilus_ends_early_is_an_error():
    # Its check of cash leaves commissions out: the fill would make a balance of -0.50.
    spec = a_spec(params={"sizes": [0, 0, 0, 100]}, costs=CostSpec(commission_bps=5.0), start_capital=900.0)
    with pytest.raises(EngineError, match=r"ended the backtest on 2020-01-10, .* to 2020-01-10: a fill and"):
        run(spec, a_market(A))
    spec = a_spec("Quitting", params={"sizes": [1]})
    with pytest.raises(EngineError, match="the strategy shut the system down"):
        run(spec, a_market(A))
    from nautilus_trader.common.component import is_backtest_force_stop

    assert not is_backtest_force_stop()
    # And the run after it is whole.
    assert len(proven(a_spec(params={"sizes": [1]}), a_market(A)).fills) == 1


# ------------------------------------------------------------------------------- how it is built


def test_several_instruments_are_those_of_the_run():
    result = proven(a_spec("Many", "AB"), a_market(A, [20.0, 21.0, 22.0, 23.0]))
    assert result.fills.asset.tolist() == [0, 1]
    assert result.fills.session.tolist() == [0, 0]


def test_one_instrument_of_many_has_to_be_named():
    market = a_market(A, A)
    with pytest.raises(
        ParameterError, match=r"the run has 2 symbols; expected params\.bar_type, as A\.SIM-1-DAY"
    ):
        run(a_spec("One", "AB"), market)
    params = {"instrument_id": "B.SIM", "bar_type": "B.SIM-1-DAY-LAST-EXTERNAL", "sizes": [7]}
    assert proven(a_spec("One", "AB", params=params), market).fills.asset.tolist() == [1]


@pytest.mark.parametrize(
    ("strategy", "params", "words"),
    [
        ("One", {"size": [1]}, r"OneConfig has no field 'size'; did you mean 'sizes'"),
        ("One", {"bar_type": "A"}, r"make no OneConfig: .*bar types as A\.SIM-1-DAY-LAST-EXTERNAL"),
        ("One", {"sizes": "many"}, r"make no OneConfig: Expected `array`"),
        ("Keywords", {}, "params do not fit Keywords: missing a required argument: 'size'"),
        ("Keywords", {"size": 1, "side": 2}, "params do not fit Keywords: .*'side'"),
        ("Plain", {"size": 1}, "StrategyConfig has no field 'size'"),
        ("Unsaid", {}, "takes a config, and nothing says of which class"),
    ],
)
def test_params_that_do_not_fit_are_told(strategy, params, words):
    with pytest.raises(ParameterError, match=words):
        run(a_spec(strategy, params=params), a_market(A))


def test_a_strategy_without_a_config_gets_keywords():
    result = proven(a_spec("Keywords", params={"size": 3, "symbol": "A.SIM"}), a_market(A))
    assert "no order was filled" in result.warnings[0]
    assert proven(a_spec("Plain"), a_market(A)).nav.tolist() == [1000.0] * 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fill": "next_open"}, "fill: next_open"),
        ({"cash_buffer": 0.1}, "cash_buffer"),
        ({"max_gross_exposure": 1.0}, "max_gross_exposure"),
    ],
)
def test_what_only_weights_have_is_refused(changes, words):
    with pytest.raises(ParameterError, match=words):
        run(a_spec(**changes), a_market(A))


# ------------------------------------------------------------------------------- what it raises


@pytest.mark.parametrize("place", ["init", "start", "bar", "filled", "position", "timer", "stop", "dispose"])
def test_what_a_strategy_raises_passes_through(place, capfd):
    with pytest.raises(LookupError, match=f"in {place}"):
        run(a_spec(params={"sizes": [1], "fails_in": place}), a_market(A))
    assert capfd.readouterr() == ("", "")
    assert len(proven(a_spec(params={"sizes": [1]}), a_market(A)).fills) == 1


@pytest.mark.parametrize("params", [{}, {"fails_in": "bar"}, {"fails_in": "start"}])
def test_the_engine_is_disposed_of_in_any_case(params, monkeypatch):
    from pytest_finbot.engines.nautilus import account

    disposed = []

    class Engine(account.BacktestEngine):
        def dispose(self):
            disposed.append(self)
            super().dispose()

    monkeypatch.setattr(account, "BacktestEngine", Engine)
    if params:
        with pytest.raises(LookupError):
            run(a_spec(params=params), a_market(A))
    else:
        run(a_spec(params=params), a_market(A))
    assert len(disposed) == 1


def test_random_numbers_are_those_of_the_seed():
    def quantities():
        random.seed(5)
        return run(a_spec("Many", "AB"), a_market(A, A)).fills.quantity.tolist()

    random.seed(5)
    expected = [random.randint(1, 9), random.randint(1, 9)]
    assert quantities() == quantities() == expected


# ------------------------------------------------------------------------------- a user's batch

PRICES = """\
    Date,AAA,BBB
    2020-01-02,10,20
    2020-01-03,11,19
    2020-01-06,12,21
    2020-01-07,11,22
    2020-01-08,13,20
    2020-01-09,14,23
"""
BATCH = """\
    batch_name: engines
    defaults:
      data: {path: prices.csv}
      engine: nautilus
      symbols: [AAA]
      start_date: 2020-01-02
      end_date: 2020-01-09
      start_capital: 1000
      units: whole
    runs:
      - {id: weights, strategy: fixed_weights, symbols: [AAA, BBB], fill: next_close}
      - {id: own, strategy: "nautilus_test_own:One", params: {sizes: [50, 10]}}
      - {id: denied, strategy: "nautilus_test_own:One", params: {sizes: [90, 90]}}
      - id: denied-allowed
        strategy: "nautilus_test_own:One"
        params: {sizes: [90, 90]}
        rejected_orders: allow
      - {id: raising, strategy: "nautilus_test_own:One", params: {fails_in: bar}}
"""


def test_a_batch_of_a_user_runs_it(pytester):
    Path(pytester.path, "prices.csv").write_text(textwrap.dedent(PRICES))
    Path(pytester.path, "finbot.yaml").write_text(textwrap.dedent(BATCH))
    Path(pytester.path, "nautilus_test_own.py").write_text(textwrap.dedent(STRATEGIES))
    plain = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-W", "error")
    result = pytester.runpytest_subprocess(*plain, "--finbot-batch", "finbot.yaml", "-v", timeout=120)
    result.assert_outcomes(passed=3, failed=2)
    said = result.stdout.str()
    assert "1 order was rejected: 1 x denied by nautilus: NOTIONAL_EXCEEDS_FREE_BALANCE" in said
    assert "engine_error in simulate: LookupError: in bar" in said
