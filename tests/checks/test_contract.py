"""The contract of engines: a result of the wrong shape is refused in one precise sentence."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.checks.contract import check_result
from pytest_finbot.contracts import DataSpec, EngineResult, Fills, MarketData, RejectedOrder, RunSpec
from pytest_finbot.errors import EngineError

SESSIONS = np.arange("2015-03-02", "2015-03-07", dtype="datetime64[D]")
MARKET = MarketData(
    sessions=SESSIONS, symbols=("AAPL", "XOM"), close=np.ones((5, 2)), field="close", source="prices.csv"
)
SPEC = RunSpec(
    name="run",
    engine="mine:engine",
    strategy="s",
    params={},
    symbols=("AAPL", "XOM"),
    start_date=date(2015, 3, 2),
    end_date=date(2015, 3, 6),
    start_capital=100.0,
    data=DataSpec("prices.csv"),
)


def fills(**changes):
    columns = {
        "session": np.array([1, 3]),
        "asset": np.array([0, 1]),
        "quantity": np.array([1.0, -2.0]),
        "price": np.array([10.0, 20.0]),
        "fee": np.array([0.0, 1.0]),
        "slippage": np.zeros(2),
    }
    return Fills(**{**columns, **changes})


def result(**changes):
    facts = {
        "sessions": SESSIONS,
        "assets": ("AAPL", "XOM"),
        "nav": np.full(5, 100.0),
        "cash": np.full(5, 100.0),
        "quantity": np.zeros((5, 2)),
        "mark": np.ones((5, 2)),
        "start_cash": 100.0,
        "fills": fills(),
    }
    return EngineResult.of(**{**facts, **changes})


def at(shape, where, value, fill=1.0):
    values = np.full(shape, fill)
    values[where] = value
    return values


def on(sessions):
    """A result of some sessions only, without fills."""
    count = len(sessions)
    return result(
        sessions=sessions,
        nav=np.full(count, 100.0),
        cash=np.full(count, 100.0),
        quantity=np.zeros((count, 2)),
        mark=np.ones((count, 2)),
        fills=Fills.none(),
    )


def test_a_sound_result_passes():
    check_result(result(), SPEC, MARKET)


@pytest.mark.parametrize(
    "sound",
    [
        result(fills=Fills.none()),
        result(mark=at((5, 2), (0, 0), np.nan)),
        result(quantity=np.zeros((5, 2), np.int64), nav=np.full(5, 100), cash=np.full(5, 100.0, np.float32)),
        on(SESSIONS[1:]),
        on(SESSIONS[4:]),
        result(cent=0.01),
        result(start_cash=np.float64(100.0), rejected_orders=[RejectedOrder(4, 1, 5.0, "no cash")]),
    ],
    ids=[
        "no fills",
        "an unmarked asset",
        "other numbers",
        "a warm-up left out",
        "the last session alone",
        "cents",
        "a rejected order",
    ],
)
def test_what_an_engine_may_do(sound):
    check_result(sound, SPEC, MARKET)


BROKEN = [
    ({"a": 1}, "it returned dict, expected pytest_finbot.contracts.EngineResult"),
    (None, "it returned NoneType"),
    (result(sessions=SESSIONS.astype("datetime64[ns]")), "sessions are a datetime64[ns] array, expected"),
    (result(sessions=list(SESSIONS)), "sessions are a list, expected a NumPy array of datetime64[D]"),
    (result(sessions=SESSIONS[:0]), "sessions have shape (0,)"),
    (result(sessions=at(5, 2, "NaT", SESSIONS[0])), "session 2 is NaT"),
    (
        result(sessions=SESSIONS[[0, 1, 1, 2, 3]]),
        "sessions do not rise: 2015-03-03 comes twice (rows 1 and 2)",
    ),
    (
        result(sessions=SESSIONS[[0, 2, 1, 3, 4]]),
        "sessions do not rise: 2015-03-04 comes before 2015-03-03 (rows 1 and 2)",
    ),
    (
        result(sessions=SESSIONS + np.timedelta64(1, "D")),
        "session 2015-03-07 is not one of the market's 5 sessions (2015-03-02 to 2015-03-06)",
    ),
    (
        on(SESSIONS[[0, 1, 3, 4]]),
        "it leaves out 1 session after its first, 2015-03-02: 2015-03-04; sessions may be left out at the",
    ),
    (on(SESSIONS[:3]), "it leaves out 2 sessions after its first, 2015-03-02: the first is 2015-03-05; sess"),
    (on(SESSIONS[[1, 4]]), "it leaves out 2 sessions after its first, 2015-03-03: the first is 2015-03-04"),
    (result(assets=("AAPL", "AAPL")), "assets are named more than once: AAPL"),
    (result(assets=("AAPL", 7)), "assets[1] is int, expected a text"),
    (result(nav=np.full(4, 100.0)), "nav has shape (4,), expected (5,): one value a session"),
    (result(nav=[100.0] * 5), "nav is list, expected a NumPy array of float64"),
    (result(cash=np.full(5, 100.0, object)), "cash has dtype object, expected float64"),
    (result(cash=np.full(5, 1j)), "cash has dtype complex128, expected float64"),
    (result(cash=np.full(5, True)), "cash has dtype bool, expected float64"),
    (result(quantity=np.zeros((2, 5))), "quantity has shape (2, 5), expected (5, 2): one row a session"),
    (result(mark=np.ones(5)), "mark has shape (5,), expected (5, 2)"),
    (result(nav=at(5, 3, np.nan)), "nav on 2015-03-05 is nan, expected a finite number"),
    (result(cash=at(5, 0, -np.inf)), "cash on 2015-03-02 is -inf, expected a finite number"),
    (result(quantity=at((5, 2), (2, 1), np.nan)), "quantity of XOM on 2015-03-04 is nan, expected a finite"),
    (result(flows=at(5, 1, np.nan)), "flows on 2015-03-03 is nan"),
    (result(income=at((5, 2), (4, 0), np.inf)), "income of AAPL on 2015-03-06 is inf"),
    (result(income=np.broadcast_to(np.nan, (5, 2))), "income of AAPL on 2015-03-02 is nan"),
    (
        result(splits=at((5, 2), (4, 1), 0.0)),
        "splits of XOM on 2015-03-06 is 0.0, expected a factor above zero",
    ),
    (result(splits=np.broadcast_to(-1.0, (5, 2))), "splits of AAPL on 2015-03-02 is -1.0, expected a factor"),
    (result(multiplier=np.array([1.0, 0.0])), "multiplier of XOM is 0.0, expected a number above zero"),
    (result(multiplier=np.ones(3)), "multiplier has shape (3,), expected (2,): one value an asset"),
    (result(fills={}), "fills are dict, expected pytest_finbot.contracts.Fills"),
    (result(fills=fills(price=np.ones(3))), "columns of fills differ in length: session (2,), asset (2,)"),
    (result(fills=fills(session=np.array([1.0, 3.0]))), "fills.session has dtype float64, expected int64"),
    (result(fills=fills(fee=[0.0, 0.0])), "fills.fee is list, expected a NumPy array of float64"),
    (
        result(fills=fills(session=np.array([1, 5]))),
        "fills.session[1] is 5, expected a row of its 5 sessions (from 0)",
    ),
    (
        result(fills=fills(asset=np.array([-1, 0]))),
        "fills.asset[0] is -1, expected a column of its 2 assets (from 0)",
    ),
    (
        result(fills=fills(session=np.array([3, 1]))),
        "fill 1 on 2015-03-03 comes after one on 2015-03-05, expected fills in order of session",
    ),
    (
        result(fills=fills(quantity=np.array([1.0, np.inf]))),
        "quantity of fill 1 of XOM on 2015-03-05 is inf, expected a finite number other than 0",
    ),
    (result(fills=fills(quantity=np.array([-0.0, 1.0]))), "quantity of fill 0 of AAPL on 2015-03-03 is -0.0"),
    (result(fills=fills(price=np.array([np.nan, 1.0]))), "price of fill 0 of AAPL on 2015-03-03 is nan"),
    (
        result(fills=fills(fee=np.array([0.0, -1.0]))),
        "fee of fill 1 of XOM on 2015-03-05 is -1.0, expected a finite amount of zero or more",
    ),
    (result(fills=fills(slippage=np.array([-0.5, 0.0]))), "slippage of fill 0 of AAPL on 2015-03-03 is -0.5"),
    (
        result(rejected_orders=["no"]),
        "rejected order 0 is str, expected pytest_finbot.contracts.RejectedOrder",
    ),
    (
        result(rejected_orders=[RejectedOrder(5, 0, 1.0, "x")]),
        "rejected order 0 has session 5, expected a row of its 5 sessions",
    ),
    (
        result(rejected_orders=[RejectedOrder(0, -1, 1.0, "x")]),
        "rejected order 0 has asset -1, expected a column of its 2 assets",
    ),
    (result(rejected_orders=[RejectedOrder(0, 0, np.nan, "x")]), "rejected order 0 has quantity nan"),
    (result(start_cash=np.nan), "start_cash is nan, expected a finite number"),
    (result(start_cash=None), "start_cash is NoneType, expected a number"),
    (result(cent=-0.01), "cent is -0.01, expected 0 or the smallest amount it books"),
    (
        result(cent=0.011),
        "cent is 0.011, expected at most 0.01: 1, and 0.0001 of the start capital 100",
    ),
    (result(warnings=[ValueError("x")]), "warnings[0] is ValueError, expected a text"),
]


@pytest.mark.parametrize(("broken", "fault"), BROKEN, ids=[fault for _, fault in BROKEN])
def test_a_broken_result_is_refused_by_name_and_place(broken, fault):
    with pytest.raises(EngineError) as raised:
        check_result(broken, SPEC, MARKET)

    message = str(raised.value)
    assert message.startswith("engine 'mine:engine' broke its contract: ")
    assert fault in message
    assert "\n" not in message


def test_a_result_that_was_built_by_hand_is_looked_at_as_closely():
    with pytest.raises(EngineError, match="assets are list, expected a tuple of texts"):
        check_result(dataclasses.replace(result(), assets=["AAPL", "XOM"]), SPEC, MARKET)


def test_a_cent_is_at_most_one_however_large_the_account():
    rich = dataclasses.replace(SPEC, start_capital=1e9)
    check_result(result(cent=1.0), rich, MARKET)
    with pytest.raises(EngineError, match=r"cent is 1\.5, expected at most 1: 1, and"):
        check_result(result(cent=1.5), rich, MARKET)


class Otherwise(EngineResult):
    """Another NAV for everybody who does not check it."""

    __slots__ = ()


class OtherFills(Fills):
    __slots__ = ()


def as_kind(kind, one):
    return kind(**{field.name: getattr(one, field.name) for field in dataclasses.fields(one)})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (as_kind(Otherwise, result()), r"it returned \S*Otherwise, expected .*EngineResult itself"),
        (result(fills=as_kind(OtherFills, fills())), r"fills are \S*OtherFills, expected"),
        (
            result(nav=np.ma.masked_invalid(at(5, 2, np.nan, 100.0))),
            "nav is numpy.ma.MaskedArray, expected a NumPy array of float64",
        ),
        (
            result(fills=fills(fee=np.ma.masked_invalid([np.nan, 1.0]))),
            "fills.fee is numpy.ma.MaskedArray, expected a NumPy array of float64",
        ),
    ],
)
def test_what_may_say_one_thing_here_and_another_there_is_refused(given, message):
    with pytest.raises(EngineError, match=message):
        check_result(given, SPEC, MARKET)
