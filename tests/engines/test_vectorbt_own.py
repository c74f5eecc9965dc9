"""Strategies of vectorbt's own kind: what they are given, and what of them is taken."""

import dataclasses
import sys
import textwrap
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.contract import check_result
from pytest_finbot.contracts import CostSpec, DataSpec, MarketData, RejectedOrder, RunSpec
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.errors import EngineError, ParameterError

pytestmark = pytest.mark.engine("vectorbt")

# Arguments are arrays of the same kind as the engine's own, for which everything is compiled already.
STRATEGIES = """\
    import numpy as np

    from pytest_finbot.contracts import TargetWeights


    def ordered(close, size, price=None, log=True, fees=0.0, **account):
        import vectorbt as vbt

        terms = {
            "size_type": "targetpercent",
            "direction": "both",
            "call_seq": "auto",
            "size_granularity": np.nan,
            "slippage": 0.0,
            "max_size": np.inf,
        }
        return vbt.Portfolio.from_orders(
            close,
            size=np.array(size, np.float64),
            price=(close if price is None else price).to_numpy(),
            log=np.full((1, 1), log),
            fees=np.full((1, 1), fees),
            **{**terms, **account},
        )


    class Weights:
        def __init__(self, size, changes=None, drop=()):
            self.size, self.changes, self.drop = size, changes or {}, drop

        def portfolio(self, close, open, **account):
            for name in self.drop:
                del account[name]
            return ordered(close, self.size, **{**account, **self.changes})


    class AtOpens(Weights):
        def portfolio(self, close, open, **account):
            return ordered(close, self.size, price=open, **account)


    class Named:
        def __init__(self, size):
            self.size = size

        def portfolio(self, close, open, init_cash, log):
            names = {"group_by": True, "cash_sharing": True}
            return ordered(close, self.size, init_cash=init_cash, log=log, **names)


    class OfSettings(Weights):
        def portfolio(self, close, open, **account):
            import vectorbt as vbt

            vbt.settings.portfolio["fees"] = 0.5
            vbt.settings["plotting"]["layout"]["width"] = 1
            return super().portfolio(close, open, **account)


    class OfFewerSessions(Weights):
        def portfolio(self, close, open, **account):
            return ordered(close.iloc[1:], self.size[1:], **account)


    class OfOtherColumns(Weights):
        def portfolio(self, close, open, **account):
            return ordered(close.rename(columns={"A": "Z"}), self.size, **account)


    class OfOtherPrices(Weights):
        def portfolio(self, close, open, **account):
            return ordered(close * 2.0, self.size, **account)


    class OfNothing(Weights):
        def portfolio(self, close, open, **account):
            return close


    class Raising:
        def __init__(self, **params):
            pass

        def portfolio(self, close, open, **account):
            raise ZeroDivisionError("of the user's own")


    class Strange:
        pass


    def targets(spec, market):
        size = np.array(spec.params["size"])
        return TargetWeights(np.arange(len(size)), size)
"""


@pytest.fixture(autouse=True)
def _strategies(tmp_path, monkeypatch):
    Path(tmp_path, "vectorbt_own.py").write_text(textwrap.dedent(STRATEGIES))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("vectorbt_own", None)


CLOSES = np.array([[10.0, 20.0], [11.0, 19.0], [12.0, 21.0], [11.0, 22.0]])
SIZE = [[0.5, 0.5], [np.nan, np.nan], [0.2, 0.3], [0.5, 0.0]]


def a_spec(strategy, size=SIZE, **changes):
    params = changes.pop("params", {})
    spec = RunSpec(
        name="run",
        engine="vectorbt",
        strategy=f"vectorbt_own:{strategy}",
        params={"size": size, **params},
        symbols=("A", "B"),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
    )
    return dataclasses.replace(spec, **changes)


def a_market(opens=None):
    return MarketData(
        sessions=np.datetime64("2020-01-01") + np.arange(len(CLOSES)),
        symbols=("A", "B"),
        close=CLOSES,
        field="close",
        source="prices.csv",
        open=opens,
    )


