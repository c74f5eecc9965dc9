"""Real prices with one fault put into them: each is found by its own name, symbol and day, and no more."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import ActionSpec
from pytest_finbot.market import store as store_module
from pytest_finbot.market.prices import PriceTable
from pytest_finbot.market.quality import UnfitPricesError, findings_of, window_of

DATA = Path(__file__).parents[2] / "examples" / "data"
WINDOW = ("2015-01-02", "2016-12-30")
SHARES = "AAPL BAC CVX GE HD JNJ JPM KO MSFT XOM"


@pytest.fixture(scope="module")
def read():
    """What is read once; a test has a copy to do its worst to."""
    return {}


@pytest.fixture
def shares(read):
    """Two years of ten shares, dates as text."""
    if "shares" not in read:
        read["shares"] = pd.read_csv(DATA / "prices.csv.gz", index_col=0).loc[WINDOW[0] : WINDOW[1]]
    return read["shares"].copy()


@pytest.fixture
def fund(read):
    """Two years of a fund's bars, dates as text."""
    if "fund" not in read:
        read["fund"] = _bars()
    return read["fund"].copy()


def _bars():
    frame = pd.read_parquet(DATA / "ohlcv" / "SPY.parquet")
    frame.index = pd.Index(np.datetime_as_string(frame.index.to_numpy().astype("datetime64[D]")), name="Date")
    return frame.loc[WINDOW[0] : WINDOW[1]]


@pytest.fixture
def found(load):
    """``found(path, …)``: severity, kind, symbol and day of all that is found, and the messages."""

    def look(path, symbols, *, start=WINDOW[0], end=WINDOW[1], calendar="XNYS", **changes):
        try:
            findings = load(path, symbols, start, end, calendar=calendar, **changes).odd
            refused = ""
        except UnfitPricesError as refusal:
            findings, refused = refusal.findings, str(refusal)
        for finding in findings:
            assert (finding.message in refused) == (finding.severity == "error")
            assert finding.session in finding.message
            assert finding.symbol is None or finding.symbol in finding.message
        told = [(one.severity, one.kind, one.symbol, one.session) for one in findings]
        return told, "\n".join(one.message for one in findings)

    return look


@dataclass
class Fault:
    """What is done to a frame, and what is found then: the message holds ``tells``."""

    name: str
    do: object
    kind: str
    symbol: str | None
    day: str
    tells: str
    severity: str = "error"
    calendar: str | None = "XNYS"
    field: str = "close"

    def __str__(self):
        return self.name.replace(" ", "_")


def without(*days):
    return lambda frame: frame.drop(index=list(days))


def copied(day, to):
    """A row more, with the prices of ``day``."""

    def do(frame):
        frame.loc[to] = frame.loc[day]
        return frame.sort_index()

    return do


def repeated(day, to):
    """The prices of ``day`` instead of those of ``to``."""

    def do(frame):
        frame.loc[to] = frame.loc[day]
        return frame

    return do


def renamed(one, other):
    def do(frame):
        frame[other] = frame[one]
        return frame

    return do


def at(day, symbol, value):
    def do(frame):
        frame.loc[day, symbol] = value
        return frame

    return do


def times(factor, symbol, first=None, last=None):
    def do(frame):
        frame.loc[first:last, symbol] *= factor
        return frame

    return do


def exchanged(one, other, first=None, last=None):
    def do(frame):
        frame.loc[first:last, [one, other]] = frame.loc[first:last, [other, one]].to_numpy()
        return frame

    return do


def moved(days):
    """All dates later by so many days."""

    def do(frame):
        frame.index = pd.Index(
            [str(np.datetime64(day) + np.timedelta64(days, "D")) for day in frame.index], name="Date"
        )
        return frame

    return do


def stale(symbol, first, last):
    def do(frame):
        frame.loc[first:last, symbol] = frame.loc[first, symbol]
        return frame

    return do


def both(*steps):
    def do(frame):
        for step in steps:
            frame = step(frame)
        return frame

    return do


