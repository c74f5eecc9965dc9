"""The difference between two ways to trade, split: by hand, and always adding up."""

import dataclasses
import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import (
    Conventions,
    CostSpec,
    DataSpec,
    EngineResult,
    Fills,
    MarketData,
    PartSpec,
    RejectedOrder,
    RunSpec,
    TargetWeights,
)
from pytest_finbot.engines.execution import Execution
from pytest_finbot.engines.ladder import Manner, conventions_told, executed_part, ladder
from pytest_finbot.engines.portfolio import PortfolioEngine, simulate
from pytest_finbot.errors import ParameterError

PLAIN = Manner("close", "fill", 0.0, "fractional", 0.0, CostSpec())


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


def a_market(closes, **more):
    closes = np.ascontiguousarray(closes, dtype=np.float64)
    return MarketData(
        sessions=np.datetime64("2020-01-01") + np.arange(len(closes)),
        symbols=tuple("ABCD"[: closes.shape[1]]),
        close=closes,
        field="close",
        source="prices.csv",
        **{name: np.asarray(values, np.float64) for name, values in more.items()},
    )


def decided(rows, weights):
    return TargetWeights(np.asarray(rows, np.int64), np.asarray(weights, np.float64))


def with_rejected(market, orders, fills=()):
    """A result of which only what was filled and what was not is looked at."""
    columns = list(zip(*fills, strict=True)) or [(), (), ()]
    session, asset, quantity = (np.asarray(column) for column in columns)
    none = np.zeros(len(session))
    shape = market.close.shape
    return EngineResult.of(
        sessions=market.sessions,
        assets=market.symbols,
        nav=np.ones(shape[0]),
        cash=np.ones(shape[0]),
        quantity=np.zeros(shape),
        mark=market.close,
        start_cash=1.0,
        fills=Fills(
            session.astype(np.int64), asset.astype(np.int64), quantity.astype(float), none, none, none
        ),
        rejected_orders=[RejectedOrder(*order, "no cash") for order in orders],
    )


def climbed(market, targets, reference, own, orders=(), fills=(), **changes):
    spec = a_spec("ABCD"[: market.close.shape[1]], **changes)
    found = ladder(spec, market, targets, reference, own, with_rejected(market, orders, fills))
    json.dumps(found.to_json(), allow_nan=False)
    return found


def test_a_booking_of_its_own_is_no_step_whatever_the_reference_has():
    costs = CostSpec(100.0)
    own_way = Manner.of(Conventions("close", "fill", "fractional", "within each order"), costs, 0.0)
    cash = Manner.of(Conventions("close", "fill", "fractional", "from_cash"), costs, 0.0)
    market, targets = a_market([[10], [12.5], [20]]), decided([0], [[0.5]])

    for reference, own in ((cash, own_way), (own_way, cash)):
        found = climbed(market, targets, reference, own)
        assert found.steps == ()
        # 50 units at 10 and 5 of costs, whichever of the two stands first.
        assert found.final_nav == pytest.approx(495.0 + 50.0 * 20.0)


def test_each_convention_is_a_step_of_its_own():
    market = a_market([[10], [12.5], [20]])
    own = dataclasses.replace(
        PLAIN,
        fill="next_close",
        cash_buffer=0.5,
        units="whole",
        costs=CostSpec(commission_per_share=1.0, booking="from_cash"),
    )
    found = climbed(market, decided([0], [[1.0]]), PLAIN, own)
    # 100 units at 10; 80 at 12.5; half of it: 40; in whole units still 40; a unit costs 1 to buy.
    assert found.final_nav == 2000
    assert [(step.step, step.final_nav) for step in found.steps] == [
        ("fill timing", 1600),
        ("cash buffer", 1300),
        ("units", 1300),
        ("costs", 1260),
    ]
    assert [(step.reference, step.run) for step in found.steps] == [
        ("close", "next_close"),
        ("0 %", "50 %"),
        ("fractional", "whole"),
        ("none", "1 a unit, from_cash"),
    ]
    assert found.same == ("rejections",)
    timing, buffer, units, costs = found.steps
    assert (timing.furthest_bp, timing.furthest_session) == (-2000, "2020-01-02")  # 1000 of 1250
    assert (buffer.furthest_bp, buffer.furthest_session) == (-1875, "2020-01-03")  # 1300 of 1600
    assert (units.furthest_bp, units.furthest_session) == (None, None)
    assert costs.furthest_bp == pytest.approx(-400)  # 960 of 1000 on the second day


