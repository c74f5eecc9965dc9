"""What the batch and the market declare, beside what an engine says of it: edges, warnings, prices."""

import dataclasses
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.checks.accounting import cents_needed, check_books
from pytest_finbot.checks.against_market import check_marks_at_market, distant_fills
from pytest_finbot.checks.declared import beyond_declared, check_declared
from pytest_finbot.checks.identities import residuals
from pytest_finbot.contracts import (
    DataSpec,
    EngineResult,
    Fills,
    Flow,
    MarketData,
    MarkSpec,
    RunSpec,
    Verdict,
)

DAYS = np.arange("2015-03-02", "2015-03-07", dtype="datetime64[D]")
CLOSE = np.array([[10.0, 50.0], [11.0, 50.0], [12.0, 25.0], [12.0, 26.0], [13.0, 27.0]])
DIVIDENDS, SPLITS = np.zeros((5, 2)), np.ones((5, 2))
DIVIDENDS[3, 0] = 0.5
SPLITS[2, 1] = 2.0
MARKET = MarketData(DAYS, ("A", "B"), CLOSE, "close", "prices.csv")
SPEC = RunSpec(
    name="run",
    engine="mine",
    strategy="s",
    params={},
    symbols=("A", "B"),
    start_date=date(2015, 3, 2),
    end_date=date(2015, 3, 6),
    start_capital=1000.0,
    data=DataSpec("prices.csv"),
)
DECLARED = dataclasses.replace(SPEC, flows=(Flow(date(2015, 3, 4), 60.0), Flow(date(2015, 3, 4), 40.0)))
WITH_ACTIONS = dataclasses.replace(MARKET, dividends=DIVIDENDS, splits=SPLITS)
TARGET = {"A": 20.0, "B": 4.0}


def account(*, assets=("A", "B"), first=0, held=(), flows=None, dividends=True, splits=True, **changes):
    """20 of A and 4 of B, bought at the first close that the account has; what else a broker books."""
    named = [("A", "B").index(asset) for asset in assets]
    close, amount, factor = CLOSE[first:, named], DIVIDENDS[first:, named], SPLITS[first:, named]
    sessions = len(close)
    bought = np.array([TARGET[asset] for asset in assets])
    split = factor if splits else np.ones(close.shape)
    quantity = bought * np.cumprod(np.vstack((np.ones(len(named)), split[1:])), axis=0)
    income = np.zeros(close.shape)
    if dividends:
        income[1:] = quantity[:-1] * amount[1:]
    flow = np.zeros(sessions) if flows is None else np.array(flows)
    cash = 1000.0 - (bought * close[0]).sum() + (income.sum(axis=1) + flow).cumsum()
    count = len(named)
    none = np.zeros(count)
    facts = {
        "sessions": DAYS[first:],
        "assets": assets,
        "nav": cash + (quantity * close).sum(axis=1),
        "cash": cash,
        "quantity": quantity,
        "mark": close.copy(),
        "start_cash": 1000.0,
        "fills": Fills(np.zeros(count, np.int64), np.arange(count), bought, close[0], none, none),
        "flows": flow,
        "income": income,
        "splits": split,
    }
    return EngineResult.of(**{**facts, **changes})


ASKED = {"flows": [0.0, 0.0, 100.0, 0.0, 0.0]}


# ------------------------------------------------------------------------------ declared


@pytest.mark.parametrize("assets", [("A", "B"), ("B", "A"), ("A",)])
def test_what_is_booked_as_declared_passes_in_whatever_order_the_assets_are(assets):
    check = check_declared(account(assets=assets, **ASKED), DECLARED, WITH_ACTIONS)

    assert (check.name, check.verdict, check.value) == ("declared", Verdict.IDENTICAL, 0.0)
    assert check.message == "booked as declared: start capital, flows, splits, dividends"
    assert beyond_declared(account(assets=assets, **ASKED), DECLARED, WITH_ACTIONS) == ()