WIDE = [
    Fault("a session missing", without("2015-06-10"),
          "missing_session", None, "2015-06-10", "1 session of XNYS missing: 2015-06-10 (Wednesday)"),
    Fault("a weekend row", copied("2015-06-12", "2015-06-13"),
          "not_a_session", None, "2015-06-13", "is not a session of XNYS: 2015-06-13 (Saturday)"),
    Fault("a weekend row without a calendar", copied("2015-06-12", "2015-06-13"),
          "not_a_session", None, "2015-06-13", "1 date at a weekend: 2015-06-13 (Saturday)", "odd", None),
    Fault("a row on a holiday", copied("2015-07-02", "2015-07-03"),
          "not_a_session", None, "2015-07-03", "2015-07-03 (Friday)"),
    Fault("a row copied over the next", repeated("2015-06-10", "2015-06-11"),
          "repeated_row", None, "2015-06-11",
          "all 10 symbols (close) repeat the session before to the last digit on 2015-06-11", "odd"),
    Fault("a share with the prices of another", renamed("MSFT", "KO"),
          "identical_columns", "KO", "2015-01-02", "KO and MSFT (close): the same prices on every", "odd"),
    Fault("a zero", at("2015-06-10", "KO", 0.0),
          "zero_price", "KO", "2015-06-10", "KO (close): prices have to be above zero: 0.0 on 2015-06-10"),
    Fault("a negative price", at("2015-06-10", "KO", -30.0),
          "negative_price", "KO", "2015-06-10", "above zero: -30.0 on 2015-06-10"),
    Fault("a NaN", at("2015-06-10", "KO", np.nan),
          "missing_price", "KO", "2015-06-10", "KO (close): no price on 1 session: 2015-06-10"),
    Fault("a price beyond all that there are", at("2015-06-10", "KO", 1e308),
          "absurd_price", "KO", "2015-06-10", "have to lie between 1e-12 and 1e+15: 1e+308 on 2015-06-10"),
    Fault("a price that is next to nothing", at("2015-06-10", "KO", 1e-320),
          "absurd_price", "KO", "2015-06-10", "have to lie between 1e-12 and 1e+15: 1e-320 on 2015-06-10"),
    Fault("a column in a unit that nobody trades in", times(1e20, "KO"),
          "absurd_price", "KO", "2015-01-02", "and 499 more"),
    Fault("a million times as much on the last day", times(1e6, "KO", "2016-12-30"),
          "jump", "KO", "2016-12-30", "beyond its usual ones: x996628 on 2016-12-30", "odd"),
    Fault("an infinite price", at("2015-06-10", "KO", np.inf),
          "infinite_price", "KO", "2015-06-10", "KO (close): infinite on 1 session: 2015-06-10"),
    Fault("ten times too high", times(10, "KO", "2015-06-10", "2015-06-10"),
          "price_slip", "KO", "2015-06-10", "x10 on 2015-06-10 (309.79 after 30.879, back on 2015-06-11)"),
    Fault("a hundredth for a day", times(0.01, "KO", "2015-06-10", "2015-06-10"),
          "price_slip", "KO", "2015-06-10", "/100 on 2015-06-10"),
    Fault("a thousand times for two weeks", times(1000, "KO", "2015-06-10", "2015-06-23"),
          "price_slip", "KO", "2015-06-10", "x1000 on 2015-06-10"),
    Fault("a hundredth for half a year", times(0.01, "KO", "2015-06-10", "2015-12-10"),
          "price_slip", "KO", "2015-06-10", "back on 2015-12-11"),
    Fault("a placeholder for a day", at("2015-06-10", "KO", 9999999.0),
          "price_slip", "KO", "2015-06-10",
          "undone within 5 sessions: x3.238e+05 on 2015-06-10 (9999999 after 30.879, back on 2015-06-11)"),
    Fault("two placeholders in a row",
          both(at("2015-06-10", "KO", 9999999.0), at("2015-06-11", "KO", 77777.0)),
          "price_slip", "KO", "2015-06-10", "back on 2015-06-12)"),
    Fault("six times too high for five sessions", times(6, "KO", "2015-06-10", "2015-06-16"),
          "price_slip", "KO", "2015-06-10", "x6.019 on 2015-06-10"),
    Fault("a sixth for a day", times(1 / 6, "KO", "2015-06-10", "2015-06-10"),
          "price_slip", "KO", "2015-06-10", "/5.981 on 2015-06-10"),
    Fault("a hundred thousand times for two weeks", times(1e5, "KO", "2015-06-10", "2015-06-23"),
          "price_slip", "KO", "2015-06-10", "by a power of ten: x100000 on 2015-06-10"),
    Fault("six times as high for six sessions", times(6, "KO", "2015-06-10", "2015-06-17"),
          "jump", "KO", "2015-06-10", "+501.9 % on 2015-06-10", "odd"),
    Fault("four and a half times as high for a day", times(4.5, "KO", "2015-06-10", "2015-06-10"),
          "jump", "KO", "2015-06-10", "+351.5 % on 2015-06-10", "odd"),
    Fault("a split of 2 for 1 not adjusted", times(0.5, "KO", "2015-06-10"),
          "split_not_adjusted", "KO", "2015-06-10", "on 2015-06-10, like 2 for 1", "odd"),
    Fault("a split of 3 for 2 not adjusted", times(2 / 3, "KO", "2015-06-10"),
          "split_not_adjusted", "KO", "2015-06-10", "like 3 for 2", "odd"),
    Fault("a split of 7 for 1 not adjusted", times(1 / 7, "AAPL", "2015-06-10"),
          "split_not_adjusted", "AAPL", "2015-06-10", "like 7 for 1", "odd"),
    Fault("a reverse split not adjusted", times(10, "GE", "2015-06-10"),
          "split_not_adjusted", "GE", "2015-06-10", "like 1 for 10", "odd"),
    Fault("a fall by two fifths", times(0.6, "KO", "2015-06-10"),
          "jump", "KO", "2015-06-10", "moves far beyond its usual ones: -39.8 % on 2015-06-10", "odd"),
    Fault("a gain of a half, which no split makes", times(1.5, "KO", "2015-06-10"),
          "jump", "KO", "2015-06-10", "+50.5 % on 2015-06-10", "odd"),
    Fault("a price doubled for a day", times(2, "KO", "2015-06-10", "2015-06-10"),
          "jump", "KO", "2015-06-10", "+100.6 % on 2015-06-10, -49.9 % on 2015-06-11", "odd"),
    Fault("a stale week", stale("KO", "2015-06-08", "2015-06-12"),
          "stale", "KO", "2015-06-08", "5 sessions from 2015-06-08 to 2015-06-12 at ", "odd"),
    Fault("a share that lists late", times(np.nan, "KO", None, "2015-06-09"),
          "lists_late", "KO", "2015-06-10", "from 2015-01-02; listed on 2015-06-10?"),
    Fault("a share that delists", times(np.nan, "KO", "2015-06-10"),
          "delists", "KO", "2015-06-09", "last price on 2015-06-09"),
    Fault("two shares exchanged from a day on", exchanged("AAPL", "XOM", "2015-06-10"),
          "columns_swapped", "AAPL", "2015-06-10",
          "AAPL and XOM (close): exchanged from 2015-06-10 on: AAPL goes from 28.824 to 58.906"),
    Fault("two shares exchanged up to a day", exchanged("AAPL", "XOM", None, "2015-06-09"),
          "columns_swapped", "AAPL", "2015-06-10",
          "AAPL and XOM (close): exchanged from 2015-06-10 on: AAPL goes from 58.471 to 29.154"),
    Fault("two shares exchanged for a day", exchanged("AAPL", "XOM", "2015-06-10", "2015-06-10"),
          "columns_swapped", "AAPL", "2015-06-10",
          "exchanged from 2015-06-10 on, and back on 2015-06-11: AAPL goes from 28.824 to 58.906"),
    Fault("two shares exchanged for half a year", exchanged("AAPL", "XOM", "2015-06-10", "2015-12-10"),
          "columns_swapped", "AAPL", "2015-06-10", "exchanged from 2015-06-10 on, and back on 2015-12-11"),
    Fault("two shares of like prices exchanged", exchanged("MSFT", "CVX", "2015-06-10"),
          "columns_swapped", "CVX", "2015-06-10", "CVX and MSFT (close): exchanged", "odd"),
    Fault("dates a day late", moved(1),
          "dates_shifted", None, "2015-01-03", "all dates lie one day late"),
    Fault("dates a day early", moved(-1),
          "dates_shifted", None, "2015-01-04", "all dates lie one day early"),
    Fault("dates a day late without a calendar", moved(1),
          "dates_shifted", None, "2015-01-03", "no Monday", calendar=None),
    Fault("dates a day early without a calendar", moved(-1),
          "dates_shifted", None, "2015-01-04", "no Friday", "odd", None),
]  # fmt: skip
BARS = [
    Fault("high and low exchanged", exchanged("High", "Low"),
          "column_swapped", "SPY", "2015-01-02", "SPY: high below low on 504 sessions"),
    Fault("high and low exchanged from a day on", exchanged("High", "Low", "2016-11-01"),
          "column_swapped", "SPY", "2016-11-01", "are columns exchanged?"),
    Fault("close and low exchanged from a day on", exchanged("Close", "Low", "2016-11-01"),
          "column_swapped", "SPY", "2016-11-01", "close outside of low and high"),
    Fault("close and adjusted close exchanged", exchanged("Close", "Adj Close"),
          "column_swapped", "SPY", "2015-01-02", "close outside of low and high"),
    Fault("high and low exchanged for a day", exchanged("High", "Low", "2016-11-01", "2016-11-01"),
          "bar_inconsistent", "SPY", "2016-11-01", "SPY: high below low on 1 session: 2016-11-01", "odd"),
    Fault("a split stated, and not in the adjusted close",
          both(times(0.5, ["Open", "High", "Low", "Close", "Adj Close", "Dividends"], "2015-06-10"),
               at("2015-06-10", "Stock Splits", 2.0)),
          "split_not_adjusted", "SPY", "2015-06-10", "on 2015-06-10, 2 for 1", field="adj_close"),
    Fault("a dividend stated otherwise", at("2015-06-19", "Dividends", 1.3),
          "dividend_restated", "SPY", "2015-06-19",
          "a dividend of 1.03 on 2015-06-19, where the file states 1.3", "odd", field="adj_close"),
    Fault("a dividend restated in the adjusted close",
          times(1 - 0.1 / 211.0, "Adj Close", None, "2015-06-18"),
          "dividend_restated", "SPY", "2015-06-19", "where the file states 1.03", "odd", field="adj_close"),
    Fault("a dividend not stated", at("2015-06-19", "Dividends", 0.0),
          "dividend_restated", "SPY", "2015-06-19", "of 1.03 on 2015-06-19, where the file states none",
          "odd", field="adj_close"),
    Fault("a dividend not in the adjusted close", at("2015-06-10", "Dividends", 1.0),
          "dividend_restated", "SPY", "2015-06-10", "a dividend of none on 2015-06-10", "odd",
          field="adj_close"),
]  # fmt: skip