def ran(spec, market=None):
    market = a_market() if market is None else market
    engine = resolve_engine("vectorbt")
    assert list(engine.problems(spec)) == []
    result = engine.run(spec, market)
    check_result(result, spec, market)
    assert [check for check in check_books(result, spec) if check.failed] == []
    return result


def test_what_vectorbt_reports_is_bit_for_bit_what_target_weights_give():
    """The account of target weights is made by functions of vectorbt's, its methods being slow."""
    rng = np.random.default_rng(3)
    size = rng.dirichlet(np.ones(3), len(CLOSES))[:, :2]
    costs = CostSpec(commission_bps=10, slippage_bps=5)
    mine = ran(a_spec("targets", size.tolist(), costs=costs))
    own = ran(a_spec("Weights", size.tolist(), costs=costs))
    for name in ("nav", "cash", "quantity", "mark"):
        assert getattr(mine, name).tobytes() == getattr(own, name).tobytes(), name
    for column in ("session", "asset", "quantity", "price", "fee", "slippage"):
        assert getattr(mine.fills, column).tolist() == getattr(own.fills, column).tolist(), column
    assert mine.rejected_orders == own.rejected_orders == ()
    assert own.decisions is None
    assert "the strategy makes its own orders" in own.native["conventions"]["notes"][-1]


def test_a_method_is_given_the_names_that_it_takes():
    result = ran(a_spec("Named"))
    assert result.quantity[0].tolist() == [50, 25]


def test_opens_are_given():
    opens = CLOSES - 1.0
    result = ran(a_spec("AtOpens", fill="next_open"), a_market(opens))
    assert result.fills.price[:2].tolist() == [9, 19]


@pytest.mark.parametrize(
    ("changes", "wanted", "missing", "reason"),
    [
        # 600 for B, the smaller purchase, leave 400 for A.
        ({"size_type": "amount"}, [80.0, 30.0], 40.0, "cut to what the cash left pays for"),
        ({"size_type": "value"}, [800.0, 600.0], 40.0, "cut to what the cash left pays for"),
        ({"size_type": "amount", "max_size": 10.0}, [12.0, 5.0], 2.0, "cut to the largest size allowed"),
        (
            {"size_type": "amount", "direction": "shortonly", "lock_cash": True},
            [0.0, 80.0],
            -30.0,
            "cut to what is held or may be sold short",
        ),
    ],
)
def test_what_an_order_lacks_is_told_whatever_it_was_asked_in(changes, wanted, missing, reason):
    size = [wanted] + [[np.nan, np.nan]] * 3
    result = ran(a_spec("Weights", size, params={"changes": changes}))
    [order] = result.rejected_orders
    assert (order.session, order.reason) == (0, reason)
    assert order.quantity == pytest.approx(missing, rel=1e-12)


def test_all_the_cash_there_is_is_no_order_that_was_cut():
    size = [[np.inf, np.nan], [-np.inf, np.nan], [0.5, np.nan], [np.nan, np.nan]]
    changes = {"size_type": "amount", "direction": "longonly"}
    result = ran(a_spec("Weights", size, params={"changes": changes}))
    assert result.quantity[:, 0].tolist() == [100, 0, 0.5, 0.5]
    assert result.rejected_orders == ()


def test_an_order_without_a_price_is_told():
    size = [[10.0, np.nan]] + [[np.nan, np.nan]] * 3
    opens = CLOSES.copy()
    opens[0, 0] = np.nan
    result = resolve_engine("vectorbt").run(a_spec("AtOpens", size), a_market(opens))
    [order] = result.rejected_orders
    assert order == RejectedOrder(0, 0, 0.0, "rejected: Price is NaN")


def test_costs_of_its_own_are_in_the_fills():
    result = ran(a_spec("Weights", params={"changes": {"fees": 0.01}}))
    assert result.fills.fee[0] == pytest.approx(5.0, rel=1e-15)


