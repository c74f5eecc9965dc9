"""One run on many stretches of time: which days, which ids, checked by hand."""

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.config.models import BatchModel
from pytest_finbot.config.periods import Period
from pytest_finbot.config.windows import Windows
from pytest_finbot.contracts import PartSpec

BATCH = """\
batch_name: small
defaults:
  data: {path: prices.csv}
  strategy: fixed_weights
  symbols: [AAA, BBB]
"""


def of(folder, windows: str, runs: str = "{id: a}", dates: str = "", **options):
    text = f"{BATCH}{dates}windows: {windows}\nruns: [{runs}]\n"
    return folder.load(text, **options).runs


def days(runs):
    return [(run.name, run.start_date.isoformat(), run.end_date.isoformat()) for run in runs]


def wrong(folder, windows: str, dates: str = "", runs: str = "{id: a}") -> list[str]:
    return [
        str(problem) for problem in folder.problems(f"{BATCH}{dates}windows: {windows}\nruns: [{runs}]\n")
    ]


DATES = "  start_date: 2010-01-01\n  end_date: 2014-06-30\n"


# --------------------------------------------------------------------------- four kinds


def test_rolling_windows_step_and_keep_their_length(folder):
    runs = of(folder, "{from: 2010-01-01, to: 2022-12-28, length: 3y, step: 1y}")
    assert len(runs) == 10  # that from 2020-01-01 to 2022-12-31 does not fit
    assert days(runs[:2]) == [
        ("a.2010-01-01_2012-12-31", "2010-01-01", "2012-12-31"),
        ("a.2011-01-01_2013-12-31", "2011-01-01", "2013-12-31"),
    ]
    assert days(runs)[-1] == ("a.2019-01-01_2021-12-31", "2019-01-01", "2021-12-31")
    assert [run.part for run in runs[:2]] == [PartSpec("a", "window", 1), PartSpec("a", "window", 2)]
    assert {run.line for run in runs} == {7}


def test_a_window_that_ends_on_the_last_day_fits(folder):
    def count(to):
        return len(of(folder, f"{{from: 2010-01-01, to: {to}, length: 1y}}"))

    assert (count("2011-12-30"), count("2011-12-31"), count("2012-01-01")) == (1, 2, 2)


def test_windows_follow_one_another_where_no_step_is_given(folder):
    assert days(of(folder, "{length: 90d, to: 2010-07-01}", dates=DATES)) == [
        ("a.2010-01-01_2010-03-31", "2010-01-01", "2010-03-31"),
        ("a.2010-04-01_2010-06-29", "2010-04-01", "2010-06-29"),
    ]


def test_a_leap_day_is_cut_to_its_month_and_no_day_is_lost(folder):
    runs = of(folder, "{from: 2012-02-29, to: 2016-12-31, length: 1y}")
    assert [(start, end) for _, start, end in days(runs)] == [
        ("2012-02-29", "2013-02-27"),
        ("2013-02-28", "2014-02-27"),
        ("2014-02-28", "2015-02-27"),
        ("2015-02-28", "2016-02-28"),
    ]


def test_anchored_windows_keep_their_start(folder):
    assert days(of(folder, "{kind: anchored, length: 2y, step: 8w, to: 2012-03-31}", dates=DATES)) == [
        ("a.2010-01-01_2011-12-31", "2010-01-01", "2011-12-31"),
        ("a.2010-01-01_2012-02-25", "2010-01-01", "2012-02-25"),
    ]


def test_calendar_years_are_cut_to_the_range(folder):
    runs = of(folder, "{kind: calendar_years, from: 2011-11-30, to: 2013-01-02}")
    assert days(runs) == [
        ("a.2011", "2011-11-30", "2011-12-31"),
        ("a.2012", "2012-01-01", "2012-12-31"),
        ("a.2013", "2013-01-01", "2013-01-02"),
    ]
    assert [run.part.number for run in runs] == [1, 2, 3]


WALK = "{kind: walk_forward, in_sample: 2y, out_of_sample: 6m, to: 2013-03-01}"


def test_walk_forward_makes_pairs_whose_second_carries_the_first(folder):
    runs = of(folder, WALK, dates=DATES)
    assert days(runs) == [
        ("a.wf01_in", "2010-01-01", "2011-12-31"),
        ("a.wf01_out", "2010-01-01", "2012-06-30"),
        ("a.wf02_in", "2010-07-01", "2012-06-30"),
        ("a.wf02_out", "2010-07-01", "2012-12-31"),
    ]
    assert [run.part for run in runs] == [
        PartSpec("a", "in_sample", 1),
        PartSpec("a", "out_of_sample", 1, date(2012, 1, 1)),
        PartSpec("a", "in_sample", 2),
        PartSpec("a", "out_of_sample", 2, date(2012, 7, 1)),
    ]


def test_an_anchored_walk_forward_learns_from_ever_more(folder):
    runs = of(folder, WALK.replace("}", ", anchored: true}"), dates=DATES)
    assert [(start, end) for _, start, end in days(runs)] == [
        ("2010-01-01", "2011-12-31"),
        ("2010-01-01", "2012-06-30"),
        ("2010-01-01", "2012-06-30"),
        ("2010-01-01", "2012-12-31"),
    ]
    assert [run.part.own_from for run in runs] == [None, date(2012, 1, 1), None, date(2012, 7, 1)]


