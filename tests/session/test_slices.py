"""A run cut into slices of time: which days, which are refused, and a batch that is run by them."""

import csv
import dataclasses
import itertools
import json
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.config.expand import load_batch
from pytest_finbot.contracts import DataSpec, Flow, PartSpec, RunSpec
from pytest_finbot.session import slicing
from pytest_finbot.session.slicing import NoSessionsError, Slicing, options_of, sliced

SPEC = RunSpec(
    name="a",
    engine="portfolio",
    strategy="fixed_weights",
    params={},
    symbols=("AAA",),
    start_date=date(2020, 1, 2),
    end_date=date(2020, 2, 14),
    start_capital=1000.0,
    data=DataSpec("prices.csv"),
    line=7,
)


@pytest.fixture
def batch(tmp_path):
    """Of these specs, whatever the file says."""
    (tmp_path / "prices.csv").write_text("date,AAA\n")
    file = tmp_path / "finbot.yaml"
    file.write_text(
        "batch_name: small\ndefaults: {data: {path: prices.csv}, strategy: fixed_weights}\n"
        "runs: [{id: a, symbols: [AAA], start_date: 2020-01-02, end_date: 2020-02-14}]\n"
    )
    loaded = load_batch(file)

    def of(*specs):
        return dataclasses.replace(loaded, runs=specs, run_count=len(specs))

    return of


def days(batch):
    return [(str(run.part.own_from), str(run.end_date)) for run in batch.runs]


def cut(batch, first=None, last=None, length=None, target=None):
    as_day = [None if day is None else date.fromisoformat(day) for day in (first, last, target)]
    return sliced(batch, Slicing(as_day[0], as_day[1], length, as_day[2]), only_target=True)


# ------------------------------------------------------------------------------- which days


def test_a_slice_begins_where_its_run_does_and_stands_for_its_own_days(batch):
    cut_up = cut(batch(SPEC), length=30)
    assert [run.name for run in cut_up.runs] == ["a.2020-01-02_2020-01-31", "a.2020-02-01_2020-02-14"]
    assert cut_up.runs[1] == dataclasses.replace(
        SPEC,
        name="a.2020-02-01_2020-02-14",
        part=PartSpec("a", "slice", 2, date(2020, 2, 1)),
    )
    assert cut_up.run_count == 2


def test_pieces_are_counted_from_the_day_that_all_runs_share(batch):
    later = dataclasses.replace(SPEC, name="b", start_date=date(2020, 1, 20))
    assert days(cut(batch(SPEC, later), first="2020-01-06", length=14)) == [
        ("2020-01-06", "2020-01-19"),
        ("2020-01-20", "2020-02-02"),
        ("2020-02-03", "2020-02-14"),
        ("2020-01-20", "2020-02-02"),
        ("2020-02-03", "2020-02-14"),
    ]
    assert days(cut(batch(later), first="2020-01-15", length=14))[0] == ("2020-01-20", "2020-01-28")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"first": "2020-02-03"}, [("2020-02-03", "2020-02-14")]),
        ({"last": "2020-01-10"}, [("2020-01-02", "2020-01-10")]),
        ({"first": "2019-01-01", "last": "2029-01-01"}, [("2020-01-02", "2020-02-14")]),
        ({"length": 30, "target": "2020-02-05"}, [("2020-02-01", "2020-02-14")]),
        ({"length": 30, "target": "2020-01-31"}, [("2020-01-02", "2020-01-31")]),
    ],
)
def test_limits_and_a_day_that_is_aimed_at(batch, asked, expected):
    assert days(cut(batch(SPEC), **asked)) == expected


def test_a_run_without_a_day_in_the_range_is_left_out_and_noted(batch):
    earlier = dataclasses.replace(SPEC, name="early", end_date=date(2020, 1, 10))
    cut_up = cut(batch(SPEC, earlier), first="2020-02-03")
    assert [run.name for run in cut_up.runs] == ["a.2020-02-03_2020-02-14"]
    assert cut_up.left_out == ("early",)
    assert cut_up.notes == ("1 run has no session in the range asked for, not run: early",)


