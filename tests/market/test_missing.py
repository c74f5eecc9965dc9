"""What each policy puts where a price is missing, where it stops, and what it says it did."""

import dataclasses
import itertools
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from pytest_finbot.contracts import Flow, MissingPrices
from pytest_finbot.engines.events import Events
from pytest_finbot.errors import DataError, ParameterError
from pytest_finbot.market.missing import apply_policy, fill
from pytest_finbot.market.prices import PriceTable
from pytest_finbot.market.window import window_of

NAN, INF = np.nan, np.inf
FILLING = ("forward_fill", "interpolate", "backfill")


@pytest.fixture
def with_policy(store, a_run):
    """``with_policy(path, "drop", …)``: market data under a policy for missing prices."""

    def load(path, policy, *args, limit=5, **changes):
        run = a_run(path, *args, **changes)
        data = dataclasses.replace(run.data, missing=policy, missing_limit=limit)
        return store.load(dataclasses.replace(run, data=data))

    return load


def filled(prices, policy, limit=5):
    return fill(np.array(prices)[:, None], policy, limit)[:, 0].tolist()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("error", [NAN, 2.0, NAN, NAN, 8.0, NAN, 4.0, NAN]),
        ("drop", [NAN, 2.0, NAN, NAN, 8.0, NAN, 4.0, NAN]),
        ("forward_fill", [NAN, 2.0, 2.0, 2.0, 8.0, 8.0, 4.0, 4.0]),
        ("interpolate", [NAN, 2.0, 4.0, 6.0, 8.0, 6.0, 4.0, NAN]),
        ("backfill", [2.0, 2.0, 8.0, 8.0, 8.0, 4.0, 4.0, NAN]),
    ],
)
def test_gaps_before_between_and_after_prices(policy, expected):
    given_prices = [NAN, 2.0, NAN, NAN, 8.0, NAN, 4.0, NAN]
    np.testing.assert_array_equal(filled(given_prices, policy), expected)


@pytest.mark.parametrize("policy", FILLING)
def test_a_symbol_without_any_price_stays_without(policy):
    assert np.isnan(filled([NAN, NAN, NAN], policy)).all()


def test_a_forward_fill_reaches_its_limit_and_not_one_session_more():
    assert filled([3.0, NAN, NAN, 5.0], "forward_fill", 2) == [3.0, 3.0, 3.0, 5.0]
    np.testing.assert_array_equal(
        filled([3.0, NAN, NAN, NAN, 5.0, NAN], "forward_fill", 2), [3.0, 3.0, 3.0, NAN, 5.0, 5.0]
    )


@pytest.mark.parametrize("wrong", [0.0, -1.0, INF, -INF])
@pytest.mark.parametrize("policy", FILLING)
def test_a_wrong_price_is_not_missing_and_fills_nothing(policy, wrong):
    np.testing.assert_array_equal(
        filled([wrong, NAN, wrong, NAN, wrong], policy), [wrong, NAN, wrong, NAN, wrong]
    )


