"""A dividend or split is in the prices or in the books: once, not twice and not never."""

import dataclasses
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.contracts import ActionSpec, Dividend, Split
from pytest_finbot.errors import DataError
from pytest_finbot.market.findings.booked import Booked, booked_findings
from pytest_finbot.market.findings.stated import stated_actions
from pytest_finbot.market.prices import PriceTable
from pytest_finbot.market.quality import UnfitPricesError, findings_of
from pytest_finbot.market.window import window_of

FUNDS = Path(__file__).parents[2] / "examples" / "data" / "ohlcv"
DAYS = [str(day) for day in np.busday_offset("2020-01-06", np.arange(20))]
SPLIT_DAY, OTHER_DAY = DAYS[8], DAYS[15]


@pytest.fixture
def take(store, a_run):
    """``take(path, symbols, start, end, dividends=…, splits=…)``: what is odd, where it is not refused."""

    def load(path, *args, dividends="none", splits="none", allow=(), policy="error", **changes):
        run = a_run(path, *args, **changes)
        data = dataclasses.replace(run.data, allow=allow, missing=policy)
        return store.load(dataclasses.replace(run, data=data, actions=ActionSpec(dividends, splits))).odd

    return load


def kinds(findings):
    return [(one.severity, one.kind, one.symbol, one.session, one.count) for one in findings]


# ------------------------------------------------------------------------------------- splits


@pytest.fixture
def bars(tmp_path):
    """``bars(splits, raw=…)``: KO, which is split on the days of ``splits``, in a file of bars."""

    def write(splits, *, raw=True, gap=None, adjusted=False):
        close = 100.0 + np.sin(np.arange(20.0))
        stated = np.array([splits.get(day, 0.0) for day in DAYS])
        units = np.where(stated, stated, 1.0)
        if raw:
            close = close / np.cumprod(units)
        frame = pd.DataFrame(dict.fromkeys(("Open", "High", "Low", "Close"), close), index=DAYS)
        if adjusted:
            frame["Adj Close"] = close * np.cumprod(units) / np.prod(units)
        if gap is not None:
            frame.loc[gap] = np.nan
        frame["Stock Splits"] = stated
        frame.to_csv(tmp_path / "KO.csv", index_label="Date")
        return tmp_path / "KO.csv", "KO", DAYS[0], DAYS[-1]

    return write


def test_a_split_that_raw_prices_step_by_and_the_run_does_not_book_is_refused(take, bars):
    with pytest.raises(UnfitPricesError) as refused:
        take(*bars({SPLIT_DAY: 4.0}))
    assert kinds(refused.value.findings) == [("error", "split_not_booked", "KO", SPLIT_DAY, 1)]
    told = str(refused.value)
    assert f"4 for 1 on {SPLIT_DAY} (the close goes from 100.65" in told
    assert f"on {DAYS[7]} to 25.24" in told
    assert "splits: from_prices" in told
    assert "adj_close" not in told, "the file has none"
    assert "data.allow: [split_not_booked]" in told


def test_booked_declared_adjusted_or_allowed_it_is_no_error(take, bars):
    file = bars({SPLIT_DAY: 4.0}, adjusted=True)
    with pytest.raises(UnfitPricesError, match=r"or take data\.field: adj_close"):
        take(*file)
    assert take(*file, splits="from_prices") == ()
    assert take(*file, splits=(Split("KO", date.fromisoformat(SPLIT_DAY), 4.0),)) == ()
    assert take(*file, field="adj_close") == ()
    odd = take(*file, allow=("split_not_booked",))
    assert kinds(odd) == [("odd", "split_not_booked", "KO", SPLIT_DAY, 1)]


def test_prices_that_contain_their_splits_need_none(take, bars):
    assert take(*bars({SPLIT_DAY: 4.0, OTHER_DAY: 0.1}, raw=False)) == ()


def test_a_list_that_leaves_out_a_split_of_the_file_is_refused_for_that_one(take, bars):
    file = bars({SPLIT_DAY: 2.0, OTHER_DAY: 0.1})
    with pytest.raises(UnfitPricesError) as refused:
        take(*file, splits=(Split("KO", date.fromisoformat(SPLIT_DAY), 2.0),))
    assert kinds(refused.value.findings) == [("error", "split_not_booked", "KO", OTHER_DAY, 1)]
    assert f"1 for 10 on {OTHER_DAY}" in str(refused.value)


@pytest.mark.parametrize("policy", ["forward_fill", "interpolate", "backfill", "drop"])
def test_a_split_on_a_day_without_a_close_is_not_lost(take, bars, policy):
    file = bars({SPLIT_DAY: 4.0}, gap=SPLIT_DAY)
    with pytest.raises(UnfitPricesError) as refused:
        take(*file, policy=policy)
    assert ("split_not_booked", "KO") in [(one.kind, one.symbol) for one in refused.value.findings]