@pytest.mark.parametrize("fault", WIDE, ids=str)
def test_a_fault_of_a_wide_file_is_found(found, shares, tmp_path, fault):
    fault.do(shares).to_csv(tmp_path / "prices.csv")
    told, message = found(tmp_path / "prices.csv", SHARES, calendar=fault.calendar)
    assert told == [(fault.severity, fault.kind, fault.symbol, fault.day)]
    assert fault.tells in message


@pytest.mark.parametrize("fault", BARS, ids=str)
def test_a_fault_of_a_symbols_bars_is_found(found, fund, tmp_path, fault):
    fault.do(fund).to_csv(tmp_path / "SPY.csv")
    told, message = found(tmp_path, "SPY", field=fault.field)
    assert told == [(fault.severity, fault.kind, fault.symbol, fault.day)]
    assert fault.tells in message


def test_prices_without_a_fault_have_none(found, shares, fund, tmp_path):
    shares.to_csv(tmp_path / "prices.csv")
    fund.to_csv(tmp_path / "SPY.csv")
    for calendar in ("XNYS", None):
        assert found(tmp_path / "prices.csv", SHARES, calendar=calendar)[0] == []
    for field in ("close", "adj_close"):
        assert found(tmp_path / "SPY.csv", "SPY", field=field, fill="next_open")[0] == []