PRICES = arrays(
    np.float64,
    some.tuples(some.integers(1, 12), some.integers(1, 3)),
    elements=some.one_of(some.just(NAN), some.floats(0.01, 1e6), some.sampled_from([0.0, -1.0, INF])),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(PRICES, some.sampled_from(FILLING), some.integers(0, 12))
def test_a_price_that_is_there_is_never_changed(prices, policy, limit):
    before = prices.copy()
    after = fill(prices, policy, limit)
    assert prices.tobytes() == before.tobytes()
    there = ~np.isnan(prices)
    assert (after[there] == prices[there]).all()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(PRICES, some.integers(0, 12), some.data())
def test_a_forward_fill_never_uses_a_later_price(prices, limit, data):
    row = data.draw(some.integers(0, len(prices)))
    later = prices.copy()
    later[row:] = 7.0
    np.testing.assert_array_equal(
        fill(prices, "forward_fill", limit)[:row], fill(later, "forward_fill", limit)[:row]
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(PRICES, some.integers(1, 4))
def test_a_forward_fill_is_what_pandas_makes_of_the_same_prices(prices, limit):
    prices[~(np.isfinite(prices) & (prices > 0.0))] = NAN
    oracle = pd.DataFrame(prices).ffill(limit=limit).to_numpy()
    np.testing.assert_array_equal(fill(prices, "forward_fill", limit), oracle)


# ------------------------------------------------------------------------------ in a run

GAPS = {("2020-01-07", "KO"): None, ("2020-01-08", "KO"): None, ("2020-01-09", "AAPL"): None}


def test_a_fill_is_counted_dated_and_marked(with_policy, wide):
    market = with_policy(wide(GAPS), "forward_fill", calendar="XNYS")
    assert market.close[:, 1].tolist() == [54.69, 54.69, 54.69, 55.33, 55.53]
    assert market.close[3, 0] == 303.19
    assert np.argwhere(~market.observed).tolist() == [[1, 1], [2, 1], [3, 0]]
    assert market.missing == MissingPrices("forward_fill", {"AAPL": 1, "KO": 2}, first="2020-01-07")


@pytest.mark.parametrize("policy", ["interpolate", "backfill"])
def test_what_is_known_only_later_says_so(with_policy, wide, policy):
    assert with_policy(wide(GAPS), policy).missing.look_ahead
    assert not with_policy(wide(), policy).missing.look_ahead, "nothing was put in"


def test_what_a_policy_made_cannot_be_written_to(with_policy, wide):
    market = with_policy(wide(GAPS), "forward_fill")
    for array in (market.close, market.observed):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)


@pytest.mark.parametrize("policy", ["drop", *FILLING])
def test_where_nothing_is_missing_a_policy_changes_nothing(load, with_policy, wide, policy):
    path = wide()
    plain, under_policy = load(path), with_policy(path, policy)
    assert under_policy.digest == plain.digest
    assert under_policy.close.tobytes() == plain.close.tobytes()
    assert under_policy.observed is None
    assert under_policy.missing == MissingPrices(policy, {})
    assert plain.missing is None


def test_dropped_sessions_are_named_and_not_missing_from_the_calendar(with_policy, wide):
    market = with_policy(wide(GAPS), "drop", calendar="XNYS")
    assert [str(day) for day in market.sessions] == ["2020-01-06", "2020-01-10"]
    assert market.close[:, 0].tolist() == [299.8, 310.33]
    days = ("2020-01-07", "2020-01-08", "2020-01-09")
    assert market.missing == MissingPrices("drop", {}, dropped=days, first="2020-01-07")
    assert market.observed is None


@pytest.mark.parametrize(
    ("gap", "tells"),
    [
        ("2020-01-08", "expected one that is kept: the next one is 2020-01-09"),
        ("2020-01-10", "the last is 2020-01-09"),
    ],
)
def test_a_flow_of_a_session_that_was_dropped_says_what_left_it_out(a_run, store, wide, gap, tells):
    run = a_run(wide({(gap, "KO"): None}), flows=(Flow(date.fromisoformat(gap), 100.0),))
    run = dataclasses.replace(run, data=dataclasses.replace(run.data, missing="drop"))
    with pytest.raises(ParameterError, match=f"{gap} is a session that data.missing: drop left out") as error:
        Events.of(run, store.load(run), None)
    assert tells in str(error.value)


def test_a_session_that_the_file_lacks_is_missing_under_drop_too(with_policy, wide):
    path = wide({("2020-01-07", "KO"): None}, drop=["2020-01-08"])
    with pytest.raises(DataError, match="1 session of XNYS missing: 2020-01-08") as error:
        with_policy(path, "drop", calendar="XNYS")
    assert "2020-01-07 (" not in str(error.value)
    assert "drop left out 1 session, from 2020-01-07 to 2020-01-07" in str(error.value)


def test_only_the_runs_symbols_and_window_count_for_drop(with_policy, wide):
    path = wide(GAPS)
    assert with_policy(path, "drop", "AAPL").missing.dropped == ("2020-01-09",)
    assert with_policy(path, "drop", "KO", end="2020-01-07").missing.dropped == ("2020-01-07",)


def test_sessions_dropped_for_more_than_a_week_at_an_end_do_not_cover_the_window(with_policy, text):
    days = pd.bdate_range("2020-01-06", "2020-02-28").strftime("%Y-%m-%d")
    rows = "".join(f"{day},1,{2 if day > '2020-01-20' else ''}\n" for day in days)
    with pytest.raises(DataError, match="not covered: the first session is 2020-01-21") as error:
        with_policy(text("Date,AAPL,KO\n" + rows), "drop", end="2020-02-28")
    assert "drop left out 11 sessions, from 2020-01-06 to 2020-01-20" in str(error.value)


def test_where_drop_leaves_nothing_the_symbol_is_named(with_policy, wide):
    path = wide({(f"2020-01-{day:02}", "KO"): None for day in range(6, 11)})
    with pytest.raises(DataError, match=r"drop leaves none of the 5 sessions .*KO has none at all"):
        with_policy(path, "drop")


def test_what_a_policy_does_not_reach_is_refused_and_its_reach_told(with_policy, wide):
    gap = {(f"2020-01-{day:02}", "KO"): None for day in (7, 8, 9)}
    with pytest.raises(DataError, match=r"KO \(close\): no price on 1 session: 2020-01-09") as error:
        with_policy(wide(gap), "forward_fill", limit=2)
    assert "forward_fill reaches 2 sessions" in str(error.value)
    assert len(with_policy(wide(gap), "forward_fill", limit=3).sessions) == 5


@pytest.mark.parametrize(
    ("policy", "day", "refused", "told"),
    [
        ("forward_fill", "2020-01-06", "no price on the first 1 session", "never back"),
        ("interpolate", "2020-01-06", "no price on the first 1 session", "not beyond"),
        ("interpolate", "2020-01-10", "last price on 2020-01-09", "not beyond"),
        ("backfill", "2020-01-10", "last price on 2020-01-09", "not beyond the last one"),
    ],
)
def test_no_policy_goes_beyond_what_it_can_know(with_policy, wide, policy, day, refused, told):
    with pytest.raises(DataError, match=rf"KO \(close\): {refused}") as error:
        with_policy(wide({(day, "KO"): None}), policy)
    assert f"data.missing: {policy} reaches" in str(error.value)
    assert told in str(error.value)


def test_a_price_from_before_the_window_is_not_used(with_policy, wide):
    path = wide({("2020-01-07", "KO"): None})
    assert with_policy(path, "forward_fill").close[1, 1] == 54.69
    with pytest.raises(DataError, match="no price on the first 1 session"):
        with_policy(path, "forward_fill", start="2020-01-07")


@pytest.mark.parametrize("policy", ["drop", *FILLING])
def test_a_price_of_zero_is_an_error_under_every_policy(with_policy, wide, policy):
    with pytest.raises(DataError, match=r"above zero: 0\.0 on 2020-01-08"):
        with_policy(wide({("2020-01-08", "KO"): 0}), policy)


# KO's opens and closes: 50 and 50.5, 51 and 51.5, 52 and 52.5, 53 and 53.5, 54 and 54.5.
KO_OPENS = {(f"2020-01-{day:02}", "KO"): 44.0 + day for day in range(6, 11)}
KO_CLOSES = {place: price + 0.5 for place, price in KO_OPENS.items()}


@pytest.fixture
def at_opens(with_policy, wide):
    """``at_opens(policy, no_open=[day], no_close=[day])``: a run that fills at KO's opens."""

    def load(policy, *, no_open=(), no_close=(), **changes):
        opens, closes = dict(KO_OPENS), dict(KO_CLOSES)
        opens.update({(f"2020-01-{day:02}", "KO"): None for day in no_open})
        closes.update({(f"2020-01-{day:02}", "KO"): None for day in no_close})
        return with_policy(
            wide(closes), policy, open_path=wide(opens, name="opens.csv"), fill="next_open", **changes
        )

    return load


def test_an_open_filled_forward_is_the_close_before_it_and_never_the_open_before_that(at_opens):
    market = at_opens("forward_fill", no_open=[8], no_close=[8])
    assert market.open[:, 1].tolist() == [50.0, 51.0, 51.5, 53.0, 54.0]
    assert market.close[:, 1].tolist() == [50.5, 51.5, 51.5, 53.5, 54.5]
    assert market.missing.filled == {"KO": 1}
    assert market.odd == ()
    market = at_opens("forward_fill", no_open=[7, 8, 9], no_close=[7, 8])
    assert market.open[:, 1].tolist() == [50.0, 50.5, 50.5, 50.5, 54.0]
    assert [(one.kind, one.session, one.count) for one in market.odd] == [("open_put_in", "2020-01-09", 1)]


@pytest.mark.parametrize("policy", FILLING)
def test_an_open_that_alone_is_missing_is_put_in_by_a_policy_only_and_told(at_opens, policy):
    for without in ("error", "drop"):
        with pytest.raises(DataError, match=r"KO \(open\): no price on 1 session: 2020-01-08") as error:
            at_opens(without, no_open=[8])
        assert "drop looks at closes" in str(error.value)
        assert "forward_fill puts in the close of the session before" in str(error.value)
    market = at_opens(policy, no_open=[8])
    assert market.open[:, 1].tolist() == [50.0, 51.0, 51.5, 53.0, 54.0]
    (odd,) = market.odd
    assert (odd.kind, odd.severity, odd.symbol, odd.session) == ("open_put_in", "odd", "KO", "2020-01-08")
    assert "KO (open): no open on 1 session: 2020-01-08" in odd.message
    assert (market.missing.filled, market.missing.look_ahead, market.observed) == ({}, False, None)


@pytest.mark.parametrize(("policy", "expected"), [("interpolate", 52.0), ("backfill", 53.0)])
def test_what_looks_ahead_makes_an_open_of_opens_where_the_close_is_missing_too(at_opens, policy, expected):
    market = at_opens(policy, no_open=[8], no_close=[8])
    assert market.open[2, 1] == expected
    assert market.missing.look_ahead


def test_an_open_without_a_close_before_it_is_refused(at_opens):
    with pytest.raises(DataError, match=r"KO \(open\): no price on the first 1 session, from 2020-01-06"):
        at_opens("forward_fill", no_open=[6])
    with pytest.raises(DataError, match=r"KO \(close\): no price on 1 session: 2020-01-09") as error:
        at_opens("forward_fill", no_open=[7, 8, 9], no_close=[7, 8, 9], limit=2)
    assert "KO (open): no price on 1 session: 2020-01-09" in str(error.value)


def test_an_open_that_was_put_in_is_no_part_of_its_sessions_bar(with_policy, text):
    days = [str(day) for day in np.busday_offset("2020-01-06", np.arange(12))]
    rows = "".join(
        f"{day},{'' if place % 2 else price},{price + 1},{price - 1},{price}\n"
        for place, (day, price) in enumerate(zip(days, range(100, 160, 5), strict=True))
    )
    path = text("Date,Open,High,Low,Close\n" + rows, "KO.csv")
    market = with_policy(path, "forward_fill", "KO", end=days[-1], fill="next_open")
    assert [one.kind for one in market.odd] == ["open_put_in"]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(PRICES, some.data())
def test_an_open_filled_forward_is_known_before_its_session(prices, data):
    """What is put in depends on nothing from that session's open on, and only on closes before it."""
    opens = data.draw(arrays(np.float64, prices.shape, elements=some.just(NAN) | some.floats(1.0, 9.0)))
    row = data.draw(some.integers(0, len(prices) - 1))
    later, later_opens = prices.copy(), opens.copy()
    later[row:], later_opens[row:] = 7.0, np.where(np.isnan(opens[row:]), NAN, 8.0)
    one, other = (put_in(*both, row) for both in ((prices, opens), (later, later_opens)))
    gone = np.isnan(opens[: row + 1]) & ~np.isnan(one) & ~np.isnan(other)
    np.testing.assert_array_equal(one[gone], other[gone])


def put_in(closes, opens, row):
    """Opens up to ``row`` as ``forward_fill`` leaves them."""
    days = np.arange("2020-01-01", len(closes), dtype="datetime64[D]")
    names = tuple(f"S{number}" for number in range(closes.shape[1]))
    table = PriceTable(days, names, closes, opens, "close", "drawn")
    window = window_of(table, names, days[0].item(), days[-1].item())
    return apply_policy(window, "forward_fill", 5)[0].table.open[: row + 1]


def test_symbols_of_a_folder_fill_each_others_sessions(with_policy, text):
    text("Date,Close\n2020-01-06,1\n2020-01-07,2\n2020-01-10,3\n", "prices/AAPL.csv")
    folder = text("Date,Close\n2020-01-06,1\n2020-01-10,3\n", "prices/KO.csv").parent
    assert with_policy(folder, "forward_fill").missing.filled == {"KO": 1}
    assert with_policy(folder, "drop").missing.dropped == ("2020-01-07",)


def test_policies_on_one_file_do_not_share_a_window_and_read_it_once(store, with_policy, wide):
    path = wide(GAPS)
    loaded = [with_policy(path, policy) for policy in ("drop", *FILLING)]
    loaded.append(with_policy(path, "forward_fill", limit=4))
    assert all(one is not other for one, other in itertools.combinations(loaded, 2))
    assert len({market.digest.hash for market in loaded}) == 4, "a limit that nothing passes moves nothing"
    assert with_policy(path, "drop", limit=9) is loaded[0], "it has no limit"
    assert (store.files_read, store.windows_cut) == (1, 5)


def test_a_filled_price_is_not_the_same_data_as_one_of_the_file(load, with_policy, wide):
    filled_in = with_policy(wide({("2020-01-07", "KO"): None}), "forward_fill")
    same_value = load(wide({("2020-01-07", "KO"): 54.69}))
    assert filled_in.close.tobytes() == same_value.close.tobytes()
    assert filled_in.digest.hash != same_value.digest.hash
