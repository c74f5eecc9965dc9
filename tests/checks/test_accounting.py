"""The identities: every honest account keeps them, and each fault is told by name, day and asset."""

import dataclasses
import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.contracts import DataSpec, EngineResult, Fills, RunSpec, Verdict
from pytest_finbot.valuation.books import Books

CAPITAL = 100_000.0
SPEC = RunSpec(
    name="run",
    engine="mine",
    strategy="s",
    params={},
    symbols=("AAPL", "XOM"),
    start_date=date(2015, 3, 2),
    end_date=date(2015, 12, 31),
    start_capital=CAPITAL,
    data=DataSpec("prices.csv"),
)


class Ledger:
    """A broker's books, one entry at a time: the plain way that the identities are held to."""

    def __init__(self, seed, sessions, assets, *, splits, income, flows, multipliers, fees, shorts, cents):
        draw = np.random.default_rng(seed)
        self.multiplier = draw.choice([1.0, 10.0, 50.0], assets) if multipliers else np.ones(assets)
        self.mark = np.zeros((sessions, assets))
        self.quantity = np.zeros((sessions, assets))
        self.splits = draw.choice([1.0, 1.0, 1.0, 2.0, 0.1], (sessions, assets)) if splits else None
        self.income = np.zeros((sessions, assets)) if income else None
        self.flows = np.zeros(sessions) if flows else None
        self.nav, self.cash = np.zeros(sessions), np.zeros(sessions)
        self.fills = []
        self.cent = 0.01 if cents else 0.0
        cash, held, price = CAPITAL, [0.0] * assets, draw.uniform(5.0, 500.0, assets).tolist()
        for t in range(sessions):
            for n in range(assets):
                split = self.splits[t, n] if splits else 1.0
                held[n] *= split
                price[n] *= float(draw.uniform(0.9, 1.1)) / split
                if income:
                    self.income[t, n] = float(draw.normal(0.0, 1.0)) * abs(held[n])
                    cash += self.income[t, n]
            if flows and draw.random() < 0.3:
                self.flows[t] = float(draw.normal(0.0, 5_000.0))
                cash += self.flows[t]
            for _ in range(draw.integers(0, 4)):
                n = int(draw.integers(assets))
                amount = float(draw.choice([-held[n], draw.normal(0, 50), float(draw.integers(-30, 31))]))
                if not shorts:
                    amount = max(amount, -held[n])
                if not amount:
                    continue
                slip = float(draw.uniform(0, 1e-3)) * price[n]
                paid = price[n] + (slip if amount > 0 else -slip)
                fee = float(draw.uniform(0.0, 5.0)) if fees else 0.0
                money = amount * paid * self.multiplier[n] + fee
                cash -= round(money, 2) if cents else money
                held[n] += amount
                self.fills.append((t, n, amount, paid, fee, abs(amount) * slip * self.multiplier[n]))
            self.mark[t], self.quantity[t], self.cash[t] = price, held, cash
            self.nav[t] = cash + sum(q * p * m for q, p, m in zip(held, price, self.multiplier, strict=True))
        unheld = (self.quantity == 0) & (draw.random((sessions, assets)) < 0.5)
        self.mark[unheld] = np.nan

    def result(self):
        columns = list(zip(*self.fills, strict=True)) or [()] * 6
        kinds = (np.int64, np.int64, *[np.float64] * 4)
        return EngineResult.of(
            sessions=np.datetime64("2015-03-02", "D") + np.arange(len(self.nav)),
            assets=[f"A{number}" for number in range(len(self.multiplier))],
            nav=self.nav,
            cash=self.cash,
            quantity=self.quantity,
            mark=self.mark,
            start_cash=CAPITAL,
            fills=Fills(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True))),
            multiplier=self.multiplier,
            flows=self.flows,
            income=self.income,
            splits=self.splits,
            cent=self.cent,
        )


FEATURES = ("splits", "income", "flows", "multipliers", "fees", "shorts")


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sessions=st.integers(1, 60),
    assets=st.integers(1, 5),
    features=st.fixed_dictionaries({name: st.booleans() for name in FEATURES}),
    cents=st.booleans(),
)
def test_an_honest_ledger_keeps_every_identity(seed, sessions, assets, features, cents):
    found = check_books(Ledger(seed, sessions, assets, **features, cents=cents).result(), SPEC)

    assert [check for check in found if check.failed] == []
    assert all(check.limit is None or check.value <= check.limit for check in found)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    row=st.integers(0, 39),
    size=st.sampled_from([-1e6, -2.0, 2.0, 1e6]),
)
def test_twice_the_tolerance_missing_anywhere_is_found_on_its_day(seed, row, size):
    result = Ledger(seed, 40, 3, **dict.fromkeys(FEATURES, True), cents=False).result()
    amount = size * 1e-9 * max(abs(result.nav[row]), CAPITAL)
    result.nav[row] += amount

    failed = failures(result)

    assert failed["nav_identity"].session == str(result.sessions[row])
    assert failed["nav_identity"].value == pytest.approx(abs(amount), rel=1e-3)
    assert not {"market_value_finite", "quantity_roll", "cash_roll"} & set(failed)