def test_a_split_too_small_to_be_seen_is_told(take, bars):
    assert kinds(take(*bars({SPLIT_DAY: 1.05}))) == [("odd", "split_not_seen", "KO", SPLIT_DAY, 1)]
    with pytest.raises(UnfitPricesError, match=r"1\.25 for 1"):
        take(*bars({SPLIT_DAY: 1.25}))


def test_a_split_before_anything_is_held_is_no_matter(take, bars):
    assert take(*bars({DAYS[0]: 4.0})) == ()


def test_without_a_run_stated_splits_are_explained_and_no_error():
    close = np.where(np.arange(20) < 8, 100.0, 25.0)[:, None] + np.sin(np.arange(20.0))[:, None]
    splits = np.ones((20, 1))
    splits[8] = 4.0
    table = PriceTable(np.array(DAYS, "datetime64[D]"), ("KO",), close, None, "close", "drawn", splits=splits)
    window = whole(table)
    assert findings_of(window, None, opens=False) == ()
    (told,) = stated_actions(window, ())
    assert told.message.endswith("close steps by them: a run needs splits: from_prices")


@pytest.mark.parametrize("policy", ["forward_fill", "backfill"])
def test_no_open_is_carried_across_a_split(take, bars, policy):
    path, *others = bars({SPLIT_DAY: 4.0})
    frame = pd.read_csv(path, index_col=0)
    frame.loc[SPLIT_DAY, "Open"] = np.nan
    frame.to_csv(path)
    file = (path, *others)
    with pytest.raises(DataError, match=f"split of 4.0 on {SPLIT_DAY}: the file has no open on that day"):
        take(*file, splits="from_prices", policy=policy, fill="next_open")
    assert take(*file, splits="from_prices", policy=policy) == ()


# ---------------------------------------------------------------------------------- dividends


@pytest.fixture(scope="module")
def fund():
    return pd.read_parquet(FUNDS / "SPY.parquet")


@pytest.fixture
def written(tmp_path):
    """``written(frame)``: arguments of a run on it, from 2012 on."""

    def write(frame, name="SPY", start="2012-01-03", end="2025-12-31"):
        frame.to_parquet(tmp_path / f"{name}.parquet")
        return tmp_path / f"{name}.parquet", name, start, end

    return write


def with_dividends_in_them(fund, *, first=None, last=None):
    """Prices of those days adjusted as ``Adj Close`` is."""
    frame = fund.copy()
    rows = frame.loc[first:last].index
    for name in ("Open", "High", "Low"):
        frame.loc[rows, name] *= fund.loc[rows, "Adj Close"] / fund.loc[rows, "Close"]
    frame.loc[rows, "Close"] = fund.loc[rows, "Adj Close"]
    return frame


def test_dividends_that_are_in_the_closes_already_are_not_booked_again(take, fund, written):
    file = written(with_dividends_in_them(fund))
    with pytest.raises(UnfitPricesError) as refused:
        take(*file, dividends="from_prices")
    assert kinds(refused.value.findings) == [("error", "dividends_in_prices", "SPY", "2012-03-16", 56)]
    assert "close contains 56 of 56 stated dividends" in str(refused.value)
    assert "on 2012-03-16" in str(refused.value)
    assert take(*file) == (), "a run that books none has them once"
    allowed = take(*file, dividends="from_prices", allow=("dividends_in_prices",))
    assert [one.severity for one in allowed] == ["odd"]
    declared = (Dividend("SPY", date(2012, 3, 16), 0.614),)
    with pytest.raises(UnfitPricesError, match="1 of 1 stated dividend"):
        take(*file, dividends=declared)


def test_closes_that_leave_their_dividends_out_pass(take, fund, written):
    assert take(*written(fund), dividends="from_prices") == ()
    assert take(*written(fund.drop(columns="Adj Close")), dividends="from_prices") == ()
    assert take(FUNDS, "SPY TLT", "2010-01-04", "2026-02-09", dividends="from_prices") == ()


def test_closes_that_contain_the_earlier_dividends_only_are_refused(take, fund, written):
    """The level moves at the seam by less than a market does, and no jump is seen there."""
    file = written(with_dividends_in_them(fund, last="2020-12-31"), start="2019-01-02")
    with pytest.raises(UnfitPricesError, match="close contains 8 of 28 stated dividends"):
        take(*file, dividends="from_prices")