def test_a_walk_forward_may_step_by_more_than_it_tests(folder):
    runs = of(folder, WALK.replace("}", ", step: 1y}").replace("2013-03-01", "2013-06-30"), dates=DATES)
    assert [run.part.own_from for run in runs if run.part.own_from] == [date(2012, 1, 1), date(2013, 1, 1)]


PERIODS = st.builds(
    lambda count, unit: Period(
        f"{count}{unit}",
        count * {"y": 12, "m": 1}.get(unit, 0),
        count * {"w": 7, "d": 1}.get(unit, 0),
    ),
    st.integers(1, 20),
    st.sampled_from("mwd"),
)


@settings(deadline=None)
@given(st.dates(date(1990, 1, 1), date(2020, 1, 1)), st.integers(30, 3000), PERIODS, PERIODS, st.booleans())
def test_out_of_sample_days_join_without_a_gap_or_an_overlap(first, length, in_sample, out, anchored):
    last = first + timedelta(days=length)
    windows = Windows("walk_forward", None, None, out, out, in_sample, anchored)
    spans = windows.spans(first, last, 1000)
    own = [span for span in spans if span.own_from]
    assert len(spans) == 2 * len(own)
    for one, other in itertools.pairwise(own):
        assert other.own_from == one.end + timedelta(days=1)
    for before, after in zip(spans[::2], spans[1::2], strict=True):
        assert before.end + timedelta(days=1) == after.own_from <= after.end <= last
        assert first <= before.start == after.start <= before.end
        assert not anchored or before.start == first


@settings(deadline=None)
@given(st.dates(date(1990, 1, 1), date(2020, 1, 1)), st.integers(1, 3000), PERIODS)
def test_windows_that_step_by_their_length_join_too(first, length, period):
    last = first + timedelta(days=length)
    spans = Windows("rolling", None, None, period, period, period, False).spans(first, last, 5000)
    for one, other in itertools.pairwise(spans):
        assert other.start == one.end + timedelta(days=1)
    if spans:
        assert spans[0].start == first
        assert (
            spans[-1].end
            <= last
            < Windows("rolling", None, None, period, period, period, False)
            .spans(first, date(2099, 1, 1), len(spans) + 1)[-1]
            .end
        )


# ------------------------------------------------------------------- of a batch and of a run


def test_the_range_is_that_of_each_run_where_windows_name_none(folder):
    runs = of(folder, "{kind: calendar_years}", "{id: a}, {id: b, start_date: 2013-06-03}", DATES)
    assert [run.name for run in runs] == [*(f"a.{year}" for year in range(2010, 2015)), "b.2013", "b.2014"]
    assert runs[-2].start_date == date(2013, 6, 3)


def test_a_runs_own_windows_replace_those_of_the_batch_and_false_switches_them_off(folder):
    runs = of(
        folder,
        "{kind: calendar_years, to: 2010-12-31}",
        "{id: a}, {id: b, windows: {length: 2y}}, {id: c, windows: false}",
        DATES,
    )
    assert [run.name for run in runs] == ["a.2010", "b.2010-01-01_2011-12-31", "b.2012-01-01_2013-12-31", "c"]
    assert runs[-1].part is None


def test_windows_with_all_their_lines_commented_out_are_none(folder):
    assert [run.name for run in of(folder, "", dates=DATES)] == ["a"]
    assert [run.name for run in of(folder, "false", dates=DATES)] == ["a"]


def test_more_than_99_pairs_have_ids_of_their_own(folder):
    runs = of(folder, "{kind: walk_forward, in_sample: 1w, out_of_sample: 1w}", dates=DATES)
    names = {run.name for run in runs}
    assert {"a.wf01_in", "a.wf99_out", "a.wf100_in"} <= names
    assert len(names) == len(runs) == 2 * 233  # 1642 days are 234 whole weeks


def test_money_that_comes_within_the_range_goes_to_the_windows_it_falls_into(folder):
    flows = "[{date: 2010-06-01, amount: 100}, {date: 2011-06-01, amount: -50}]"
    runs = of(folder, "{kind: calendar_years, to: 2012-12-31}", f"{{id: a, flows: {flows}}}", dates=DATES)
    assert [[flow.amount for flow in run.flows] for run in runs] == [[100.0], [-50.0], []]
    problems = wrong(folder, "{kind: calendar_years, to: 2010-12-31}", DATES, f"{{id: a, flows: {flows}}}")
    assert problems == [
        "finbot.yaml:9: runs[0].flows[1].date: 2011-06-01 is outside the run's window, "
        "2010-01-01 to 2010-12-31"
    ]


def test_days_that_are_in_no_window_are_noted_once_for_all_runs(folder):
    text = f"{BATCH}{DATES}windows: {{length: 1y}}\nruns: [{{id: a}}, {{id: b}}]\n"
    assert folder.load(text).notes == ("2014-01-01 to 2014-06-30 is in no window of a, b",)
    assert folder.load(text.replace("length: 1y", "kind: calendar_years")).notes == ()