def test_what_is_the_same_is_no_step():
    found = climbed(a_market([[10], [12]]), decided([0], [[1.0]]), PLAIN, PLAIN)
    assert found.steps == ()
    assert found.same == ("fill timing", "cash buffer", "units", "costs", "rejections")
    assert found.final_nav == 1200


def test_sizing_at_the_decision_is_a_matter_of_timing():
    late = dataclasses.replace(PLAIN, fill="next_close")
    ahead = dataclasses.replace(late, sized_at="decision")
    found = climbed(a_market([[10], [12.5], [20]]), decided([0], [[1.0]]), ahead, late)
    # 100 units paid 12.5 each, 250 of it borrowed; then 80 units.
    assert (found.final_nav, found.steps[0].final_nav) == (-250 + 2000, 1600)
    assert found.steps[0].reference == "next_close, sized at the decision"


def test_orders_that_the_engine_rejected_are_left_out_last():
    market = a_market([[10, 10], [20, 10]])
    found = climbed(market, decided([0], [[0.5, 0.5]]), PLAIN, PLAIN, orders=[(0, 0, 50.0)])
    assert found.final_nav == 1500
    assert [(step.step, step.final_nav) for step in found.steps] == [("rejections", 1000)]
    assert found.steps[0].run == "1 order not executed, or in part"
    assert found.rejected == {"orders": 1, "unplaced": 0}


def test_of_an_order_that_was_cut_the_part_that_was_filled_is_executed():
    market = a_market([[10, 10], [20, 10]])
    cut = climbed(market, decided([0], [[0.5, 0.5]]), PLAIN, PLAIN, [(0, 0, 10.0)], [(0, 0, 40.0)])
    assert cut.steps[0].final_nav == 1400


def test_a_slice_is_looked_at_on_its_own_sessions():
    market = a_market([[10], [20], [10], [10]])
    late = dataclasses.replace(PLAIN, fill="next_close")
    part = PartSpec("run", "slice", 2, date(2020, 1, 4))
    found = climbed(market, decided([0], [[1.0]]), PLAIN, late, part=part)
    assert found.final_nav == 1000
    assert (found.steps[0].final_nav, found.steps[0].furthest_bp) == (500, -5000)
    assert found.steps[0].furthest_session == "2020-01-04"


def test_opens_that_are_not_there_are_told():
    with pytest.raises(ParameterError, match="next_open needs opening prices"):
        climbed(a_market([[10]]), decided([0], [[1]]), dataclasses.replace(PLAIN, fill="next_open"), PLAIN)


@pytest.mark.parametrize(
    ("fill", "session", "executed"),
    [
        ("close", 2, [1, 0, 1]),
        ("close", 3, [1, 0, 1]),  # after the decision: it lay there, and was dropped
        ("next_close", 3, [1, 0, 1]),
        ("next_close", 2, [1, 0, 1]),  # refused at once
        ("next_close", 1, [0, 1, 1]),
        ("next_open", 5, [1, 1, 0]),
    ],
)
def test_a_rejected_order_belongs_to_a_decision(fill, session, executed):
    market = a_market([[10]] * 6)
    result = with_rejected(market, [(session, 0, 5.0)])
    found, counted = executed_part(result, fill, np.array([0, 2, 4]))
    assert found[:, 0].tolist() == executed
    assert counted == {"orders": 1, "unplaced": 0}


def test_an_order_of_before_any_decision_belongs_to_none():
    result = with_rejected(a_market([[10]] * 3), [(0, 0, 5.0)])
    assert executed_part(result, "close", np.array([1])) == (None, {"orders": 1, "unplaced": 1})
    assert executed_part(with_rejected(a_market([[10]]), []), "close", np.array([0])) == (
        None,
        {"orders": 0, "unplaced": 0},
    )


def test_a_fill_the_other_way_is_no_part_of_a_rejected_order():
    result = with_rejected(a_market([[10]] * 3), [(1, 0, 5.0)], [(1, 0, -5.0)])
    executed, _ = executed_part(result, "close", np.array([1]))
    assert executed.tolist() == [[0]]