def test_an_engine_that_rounds_to_cents_must_say_so():
    result = Ledger(7, 60, 3, **dict.fromkeys(FEATURES, True), cents=True).result()

    assert failures(result) == {}
    assert "cash_roll" in failures(dataclasses.replace(result, cent=0.0))


# ------------------------------------------------------------- one account, broken in turn

DAYS = np.arange("2015-03-02", "2015-03-10", dtype="datetime64[D]")


@pytest.fixture
def account():
    """800 AAPL at 100, 1,000 sold at 110 and so short, and 100 XOM: arrays of one's own to break."""
    fills = Fills(
        np.array([1, 1, 4]),
        np.array([0, 1, 0]),
        np.array([800.0, 100.0, -1000.0]),
        np.array([100.0, 50.0, 110.0]),
        np.array([8.0, 2.0, 10.0]),
        np.zeros(3),
    )
    quantity = np.zeros((8, 2))
    quantity[1:, 0], quantity[1:, 1] = 800.0, 100.0
    quantity[4:, 0] = -200.0
    mark = np.column_stack((np.array([99.0, 100, 104, 108, 110, 112, 111, 113]), np.full(8, 50.0)))
    cash = np.array([100_000.0, 14_990, 14_990, 14_990, 124_980, 124_980, 124_980, 124_980])
    return EngineResult.of(
        sessions=DAYS,
        assets=("AAPL", "XOM"),
        nav=cash + (quantity * mark).sum(axis=1),
        cash=cash,
        quantity=quantity,
        mark=mark,
        start_cash=CAPITAL,
        fills=fills,
        flows=np.zeros(8),
        income=np.zeros((8, 2)),
        splits=np.ones((8, 2)),
    )


SAME_FROM_OTHER_SIDES = {"nav_rolled", "cumulative_pnl", "equity", "realised_unrealised"}
"""Where quantities roll exactly, these are one statement: of cash, of P&L, of capital, of cost."""


def failures(result):
    found = check_books(result, SPEC)
    json.dumps([dataclasses.asdict(check) for check in found], allow_nan=False)
    return {check.name: check for check in found if check.failed}


def test_an_exact_account_is_identical_and_says_what_held(account):
    found = {check.name: check for check in check_books(account, SPEC)}

    assert list(found) == [
        "market_value_finite",
        "nav_identity",
        "quantity_roll",
        "cash_roll",
        "nav_rolled",
        "pnl_flows",
        "cumulative_pnl",
        "equity",
        "derived_cash",
        "realised_unrealised",
    ]
    assert {check.verdict for check in found.values()} == {Verdict.IDENTICAL}
    assert found["nav_identity"].value == 0.0
    assert found["nav_identity"].limit >= 1e-9 * CAPITAL


def test_a_difference_that_is_rounding_is_within(account):
    account.nav[3] += 1e-7

    check = {check.name: check for check in check_books(account, SPEC)}["nav_identity"]

    assert check.verdict is Verdict.WITHIN
    assert check.value == pytest.approx(1e-7, rel=1e-3)


def test_nav_that_is_not_cash_and_positions(account):
    account.nav[3] += 1_000.0

    failed = failures(account)

    check = failed["nav_identity"]
    assert check.verdict is Verdict.ERROR
    assert check.session == "2015-03-05"
    assert check.message == (
        "NAV 107,390.00 is not cash 14,990.00 + market value 91,400.00 on 2015-03-05 (off by 1,000.00)"
    )
    assert check.value == pytest.approx(1_000.0)
    assert check.value > check.limit
    assert set(failed) == {"nav_identity", "pnl_flows", *SAME_FROM_OTHER_SIDES}


def test_a_held_asset_without_a_mark(account):
    account.mark[5:7, 1] = np.nan

    failed = failures(account)

    check = failed["market_value_finite"]
    assert (check.session, check.asset, check.value) == ("2015-03-07", "XOM", 2.0)
    assert "XOM is held (100 units) at mark nan on 2015-03-07" in check.message
    assert "2 positions in all" in check.message
    assert failed["nav_identity"].session == "2015-03-07"
    assert failed["nav_identity"].value is None
    assert not {"quantity_roll", "cash_roll"} & set(failed)


def test_units_that_come_from_nowhere(account):
    account.quantity[6:, 1] += 7.0
    account.nav[6:] += 7.0 * account.mark[6:, 1]

    failed = failures(account)

    check = failed["quantity_roll"]
    assert (check.session, check.asset) == ("2015-03-08", "XOM")
    assert check.value == pytest.approx(7.0 * 50.0)
    assert check.message == (
        "quantity of XOM is 107 on 2015-03-08, but 100 held before + fills 0 make 100 (off by 7 units)"
    )
    assert not {"market_value_finite", "nav_identity", "cash_roll"} & set(failed)


