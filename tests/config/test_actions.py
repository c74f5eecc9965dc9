"""What a batch file declares about prices, marks, money and corporate actions."""

from datetime import date

import pytest

from pytest_finbot.config.expand import load_batch
from pytest_finbot.contracts import ActionSpec, DataSpec, Dividend, Flow, MarkSpec, Split

BATCH = """\
batch_name: small
defaults:
  strategy: fixed_weights
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-12-31
"""
"""Six lines; what a test adds to the defaults begins on line 7."""


def text(defaults: str, *runs: str) -> str:
    own = "".join(f"  {line}\n" for line in defaults.splitlines())
    data = "" if "data:" in defaults else "  data: {path: prices.csv}\n"
    return BATCH + own + data + "runs:\n" + "".join(f"  - {{{run}}}\n" for run in runs or ("id: a",))


def of(folder, defaults: str, *runs: str):
    return folder.load(text(defaults, *runs)).runs


def wrong(folder, defaults: str, *runs: str) -> list[str]:
    return [str(problem) for problem in folder.problems(text(defaults, *runs))]


# ------------------------------------------------------------------------- missing prices


@pytest.mark.parametrize("policy", ["error", "drop", "forward_fill", "interpolate", "backfill"])
def test_each_policy_for_missing_prices(folder, policy):
    [run] = of(folder, f"data: {{path: prices.csv, missing: {policy}}}")
    assert run.data == DataSpec(str(folder.path / "prices.csv"), missing=policy)


def test_a_run_that_takes_another_policy_leaves_the_limit_of_its_defaults_behind(folder):
    first, second, third = of(
        folder,
        "data: {path: prices.csv, missing: forward_fill, missing_limit: 3}",
        "id: a",
        "id: b, data: {missing: drop}",
        "id: c, data: {missing_limit: 1}",
    )
    assert [(run.data.missing, run.data.missing_limit) for run in (first, second, third)] == [
        ("forward_fill", 3),
        ("drop", 5),
        ("forward_fill", 1),
    ]


@pytest.mark.parametrize(
    ("defaults", "run", "place"),
    [
        ("data: {path: prices.csv, missing_limit: 3}", "id: a", "7: defaults.data.missing_limit"),
        (
            "data: {path: prices.csv, missing: forward_fill}",
            "id: a, data: {missing: drop, missing_limit: 3}",
            "9: r",
        ),
        (
            "data: {path: prices.csv, missing: drop}",
            "id: a, data: {missing_limit: 3}",
            "9: runs[0].data.missing_l",
        ),
        (
            "data: {path: prices.csv}",
            "id: a, data: {missing_limit: 3}, matrix: {seed: [1, 2]}",
            "9: runs[0].data",
        ),
    ],
)
def test_a_limit_without_its_policy_is_told(folder, defaults, run, place):
    (problem,) = wrong(folder, defaults, run)
    assert problem.startswith(f"finbot.yaml:{place}")
    assert problem.endswith("missing_limit: limits nothing; it is for missing: forward_fill alone")


def test_a_matrix_of_policies_leaves_the_limit_of_its_run_behind(folder):
    runs = of(folder, "", "id: a, data: {missing_limit: 2}, matrix: {data.missing: [drop, forward_fill]}")
    assert [run.data.missing_limit for run in runs] == [5, 2]


# ------------------------------------------------------------------------------ snapshots


def test_a_snapshot_takes_the_place_of_files_that_need_not_be_there(folder):
    folder.write("kept/day-1.json", "{}")
    batch = folder.write(
        "finbot.yaml",
        text(
            "data: {path: gone.csv, snapshot: day-1}",
            "id: a",
            "id: b, data: {open_path: opens.csv}",
            "id: c, data: {snapshot: null, path: prices.csv}",
        ),
    )
    a, b, c = load_batch(batch, snapshots=folder.path / "kept").runs
    gone, kept = str(folder.path / "gone.csv"), str(folder.path / "kept")
    assert a.data == DataSpec(gone, snapshot="day-1", snapshots=kept)
    assert b.data.open_path == str(folder.path / "opens.csv")
    assert c.data == DataSpec(str(folder.path / "prices.csv"))


