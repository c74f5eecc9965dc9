"""Reconciling: what is told of an account that adds up, and of one that does not, day by day."""

import dataclasses
import json
from datetime import date

import numpy as np
import pytest

from pytest_finbot.checks.identities import residuals
from pytest_finbot.checks.reconcile import NAMED, reconcile
from pytest_finbot.contracts import EngineResult, Fills
from pytest_finbot.errors import ParameterError

CAPITAL = 10_000.0
DAYS = np.busday_offset("2015-03-02", np.arange(300)).astype("datetime64[D]")


def an_account(**changes):
    """Long 300 AAPL at 40 on borrowed money, short 100 XOM at 50, a deposit of 1,000 on day 2."""
    sessions = len(DAYS)
    quantity = np.tile([300.0, -100.0], (sessions, 1))
    mark = np.column_stack((40.0 + np.arange(sessions) * 0.125, np.full(sessions, 50.0)))
    flows = np.where(np.arange(sessions) == 2, 1_000.0, 0.0)
    cash = CAPITAL - 12_000.0 + 5_000.0 - 8.0 + np.cumsum(flows)
    fills = Fills(
        np.array([0, 0]),
        np.array([0, 1]),
        np.array([300.0, -100.0]),
        np.array([40.0, 50.0]),
        np.array([5.0, 3.0]),
        np.zeros(2),
    )
    facts = {
        "sessions": DAYS,
        "assets": ("AAPL", "XOM"),
        "nav": cash + (quantity * mark).sum(axis=1),
        "cash": cash,
        "quantity": quantity,
        "mark": mark,
        "flows": flows,
        "start_cash": CAPITAL,
        "fills": fills,
    }
    return EngineResult.of(**{**facts, **changes})


def plain(found):
    return json.loads(json.dumps(found.to_json(), allow_nan=False))


def test_an_account_that_adds_up_is_clean_and_says_how_well():
    found = reconcile(an_account(), CAPITAL)

    assert found.clean
    assert (found.sessions, found.break_count, found.breaks, found.figures) == (300, 0, (), None)
    assert [each.name for each in found.identities] == [
        each.name for each in residuals(an_account(), CAPITAL)
    ]
    assert all(each.relative < 1e-14 for each in found.identities)
    assert plain(found)["clean"] is True


def test_a_changed_nav_is_told_by_day_and_by_everything_that_it_breaks():
    result = an_account()
    result.nav[100] += 0.5

    found = reconcile(result, CAPITAL)

    assert {(each.session, each.identity) for each in found.breaks} == {
        *((str(DAYS[100]), name) for name in ("nav_identity", "nav_rolled", "pnl_flows", "equity")),
        *((str(DAYS[100]), name) for name in ("cumulative_pnl", "realised_unrealised")),
        (str(DAYS[101]), "pnl_flows"),
    }
    first = found.breaks[0]
    assert (first.identity, first.said, first.follows) == (
        "nav_identity",
        result.nav[100],
        result.nav[100] - 0.5,
    )
    assert first.residual == pytest.approx(0.5)
    assert first.relative == pytest.approx(0.5 / result.nav[100])
    assert first.message.startswith(f"NAV {result.nav[100]:,.2f} is not cash")
    assert found.break_count == len(found.breaks) == 7
    assert (found.worst.name, found.worst.session) == ("nav_identity", str(DAYS[100]))
    assert plain(found)["worst"]["name"] == "nav_identity"


def test_cash_is_derived_below_zero_and_never_clamped():
    result = an_account()
    found = reconcile(result, CAPITAL, session=date(2015, 3, 2))

    assert found.figures.derived_cash == pytest.approx(2_992.0)
    borrowed = an_account(cash=result.cash - 5_000.0, nav=result.nav - 5_000.0, start_cash=CAPITAL - 5_000.0)
    found = reconcile(borrowed, CAPITAL, session=date(2015, 3, 2))
    assert found.clean
    assert found.figures.derived_cash == pytest.approx(-2_008.0)
    clamped = dataclasses.replace(borrowed, cash=np.maximum(borrowed.cash, 0.0))
    told = next(each for each in reconcile(clamped, CAPITAL).breaks if each.identity == "derived_cash")
    assert (told.session, told.said, told.follows) == ("2015-03-02", 0.0, pytest.approx(-2_008.0))


