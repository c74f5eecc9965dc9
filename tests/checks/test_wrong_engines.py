"""Engines that are wrong in one way each, and what finds them: which identity, which day, which asset.

The identities are not all independent, so not each can be broken alone. In exact arithmetic

* ``market_value_finite``: a position without a value leaves every figure made with it without one;
* ``nav_rolled`` and ``realised_unrealised`` are one statement (what a fill was paid is what it adds
  to the cost less what it realises), and are broken together;
* ``cumulative_pnl`` and ``equity`` are one statement, P&L told as a sum and as a level;
* ``derived_cash`` is ``cumulative_pnl`` less ``nav_identity``: alone only while both are in bounds.

The others are broken alone here, those that hang together by amounts just beyond one limit that
leave every other identity within its own.
"""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market, distant_fills
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import beyond_declared, check_declared
from pytest_finbot.checks.identities import residuals
from pytest_finbot.checks.marks import check_marks
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
from pytest_finbot.valuation.marks import value_marks

DAYS = np.array([f"2015-03-{day:02}" for day in (2, 3, 4, 5, 6, 9, 10, 11, 12, 13)], "datetime64[D]")
ASSETS = ("AAPL", "KO", "PEP", "TSLA", "ES")
AAPL, KO, PEP, TSLA, ES = range(5)
CAPITAL = 100_000.0
ORDERS = {
    0: {AAPL: 100.0, KO: 200.0, TSLA: -50.0},
    1: {ES: 3.0},
    4: {PEP: 100.0},
    8: {AAPL: -60.0, TSLA: 80.0},
}
DIVIDENDS = {3: {KO: 0.33, TSLA: 1.0}}
"""Currency a unit; who is short pays it."""
SPLITS = {6: {AAPL: 2.0}}
FLOWS = {2: 10_000.0, 7: -5_000.0}
MULTIPLIER = np.array([1.0, 1.0, 1.0, 1.0, 50.0])
SPEC = RunSpec(
    name="run",
    engine="mine",
    strategy="orders",
    params={},
    symbols=ASSETS,
    start_date=date(2015, 3, 2),
    end_date=date(2015, 3, 13),
    start_capital=CAPITAL,
    data=DataSpec("prices.csv"),
    flows=tuple(Flow(DAYS[t].item(), amount) for t, amount in FLOWS.items()),
    multipliers={"ES": 50.0},
)


def a_market():
    step = np.arange(len(DAYS))[:, np.newaxis]
    close = np.array([120.0, 40.0, 40.0, 200.0, 1000.0]) + step * np.array([1.0, 0.0, 0.0, -3.0, 2.0])
    close[6:, AAPL] /= 2.0
    declared = {"dividends": np.zeros(close.shape), "splits": np.ones(close.shape)}
    for name, events in (("dividends", DIVIDENDS), ("splits", SPLITS)):
        for t, of_session in events.items():
            for n, value in of_session.items():
                declared[name][t, n] = value
    return MarketData(DAYS, ASSETS, close, "close", "prices.csv", **declared)