def test_a_snapshot_alone_names_no_file_even_if_there_is_one(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    folder.write(".finbot/snapshots/s.json", "{}")
    folder.write("data/prices.csv", "")
    [run] = of(folder, "data: {snapshot: s}")
    assert run.data == DataSpec("", snapshot="s", snapshots=str(folder.path / ".finbot" / "snapshots"))


def test_a_run_on_a_snapshot_does_not_need_the_files_of_its_defaults_and_others_do(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    folder.write(".finbot/snapshots/s.json", "{}")
    replayed = "id: a, data: {snapshot: s}"
    [run] = of(folder, "data: {path: gone.csv}", replayed)
    assert (run.data.snapshot, run.data.path) == ("s", str(folder.path / "gone.csv"))
    told = ["finbot.yaml:7: defaults.data.path: file not found: 'gone.csv'; did you mean 'prices.csv'?"]
    assert wrong(folder, "data: {path: gone.csv}", replayed, "id: b") == told
    # Told too where no run has asked for them.
    assert wrong(folder, "data: {path: gone.csv}", "id: a, data: {path: prices.csv}") == told


def test_a_snapshot_that_is_not_there_names_its_neighbour(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    where = folder.path / ".finbot" / "snapshots"
    assert wrong(folder, "data: {snapshot: day_1}") == [
        f"finbot.yaml:7: defaults.data.snapshot: there is no snapshot 'day_1': there is no folder '{where}'"
    ]
    folder.write(".finbot/snapshots/day-1.json", "{}")
    assert wrong(folder, "data: {snapshot: day_1}") == [
        "finbot.yaml:7: defaults.data.snapshot: "
        f"there is no snapshot 'day_1' in '{where}'; did you mean 'day-1'?"
    ]
    (problem,) = wrong(folder, "data: {snapshot: ../day-1}")
    assert "data.snapshot: '../day-1' is not a name for a snapshot; allowed are letters" in problem


# ---------------------------------------------------------------------------------- marks


def test_marks_are_put_together_key_by_key(folder):
    usual, own = of(folder, "marks: {max_age: 3}", "id: a", "id: b, marks: {max_unmarked: 2.5 %}")
    assert (usual.marks, own.marks) == (MarkSpec(3, 0.05), MarkSpec(3, 0.025))
    assert of(folder, "")[0].marks == MarkSpec(5, 0.05)


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ("{max_age: -1}", "max_age: -1 is not at least 0"),
        ("{max_age: 1.5}", "max_age: expected a whole number, got the number 1.5"),
        ("{max_unmarked: 5}", "max_unmarked: 5 is not from 0 to 1; write 5 % as 0.05 or as 5 %"),
        ("{max_unmarked: 101 %}", "max_unmarked: '101 %' is not from 0 to 1"),
        ("{max_unmarked: 5 pp}", "max_unmarked: '5 pp' is a difference between fractions; write '5 %'"),
        (
            "{max_unmarked: x}",
            "max_unmarked: expected a number from 0 to 1, or text such as 5 %, got the text 'x'",
        ),
        ("{maxage: 1}", "maxage: unknown key 'maxage'; did you mean 'max_age'?"),
    ],
)
def test_marks_that_cannot_be_read(folder, marks, words):
    (problem,) = wrong(folder, f"marks: {marks}")
    assert problem.startswith(f"finbot.yaml:7: defaults.marks.{words}")


# ---------------------------------------------------------------------- money from outside


def test_flows_are_sorted_and_those_of_defaults_are_cut_to_the_window(folder):
    days = {"2020-12-31": 5, "2020-01-02": -1.5, "2021-01-01": 9, "2020-01-01": 9}
    flows = f"flows: [{', '.join(f'{{date: {day}, amount: {amount}}}' for day, amount in days.items())}]"
    usual, none, own = of(
        folder, flows, "id: a", "id: b, flows: []", "id: c, flows: [{date: '2020-03-01', amount: 1e3}]"
    )
    assert usual.flows == (Flow(date(2020, 1, 2), -1.5), Flow(date(2020, 12, 31), 5.0))
    assert (none.flows, own.flows) == ((), (Flow(date(2020, 3, 1), 1000.0),))


@pytest.mark.parametrize(
    ("flows", "words"),
    [
        (
            "[{date: 2021-01-01, amount: 5}]",
            "[0].date: 2021-01-01 is outside the run's window, 2020-01-02 to 2020-12-31",
        ),
        ("[{date: 2020-02-01, amount: 0}]", "[0].amount: 0 moves no money"),
        ("[{date: 2020-02-30, amount: 1}]", "[0].date: '2020-02-30' is not a date"),
        ("[{date: 2020-02-01}]", "[0].amount: missing; a flow needs amount"),
        ("[{date: 2020-02-01, amount: .inf}]", "[0].amount: the value is infinite or too large"),
        (
            "[{date: 2020-02-01, ammount: 1, amount: 1}]",
            "[0].ammount: unknown key 'ammount'; did you mean 'amount'?",
        ),
        ("{date: 2020-02-01, amount: 5}", ": expected a list, got a mapping"),
    ],
)
def test_flows_of_a_run_that_are_wrong(folder, flows, words):
    (problem,) = wrong(folder, "", f"id: a, flows: {flows}")
    assert problem.startswith(f"finbot.yaml:9: runs[0].flows{words}")


# ----------------------------------------------------------------------- corporate actions


HISTORY = """\
dividends:
  BBB: [{date: 2020-05-04, amount: 2}, {date: 2020-02-03, amount: 1}, {date: 2019-05-04, amount: 8}]
  AAA: [{date: 2020-05-04, amount: 0.25}]
  ZZZ: [{date: 2020-05-04, amount: 9}]
splits: {AAA: [{date: 2020-06-01, ratio: 2}, {date: 2020-07-01, ratio: 0.1}]}"""


def test_a_history_in_defaults_is_cut_to_symbols_and_window(folder):
    usual, other = of(folder, HISTORY, "id: a", "id: b, symbols: ZZZ, dividend_booking: reinvest")
    assert usual.actions == ActionSpec(
        dividends=(
            Dividend("AAA", date(2020, 5, 4), 0.25),
            Dividend("BBB", date(2020, 2, 3), 1.0),
            Dividend("BBB", date(2020, 5, 4), 2.0),
        ),
        splits=(Split("AAA", date(2020, 6, 1), 2.0), Split("AAA", date(2020, 7, 1), 0.1)),
    )
    assert other.actions == ActionSpec((Dividend("ZZZ", date(2020, 5, 4), 9.0),), "none", "reinvest")


def test_a_run_s_own_history_may_be_longer_than_its_window_and_must_touch_it(folder):
    paid = "id: a, dividends: {{AAA: [{{date: 2019-05-04, amount: 1}}, {{date: {day}, amount: 1}}]}}"
    [run] = of(folder, "", paid.format(day="2020-05-04"))
    assert run.actions.dividends == (Dividend("AAA", date(2020, 5, 4), 1.0),)
    [problem] = wrong(folder, "", paid.format(day="2031-05-04"))
    assert "dividends.AAA: none of them is in the run's window, 2020-01-02 to 2020-12-31" in problem


def test_a_history_of_which_nothing_is_left_is_none(folder):
    [run] = of(folder, HISTORY, "id: a, symbols: YYY")
    assert run.actions == ActionSpec()


def test_actions_from_the_price_files_can_be_taken_back(folder):
    usual, none = of(
        folder,
        "dividends: from_prices\nsplits: from_prices\ndividend_booking: reinvest",
        "id: a",
        "id: b, dividends: none, splits: none",
    )
    assert usual.actions == ActionSpec("from_prices", "from_prices", "reinvest")
    assert none.actions.dividends == none.actions.splits == "none"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            "dividends: from_price",
            "dividends: 'from_price' is not one of from_prices, none; did you mean 'from_prices'?",
        ),
        (
            "dividends: 5",
            "dividends: expected from_prices, none, or a mapping of symbols to lists of date and amount",
        ),
        (
            "splits: [1]",
            "splits: expected from_prices, none, or a mapping of symbols to lists of date and ratio, got",
        ),
        ("dividends: {AAA: 5}", "dividends.AAA: expected a list, got the number 5"),
        ("dividends: {AAA: [{date: 2020-02-03, amount: 0}]}", "dividends.AAA[0].amount: 0 is not above 0"),
        (
            "dividends: {AAA: [{date: 2020-02-03}]}",
            "dividends.AAA[0].amount: missing; a dividend needs amount",
        ),
        (
            "splits: {AAA: [{date: 2020-02-03, ratio: 1}]}",
            "splits.AAA[0].ratio: 1 splits nothing; expected the units",
        ),
        ("splits: {AAA: [{date: 2020-02-03, ratio: -2}]}", "splits.AAA[0].ratio: -2 is not above 0"),
        (
            "splits: {AAA: [{date: 2020-02-03, ratio: 2}, {date: 2020-02-03, ratio: 3}]}",
            "splits.AAA[1].date: 2020-02-03 is given twice for AAA",
        ),
        (
            "dividends: {AAB: [{date: 2020-02-03, amount: 1}]}",
            "dividends.AAB: the run does not trade it; did you m",
        ),
        ("splits: {XYZ: [{date: 2020-02-03, ratio: 2}]}", "splits.XYZ: the run does not trade it"),
        ("dividend_booking: bank", "dividend_booking: 'bank' is not one of cash, reinvest"),
        (
            "dividend_booking: reinvest",
            "dividend_booking: books nothing, as no dividends are given; give dividends",
        ),
        (
            "dividends: none, dividend_booking: cash",
            "dividend_booking: books nothing, as no dividends are given",
        ),
        ("multipliers: {AAB: 50}", "multipliers.AAB: the run does not trade it; did you mean 'AAA'?"),
        ("multipliers: {AAA: 0}", "multipliers.AAA: 0 is not above 0"),
        ("multipliers: 50", "multipliers: expected a mapping, got the number 50"),
    ],
)
def test_actions_of_a_run_that_are_wrong(folder, keys, words):
    (problem,) = wrong(folder, "", f"id: a, {keys}")
    assert problem.startswith(f"finbot.yaml:9: runs[0].{words}"), problem