def test_of_two_assets_that_do_not_follow_the_one_worth_more_is_named(account):
    account.quantity[6:, 0] += 1.0
    account.quantity[6:, 1] += 7.0

    check = failures(account)["quantity_roll"]

    assert (check.session, check.asset, check.value) == ("2015-03-08", "XOM", 350.0)


def test_units_held_from_the_start_without_a_fill(account):
    account.quantity[0, 1] = 3.0
    account.nav[0] += 150.0

    check = failures(account)["quantity_roll"]

    assert (check.session, check.asset, check.value) == ("2015-03-02", "XOM", 150.0)


def test_a_split_that_is_not_declared(account):
    account.quantity[2:4, 0] *= 2.0
    account.mark[2:4, 0] /= 2.0

    failed = failures(account)

    assert (failed["quantity_roll"].session, failed["quantity_roll"].asset) == ("2015-03-04", "AAPL")
    assert failed["quantity_roll"].message.endswith("; and 1 more time")
    account.splits[2, 0], account.splits[4, 0] = 2.0, 0.5
    assert failures(account) == {}


def test_units_that_vanish_where_there_is_no_mark(account):
    account.mark[6:, 1] = np.nan
    account.quantity[6:, 1] = 0.0
    account.nav[6:] -= 5_000.0

    check = failures(account)["quantity_roll"]

    assert (check.session, check.asset, check.value) == ("2015-03-08", "XOM", None)


def test_a_fill_of_the_wrong_day(account):
    account.fills.session[2] = 5

    failed = failures(account)

    assert (failed["quantity_roll"].session, failed["quantity_roll"].asset) == ("2015-03-06", "AAPL")
    assert failed["cash_roll"].session == "2015-03-06"


def test_cash_that_follows_from_nothing(account):
    account.cash[5:] -= 25.0
    account.nav[5:] -= 25.0

    failed = failures(account)

    check = failed["cash_roll"]
    assert check.session == "2015-03-07"
    assert check.message == (
        "cash 124,955.00 is not 124,980.00 before - fills 0.00 - fees 0.00 + income 0.00 + flows 0.00 "
        "on 2015-03-07 (off by -25.00)"
    )
    assert not {"market_value_finite", "nav_identity", "quantity_roll"} & set(failed)


@pytest.mark.parametrize("row", [0, 4])
def test_cash_is_rolled_from_the_start_cash_too(account, row):
    account.cash[row:] += 1.0
    account.nav[row:] += 1.0

    assert failures(account)["cash_roll"].session == str(DAYS[row])


@pytest.mark.parametrize("column", ["fee", "price", "quantity"])
def test_a_fill_that_was_booked_otherwise(account, column):
    getattr(account.fills, column)[1] += 0.5

    assert failures(account)["cash_roll"].session == "2015-03-03"


@pytest.mark.parametrize("column", ["income", "flows"])
def test_income_and_flows_must_reach_cash(account, column):
    getattr(account, column)[2] += 3.0

    assert failures(account)["cash_roll"].session == "2015-03-04"


def slack(account):
    """Nine tenths of what a session may be off by."""
    return 0.9 * 1e-9 * np.maximum(np.abs(account.nav), CAPITAL).min()


def test_a_nav_that_jumps_from_one_edge_of_the_tolerance_to_the_other(account):
    account.nav[3] -= slack(account)
    account.nav[4] += slack(account)

    failed = failures(account)

    assert set(failed) == {"pnl_flows"}
    assert failed["pnl_flows"].session == "2015-03-06"
    assert "NAV changed by" in failed["pnl_flows"].message


def test_units_that_seep_in_below_the_tolerance_of_a_session(account):
    seeped = np.arange(8) * slack(account)
    account.quantity[:, 1] += seeped / account.mark[:, 1]
    account.nav[:] += seeped

    failed = failures(account)

    assert set(failed) == {"cumulative_pnl", "equity", "derived_cash"}
    assert failed["cumulative_pnl"].session == "2015-03-04"


def test_a_purchase_in_slices_too_small_to_see(account):
    seeped = np.arange(8) * slack(account)
    account.quantity[:, 1] += seeped / account.mark[:, 1]
    account.cash[:] -= seeped

    failed = failures(account)

    assert set(failed) == {"realised_unrealised", "nav_rolled"}
    assert failed["realised_unrealised"].session == "2015-03-04"
    assert "realised" in failed["realised_unrealised"].message


@pytest.mark.parametrize("name", ["nav", "cash"])
def test_what_is_not_a_number_is_broken_not_passed(account, name):
    getattr(account, name)[2] = np.nan

    failed = failures(account)

    assert failed["nav_identity"].session == "2015-03-04"
    assert failed["nav_identity"].value is None


def test_the_first_of_many_broken_days_is_named_and_the_rest_counted(account):
    account.nav[2:] += 5.0

    check = failures(account)["nav_identity"]

    assert check.session == "2015-03-04"
    assert check.message.endswith("(off by 5.00); and 5 more times")


def test_books_already_computed_are_not_computed_again(account):
    books = Books(account)

    assert check_books(account, SPEC, books) == check_books(account, SPEC)
    assert "pnl" in vars(books)