def test_every_kind_that_is_ignored_is_told_at_once():
    spec = dataclasses.replace(DECLARED, multipliers={"B": 5.0})
    check = check_declared(account(dividends=False, splits=False, start_cash=900.0), spec, WITH_ACTIONS)

    assert (check.verdict, check.value, check.session) == (Verdict.ERROR, 5.0, "2015-03-02")
    assert check.message == (
        "engine 'mine' starts with 900.00, expected the start capital 1,000.00; "
        "ignores multipliers: B has 1, declared is 5; "
        "ignores flows: on 2015-03-04 it has 0.00, declared is 100.00; "
        "ignores splits: B has a factor of 1, declared is 2 on 2015-03-04; "
        "ignores dividends: A has income of 0.00, expected 10.00: 20 units held x 0.5 x multiplier 1 on "
        "2015-03-05"
    )


def test_a_flow_in_the_warm_up_that_an_engine_leaves_out_is_a_flow_that_it_ignores():
    result = account(first=3)

    check = check_declared(result, DECLARED, MARKET)
    assert (check.session, check.value) == ("2015-03-04", 2.0)
    assert (
        "ignores flows: 60.00 is declared on 2015-03-04, which is none of its sessions (2015-03-05 to "
        "2015-03-06), and 1 more"
    ) in check.message
    assert beyond_declared(result, SPEC, MARKET) == (
        "engine 'mine' leaves out the first 3 of 5 sessions (a warm-up): its account begins on 2015-03-05",
    )


def test_after_a_warm_up_sessions_are_compared_with_those_of_their_day():
    assert not check_declared(account(first=1), SPEC, WITH_ACTIONS).failed
    late = check_declared(account(first=1, dividends=False), SPEC, WITH_ACTIONS)
    assert (late.session, late.asset) == ("2015-03-05", "A")
    # What was split before the account began is no matter of its own.
    assert not check_declared(account(first=2, splits=False), SPEC, WITH_ACTIONS).failed


def test_a_split_of_what_is_not_held_need_not_be_known():
    nothing = account(splits=False, quantity=np.zeros((5, 2)), dividends=False)

    assert not check_declared(nothing, SPEC, WITH_ACTIONS).failed


def test_reinvested_dividends_are_income_first_and_a_short_position_pays_them():
    result = account(quantity=np.full((5, 2), -4.0), splits=False, dividends=False)
    result.income[3, 0] = -4.0 * 0.5
    market = dataclasses.replace(MARKET, dividends=DIVIDENDS)

    assert not check_declared(result, SPEC, market).failed
    result.income[3, 0] = 4.0 * 0.5
    assert check_declared(result, SPEC, market).asset == "A"


def test_an_engine_that_books_in_cents_may_round_what_it_is_paid():
    result = account()
    result.income[3, 0] += 0.004

    assert check_declared(result, SPEC, WITH_ACTIONS).failed
    assert not check_declared(dataclasses.replace(result, cent=0.01), SPEC, WITH_ACTIONS).failed


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cell=st.tuples(st.integers(1, 29), st.integers(0, 3)))
def test_any_dividend_that_is_not_paid_is_found_in_its_place(seed, cell):
    rng = np.random.default_rng(seed)
    days = np.datetime64("2015-03-02") + np.arange(30)
    names = tuple("ABCD")
    held = rng.integers(1, 50, (30, 4)) * rng.choice([-1.0, 1.0], (30, 4))
    multiplier = rng.choice([1.0, 50.0], 4)
    paid = np.where(rng.random((30, 4)) < 0.2, rng.uniform(0.1, 2.0, (30, 4)), 0.0)
    paid[cell] = 1.0
    income = np.vstack((np.zeros(4), held[:-1] * paid[1:])) * multiplier
    result = EngineResult.of(
        sessions=days,
        assets=names,
        nav=np.full(30, 1000.0),
        cash=np.full(30, 1000.0),
        quantity=held,
        mark=np.ones((30, 4)),
        start_cash=1000.0,
        multiplier=multiplier,
        income=income,
    )
    market = MarketData(days, names, np.ones((30, 4)), "close", "x", dividends=paid)

    assert not check_declared(result, SPEC, market).failed
    income[cell] = 0.0
    check = check_declared(result, SPEC, market)
    assert (check.session, check.asset, check.value) == (str(days[cell[0]]), names[cell[1]], 1.0)


# ------------------------------------------------------------------- beyond what is declared