@pytest.mark.parametrize("calendar", ["XNYS", None])
def test_a_date_that_stands_for_none_is_told_whatever_the_calendar(found, shares, tmp_path, calendar):
    for day, window, like in (
        ("9999-12-31", {"end": "9999-12-31"}, shares.iloc[-1]),
        ("0001-01-01", {"start": "0001-01-01"}, shares.iloc[0]),
    ):
        frame = shares.copy()
        frame.loc[day] = like + 0.001
        frame.sort_index().to_csv(tmp_path / "prices.csv")
        told, message = found(tmp_path / "prices.csv", SHARES, calendar=calendar, **window)
        assert told == [("error", "not_a_session", None, day)]
        assert f"1 date before 1700-01-01 or after 2199-12-31: {day}" in message


def test_a_window_up_to_the_last_day_that_there_is_is_not_covered(found, refused, shares, tmp_path):
    shares.to_csv(tmp_path / "prices.csv")
    told, _ = found(tmp_path / "prices.csv", SHARES, end="9999-12-31")
    assert told == [("error", "not_covered", None, "2016-12-30")]
    refused(tmp_path / "prices.csv", SHARES, "0001-01-01", WINDOW[1], tells=["first session is 2015-01-02"])


def test_columns_and_rows_that_agree_by_chance_are_no_fault():
    """Pegged prices are one column as much as they are not; of coarse ones, three often repeat together."""
    random = np.random.default_rng(3)
    sessions = np.arange("2015-01-01", "2019-01-01", dtype="datetime64[D]")
    sessions = sessions[np.is_busday(sessions)]
    pegged = np.ones((len(sessions), 5))
    coarse = 40 + np.cumsum(random.choice([-0.5, 0.0, 0.0, 0.5], (len(sessions), 3)), axis=0).clip(-20, 20)
    for prices in (pegged, coarse):
        names = tuple("ABCDE"[: prices.shape[1]])
        table = PriceTable(sessions, names, prices, None, "close", "here")
        first, last = sessions[[0, -1]].tolist()
        kinds = {one.kind for one in findings_of(window_of(table, names, first, last), None, opens=False)}
        assert not kinds & {"identical_columns", "repeated_row"}