def test_a_walk_forward_that_is_cut_says_that_it_is_not_linked(batch):
    part = PartSpec("w", "out_of_sample", 1, date(2020, 2, 1))
    [note] = cut(batch(dataclasses.replace(SPEC, part=part)), length=10).notes
    assert "linked to one NAV only where the batch is run without" in note


def test_an_out_of_sample_part_is_cut_from_its_own_first_day(batch):
    part = PartSpec("w", "out_of_sample", 1, date(2020, 2, 1))
    out = dataclasses.replace(SPEC, name="w.wf01_out", part=part)
    assert days(cut(batch(out), length=10)) == [("2020-02-01", "2020-02-10"), ("2020-02-11", "2020-02-14")]


@settings(deadline=None)
@given(
    st.integers(0, 400),
    st.integers(0, 400),
    st.integers(-100, 400) | st.none(),
    st.integers(0, 500) | st.none(),
    st.integers(1, 90),
)
def test_every_day_that_is_asked_for_is_in_one_slice(start, length, first, last, size):
    def day(number):
        return None if number is None else date(2020, 1, 1) + timedelta(days=number)

    begin, end = day(start), day(start + length)
    asked = Slicing(day(first), day(last), size)
    wanted_from, wanted_to = max(begin, asked.first or begin), min(end, asked.last or end)
    # 24/7 has every day as a session: nothing is left out.
    spec = dataclasses.replace(SPEC, start_date=begin, end_date=end, data=DataSpec("p.csv", calendar="24/7"))
    pieces = [] if wanted_from > wanted_to else sliced(FakeBatch((spec,)), asked, only_target=False).runs
    covered = [
        piece.part.own_from + timedelta(days=number)
        for piece in pieces
        for number in range((piece.end_date - piece.part.own_from).days + 1)
    ]
    assert covered == [
        wanted_from + timedelta(days=number) for number in range((wanted_to - wanted_from).days + 1)
    ]
    assert all(piece.start_date == begin for piece in pieces)
    assert [piece.part.number for piece in pieces] == list(range(1, len(pieces) + 1))
    origin = asked.first or begin
    for one, other in itertools.pairwise(pieces):
        assert (other.part.own_from - origin).days % size == 0
        assert one.end_date + timedelta(days=1) == other.part.own_from


@dataclasses.dataclass(frozen=True)
class FakeBatch:
    """As much of a batch as is cut, for examples that cannot have a fixture each."""

    runs: tuple
    run_count: int = 1
    left_out: tuple = ()
    notes: tuple = ()


def test_a_slice_knows_of_no_money_that_comes_after_it(batch):
    flows = (Flow(date(2020, 1, 10), 100.0), Flow(date(2020, 2, 3), -50.0))
    runs = cut(batch(dataclasses.replace(SPEC, flows=flows)), length=30).runs
    assert [run.flows for run in runs] == [flows[:1], flows]


# ------------------------------------------------------------------------ days without sessions


def test_slices_of_holidays_alone_are_left_out_where_there_is_a_calendar(batch):
    storm = dataclasses.replace(SPEC, start_date=date(2012, 10, 25), end_date=date(2012, 11, 1))

    def of(calendar):
        return days(
            cut(batch(dataclasses.replace(storm, data=DataSpec("p.csv", calendar=calendar))), length=1)
        )

    # New York was closed on 29 and 30 October 2012; 27 and 28 are a weekend.
    assert [first for first, _ in of("XNYS")] == ["2012-10-25", "2012-10-26", "2012-10-31", "2012-11-01"]
    assert len(of("weekdays")) == 6
    assert len(of("24/7")) == 8


def test_a_weekend_without_a_calendar_is_refused_with_what_to_do(batch):
    words = (
        r"finbot.yaml:7: run a: the slice from 2020-01-04 to 2020-01-04 is a weekend, and without "
        r"data.calendar nobody can tell .* give data.calendar \(XNYS, weekdays, 24/7\)"
    )
    with pytest.raises(pytest.UsageError, match=words):
        cut(batch(SPEC), length=1)
    with pytest.raises(pytest.UsageError, match="2020-01-05 to 2020-01-05 is a weekend"):
        cut(batch(SPEC), "2020-01-05", "2020-01-05", target="2020-01-05")
    assert len(cut(batch(SPEC), length=7).runs) == 7