class Honest:
    """A broker's account, booked in order. What a wrong engine does otherwise is a method of its own."""

    capital, splits, dividends, flows, multiplier = CAPITAL, SPLITS, DIVIDENDS, FLOWS, MULTIPLIER
    cent = 0.0

    def run(self, market):
        self.market = market
        sessions = len(market.sessions)
        self.held, self.cash = np.zeros(len(ASSETS)), self.capital
        rows = {name: [] for name in ("nav", "cash", "quantity", "mark")}
        self.fills, self.income = [], np.zeros((sessions, len(ASSETS)))
        splits, flows = np.ones((sessions, len(ASSETS))), np.zeros(sessions)
        for t in range(sessions):
            self.held_before = self.held.copy()
            for n, factor in self.splits.get(t, {}).items():
                splits[t, n] = factor
                self.split(n, factor)
            for n, amount in self.dividends.get(t, {}).items():
                self.income[t, n] = amount * self.held_before[n]
                self.dividend(t, n)
            flows[t] = self.flows.get(t, 0.0)
            self.flow(t)
            for n, quantity in ORDERS.get(t, {}).items():
                self.trade(t, n, quantity)
            mark = self.mark(t)
            for name, value in (
                ("nav", self.nav(t, mark)),
                ("cash", self.cash),
                ("quantity", self.held.copy()),
                ("mark", mark),
            ):
                rows[name].append(value)
        columns = zip(*self.fills, strict=True)
        kinds = (np.int64, np.int64, *[np.float64] * 4)
        fills = Fills(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))
        result = EngineResult.of(
            sessions=market.sessions,
            assets=ASSETS,
            start_cash=self.capital,
            fills=fills,
            multiplier=self.multiplier,
            cent=self.cent,
            flows=flows,
            income=self.income,
            splits=splits,
            **{name: np.array(values) for name, values in rows.items()},
        )
        self.tamper(result, 1e-9 * np.maximum(np.abs(result.nav), CAPITAL).min())
        return result

    def split(self, n, factor):
        self.held[n] *= factor

    def dividend(self, t, n):
        self.cash += self.income[t, n]

    def flow(self, t):
        self.cash += self.flows.get(t, 0.0)

    def trade(self, t, n, quantity):
        price = self.price(t, n)
        self.cash -= quantity * price * self.multiplier[n] + 1.0
        self.held[n] += quantity
        self.fills.append((t, n, quantity, price, 1.0, 0.0))

    def price(self, t, n):
        return self.market.close[t, n]

    def mark(self, t):
        return self.market.close[t].copy()

    def nav(self, t, mark):
        return self.cash + float((self.held * mark * self.multiplier).sum())

    def tamper(self, result, limit):
        """Change what was booked; ``limit`` is what a session's residual may be (currency)."""


def failures(result):
    return {check.name: check for check in check_books(result, SPEC) if check.failed}


def warnings(result):
    return (*beyond_declared(result, SPEC, a_market()), *distant_fills(result, a_market()))


def told(failed):
    return {name: (check.session, check.asset) for name, check in failed.items()}


def test_the_honest_engine_is_found_to_be_honest():
    result = Honest().run(a_market())

    assert failures(result) == {}
    check_result(result, SPEC, a_market())
    assert check_declared(result, SPEC, a_market()).verdict is Verdict.IDENTICAL
    assert check_marks_at_market(result, a_market(), MarkSpec()).verdict is Verdict.IDENTICAL
    assert warnings(result) == ()
    assert result.quantity[-1].tolist() == [140.0, 200.0, 100.0, 30.0, 3.0]
    marks = value_marks(result, a_market(), MarkSpec())
    assert check_marks(marks, MarkSpec()).verdict is Verdict.IDENTICAL


# ---------------------------------------------------------------- just the one identity


class PostsAPurchaseToAnother(Honest):
    """It bought PEP and has KO: at the same price, so that no sum of money is wrong."""

    def tamper(self, result, limit):
        result.quantity[4:, PEP] -= 100.0
        result.quantity[4:, KO] += 100.0


class CashGoesAstrayForADay(Honest):
    def tamper(self, result, limit):
        result.cash[3] += 0.6 * limit
        result.cash[4] -= 0.6 * limit


class NavIsAboveItsParts(Honest):
    def tamper(self, result, limit):
        result.nav[5:] += 0.8 * limit
        result.cash[5:] -= 0.4 * limit


class NavJumpsFromEdgeToEdge(Honest):
    def tamper(self, result, limit):
        result.nav[3] -= 0.9 * limit
        result.nav[4] += 0.9 * limit


class CashDriftsFromEquity(Honest):
    """NAV, cash and units each a little too high, so that only cash against equity is too far."""

    def tamper(self, result, limit):
        result.nav[6:] += 0.7 * limit
        result.cash[6:] += 0.6 * limit
        result.quantity[6:, KO] += 0.8 * limit / result.mark[6:, KO]


@pytest.mark.parametrize(
    ("engine", "identity", "day", "asset"),
    [
        (PostsAPurchaseToAnother, "quantity_roll", "2015-03-06", "KO"),
        (CashGoesAstrayForADay, "cash_roll", "2015-03-06", None),
        (NavIsAboveItsParts, "nav_identity", "2015-03-09", None),
        (NavJumpsFromEdgeToEdge, "pnl_flows", "2015-03-06", None),
        (CashDriftsFromEquity, "derived_cash", "2015-03-10", None),
    ],
)
def test_one_identity_alone_is_broken_and_told_on_its_day(engine, identity, day, asset):
    assert told(failures(engine().run(a_market()))) == {identity: (day, asset)}