def test_what_nobody_declared_is_told_with_its_sum_and_its_first_day_and_fails_nothing():
    result = account(flows=[0.0, 5.0, 0.0, 0.0, 7.5], multiplier=np.array([1.0, 10.0]))

    assert not check_declared(result, SPEC, MARKET).failed
    assert beyond_declared(result, SPEC, MARKET) == (
        "engine 'mine' books flows of its own: 12.50 in 2 sessions, the first on 2015-03-03",
        "engine 'mine' books income of its own: 10.00 in 1 place (one a session and asset), the first of A "
        "on 2015-03-05",
        "engine 'mine' has splits of its own: 1 place (one a session and asset), the first of B on "
        "2015-03-04 by 2",
        "engine 'mine' has multipliers of its own: of 1 asset, the first of B, 10",
    )


def test_an_asset_that_the_market_does_not_know_is_named_and_its_income_is_the_engines_own():
    plain = account()
    wide = {
        name: np.column_stack((getattr(plain, name), np.full(5, fill)))
        for name, fill in (("quantity", 1.0), ("mark", 7.0), ("income", 0.25), ("splits", 1.0))
    }
    result = account(assets=("A", "B"), **ASKED)
    result = dataclasses.replace(result, assets=("A", "B", "SHADOW"), multiplier=np.ones(3), **wide)

    assert not check_declared(result, DECLARED, WITH_ACTIONS).failed
    assert beyond_declared(result, DECLARED, WITH_ACTIONS) == (
        "engine 'mine' has 1 asset that is not among the run's symbols: SHADOW; nothing here can check their "
        "marks",
        "engine 'mine' books income of its own: 1.25 in 5 places (one a session and asset), the first of "
        "SHADOW on 2015-03-02",
    )
    assert check_marks_at_market(result, WITH_ACTIONS, MarkSpec()).verdict is Verdict.IDENTICAL


# -------------------------------------------------------------------- marks and fill prices


def test_a_mark_may_be_off_by_what_the_batch_allows_and_by_a_cent_where_those_are_booked():
    result = account()
    result.mark[3, 1] = 26.0 * 1.0009
    check = check_marks_at_market(result, MARKET, MarkSpec())
    assert (check.name, check.verdict, check.limit) == ("marks_at_market", Verdict.WITHIN, 0.001)
    assert check.value == pytest.approx(0.0009)

    result.mark[3, 1] = 26.0 * 1.0011
    check = check_marks_at_market(result, MARKET, MarkSpec())
    assert (check.verdict, check.session, check.asset) == (Verdict.ERROR, "2015-03-05", "B")
    assert check.message == (
        "1 of 10 positions held is not valued at the market's close, or within 0.1 % of it: first B on "
        "2015-03-05 at 26.0286, where the close is 26 (0.11 % off)"
    )
    assert not check_marks_at_market(result, MARKET, MarkSpec(max_deviation=0.005)).failed
    assert not check_marks_at_market(dataclasses.replace(result, cent=0.01), MARKET, MarkSpec()).failed


def test_only_what_is_held_and_has_a_close_of_its_session_is_compared():
    result = account()
    result.mark[3, 1] = 99.0
    observed = np.ones((5, 2), np.bool_)
    observed[3, 1] = False
    assert not check_marks_at_market(
        result, dataclasses.replace(MARKET, observed=observed), MarkSpec()
    ).failed
    result.quantity[3, 1] = 0.0
    assert not check_marks_at_market(result, MARKET, MarkSpec()).failed

    unknown = dataclasses.replace(result, assets=("X", "Y"))
    check = check_marks_at_market(unknown, MARKET, MarkSpec())
    assert (check.verdict, check.message) == (
        Verdict.SKIPPED,
        "no held position has a close of the market's to compare",
    )


def test_columns_that_the_market_does_not_know_shift_no_name():
    plain = account()
    wide = {
        name: np.column_stack((np.ones(5), getattr(plain, name)))
        for name in ("quantity", "mark", "income", "splits")
    }
    result = dataclasses.replace(plain, assets=("SHADOW", "A", "B"), multiplier=np.ones(3), **wide)
    result.mark[4, 1] = 20.0

    check = check_marks_at_market(result, MARKET, MarkSpec())
    assert (check.session, check.asset) == ("2015-03-06", "A")
    assert "first A on 2015-03-06 at 20, where the close is 13" in check.message


