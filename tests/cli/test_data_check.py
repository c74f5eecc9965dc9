"""``finbot data check``: prices are checked without a backtest."""

import inspect
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_finbot.cli.data_check import check

EXAMPLES = Path(__file__).parents[2] / "examples"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
# Before click 8.2 the two streams were one unless asked for.
_APART = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}

HEAD = """\
batch_name: small
defaults:
  data: {path: prices.csv, calendar: XNYS}
  strategy: fixed_weights
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-01-09
  start_capital: 1000
runs:
"""
PRICES = """\
Date,AAA,BBB
2020-01-02,10,20
2020-01-03,11,19
2020-01-06,12,21
2020-01-07,11,22
2020-01-08,13,20
2020-01-09,14,23
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with prices in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.csv").write_text(PRICES)
    return tmp_path


@pytest.fixture
def real_prices():
    if not (SHARED / "sp500_20_daily.csv.gz").is_file():
        without = pytest.fail if os.environ.get("CI") else pytest.skip
        without("the folder of real prices is not beside this repository")
    return SHARED


def ask(*words):
    """Exit status, output and errors of ``finbot data check``."""
    done = CliRunner(**_APART).invoke(check, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def asked(*words, status=0):
    """The JSON document, which is strict."""
    code, out, _ = ask(*words, "--json")
    assert code == status

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(out, parse_constant=refuse)


def batch(folder, *runs):
    (folder / "finbot.yaml").write_text(HEAD + "".join(f"  - {run}\n" for run in runs))
    return folder / "finbot.yaml"


def kinds(source):
    return [(one["severity"], one["kind"], one["symbol"], one["session"]) for one in source["findings"]]


# ---------------------------------------------------------------------------------- batch files


def test_each_set_of_prices_is_checked_once_and_names_its_runs(folder):
    file = batch(
        folder,
        "{id: a}",
        "{id: b, rebalance_freq: D}",
        "{id: c, symbols: [AAA]}",
        "{id: d, start_date: 2020-01-03}",
        "{id: e, tags: [x]}",
    )
    document = asked(file)
    assert [(one["runs"], one["symbols"], one["start"]) for one in document["sources"]] == [
        (["a", "b", "e"], ["AAA", "BBB"], "2020-01-02"),
        (["c"], ["AAA"], "2020-01-02"),
        (["d"], ["AAA", "BBB"], "2020-01-03"),
    ]
    assert {one["sessions"] for one in document["sources"]} == {6, 5}
    status, out, _ = ask(file)
    assert status == 0
    assert "a, b, e" in out
    assert "used by" not in out, "there is nothing to say of prices that are clean"
    assert "0 errors, 0 odd" in out


def test_runs_that_differ_in_nothing_that_matters_to_prices_are_one(folder):
    paid = "dividends: {AAA: [{date: 2020-01-07, amount: 0.1}]}"
    file = batch(
        folder,
        f"{{id: a, {paid}, dividend_booking: cash}}",
        f"{{id: b, {paid}, dividend_booking: reinvest}}",
        f"{{id: c, {paid}, rebalance_freq: W, fill: next_close}}",
        "{id: d}",
    )
    assert [one["runs"] for one in asked(file)["sources"]] == [["a", "b", "c"], ["d"]]


def test_what_a_window_without_a_calendar_cannot_tell_is_said_once(folder):
    without = "data: {path: prices.csv, calendar: null}"
    file = batch(
        folder, f"{{id: a, {without}}}", f"{{id: b, symbols: [AAA], {without}}}", "{id: c, symbols: [BBB]}"
    )
    _, out, _ = ask(file)
    told = "without a calendar it is not known whether sessions are missing"
    assert out.count(told) == 1
    assert f"{told}: a, b" in out


def test_actions_that_do_not_fit_are_told_as_such_by_symbol_and_day(folder):
    dividends = "dividends: {BBB: [{date: 2020-01-07, amount: 30}, {date: 2020-01-08, amount: -1}]}"
    on_no_session = "dividends: {AAA: [{date: 2020-01-04, amount: 1}]}"
    file = batch(folder, f"{{id: a, {dividends.replace('-1', '40')}}}", f"{{id: b, {on_no_session}}}")
    first, second = asked(file, status=1)["sources"]
    assert kinds(first) == [
        ("error", "actions", "BBB", "2020-01-07"),
        ("error", "actions", "BBB", "2020-01-08"),
    ]
    assert kinds(second) == [("error", "actions", "AAA", "2020-01-04")]
    assert "error actions: dividends: AAA: ex-date 2020-01-04 is no session of the prices" in ask(file)[1]


def test_dividends_that_runs_leave_out_are_told_once_by_the_longest_window(folder):
    bars = EXAMPLES / "data" / "ohlcv"
    head = HEAD.replace("prices.csv", str(bars)).replace("[AAA, BBB]", "[TLT]")
    runs = ("{id: a}", "{id: b, start_date: 2019-01-02}", "{id: c, dividends: from_prices}")
    (folder / "finbot.yaml").write_text(head + "".join(f"  - {run}\n" for run in runs))
    status, out, _ = ask(folder / "finbot.yaml")
    assert status == 0
    assert out.count("TLT: ") == 1
    assert "TLT: 12 dividends from 2019-02-01 to 2019-12-19, " in out
    assert "close leaves them out: a run has them with dividends: from_prices" in out
    (folder / "finbot.yaml").write_text(head + f"  - {runs[2]}\n")
    assert "TLT: " not in ask(folder / "finbot.yaml")[1]


def test_a_split_that_a_run_does_not_book_is_an_error_of_that_run(folder):
    closes = [(2, 20, 0), (3, 20.2, 0), (6, 10, 2), (7, 10.1, 0), (8, 9.9, 0), (9, 10.2, 0)]
    rows = "".join(f"2020-01-{day:02},{p},{p},{p},{p},{split}\n" for day, p, split in closes)
    (folder / "AAA.csv").write_text("Date,Open,High,Low,Close,Stock Splits\n" + rows)
    head = HEAD.replace("prices.csv", "AAA.csv").replace("[AAA, BBB]", "[AAA]")
    (folder / "finbot.yaml").write_text(head + "  - {id: a}\n  - {id: b, splits: from_prices}\n")
    wrong, right = asked(folder / "finbot.yaml", status=1)["sources"]
    assert kinds(wrong) == [("error", "split_not_booked", "AAA", "2020-01-06")]
    assert (right["errors"], right["odd"]) == (0, 0)
    assert asked("AAA.csv")["errors"] == 0, "a file without a run books nothing"


@pytest.mark.parametrize("ratio", [-2.0, "inf"])
def test_a_stated_split_that_cannot_be_is_an_error_whoever_books_it(folder, ratio):
    closes = [(2, 20, 0), (3, 20.2, 0), (6, 20.1, ratio), (7, 20.3, 0), (8, 19.9, 0), (9, 10, 2)]
    rows = "".join(f"2020-01-{day:02},{p},{p},{p},{p},{split}\n" for day, p, split in closes)
    (folder / "AAA.csv").write_text("Date,Open,High,Low,Close,Stock Splits\n" + rows)
    (source,) = asked("AAA.csv", status=1)["sources"]
    assert kinds(source) == [("error", "actions", "AAA", "2020-01-06")]
    assert source["actions"][0]["number"] == 1
    head = HEAD.replace("prices.csv", "AAA.csv").replace("[AAA, BBB]", "[AAA]")
    (folder / "finbot.yaml").write_text(head + "  - {id: a}\n  - {id: b, splits: from_prices}\n")
    for source in asked("finbot.yaml", status=1)["sources"]:
        assert ("error", "actions", "AAA", "2020-01-06") in kinds(source)
        assert f"split of {float(ratio)} on 2020-01-06" in source["findings"][0]["message"]


def test_an_error_is_told_with_symbol_and_day_where_a_run_would_be_refused(folder):
    (folder / "prices.csv").write_text(PRICES.replace("11,22", "0,22").replace("2020-01-06", "2020-01-05"))
    file = batch(folder, "{id: a}", "{id: b, symbols: [BBB]}")
    document = asked(file, status=1)
    assert kinds(document["sources"][0]) == [
        ("error", "not_a_session", None, "2020-01-05"),
        ("error", "missing_session", None, "2020-01-06"),
        ("error", "zero_price", "AAA", "2020-01-07"),
    ]
    assert (document["errors"], document["sources"][1]["errors"]) == (5, 2)
    status, out, _ = ask(file)
    assert status == 1
    assert "error zero_price: AAA (close): prices have to be above zero: 0.0 on 2020-01-07" in out
    assert "5 errors, 0 odd" in out


def test_what_a_policy_fills_in_is_said(folder):
    (folder / "prices.csv").write_text(PRICES.replace("11,22", "11,"))
    data = "data: {path: prices.csv, calendar: XNYS, missing: backfill}"
    file = batch(folder, "{id: a}", f"{{id: b, {data}}}")
    refused, filled = asked(file, status=1)["sources"]
    assert kinds(refused) == [("error", "missing_price", "BBB", "2020-01-07")]
    assert (filled["errors"], filled["filled"]["filled"]) == (0, {"BBB": 1})
    assert "backfill, looking ahead: 1 price filled in, the first on 2020-01-07" in ask(file)[1]


def test_a_file_with_a_session_twice_is_an_error_of_the_prices(folder):
    (folder / "prices.csv").write_text(PRICES + "2020-01-09,14,23\n")
    document = asked(batch(folder, "{id: a}"), status=1)
    (finding,) = document["sources"][0]["findings"]
    assert "more than once: 2020-01-09" in finding["message"]
    assert document["sources"][0]["sessions"] is None


def test_a_batch_file_that_is_wrong_or_lacks_its_prices_cannot_be_checked(folder):
    status, out, err = ask(batch(folder, "{id: a, stratgy: x}"))
    assert (status, out) == (4, "")
    assert "did you mean 'strategy'" in err
    file = batch(folder, "{id: a}")
    (folder / "prices.csv").unlink()
    status, out, err = ask(file)
    assert (status, out) == (4, "")
    assert "prices.csv" in err


# ---------------------------------------------------------------------------------- price files


def test_a_price_file_is_checked_over_its_whole_range(folder):
    (source,) = asked("prices.csv", "--calendar", "XNYS")["sources"]
    assert (source["source"], source["field"], source["symbols"]) == ("prices.csv", "close", ["AAA", "BBB"])
    assert (source["start"], source["end"], source["sessions"]) == ("2020-01-02", "2020-01-09", 6)
    assert "not known whether sessions are missing" in ask("prices.csv")[1]
    (source,) = asked(
        "prices.csv", "--symbols", "BBB", "--from", "2020-01-06", "--to", "2020-01-07", "--field", "adj_close"
    )["sources"]
    assert (source["symbols"], source["sessions"], source["field"]) == (["BBB"], 2, "adj_close")


def test_a_share_that_lists_late_is_odd_unless_a_window_is_asked_for(folder):
    (folder / "prices.csv").write_text(PRICES.replace("10,20", "10,").replace("14,23", ",23"))
    document = asked("prices.csv")
    assert kinds(document["sources"][0]) == [
        ("odd", "delists", "AAA", "2020-01-08"),
        ("odd", "lists_late", "BBB", "2020-01-03"),
    ]
    assert asked("prices.csv", "--from", "2020-01-02", status=1)["errors"] == 2


def test_a_broken_file_of_a_folder_leaves_the_others_checked(folder):
    prices = folder / "bars"
    prices.mkdir()
    bars = "Date,Open,High,Low,Close\n2020-01-02,1,2,1,1\n2020-01-03,1,2,1,2\n"
    (prices / "AAA.csv").write_text(bars)
    (prices / "BBB.csv").write_text(bars.replace("2020-01-03", "tomorrow"))
    document = asked(prices, status=1)
    good, bad = document["sources"]
    assert (good["symbols"], good["errors"]) == (["AAA"], 0)
    assert bad["findings"][0]["kind"] == "unreadable"
    assert "'tomorrow'" in bad["findings"][0]["message"]
    assert len(asked(prices, "--symbols", "AAA")["sources"]) == 1


@pytest.mark.parametrize(
    ("words", "status", "tells"),
    [
        (["nothing.csv"], 4, "no such file"),
        (["prices.txt"], 4, "neither a batch file nor prices"),
        (["prices.csv", "--symbols", "AAB"], 4, "did you mean 'AAA'"),
        (["prices.csv", "--symbols", " , "], 2, "names none"),
        (["prices.csv", "--calendar", "XNYX"], 2, "did you mean 'XNYS'"),
        (["prices.csv", "--field", "open"], 2, "adj_close"),
        (["prices.csv", "--from", "2020-01-09", "--to", "2020-01-02"], 2, "is before"),
        (["prices.csv", "--from", "2021-01-01"], 2, "after the last session, 2020-01-09"),
        (["prices.csv", "--to", "2019-12-31"], 2, "before the first session, 2020-01-02"),
        (["link.csv"], 4, "link.csv: a link to nowhere.csv, which is not there (FILE)\n"),
        (["pipe.csv"], 4, "not a regular file"),
        (["pipe.yaml"], 4, "not a regular file"),
        (["prices.csv", "--from", "yesterday"], 2, "yesterday"),
        (["finbot.yaml", "--calendar", "XNYS"], 2, "--calendar is for price files"),
        (["finbot.yaml", "--from", "2020-01-02"], 2, "--from is for price files"),
    ],
)
def test_a_call_that_cannot_be_answered_says_why(folder, words, status, tells):
    batch(folder, "{id: a}")
    (folder / "link.csv").symlink_to("nowhere.csv")
    for pipe in ("pipe.csv", "pipe.yaml"):
        os.mkfifo(folder / pipe)
    (folder / "prices.txt").write_text(PRICES)
    code, out, err = ask(*words)
    assert (code, out) == (status, "")
    assert tells in err


@pytest.mark.parametrize("broken", ["Date,AAA\n2020-01-02,ten\n", ""])
def test_prices_that_are_there_and_cannot_be_read_are_an_error_found(folder, broken):
    (folder / "prices.csv").write_text(broken)
    document = asked("prices.csv", status=1)
    assert [one["kind"] for one in document["sources"][0]["findings"]] == ["unreadable"]
    assert "\n1 error, 0 odd\n" in ask("prices.csv")[1]
    assert "prices that are there and cannot be read are one" in " ".join(ask("--help")[1].split())


def test_in_a_folder_a_file_may_end_before_what_is_asked_for(folder):
    prices = folder / "bars"
    prices.mkdir()
    bars = "Date,Open,High,Low,Close\n2020-01-02,1,2,1,1\n2020-01-03,1,2,1,2\n"
    (prices / "AAA.csv").write_text(bars)
    (prices / "BBB.csv").write_text(bars + "2020-01-06,2,2,1,2\n")
    gone, there = asked(prices, "--from", "2020-01-06", status=1)["sources"]
    assert (gone["start"], gone["end"], gone["errors"]) == ("2020-01-06", "2020-01-06", 1)
    assert "the prices are from 2020-01-02 to 2020-01-03" in gone["findings"][0]["message"]
    assert there["errors"] == 0
    os.mkfifo(prices / "CCC.csv")
    assert "not a regular file" in asked(prices, status=1)["sources"][2]["findings"][0]["message"]


def test_opens_that_a_run_would_be_refused_for_are_odd_where_no_run_says(folder):
    closes = [(2, 20), (3, 20.2), (6, 20.1), (7, 20.3), (8, ""), (9, 19.9)]
    rows = "".join(f"2020-01-{day:02},{0 if p else ''},{p},{p},{p}\n" for day, p in closes)
    (folder / "AAA.csv").write_text("Date,Open,High,Low,Close\n" + rows)
    (source,) = asked("AAA.csv", status=1)["sources"]
    assert kinds(source) == [
        ("error", "missing_price", "AAA", "2020-01-08"),
        ("odd", "zero_price", "AAA", "2020-01-02"),
    ], "an open without a close beside it is told once"
    message = source["findings"][1]["message"]
    assert message.startswith("AAA (open): prices have to be above zero: 0.0 on 2020-01-02")
    assert message.endswith("a run that fills at opens would be refused")
    head = (
        HEAD.replace("prices.csv", "AAA.csv")
        .replace("[AAA, BBB]", "[AAA]")
        .replace("2020-01-09", "2020-01-07")
    )
    (folder / "finbot.yaml").write_text(head + "  - {id: a}\n  - {id: b, fill: next_open}\n")
    assert [one["errors"] for one in asked("finbot.yaml", status=1)["sources"]] == [0, 1]


# ------------------------------------------------------------------------------------ real prices


def test_the_data_of_the_examples_has_no_error(monkeypatch):
    monkeypatch.chdir(EXAMPLES.parent)
    document = asked(EXAMPLES / "finbot.yaml")
    assert document["errors"] == 0
    assert sum(len(one["runs"]) for one in document["sources"]) == 26
    funds = asked(EXAMPLES / "data" / "ohlcv", "--calendar", "XNYS")
    assert (funds["errors"], funds["odd"]) == (0, 0)


def test_twenty_shares_of_33_years_pass_and_what_is_odd_is_told(real_prices):
    document = asked(real_prices / "sp500_20_daily.csv.gz", "--calendar", "XNYS", "--field", "adj_close")
    (source,) = document["sources"]
    assert (source["sessions"], len(source["symbols"]), source["errors"]) == (8313, 20, 0)
    assert source["odd"] <= 20
    fell = next(one for one in source["findings"] if (one["kind"], one["symbol"]) == ("jump", "AAPL"))
    assert "-51.8 % on 2000-09-29" in fell["message"]


def test_two_funds_pass_raw_and_adjusted_and_their_dividends_are_explained(real_prices):
    document = asked(real_prices, "--symbols", "SPY,TLT", "--calendar", "XNYS")
    assert (document["errors"], document["odd"]) == (0, 0)
    told = {
        (one["symbols"][0], one["field"], action["kind"]): (action["number"], action["contained"])
        for one in document["sources"]
        for action in one["actions"]
    }
    assert told["SPY", "close", "dividends"] == (133, "none")
    assert told["SPY", "adj_close", "dividends"] == (133, "all")
    assert told["TLT", "adj_close", "dividends"] == (281, "all")
    assert told["TLT", "close", "splits"] == (0, "all")
    out = ask(real_prices, "--symbols", "SPY,TLT")[1]
    assert "SPY: 133 dividends from 1993-03-19 to 2025-12-19, 107.785 a unit; adj_close contains each" in out


def test_stated_splits_are_said_to_be_in_the_prices_or_not(folder):
    closes = [(2, 20, 0), (3, 20.2, 0), (6, 10, 2), (7, 10.1, 0), (8, 9.9, 3), (9, 10.2, 0)]
    rows = "".join(f"2020-01-{day:02},{p},{p},{p},{p},{split}\n" for day, p, split in closes)
    (folder / "AAA.csv").write_text("Date,Open,High,Low,Close,Stock Splits\n" + rows)
    (source,) = asked("AAA.csv")["sources"]
    (action,) = source["actions"]
    assert (action["number"], action["first"], action["contained"]) == (2, "2020-01-06", "some")
    assert "close steps by 1 of them" in action["message"]
