"""A window with a fault in it is refused, with symbol and date."""

import pickle

import pytest

from pytest_finbot.errors import DataError, ParameterError
from pytest_finbot.market.quality import UnfitPricesError


def test_a_clean_week_passes_the_calendar(load, wide):
    market = load(wide(), calendar="XNYS")
    assert len(market.sessions) == 5
    assert market.calendar == "XNYS"


def test_a_missing_session_is_seen_with_a_calendar_only(load, refused, wide):
    path = wide(drop=["2020-01-08"])
    assert len(load(path).sessions) == 4
    refused(path, calendar="XNYS", tells=[str(path), "1 session of XNYS missing: 2020-01-08 (Wednesday)"])


def test_a_missing_first_session_is_seen(refused, wide):
    refused(wide(drop=["2020-01-06"]), calendar="XNYS", tells=["1 session of XNYS missing: 2020-01-06"])


def test_a_weekend_row_is_not_a_session(refused, wide):
    path = wide(add={"2020-01-11": [310.0, 55.0]})
    refused(
        path, end="2020-01-13", calendar="XNYS",
        tells=["1 date that is not a session of XNYS: 2020-01-11 (Saturday)", "missing: 2020-01-13"],
    )  # fmt: skip


def test_a_holiday_row_is_not_a_session_but_crypto_has_no_holidays(load, refused, text):
    path = text("Date,BTC\n2020-01-18,1\n2020-01-19,1\n2020-01-20,1\n")
    assert len(load(path, "BTC", "2020-01-18", "2020-01-20", calendar="24/7").sessions) == 3
    refused(path, "BTC", "2020-01-20", "2020-01-20", calendar="XNYS", tells=["2020-01-20 (Monday)"])


@pytest.mark.parametrize(
    ("price", "told"),
    [
        (0.0, "KO (close): prices have to be above zero: 0.0 on 2020-01-08"),
        (-1.5, "KO (close): prices have to be above zero: -1.5 on 2020-01-08"),
        (None, "KO (close): no price on 1 session: 2020-01-08"),
        (float("inf"), "KO (close): infinite on 1 session: 2020-01-08"),
        (float("-inf"), "KO (close): infinite on 1 session: 2020-01-08"),
    ],
)
def test_a_bad_price_is_named_by_symbol_and_date(load, refused, wide, price, told):
    path = wide({("2020-01-08", "KO"): price})
    refused(path, tells=[str(path), told])
    assert len(load(path, "AAPL").sessions) == 5
    assert len(load(path, "KO", end="2020-01-07").sessions) == 2


def test_a_share_listed_late_is_recognised(refused, wide):
    path = wide({("2020-01-06", "KO"): None, ("2020-01-07", "KO"): None})
    refused(
        path, tells=["KO (close): no price on the first 2 sessions, from 2020-01-06; listed on 2020-01-08?"]
    )


def test_a_share_no_longer_listed_is_recognised(refused, wide):
    path = wide({("2020-01-09", "KO"): None, ("2020-01-10", "KO"): None})
    refused(path, tells=["KO (close): last price on 2020-01-08, none on the 2 sessions after it"])


def test_a_share_without_any_price_in_the_window_says_where_it_has_some(refused, wide):
    path = wide({("2020-01-09", "KO"): None, ("2020-01-10", "KO"): None})
    refused(
        path, start="2020-01-09",
        tells=["KO (close): no price in the window; its prices are from 2020-01-06 to 2020-01-08"],
    )  # fmt: skip


def test_all_faults_are_told_at_once(refused, wide):
    changes = {("2020-01-07", "AAPL"): -1, ("2020-01-08", "AAPL"): None, ("2020-01-09", "KO"): float("inf")}
    refused(
        wide(changes, drop=["2020-01-10"]), calendar="XNYS",
        tells=["missing: 2020-01-10", "AAPL (close): no price", "AAPL (close): prices",
               "KO (close): infinite"],
    )  # fmt: skip


def test_of_many_faults_ten_are_told_and_the_rest_counted(refused, text):
    symbols = [f"S{number}" for number in range(25)]
    path = text(f"Date,{','.join(symbols)}\n2020-01-06{',0' * 25}\n")
    message = refused(path, " ".join(symbols), end="2020-01-06", tells=["… and 15 more"])
    assert message.count("above zero") == 10


@pytest.mark.parametrize("calendar", [None, "XNYS"])
def test_a_window_that_the_file_does_not_cover_is_refused(refused, wide, calendar):
    message = refused(
        wide(), start="2019-12-23", end="2020-01-20", calendar=calendar,
        tells=["the first session is 2020-01-06", "the last session is 2020-01-10",
               "the prices are from 2020-01-06 to 2020-01-10"],
    )  # fmt: skip
    assert "missing" not in message


def test_a_week_at_either_end_may_be_holidays_but_no_more(load, refused, wide):
    assert len(load(wide(), start="2019-12-30", end="2020-01-17").sessions) == 5
    refused(wide(), start="2019-12-29", tells=["the first session is 2020-01-06"])
    refused(wide(), end="2020-01-18", tells=["the last session is 2020-01-10"])