@pytest.mark.parametrize("hole", [False, True])
def test_a_repeated_row_needs_three_symbols_with_prices_of_their_own(hole):
    prices = 50 + np.cumsum(np.random.default_rng(5).normal(0, 0.2, (60, 3)), axis=0)
    prices[31] = prices[30]
    observed = np.ones(prices.shape, bool)
    observed[31, 1] = not hole
    sessions = np.arange("2020-01-01", "2020-04-01", dtype="datetime64[D]")
    sessions = sessions[np.is_busday(sessions)][:60]
    table = PriceTable(sessions, ("A", "B", "C"), prices, None, "close", "here", observed=observed)
    first, last = sessions[[0, -1]].tolist()
    found = findings_of(window_of(table, table.symbols, first, last), None, opens=False)
    told = [(one.kind, one.session) for one in found if one.kind == "repeated_row"]
    assert told == ([] if hole else [("repeated_row", "2020-02-13")])


# ----------------------------------------------------------------------- files that cannot be read


def lines_of(path):
    return path.read_text().splitlines(keepends=True)


def test_a_session_twice_is_named(refused, shares, tmp_path):
    shares.to_csv(tmp_path / "prices.csv")
    lines = lines_of(tmp_path / "prices.csv")
    (tmp_path / "prices.csv").write_text("".join([*lines[:100], lines[99], *lines[100:]]))
    refused(tmp_path / "prices.csv", SHARES, *WINDOW, tells=["more than once: 2015-05-26"])