def test_the_closes_themselves_are_not_looked_at_but_those_of_other_assets_are():
    itself = account(mark=CLOSE)
    assert check_marks_at_market(itself, MARKET, MarkSpec()).message == "marks are the market's closes"
    crossed = dataclasses.replace(itself, assets=("B", "A"))
    assert check_marks_at_market(crossed, MARKET, MarkSpec()).failed


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), first=st.integers(0, 300), limit=st.sampled_from([0.0, 0.01, 1e6]))
def test_all_marks_at_once_are_as_one_after_the_other(seed, first, limit):
    """On more cells than are looked at together."""
    rng = np.random.default_rng(seed)
    days, names = np.datetime64("2010-01-01") + np.arange(700), tuple(f"S{n}" for n in range(110))
    close = rng.uniform(5.0, 50.0, (700, 110))
    market = MarketData(days, names, close, "close", "x", observed=rng.random(close.shape) < 0.9)
    order = rng.permutation(110)
    mark = close[first:, order] * np.where(rng.random((700 - first, 110)) < 1e-4, 1.02, 1.0)
    held = np.where(rng.random(mark.shape) < 0.5, -3.0, 0.0)
    result = EngineResult.of(
        sessions=days[first:],
        assets=[names[n] for n in order],
        nav=np.ones(700 - first),
        cash=np.ones(700 - first),
        quantity=held,
        mark=mark,
        start_cash=1.0,
    )

    off = np.abs(mark - close[first:, order]) / close[first:, order]
    off[(held == 0) | ~market.observed[first:, order]] = 0.0
    check = check_marks_at_market(result, market, MarkSpec(max_deviation=limit))

    assert check.value == off.max()
    assert check.failed == bool((off > limit).any())
    if check.failed:
        row, column = np.argwhere(off > limit)[0]
        assert (check.session, check.asset) == (str(days[first + row]), names[order[column]])
        assert check.message.startswith(f"{int((off > limit).sum()):,} of ")


@pytest.mark.parametrize(
    ("price", "opened", "told"),
    [
        (7.6, None, False),
        (7.45, None, True),
        (13.7, None, False),
        (13.8, None, True),
        (13.8, 12.0, False),
        (7.45, 9.9, False),
    ],
)
def test_a_fill_may_be_a_quarter_beyond_the_prices_that_are_known_of_its_session(price, opened, told):
    opens = None if opened is None else np.full((5, 2), opened)
    one = np.ones(1)
    fills = Fills(np.array([1]), np.array([0]), one, np.array([price]), one, one)

    assert bool(distant_fills(account(fills=fills), dataclasses.replace(MARKET, open=opens))) == told


def test_the_close_before_a_split_is_in_the_units_after_it():
    one = np.ones(1)
    fills = Fills(np.array([1]), np.array([1]), one, np.array([40.0]), one, one)
    result = account(first=1, fills=fills)

    assert distant_fills(result, MARKET) == ()
    assert distant_fills(result, WITH_ACTIONS) == (
        "1 of 1 fills is priced more than 25 % beyond the market's prices of the session: first B on "
        "2015-03-04 at 40, the market's are 25 to 25",
    )


# ---------------------------------------------------------------------------------- cents


def test_books_that_hold_only_because_of_cents_say_so():
    result = dataclasses.replace(account(), cent=0.01)
    assert cents_needed(residuals(result, 1000.0), result) == ()

    result.cash[0] += 0.015
    identities = residuals(result, 1000.0)
    broken = {check.name: check for check in check_books(result, SPEC, identities=identities) if check.failed}
    assert broken["cash_roll"].session == "2015-03-03"
    assert "cash_roll (1)," in cents_needed(identities, result)[0], "not where it did not help"

    result.cash[1:] += 0.015
    result.nav[:] += 0.015
    identities = residuals(result, 1000.0)
    assert [check for check in check_books(result, SPEC, identities=identities) if check.failed] == []
    (warning,) = cents_needed(identities, result)
    assert warning.startswith(
        "the books hold only because a cent of 0.01 a fill is allowed: needed by cash_roll"
    )
    assert "cash_roll (1), nav_rolled (5), pnl_flows (1)" in warning
    assert warning.endswith(" sessions, the first on 2015-03-02")