def test_days_that_a_calendar_does_not_know_are_left_to_the_run(batch):
    old = dataclasses.replace(
        SPEC,
        start_date=date(1850, 1, 1),
        end_date=date(1850, 1, 10),
        data=DataSpec("p.csv", calendar="XNYS"),
    )
    assert len(cut(batch(old), length=5).runs) == 2


# ---------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--finbot-from=2020-02-01", "--finbot-to=2020-01-31"],
            "--finbot-to 2020-01-31 is before --finbot-from 2020-02-01",
        ),
        (
            ["--finbot-from=2020-02-01", "--finbot-target-date=2020-01-31"],
            "--finbot-target-date 2020-01-31 is outside of --finbot-from 2020-02-01",
        ),
        (
            ["--finbot-from=2020-02-01", "--finbot-to=2020-02-02", "--finbot-target-date=2020-02-03"],
            "2020-02-03 is outside of --finbot-from 2020-02-01 --finbot-to 2020-02-02",
        ),
        (["--finbot-chunk-days=7", "--finbot-accept", "--finbot-reason=x"], "accepts whole runs"),
    ],
)
def test_options_that_contradict_one_another_are_refused(pytester, options, words):
    with pytest.raises(pytest.UsageError) as caught:
        Slicing.of(pytester.parseconfig(*options))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--finbot-from=2020-02-30", "'2020-02-30' is no day; expected one of the calendar as YYYY-MM-DD"),
        ("--finbot-from=20190201", "'20190201' is no day"),
        ("--finbot-to=tomorrow", "'tomorrow' is no day"),
        ("--finbot-target-date=", "'' is no day"),
        ("--finbot-chunk-days=0", "expected a whole number of 1 or more, not '0'"),
        ("--finbot-chunk-days=many", "expected a whole number of 1 or more, not 'many'"),
        ("--finbot-timeout=nan", "'nan' is no time limit; expected seconds, above 0"),
    ],
)
def test_what_is_no_day_and_no_number_of_days_is_refused(pytester, option, words):
    with pytest.raises(pytest.UsageError, match=f"{option.partition('=')[0]}: {words}"):
        pytester.parseconfig(option)


@pytest.mark.parametrize("length", [44, 999_999_999, 10**30])
def test_a_piece_longer_than_its_run_is_all_of_it(batch, length):
    last = dataclasses.replace(SPEC, name="b", end_date=date.max)
    assert days(cut(batch(SPEC), length=length)) == [("2020-01-02", "2020-02-14")]
    assert days(cut(batch(last), first="9999-12-30", length=1)) == [
        ("9999-12-30", "9999-12-30"),
        ("9999-12-31", "9999-12-31"),
    ]


def test_whole_runs_are_asked_for_by_saying_nothing(pytester):
    assert Slicing.of(pytester.parseconfig()) is None
    alone = Slicing.of(pytester.parseconfig("--finbot-target-date=2020-02-05"))
    assert (alone.first, alone.last) == (date(2020, 2, 5), date(2020, 2, 5))


def test_a_range_that_no_run_is_in_says_where_they_are(batch):
    words = "no run has a session of its own in the range asked for; they are from 2020-01-02 to 2020-02-14"
    with pytest.raises(NoSessionsError, match=words):
        cut(batch(SPEC), first="2021-01-01")
    with pytest.raises(NoSessionsError, match="no run has a session of its own on 2021-01-04"):
        cut(batch(SPEC), length=7, target="2021-01-04")


def test_more_slices_than_anybody_wants_are_refused(batch, monkeypatch):
    monkeypatch.setattr(slicing, "MOST_SLICES", 10)
    runs = [dataclasses.replace(SPEC, name=f"r{number}") for number in range(3)]
    with pytest.raises(pytest.UsageError, match="more than 10 slices; give a larger --finbot-chunk-days"):
        cut(batch(*runs), length=10)
    assert len(cut(batch(*runs[:2]), length=10).runs) == 10