# --------------------------------------------------------------------------- adding up

manners = st.builds(
    Manner,
    fill=st.sampled_from(["close", "next_close", "next_open"]),
    sized_at=st.sampled_from(["fill", "decision"]),
    cash_buffer=st.sampled_from([0.0, 0.02]),
    units=st.sampled_from(["fractional", "whole"]),
    min_trade=st.sampled_from([0.0, 20.0]),
    costs=st.builds(
        CostSpec,
        st.sampled_from([0.0, 10.0]),
        st.sampled_from([0.0, 0.01]),
        st.sampled_from([0.0, 5.0]),
        st.sampled_from(["targeted", "from_cash"]),
    ),
)


@settings(max_examples=60, deadline=None)
@given(manners, manners, st.booleans())
def test_the_last_step_is_the_account_that_trades_as_the_run_does(reference, own, rejects):
    drawn = np.random.default_rng(4)
    closes = 50 * np.cumprod(1 + drawn.normal(0, 0.03, (40, 3)), axis=0)
    market = a_market(closes, open=closes * 1.01)
    targets = decided(range(0, 40, 5), drawn.dirichlet(np.ones(3), 8))
    orders = [(11, 1, 3.0)] if rejects else []
    found = climbed(market, targets, reference, own, orders)
    executed, _ = executed_part(with_rejected(market, orders), own.fill, targets.rows)

    def final(manner, executed=None):
        asked = {
            name: getattr(manner, name) for name in ("fill", "cash_buffer", "units", "min_trade", "costs")
        }
        execution = Execution(manner.sized_at, executed)
        return simulate(a_spec("ABC", **asked), market, targets, execution).nav[-1]

    assert found.final_nav == final(reference)
    last = found.steps[-1].final_nav if found.steps else found.final_nav
    assert last == final(own, executed)
    assert {step.step for step in found.steps} | set(found.same) == {
        "fill timing",
        "cash buffer",
        "units",
        "costs",
        "rejections",
    }


# ------------------------------------------------------------------------ conventions


def test_conventions_that_come_to_the_same_are_the_same():
    told = Conventions("close", "decision", "whole", "from_cash: whatever", 0.1, cent=0.01)
    assert Manner.of(told, CostSpec(), 5.0) == Manner("close", "fill", 0.1, "whole", 5.0, CostSpec())
    costs = CostSpec(10.0)
    assert Manner.of(told, costs, 0.0).costs == CostSpec(10.0, booking="from_cash")
    targeted = dataclasses.replace(told, costs="targeted: as they are")
    assert Manner.of(targeted, CostSpec(10.0, booking="from_cash"), 0.0).costs == costs


def test_a_booking_that_the_built_in_engine_does_not_have_is_the_engines_own():
    own_way = Manner.of(Conventions("close", "fill", "whole", "within each order"), CostSpec(10.0), 0.0)
    cash = Manner.of(Conventions("close", "fill", "whole", "from_cash: …"), CostSpec(10.0), 0.0)
    free = Manner.of(Conventions("close", "fill", "whole", "from_cash: …"), CostSpec(), 0.0)

    assert own_way.booking_as(cash) == cash
    assert cash.booking_as(own_way) == cash
    assert own_way.booking_as(free).costs == CostSpec(10.0, booking="targeted")
    assert not free.books_its_own_way


def test_what_a_result_says_of_itself_is_read_back():
    told = PortfolioEngine().conventions(a_spec(units="whole", cash_buffer=0.1))
    assert conventions_told({"conventions": told.to_json()}) == told
    assert conventions_told({"conventions": json.loads(json.dumps(told.to_json()))}) == told


@pytest.mark.parametrize(
    "changed",
    [{"fill": "soon"}, {"units": 3}, {"sized_at": None}, {"cash_buffer": "1 %"}, {"costs": None}, {"x": 1}],
)
def test_what_makes_no_sense_says_nothing(changed):
    told = PortfolioEngine().conventions(a_spec()).to_json()
    assert conventions_told({"conventions": {**told, **changed}}) is None
    assert conventions_told({"conventions": "targeted"}) is None
    assert conventions_told({}) is None