def test_sessions_out_of_order_are_named(refused, shares, tmp_path):
    shares.to_csv(tmp_path / "prices.csv")
    lines = lines_of(tmp_path / "prices.csv")
    lines[100], lines[101] = lines[101], lines[100]
    (tmp_path / "prices.csv").write_text("".join(lines))
    refused(
        tmp_path / "prices.csv", SHARES, *WINDOW,
        tells=["dates are not in order: line 102: 2015-05-27 after 2015-05-28"],
    )  # fmt: skip


@pytest.mark.parametrize("name", ["prices.csv", "prices.csv.gz", "prices.parquet"])
def test_a_file_cut_in_the_middle_is_refused(refused, shares, tmp_path, name):
    path = tmp_path / name
    shares.to_parquet(path) if name.endswith("parquet") else shares.to_csv(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    message = refused(path, SHARES, *WINDOW, tells=[str(path)])
    assert "\n" not in message


def test_a_file_cut_between_two_lines_is_short_of_sessions(found, shares, tmp_path):
    shares.iloc[:300].to_csv(tmp_path / "prices.csv")
    told, message = found(tmp_path / "prices.csv", SHARES)
    assert told == [("error", "not_covered", None, "2016-03-11")]
    assert "the last session is 2016-03-11" in message


def test_a_file_that_changes_while_it_is_read_is_refused(refused, shares, tmp_path, monkeypatch):
    path = tmp_path / "prices.csv"
    shares.to_csv(path)
    read = store_module.read_table_file

    def slow(path):
        table = read(path)
        with path.open("a") as file:
            file.write("2017-01-03" + ",1" * 10 + "\n")
        return table

    monkeypatch.setattr(store_module, "read_table_file", slow)
    refused(path, SHARES, *WINDOW, tells=[str(path), "changed while it was being read"])


# --------------------------------------------------------------------------------- what is no fault


def test_raw_prices_may_step_by_a_split_that_their_file_states_and_the_run_books(found, fund, tmp_path):
    prices = ["Open", "High", "Low", "Close"]
    both(times(0.5, prices, "2015-06-10"), at("2015-06-10", "Stock Splits", 2.0))(fund).to_csv(
        tmp_path / "SPY.csv"
    )
    assert found(tmp_path / "SPY.csv", "SPY", actions=ActionSpec(splits="from_prices"))[0] == []


@pytest.mark.parametrize("policy", ["forward_fill", "interpolate", "backfill"])
def test_what_a_policy_filled_in_is_neither_stale_nor_a_move(store, a_run, shares, tmp_path, policy):
    frame = shares
    frame.loc["2015-06-22":, "KO"] *= 1.3
    frame.loc["2015-06-08":"2015-06-19", "KO"] = np.nan
    frame.to_csv(tmp_path / "gap.csv")
    run = a_run(tmp_path / "gap.csv", SHARES, *WINDOW)
    market = store.load(replace(run, data=replace(run.data, missing=policy, missing_limit=10)))
    assert market.missing.filled == {"KO": 10}
    assert market.odd == ()
    # The same prices as the file's own are both.
    frame.ffill().to_csv(tmp_path / "filled.csv")
    odd = store.load(a_run(tmp_path / "filled.csv", SHARES, *WINDOW)).odd
    assert [(one.kind, one.session) for one in odd] == [("stale", "2015-06-05"), ("jump", "2015-06-22")]


def test_prices_that_repeat_for_their_few_decimals_are_coarse_not_stale(found, shares, tmp_path):
    (shares[["KO"]] / 15).round(2).to_csv(tmp_path / "prices.csv")
    told, message = found(tmp_path / "prices.csv", "KO")
    assert told == [("odd", "coarse_rounding", "KO", "2015-01-02")]
    assert "rounded to 0.01, more than 0.2 % of the price on 504 sessions" in message


def test_a_single_bar_with_a_missing_open_is_no_fault(found, fund, tmp_path):
    fund.loc["2015-06-10", "Open"] = 0.0
    fund.loc["2015-06-11", ["Open", "High", "Low"]] = np.nan
    fund.to_csv(tmp_path / "SPY.csv")
    for field in ("close", "adj_close"):
        assert found(tmp_path / "SPY.csv", "SPY", field=field)[0] == []
    told, _ = found(tmp_path / "SPY.csv", "SPY", fill="next_open")
    assert told == [
        ("error", "zero_price", "SPY", "2015-06-10"),
        ("error", "missing_price", "SPY", "2015-06-11"),
    ]


def test_an_open_that_slipped_stops_a_run_that_fills_at_opens(found, fund, tmp_path):
    fund.loc["2015-06-10", "Open"] *= 10
    fund.to_csv(tmp_path / "SPY.csv")
    assert found(tmp_path / "SPY.csv", "SPY")[0] == [("odd", "bar_inconsistent", "SPY", "2015-06-10")]
    told, message = found(tmp_path / "SPY.csv", "SPY", fill="next_open")
    assert told[0] == ("error", "price_slip", "SPY", "2015-06-10")
    assert "SPY (open): prices slipped" in message


def test_adjusted_closes_rounded_to_cents_bear_out_their_dividends(found, fund, tmp_path):
    fund[["Close", "Adj Close"]] = fund[["Close", "Adj Close"]].round(2)
    fund.to_csv(tmp_path / "SPY.csv")
    assert found(tmp_path / "SPY.csv", "SPY", field="adj_close")[0] == []


def test_dividends_bought_back_in_at_the_close_are_borne_out_too(found, fund, tmp_path):
    growth = (1 + fund["Dividends"] / fund["Close"]).cumprod()
    fund["Adj Close"] = fund["Close"] * growth / growth.iloc[-1]
    fund.to_csv(tmp_path / "SPY.csv")
    assert found(tmp_path / "SPY.csv", "SPY", field="adj_close")[0] == []


def test_a_dividend_on_a_day_without_a_price_is_borne_out_by_the_next(store, a_run, fund, tmp_path):
    fund.loc["2015-06-19", ["Open", "High", "Low", "Close", "Adj Close"]] = np.nan
    fund.to_csv(tmp_path / "SPY.csv")
    run = a_run(tmp_path / "SPY.csv", "SPY", *WINDOW, field="adj_close")
    for policy in ("forward_fill", "drop"):
        assert store.load(replace(run, data=replace(run.data, missing=policy))).odd == ()


def test_a_dividend_after_a_day_without_a_price_is_held_to_the_step_over_it(store, a_run, fund, tmp_path):
    fund.loc["2015-06-18", ["Open", "High", "Low", "Close", "Adj Close"]] = np.nan
    fund.loc["2015-06-19", "Dividends"] = 1.3
    fund.to_csv(tmp_path / "SPY.csv")
    run = a_run(tmp_path / "SPY.csv", "SPY", *WINDOW, field="adj_close")
    (odd,) = store.load(replace(run, data=replace(run.data, missing="forward_fill"))).odd
    assert (odd.kind, odd.session) == ("dividend_restated", "2015-06-19")


# -------------------------------------------------------------------------------------- anywhere at all


def of_random(seed, sessions, symbols, volatility=0.015):
    days = np.datetime64("2015-01-05") + np.arange(2 * sessions)
    days = days[np.is_busday(days)][:sessions]
    steps = np.random.default_rng(seed).normal(0.0003, volatility, (sessions, symbols))
    steps = np.clip(steps, -4 * volatility, 4 * volatility)
    levels = 10.0 * 8.0 ** np.arange(symbols)
    return days, levels * np.cumprod(1.0 + steps, axis=0)


def kinds_of(days, close, observed=None):
    symbols = tuple(f"S{number}" for number in range(close.shape[1]))
    table = PriceTable(days, symbols, close, None, "close", "random", observed=observed)
    first, last = days[[0, -1]].tolist()
    findings = findings_of(window_of(table, symbols, first, last), None, opens=False)
    return [(one.severity, one.kind, one.symbol, one.session) for one in findings]


@given(
    seed=st.integers(0, 10**6), sessions=st.integers(2, 400), symbols=st.integers(1, 6),
    scale=st.sampled_from([1e-3, 1.0, 1e6]), volatility=st.sampled_from([0.001, 0.01, 0.03]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_prices_that_wander_have_no_fault_whatever_their_level(seed, sessions, symbols, scale, volatility):
    days, close = of_random(seed, sessions, symbols, volatility)
    assert kinds_of(days, close * scale) == []


@given(
    seed=st.integers(0, 10**6), data=st.data(), factor=st.sampled_from([10.0, 0.1, 100.0, 0.01, 1000.0]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_slip_is_found_wherever_it_is(seed, data, factor):
    days, close = of_random(seed, 300, 4)
    row, stay = data.draw(st.integers(1, 200)), data.draw(st.integers(1, 90))
    column = data.draw(st.integers(0, 3))
    close[row : row + stay, column] *= factor
    assert kinds_of(days, close) == [("error", "price_slip", f"S{column}", str(days[row]))]


@pytest.mark.parametrize("around", [[50.0], [50.0, 51.0], [50.0, 51.0, 50.5, 50.0, 49.0]])
def test_a_placeholder_is_found_in_the_shortest_window(around):
    close = np.array([50.0, 9999999.0, *around])[:, None]
    days = np.busday_offset("2020-01-06", np.arange(len(close))).astype("datetime64[D]")
    assert kinds_of(days, close) == [("error", "price_slip", "S0", "2020-01-07")]


def test_prices_that_double_and_halve_every_day_have_no_slip_of_eight_times():
    close = np.array([1.0, 2.5, 1.1, 8.8, 1.2, 3.0, 1.5])[:, None]
    days = np.busday_offset("2020-01-06", np.arange(len(close))).astype("datetime64[D]")
    assert {kind for severity, kind, *_ in kinds_of(days, close) if severity == "error"} == set()


@pytest.mark.parametrize("freedom", [2, 3])
def test_crashes_and_gains_of_many_times_are_no_slips(freedom):
    """Of moves with heavy tails hardly ever does one undo another within a week."""
    days = np.busday_offset("1990-01-02", np.arange(2500), roll="forward").astype("datetime64[D]")
    moves = 0.03 * np.random.default_rng(11).standard_t(freedom, (len(days), 200))
    assert np.count_nonzero(np.abs(moves) > np.log(5.0)) > 5
    found = kinds_of(days, 50.0 * np.exp(np.clip(moves, -3.0, 3.0).cumsum(axis=0)))
    assert [one for one in found if one[0] == "error"] == []


@given(seed=st.integers(0, 10**6), row=st.integers(1, 298), pair=st.sampled_from([(0, 1), (1, 2), (2, 0)]))
@settings(max_examples=40, deadline=None)
def test_exchanged_columns_are_found_wherever_they_are(seed, row, pair):
    days, close = of_random(seed, 300, 3)
    close[row:, list(pair)] = close[row:, list(pair)[::-1]]
    assert kinds_of(days, close) == [("error", "columns_swapped", f"S{min(pair)}", str(days[row]))]


@pytest.mark.parametrize("row", range(62, 69))
def test_faults_of_hundreds_of_shares_are_found_where_one_block_of_rows_ends(row):
    days, close = of_random(1, 140, 1)
    close = np.ascontiguousarray(close * np.random.default_rng(2).uniform(0.5, 2.0, 500))
    close[row, 7] *= 100
    close[row - 3 : row + 3, 9] = close[row, 9]
    assert kinds_of(days, close) == [
        ("error", "price_slip", "S7", str(days[row])),
        ("odd", "stale", "S9", str(days[row - 3])),
    ]