def test_whole_units_are_its_account():
    result = ran(a_spec("Weights", units="whole"))
    assert not (result.quantity % 1.0).any()


def test_settings_are_afterwards_what_they_were():
    vectorbt = resolve_engine("vectorbt").library()
    width = vectorbt.settings["plotting"]["layout"]["width"]
    ran(a_spec("OfSettings"))
    assert vectorbt.settings.portfolio["fees"] == 0.0
    assert vectorbt.settings["plotting"]["layout"]["width"] == width


def test_prices_of_its_own_are_its_marks():
    """So that the check of marks against the market sees them."""
    result = ran(a_spec("OfOtherPrices"))
    assert result.mark.tolist() == (CLOSES * 2.0).tolist()


@pytest.mark.parametrize(
    ("strategy", "changes", "told", "expected"),
    [
        ("OfNothing", {}, "returned pandas.DataFrame", "a vectorbt.Portfolio"),
        ("OfFewerSessions", {}, "has 3 sessions", "the 4 of the prices it was given"),
        ("OfOtherColumns", {}, "has the columns Z, B", "A, B"),
        ("Weights", {"params": {"changes": {"log": False}}}, "has logs of 0 of its 6 orders", "log=True"),
        (
            "Weights",
            {"params": {"changes": {"init_cash": 500.0}}},
            "starts with 500.00",
            "the start capital: init_cash=1,000.00",
        ),
        (
            "Weights",
            {"params": {"changes": {"group_by": False, "cash_sharing": False}}},
            "has 2 accounts",
            "one: group_by=True and cash_sharing=True",
        ),
        (
            "Weights",
            {"params": {"changes": {"cash_sharing": False}}},
            "has 2 accounts",
            "one: group_by=True and cash_sharing=True",
        ),
        (
            "Weights",
            {"params": {"drop": ["fees"]}, "costs": CostSpec(commission_bps=10)},
            "does not charge costs.commission_bps",
            "fees=0.001",
        ),
        (
            "Weights",
            {"params": {"drop": ["slippage"]}, "costs": CostSpec(slippage_bps=10)},
            "does not charge costs.slippage_bps",
            "slippage=0.001",
        ),
        (
            "Weights",
            {"params": {"drop": ["size_granularity"]}, "units": "whole"},
            "trades fractions of a unit",
            "size_granularity=1.0",
        ),
        (
            "Weights",
            {"fill": "next_open"},
            "fills A on 2020-01-01 at 10, which is not fill: next_open",
            "the session's open, 9",
        ),
    ],
)
def test_a_portfolio_that_is_not_the_runs_is_refused(strategy, changes, told, expected):
    spec = a_spec(strategy, **changes)
    with pytest.raises(EngineError) as caught:
        resolve_engine("vectorbt").run(spec, a_market(CLOSES - 1.0))
    message = str(caught.value)
    assert message.startswith(f"engine 'vectorbt': vectorbt_own:{strategy}.portfolio {told}; expected ")
    assert expected in message.partition("; expected ")[2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cash_buffer": 0.1}, "cash_buffer"),
        ({"max_gross_exposure": 1.0}, "max_gross_exposure"),
        ({"costs": CostSpec(commission_per_share=0.1)}, "costs.commission_per_share"),
    ],
)
def test_what_only_target_weights_can_be_held_to_is_refused(changes, words):
    with pytest.raises(ParameterError, match=words):
        resolve_engine("vectorbt").run(a_spec("Weights", **changes), a_market())


def test_a_class_of_another_kind_is_refused():
    with pytest.raises(ParameterError, match=r"expected a class with a method portfolio\(close, open"):
        resolve_engine("vectorbt").run(a_spec("Strange"), a_market())


def test_what_a_strategy_raises_passes():
    with pytest.raises(ZeroDivisionError, match="of the user's own"):
        resolve_engine("vectorbt").run(a_spec("Raising"), a_market())