def test_money_that_would_come_in_no_window_is_refused(folder):
    flows = "[{date: 2014-03-03, amount: 100}]"
    problems = wrong(folder, "{length: 1y}", DATES, f"{{id: a, flows: {flows}}}")
    assert problems == [
        "finbot.yaml:9: runs[0].flows[0].date: 2014-03-03 is outside the run's window, "
        "2010-01-01 to 2013-12-31"
    ]


# ------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        (
            "5",
            "windows: expected a mapping of kind, from, to, length, step, in_sample, out_of_sample, or false",
        ),
        ("true", "windows: expected a mapping of kind, from, to, length"),
        ("{lenght: 3y}", "windows.lenght: unknown key 'lenght'; did you mean 'length'?"),
        ("{form: 2010-01-01, length: 1y}", "windows.form: unknown key 'form'; did you mean 'from'?"),
        (
            "{kind: rollin, length: 1y}",
            "windows.kind: 'rollin' is not one of rolling, anchored, calendar_years",
        ),
        ("{length: 3 years}", "windows.length: '3 years': 'years' is no unit; did you mean '3y'?"),
        ("{from: 2010-02-30, length: 1y}", "windows.from: '2010-02-30' is not a date: 2010-02 has 28 days"),
        ("{step: 1y}", "windows.length: missing; windows of kind: rolling need length"),
        (
            "{in_sample: 1y, length: 1y}",
            "windows.in_sample: not for kind: rolling; it is for kind: walk_forward",
        ),
        (
            "{kind: calendar_years, step: 1y}",
            "windows.step: not for kind: calendar_years; it is for kind: rolling or anchored or walk_forward",
        ),
        (
            "{kind: walk_forward, in_sample: 1y}",
            "windows.out_of_sample: missing; windows of kind: walk_forward need out_of_sample",
        ),
        (
            "{length: 5y}",
            "windows: no window of 5y fits between 2010-01-01 and 2014-06-30, which is 1642 days",
        ),
        (
            "{kind: walk_forward, in_sample: 4y, out_of_sample: 1y}",
            "windows: no 4y of in-sample and 1y of out-of-sample days fit between 2010-01-01 and 2014-06",
        ),
        (
            "{from: 2020-01-01, length: 1y}",
            "windows: their first day 2020-01-01 is after their last day 2014",
        ),
    ],
)
def test_what_is_wrong_with_windows_is_told_once_with_its_line(folder, windows, words):
    (problem,) = wrong(folder, windows, DATES, "{id: a}, {id: b}")
    assert problem.startswith(f"finbot.yaml:8: {words}"), problem


def test_in_sample_days_that_a_short_month_leaves_none_of_are_told_in_the_words_of_the_file(folder):
    dates = "  start_date: 2012-01-30\n  end_date: 2012-12-31\n"
    windows = "{kind: walk_forward, in_sample: 1d, out_of_sample: 3m}"
    assert wrong(folder, windows, dates, "{id: a}, {id: b}") == [
        "finbot.yaml:8: windows: the in-sample of window 2 (2012-04-30 to 2012-04-29) is empty; "
        "make in_sample longer, or begin earlier in the month"
    ]
    assert len(of(folder, windows.replace("1d", "2d"), dates=dates)) == 6


def test_days_that_nobody_gives_are_missing_and_days_of_wrong_windows_are_not(folder):
    assert wrong(folder, "{from: 2010-01-01, length: 1y}") == [
        "finbot.yaml:7: runs[0].end_date: missing; a run needs end_date, here or in defaults"
    ]
    assert wrong(folder, "{from: 2010-01-01, to: 2011-01-01, length: x}") == [
        "finbot.yaml:6: windows.length: expected a period such as 3y, 6m, 8w or 90d, got the text 'x'"
    ]


def test_windows_are_no_default(folder):
    problems = [
        str(one) for one in folder.problems(f"{BATCH}{DATES}  windows: {{length: 1y}}\nruns: [{{id: a}}]\n")
    ]
    assert problems == [
        "finbot.yaml:8: defaults.windows: stands at the top of the file, or in a run: windows is no default"
    ]


def test_a_run_that_ends_before_it_begins_is_told_as_ever(folder):
    dates = "  start_date: 2014-01-01\n  end_date: 2010-06-30\n"
    (problem,) = wrong(folder, "{length: 1y}", dates)
    assert problem == "finbot.yaml:6: defaults: start_date 2014-01-01 is after end_date 2010-06-30"


def test_editors_know_the_keys():
    schema = BatchModel.model_json_schema()
    assert list(schema["$defs"]["WindowsModel"]["properties"])[:3] == ["kind", "from", "to"]
    for place in (schema, schema["$defs"]["RunModel"]):
        assert {"const": False} in place["properties"]["windows"]["anyOf"]
        assert {"$ref": "#/$defs/WindowsModel"} in place["properties"]["windows"]["anyOf"]
        assert "include" in place["properties"]["matrix"]["anyOf"][1]["properties"]
    assert "windows" not in schema["$defs"]["DefaultsModel"]["properties"]