class EarnsMoreThanItsPositions(Honest):
    """Part of the excess is in the units, part in NAV alone, each within its bounds."""

    def tamper(self, result, limit):
        seeped = 0.6 * limit
        result.quantity[5:, KO] += seeped / result.mark[5:, KO]
        result.nav[5:] += seeped
        result.nav[6:] += seeped


class BuysInSlicesTooSmallToSee(Honest):
    """Units for money, and no fill: NAV does not move, and what was paid is nowhere."""

    def tamper(self, result, limit):
        for t, slices in ((4, 1.0), (5, 2.0)):
            paid = 0.8 * limit * slices
            rows = slice(t, None) if t == 5 else t
            result.quantity[rows, KO] += paid / result.mark[rows, KO]
            result.cash[rows] -= paid


@pytest.mark.parametrize(
    ("engine", "together", "day"),
    [
        (EarnsMoreThanItsPositions, {"cumulative_pnl", "equity"}, "2015-03-10"),
        (BuysInSlicesTooSmallToSee, {"nav_rolled", "realised_unrealised"}, "2015-03-09"),
    ],
)
def test_two_that_are_one_statement_are_broken_together_and_no_other_is(engine, together, day):
    assert told(failures(engine().run(a_market()))) == dict.fromkeys(together, (day, None))


class LosesAPrice(Honest):
    def mark(self, t):
        mark = super().mark(t)
        if t == 4:
            mark[TSLA] = np.nan
        return mark


def test_a_position_without_a_price_is_told_by_its_name_before_all_that_follows_from_it():
    failed = failures(LosesAPrice().run(a_market()))

    assert next(iter(failed)) == "market_value_finite"
    assert told(failed)["market_value_finite"] == ("2015-03-06", "TSLA")
    assert {check.session for check in failed.values()} == {"2015-03-06"}
    assert not {"quantity_roll", "cash_roll"} & set(failed)


class HoldsOnToAnOldPrice(Honest):
    """It values PEP, whose price stopped on 5 March, for ever at that."""

    def mark(self, t):
        mark = super().mark(t)
        mark[PEP] = 40.0
        return mark


def test_a_price_that_is_too_old_is_told_though_every_sum_is_right():
    market = a_market()
    observed = np.ones(market.close.shape, np.bool_)
    observed[4:, PEP] = False
    market = dataclasses.replace(market, observed=observed, calendar="XNYS")
    result = HoldsOnToAnOldPrice().run(market)

    assert failures(result) == {}
    check = check_marks(value_marks(result, market, MarkSpec(max_unmarked=0.01)), MarkSpec(max_unmarked=0.01))
    assert (check.verdict, check.session, check.asset) == (Verdict.ERROR, "2015-03-13", "PEP")


# --------------------------------------------------------------------- faults as they are made


class ForgetsASplit(Honest):
    def split(self, n, factor):
        pass


class KeepsTheDividendOfAShort(Honest):
    """It books what it receives, and not what it owes on what it is short."""

    def dividend(self, t, n):
        self.cash += max(self.income[t, n], 0.0)


class TakesADepositForAProfit(Honest):
    def tamper(self, result, limit):
        result.flows[:] = np.where(result.flows > 0, 0.0, result.flows)


class DoesNotPayFees(Honest):
    def trade(self, t, n, quantity):
        super().trade(t, n, quantity)
        self.cash += 1.0 if t == 1 else 0.0


class ForgetsTheMultiplier(Honest):
    def nav(self, t, mark):
        return self.cash + float((self.held * mark).sum())


class ClampsCashAtZero(Honest):
    """Three contracts cost more than it has: it reports no debt."""

    def tamper(self, result, limit):
        assert result.cash.min() < 0.0
        np.maximum(result.cash, 0.0, out=result.cash)


class CountsShortsAsAssets(Honest):
    def nav(self, t, mark):
        return self.cash + float(np.abs(self.held * mark * MULTIPLIER).sum())


@pytest.mark.parametrize(
    ("engine", "identity", "day", "asset"),
    [
        (ForgetsASplit, "quantity_roll", "2015-03-10", "AAPL"),
        (KeepsTheDividendOfAShort, "cash_roll", "2015-03-05", None),
        (TakesADepositForAProfit, "cash_roll", "2015-03-04", None),
        (DoesNotPayFees, "cash_roll", "2015-03-03", None),
        (ForgetsTheMultiplier, "nav_identity", "2015-03-03", None),
        (ClampsCashAtZero, "nav_identity", "2015-03-03", None),
        (ClampsCashAtZero, "derived_cash", "2015-03-03", None),
        (CountsShortsAsAssets, "nav_identity", "2015-03-02", None),
    ],
)
def test_a_fault_of_the_kind_that_is_made_is_found_on_its_day(engine, identity, day, asset):
    assert told(failures(engine().run(a_market())))[identity] == (day, asset)