def test_a_window_without_a_session_says_what_there_is(refused, wide):
    refused(
        wide(), start="2021-01-01", end="2021-02-01",
        tells=["no session in the window", "from 2020-01-06 to 2020-01-10"],
    )  # fmt: skip


def test_opens_have_to_be_good_only_where_the_run_fills_at_them(load, refused, wide):
    closes, opens = wide(), wide({("2020-01-08", "KO"): 0}, name="opens.csv")
    assert load(closes, open_path=opens).open[2, 1] == 0
    refused(closes, open_path=opens, fill="next_open", tells=["KO (open): prices", "0.0 on 2020-01-08"])


def test_an_unknown_calendar_is_a_wrong_setting_with_the_nearest_name(load, wide):
    with pytest.raises(ParameterError, match=r"'XNYSE' is not a calendar .*did you mean 'XNYS'"):
        load(wide(), calendar="XNYSE")


def test_twenty_shares_of_thirteen_years_are_clean(load, real_prices):
    symbols = "AAPL AMD BAC BBY CVX GE HD JNJ JPM KO LLY MRK MSFT PEP PFE PG RRC UNH WMT XOM"
    market = load(
        real_prices / "sp500_20_daily.csv.gz", symbols, "2010-01-04", "2022-12-28",
        field="adj_close", calendar="XNYS",
    )  # fmt: skip
    assert market.close.shape == (3270, 20)


def test_a_fund_raw_and_adjusted_is_not_the_same_data(load, real_prices):
    window = ("SPY TLT", "2010-01-04", "2022-12-28")
    raw = load(real_prices, *window, calendar="XNYS")
    adjusted = load(real_prices, *window, field="adj_close", calendar="XNYS")
    assert raw.digest.hash != adjusted.digest.hash
    assert raw.sessions.tolist() == adjusted.sessions.tolist()
    assert (adjusted.open <= raw.open * 1.0000001).all()


def test_a_calendar_that_is_not_recorded_so_far_back_says_its_range(load, text):
    path = text("Date,A\n1980-01-02,1\n1980-01-03,1\n")
    with pytest.raises(DataError, match=r"calendar XBOM is recorded from 1997-01-01 to \d{4}-12-31"):
        load(path, "A", "1980-01-02", "1980-01-03", calendar="XBOM")


def test_a_refusal_carries_its_findings_dates_first_then_symbols_in_the_runs_order(load, wide):
    changes = {("2020-01-07", "AAPL"): -1, ("2020-01-07", "KO"): None, ("2020-01-08", "KO"): 0}
    with pytest.raises(UnfitPricesError) as refusal:
        load(wide(changes, drop=["2020-01-10"]), "KO AAPL", calendar="XNYS")
    found = [(one.kind, one.symbol, one.session, one.count) for one in refusal.value.findings]
    assert found == [
        ("missing_session", None, "2020-01-10", 1),
        ("missing_price", "KO", "2020-01-07", 1),
        ("zero_price", "KO", "2020-01-08", 1),
        ("negative_price", "AAPL", "2020-01-07", 1),
    ]
    again = pickle.loads(pickle.dumps(refusal.value))
    assert (str(again), again.findings) == (str(refusal.value), refusal.value.findings)


def test_what_is_odd_goes_with_the_prices_and_is_no_part_of_their_digest(load, wide):
    market = load(wide({("2020-01-08", "KO"): 30.0, ("2020-01-09", "KO"): 30.1, ("2020-01-10", "KO"): 30.2}))
    (odd,) = market.odd
    assert (odd.severity, odd.kind, odd.symbol, odd.session) == ("odd", "jump", "KO", "2020-01-08")
    assert odd.message == "KO (close): moves far beyond its usual ones: -44.7 % on 2020-01-08"


def test_a_few_wrong_dates_are_not_taken_for_a_shift(refused, wide):
    path = wide(drop=["2020-01-06", "2020-01-07"], add={"2020-01-11": [310.0, 55.0]})
    message = refused(
        path, start="2020-01-07", end="2020-01-11", calendar="XNYS",
        tells=["1 session of XNYS missing: 2020-01-07", "is not a session of XNYS: 2020-01-11"],
    )  # fmt: skip
    assert "time zone" not in message


def test_a_calendar_of_another_country_is_not_taken_for_a_shift(refused, text):
    # Sundays to Thursdays, with the holidays of neither: New York's sessions moved by a day leave many.
    days = [f"2020-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
    rows = "".join(f"{day},{100 + number % 3}\n" for number, day in enumerate(days))
    message = refused(
        text("Date,A\n" + rows), "A", "2020-01-01", "2020-12-28", calendar="XNYS",
        tells=["sessions of XNYS missing", "dates that are not sessions of XNYS"],
    )  # fmt: skip
    assert "time zone" not in message