def test_multipliers_of_defaults_are_cut_to_the_symbols_and_1_says_nothing(folder):
    usual, own = of(
        folder, "multipliers: {ZZZ: 50, BBB: 1, AAA: 10}", "id: a", "id: b, multipliers: {BBB: 0.5}"
    )
    assert (usual.multipliers, own.multipliers) == ({"AAA": 10.0}, {"BBB": 0.5})


ADJUSTED = "adjusted prices contain their dividends and splits already; use field: close, or leave them out"


@pytest.mark.parametrize(
    ("defaults", "run", "places"),
    [
        ("", "id: a, data: {field: adj_close}, splits: from_prices", ["9: runs[0].splits"]),
        ("dividends: from_prices", "id: a, data: {field: adj_close}", ["7: defaults.dividends"]),
        (
            "data: {path: prices.csv, field: adj_close}",
            "id: a, matrix: {dividends: [none, from_prices]}",
            ["9: runs[0].matrix.dividends[1]"],
        ),
    ],
)
def test_adjusted_prices_take_no_actions(folder, defaults, run, places):
    assert wrong(folder, defaults, run) == [f"finbot.yaml:{place}: {ADJUSTED}" for place in places]


def test_raw_prices_and_a_run_that_takes_back_the_actions_of_its_defaults_are_fine(folder):
    runs = of(
        folder,
        "dividends: from_prices\ndividend_booking: reinvest",
        "id: a",
        "id: b, data: {field: adj_close}, dividends: none",
    )
    assert [run.actions.dividends for run in runs] == ["from_prices", "none"]


def test_a_matrix_of_dividends_leaves_their_booking_behind(folder):
    runs = of(folder, "", "id: a, dividend_booking: reinvest, matrix: {dividends: [none, from_prices]}")
    assert [run.actions for run in runs] == [ActionSpec(), ActionSpec("from_prices", booking="reinvest")]


def test_runs_share_what_they_say_nothing_about(folder):
    one, two = of(folder, "marks: {max_age: 2}", "id: a", "id: b")
    assert one.marks is two.marks
    assert one.actions is two.actions
    assert one.multipliers is two.multipliers