# ------------------------------------------------- books in order, on the engine's own word


class ValuesAtYesterdaysPrices(Honest):
    def mark(self, t):
        return self.market.close[max(t - 1, 0)].copy()


class DriftsAwayFromPrices(Honest):
    def mark(self, t):
        return self.market.close[t] * 1.0003**t


class BuysBelowTheMarket(Honest):
    def price(self, t, n):
        return 0.5 * super().price(t, n) if t == 4 else super().price(t, n)


def that_has(**facts):
    return type("Wrong", (Honest,), facts)


@pytest.mark.parametrize(
    ("engine", "check", "day", "asset", "words"),
    [
        (that_has(capital=5e4), "declared", DAYS[0], None, "starts with 50,000.00, expected the start capit"),
        (that_has(flows={2: 1e4}), "declared", DAYS[7], None, "ignores flows: on 2015-03-11 it has 0.00, de"),
        (that_has(flows={**FLOWS, 4: 1.0}), "declared", DAYS[4], None, "does not book flows as declared: on"),
        (
            that_has(dividends={}),
            "declared",
            DAYS[3],
            "KO",
            "ignores dividends: KO has income of 0.00, expec",
        ),
        (
            that_has(dividends={**DIVIDENDS, 2: {KO: 0.1}}),
            *("declared", DAYS[2], "KO", "has income of 20.00, expected 0.00: 200 units held x 0 x"),
        ),
        (that_has(splits={}), "declared", DAYS[6], "AAPL", "ignores splits: AAPL has a factor of 1, declare"),
        (that_has(splits={**SPLITS, 5: {KO: 1.1}}), "declared", DAYS[5], "KO", "a factor of 1.1, declared i"),
        (
            that_has(multiplier=np.ones(5)),
            "declared",
            None,
            "ES",
            "ignores multipliers: ES has 1, declared i",
        ),
        (
            ValuesAtYesterdaysPrices,
            "marks_at_market",
            DAYS[1],
            "AAPL",
            "on 2015-03-03 at 120, where the clos",
        ),
        (DriftsAwayFromPrices, "marks_at_market", DAYS[4], "AAPL", "furthest ES on 2015-03-13 at 1,020.75"),
    ],
)
def test_books_in_order_do_not_hide_what_the_batch_and_the_market_know(engine, check, day, asset, words):
    market = a_market()
    result = engine().run(market)

    assert failures(result) == {}
    found = {
        "declared": check_declared(result, SPEC, market),
        "marks_at_market": check_marks_at_market(result, market, MarkSpec()),
    }
    assert [name for name, each in found.items() if each.failed] == [check]
    assert (found[check].session, found[check].asset) == (None if day is None else str(day), asset)
    assert words in found[check].message


def test_a_purchase_at_a_price_the_market_never_saw_is_told():
    (warning,) = warnings(BuysBelowTheMarket().run(a_market()))

    assert warning == (
        "1 of 7 fills is priced more than 25 % beyond the market's prices of the session: first PEP on "
        "2015-03-06 at 20, the market's are 40 to 40"
    )


def test_the_residuals_are_those_the_checks_tell():
    result = CountsShortsAsAssets().run(a_market())
    found = {check.name: check for check in check_books(result, SPEC)}

    for identity in residuals(result, SPEC.start_capital):
        if identity.name == "market_value_finite":
            continue
        worst = identity.worst()
        assert found[identity.name].value == abs(identity.residual[worst])
        assert found[identity.name].limit == identity.limit[worst]
        assert found[identity.name].failed == bool(identity.broken.any())
        np.testing.assert_allclose(
            np.abs(identity.residual), np.abs(identity.said - identity.follows), rtol=1e-9, atol=1e-9
        )
    nav = next(each for each in residuals(result, SPEC.start_capital) if each.name == "nav_identity")
    assert nav.residual[0] == pytest.approx(2 * 50 * 200.0), "the short position, counted on the wrong side"