def test_one_slip_of_the_adjusted_column_is_odd_and_proves_nothing(take, fund, written):
    frame = fund.copy()
    day = "2019-06-21"
    paid = frame.loc[day, "Dividends"] / frame["Close"].shift(1).loc[day]
    frame.loc[:"2019-06-20", "Adj Close"] /= 1.0 - paid
    odd = take(*written(frame), dividends="from_prices")
    assert kinds(odd) == [("odd", "dividends_in_prices", "SPY", day, 1)]
    assert "does not step by 1 of 56 stated dividends" in odd[0].message
    assert "cannot be told" in odd[0].message


def test_without_an_adjusted_column_many_ex_dates_tell(take, fund, written):
    frame = with_dividends_in_them(fund).drop(columns="Adj Close")
    (odd,) = take(*written(frame), dividends="from_prices")
    assert (odd.severity, odd.kind, odd.symbol, odd.count) == ("odd", "dividends_in_prices", "SPY", 56)
    assert "on 56 ex-dates, from 2012-03-16, the open is +0.0" in odd.message
    assert "standard errors" in odd.message
    few = written(frame, start="2018-01-02", end="2020-06-30")
    assert take(*few, dividends="from_prices") == (), "ten ex-dates tell nothing"
    assert take(*written(frame)) == ()


def drawn(symbols, *, contained, opens=True):
    """Ten years of random prices with 0.8 % paid each quarter, in the closes or not."""
    random = np.random.default_rng(5)
    shape = (2520, symbols)
    dividends = np.zeros(shape)
    falls = np.ones(shape)
    falls[40::63] = 0.992
    returns = random.normal(0.0004, 0.012, shape)
    overnight = random.normal(0.0, 0.005, shape)
    close = 50.0 * np.cumprod((1.0 + returns) * (1.0 if contained else falls), axis=0)
    dividends[40::63] = 0.008 * close[39::63][: len(dividends[40::63])]
    open_ = np.full(shape, np.nan)
    open_[1:] = close[:-1] * (1.0 + overnight[1:]) * (1.0 if contained else falls[1:])
    open_[0] = close[0]
    days = np.busday_offset("2010-01-04", np.arange(2520)).astype("datetime64[D]")
    names = tuple(f"S{number:03}" for number in range(symbols))
    table = PriceTable(days, names, close, open_ if opens else None, "close", "drawn", dividends=dividends)
    return whole(table), Booked(dividends)


def whole(table):
    first, last = table.sessions[[0, -1]].tolist()
    return window_of(table, table.symbols, first, last)


@pytest.mark.parametrize("opens", [True, False])
def test_of_many_symbols_those_whose_closes_contain_their_dividends_are_found_and_no_others(opens):
    """At three standard errors chance claims one of 700; the yield is more than chance hides."""
    assert len(list(booked_findings(*drawn(200, contained=False, opens=opens)))) <= 2
    assert len(list(booked_findings(*drawn(200, contained=True, opens=opens)))) >= (198 if opens else 120)


def test_opens_that_only_repeat_the_close_before_are_not_asked():
    window, booked = drawn(40, contained=False)
    close, opens = window.table.close, window.table.open
    repeated = np.vstack([close[:1], close[:-1]])
    # But for some sessions that pay nothing, on which there is one.
    own = (np.arange(len(close)) % 5 == 0)[:, None] & (booked.dividends == 0.0)
    table = dataclasses.replace(window.table, open=np.where(own, opens, repeated))
    assert len(list(booked_findings(dataclasses.replace(window, table=table), booked))) <= 1


def test_what_closes_contain_is_said_only_where_it_is_shown(fund):
    def told(frame, field="close"):
        days = frame.index.to_numpy().astype("datetime64[D]")
        columns = {
            name: frame[title].to_numpy()[:, None]
            for name, title in (("adjusted", "Adj Close"), ("dividends", "Dividends"))
            if title in frame
        }
        close = frame["Close"].to_numpy()[:, None]
        if field == "adj_close":
            raw = columns.pop("adjusted")
            window = whole(PriceTable(days, ("SPY",), raw, None, field, "drawn", **columns))
        else:
            window = whole(PriceTable(days, ("SPY",), close, None, field, "drawn", raw=close, **columns))
        (one,) = stated_actions(window, ())
        return one.contained, one.message

    shown, message = told(fund)
    assert shown == "none"
    assert message.endswith("close leaves them out: a run has them with dividends: from_prices")
    assert told(fund.drop(columns="Adj Close"))[0] == "unknown"
    assert "whether close contains them cannot be told" in told(fund.drop(columns="Adj Close"))[1]
    assert told(with_dividends_in_them(fund))[0] == "all"
    assert told(with_dividends_in_them(fund, last="2016-12-30"))[0] == "some"
    assert told(fund, "adj_close")[0] == "unknown", "there is no close beside it"