def test_the_cut_of_a_batch_is_told_in_the_words_of_the_command_line():
    cut = Slicing(date(2020, 1, 6), None, 14, date(2020, 2, 5)).to_json()
    assert options_of(cut) == ["--finbot-from=2020-01-06", "--finbot-chunk-days=14"]
    assert options_of(None) == []


# ------------------------------------------------------------------------ a batch, run by slices

SESSIONS = [str(day) for day in np.arange("2020-01-01", "2020-03-01", dtype="datetime64[D]")]
SESSIONS = [day for day in SESSIONS if date.fromisoformat(day).weekday() < 5]
HEAD = """\
batch_name: small
baseline: baselines
defaults:
  data: {path: prices.csv, calendar: weekdays}
  symbols: [AAA, BBB]
  start_date: 2020-01-01
  end_date: 2020-02-28
  start_capital: 1000
  costs: {commission_bps: 10}
runs:
"""
UNGATED = HEAD.replace("baseline: baselines\n", "")
OWN = """\
import numpy as np
import pathlib


def steady(spec, market):
    weights = np.full(market.close.shape, 0.5)
    if CHANGED:
        weights[market.sessions >= np.datetime64("2020-02-05")] = 0.45
    return weights


def flagged(spec, market):
    if pathlib.Path("flag").exists() and str(market.sessions[-1]) > "2020-02-10":
        raise RuntimeError("the flag is set")
    return np.full(market.close.shape, 0.5)


def sees_everything(spec, market):
    share = market.close / market.close.max(axis=0)  # of the whole window: tomorrow's prices too
    return share / share.sum(axis=1, keepdims=True)
"""


@pytest.fixture
def cut_up(project):
    drawn = np.random.default_rng(3).normal(0.0005, 0.02, (len(SESSIONS), 2))
    prices = np.array([10.0, 20.0]) * np.cumprod(1.0 + drawn, axis=0)
    rows = [f"{day},{a:.4f},{b:.4f}" for day, (a, b) in zip(SESSIONS, prices.tolist(), strict=True)]
    project.write("prices.csv", "\n".join(["Date,AAA,BBB", *rows, ""]))
    project.write("ours.py", OWN.replace("CHANGED", "False"))
    return project


def stitched(project, name):
    with (project.output / "stitched" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_chunked_batch_is_the_whole_one_bit_for_bit_and_a_moved_slice_says_since_when(cut_up):
    runs = "- {id: held, strategy: fixed_weights, rebalance_freq: W}\n- {id: own, strategy: 'ours:steady'}\n"
    cut_up.batch(runs.replace("}", ", outputs: [csv]}"), head=HEAD)
    assert cut_up.accept().ret == 0
    whole = {run["name"]: run["metrics"] for run in cut_up.summary()["runs"]}
    navs = {}
    for name in whole:
        with (cut_up.output / "runs" / name / "series.csv").open(newline="") as file:
            navs[name] = [(row["session"], row["nav"]) for row in csv.DictReader(file)]

    result = cut_up.pytest("-n", "2", "--finbot-chunk-days", "20")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*small: 6 of 6 runs succeeded: completed", "*6 identical*"])
    put_together = {facts["of"]: facts for facts in cut_up.summary()["stitched"]}
    for name, metrics in whole.items():
        rows = stitched(cut_up, f"{name}.nav.csv")
        assert [(row["session"], row["nav"]) for row in rows] == navs[name]
        known = put_together[name]["metrics"]
        assert len(known) > 10
        assert known == {key: metrics[key] for key in known}
    assert "**`held`**, slices" in (cut_up.output / "batch_summary.md").read_text()

    cut_up.write("ours.py", OWN.replace("CHANGED", "True"))
    result = cut_up.pytest("-n", "0", "--finbot-chunk-days", "20")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    moved = {name for name, verdict in cut_up.verdicts().items() if verdict == "moved"}
    assert moved == {"own.2020-01-21_2020-02-09", "own.2020-02-10_2020-02-28"}
    result.stdout.fnmatch_lines(["*first session out of tolerance: 2020-02-05*", "*why: code changed: ours*"])
    result.stdout.fnmatch_lines(["*first session out of tolerance: 2020-02-10*"])  # where the next begins
    assert result.stdout.str().count("end_date") == 0


def test_a_strategy_that_looks_ahead_is_told_at_the_seam_and_the_batch_is_red(cut_up):
    cut_up.batch("- {id: own, strategy: 'ours:sees_everything'}", head=UNGATED)
    assert cut_up.pytest("-n", "0").ret == 0
    result = cut_up.pytest("-n", "0", "--finbot-chunk-days", "20")
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*problem: the parts of own cannot be put together: what comes later changes what came before: "
            "the quantity of AAA on 2020-01-01 is * in own.2020-01-01_2020-01-20 and * in "
            "own.2020-01-21_2020-02-09; its strategy or engine looks ahead or *"
        ]
    )
    assert not (cut_up.output / "stitched").exists()