def test_one_session_is_judged_alone_and_shown_with_its_figures():
    result = an_account()
    result.nav[4] += 3.0

    found = reconcile(result, CAPITAL, session=date(2015, 3, 6))

    assert {each.session for each in found.breaks} == {"2015-03-06"}
    assert (found.sessions, found.break_count) == (1, 6)
    figures = found.figures
    assert (figures.cash, figures.flows) == (3_992.0, 0.0)
    assert (figures.long_market_value, figures.short_market_value) == (300 * 40.5, -5_000.0)
    assert figures.market_value == 300 * 40.5 - 5_000.0
    assert figures.nav == figures.cash + figures.market_value + 3.0
    assert figures.derived_cash == pytest.approx(3_992.0)
    assert figures.pnl == pytest.approx(300 * 0.125)
    assert figures.equity == pytest.approx(figures.nav - 3.0)
    assert reconcile(result, CAPITAL, session=date(2015, 3, 5)).clean
    assert reconcile(result, CAPITAL, session=date(2015, 3, 4)).figures.flows == 1_000.0
    with pytest.raises(
        ParameterError, match="2015-03-07 is none of its 300 sessions, 2015-03-02 to 2016-04-22"
    ):
        reconcile(result, CAPITAL, session=date(2015, 3, 7))


@pytest.mark.parametrize(
    ("limits", "clean"),
    [
        ({}, False),
        ({"absolute": 0.49}, False),
        ({"absolute": 0.51}, True),
        ({"relative": 0.5 / 11_992.0 * 0.9}, False),
        ({"relative": 0.5 / 10_000.0}, True),
        ({"absolute": 0.3, "relative": 0.25 / 10_000.0}, True),
    ],
)
def test_what_is_a_break_is_for_the_asker_to_say(limits, clean):
    result = an_account()
    result.nav[2] += 0.5

    assert reconcile(result, CAPITAL, **limits).clean is clean


def test_a_cent_for_each_fill_is_no_break_where_the_engine_books_in_cents():
    result = an_account()
    result.cash[:] += 0.015
    result.nav[:] += 0.015

    assert reconcile(dataclasses.replace(result, cent=0.01), CAPITAL).clean
    assert {each.identity for each in reconcile(result, CAPITAL).breaks[:2]} == {"cash_roll", "nav_rolled"}


def test_a_quantity_is_told_in_units_of_its_asset_and_its_worth():
    result = an_account()
    result.quantity[7:, 1] -= 2.0

    told = next(each for each in reconcile(result, CAPITAL).breaks if each.identity == "quantity_roll")

    assert (told.session, told.asset, told.sides) == (str(DAYS[7]), "XOM", "units")
    assert (told.said, told.follows, told.residual) == (-102.0, -100.0, 100.0)


def test_what_is_not_a_number_is_a_break_and_still_strict_json():
    result = an_account()
    result.mark[5, 0] = np.nan

    found = reconcile(result, CAPITAL)

    told = found.breaks[0]
    assert (told.session, told.identity, told.asset) == (str(DAYS[5]), "market_value_finite", "AAPL")
    assert (told.said, told.residual, told.relative) == (None, None, None)
    assert found.worst.name == "market_value_finite"
    plain(found)


def test_many_breaks_are_all_counted_and_the_first_named():
    result = an_account()
    result.nav[10:] += 5.0

    found = reconcile(result, CAPITAL)

    assert found.break_count == 290 * 5 + 1
    assert len(found.breaks) == NAMED
    assert found.breaks[0].session == str(DAYS[10])
    assert [each.session for each in found.breaks] == sorted(each.session for each in found.breaks)