def test_a_failed_slice_is_repeated_alone_and_completes_the_batch(cut_up):
    cut_up.batch(
        "- {id: own, strategy: 'ours:flagged'}\n- {id: held, strategy: fixed_weights}\n",
        head=UNGATED,
    )
    cut_up.write("flag", "")
    cut = ("--finbot-chunk-days", "20")
    cut_up.pytest("-n", "2", *cut).assert_outcomes(passed=5, failed=1)
    [held, own] = sorted(cut_up.summary()["stitched"], key=lambda facts: facts["of"])
    assert held["why_not"] is None
    assert own["why_not"] == "own.2020-02-10_2020-02-28 gave no result (engine_error)"
    (cut_up.path / "flag").unlink()

    again = ("--finbot-retry-failed", "--finbot-target-date")
    refused = cut_up.pytest(*again, "2020-02-12")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*cut into other slices; to go on with it, give --finbot-chunk-days=20*"])
    refused = cut_up.pytest(*again, "2020-01-03", *cut)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*-target-date 2020-01-03: no slice of batch-* to run has that day*"])

    result = cut_up.pytest("-n", "0", *again, "2020-02-12", *cut)
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["small: 6 of 6 runs succeeded: completed"])
    assert [row["session"] for row in stitched(cut_up, "own.nav.csv")] == SESSIONS
    executed = [line["name"] for line in cut_up.recorded() if line["kind"] == "run"]
    assert sorted(name for name in set(executed) if executed.count(name) > 1) == ["own.2020-02-10_2020-02-28"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_batch_without_a_session_in_the_range_does_not_refuse_the_others(cut_up, workers):
    cut_up.batch("- {id: held, strategy: fixed_weights}", head=UNGATED)
    early = UNGATED.replace("small", "early").replace("2020-02-28", "2020-01-31")
    cut_up.batch("- {id: held, strategy: fixed_weights}", head=early, name="finbot_early.yaml")
    asked = ("--finbot-batch", "finbot_early.yaml", "--finbot-summary-json", "session.json", "-n", workers)
    result = cut_up.pytest(*asked, "--finbot-from", "2020-02-10")
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "early: finbot_early.yaml: no run has a session of its own in the range asked for; they are from "
            "2020-01-01 to 2020-01-31; nothing was recorded"
        ]
    )
    small, early = json.loads((cut_up.path / "session.json").read_text())["batches"]
    assert (small["status"], early["status"], early["runs"]) == ("completed", None, [])
    assert "no run has a session" in early["reason"]
    assert not (cut_up.path / "output" / "early").exists()


def test_where_no_batch_has_a_session_in_the_range_all_of_them_are_told(cut_up):
    cut_up.batch("- {id: held, strategy: fixed_weights}", head=UNGATED)
    other = UNGATED.replace("small", "early")
    cut_up.batch("- {id: held, strategy: fixed_weights}", head=other, name="finbot_early.yaml")
    refused = cut_up.refused("--finbot-batch", "finbot_early.yaml", "--finbot-from", "2021-02-10")
    refused.stderr.fnmatch_lines(["*finbot.yaml: no run has a session*", "*finbot_early.yaml: no run has a*"])
