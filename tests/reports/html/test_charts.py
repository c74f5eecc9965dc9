"""What is drawn: few points that keep every extreme, marks where results part, and words where nothing is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.baselines.results import RunResult
from pytest_finbot.reports.html.charts import MOST_ROWS, POINTS, REST, charts_of
from pytest_finbot.reports.html.series import Sides
from pytest_finbot.reports.html.thinning import evenly, extremes, spark
from tests.reports.html.made_pages import result


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=400))
def test_few_points_keep_every_extreme_and_a_gap(values: list[float]) -> None:
    series = np.array(values)
    rows = extremes(series, 20)
    assert (np.diff(rows) > 0).all()
    assert {0, len(series) - 1} <= set(rows.tolist())
    finite = series[np.isfinite(series)]
    if len(finite):
        kept = series[rows][np.isfinite(series[rows])]
        assert (kept.min(), kept.max()) == (finite.min(), finite.max())
    assert len(finite) == len(series) or not np.isfinite(series[rows]).all()
    assert len(rows) <= 32


def test_one_day_among_thousands_is_drawn() -> None:
    series = np.zeros(5_000)
    series[3_333] = -7.0
    rows = extremes(series, 100)
    assert 3_333 in rows
    assert len(rows) <= 100


def test_rows_are_thinned_evenly() -> None:
    assert evenly(np.arange(3), 5).tolist() == [0, 1, 2]
    assert evenly(np.arange(9), 3).tolist() == [0, 4, 8]


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([1.0, 2.0, 3.0], "Ag_"),
        ([5.0, 5.0], "ff"),
        ([1.0, float("nan"), 2.0], "A._"),
        ([float("nan")], "."),
        ([-1e308, 1e308], "A_"),
    ],
)
def test_a_small_line(values: list[float], drawn: str) -> None:
    assert spark(np.array(values)) == drawn
    assert len(spark(np.arange(10_000.0))) == 60


def test_a_moved_run_has_four_charts_with_tables() -> None:
    drawn = charts_of(Sides(result(factor=0.5), result()), "2012-05-07", "2018-01-01")
    assert [chart.kind for chart in drawn.charts] == ["bp", "nav", "drawdown", "positions"]
    assert not drawn.notes
    for chart in drawn.charts:
        assert chart.curves
        assert all(len(curve.values) <= POINTS[chart.kind] for curve in chart.curves)
        assert chart.table is not None
        assert len(chart.table.sessions) <= MOST_ROWS
        assert chart.table.of == 3_300
        assert {"2012-05-06", "2012-05-07", "2018-01-01"} <= set(chart.table.sessions)
        assert all(len(cells) == len(chart.table.sessions) for _, cells in chart.table.columns)
    bp, nav, drawdown, positions = drawn.charts
    whole = charts_of(Sides(result(), result())).charts[0].curves[0].values
    assert not whole.any()
    assert bp.table is not None
    assert bp.table.columns[0][1][-1].startswith("-")
    assert [curve.baseline for curve in nav.curves] == [False, True]
    assert drawdown.curves[0].values.max() == 0
    assert [curve.name for curve in positions.curves if not curve.baseline][-1] == f"{REST}, now"
    assert any("5 positions" in note for note in positions.notes)


def test_positions_and_the_rest_add_up_to_what_is_held() -> None:
    one = result(50)
    assert one.market_values is not None
    drawn = charts_of(Sides(one, one)).charts[3]
    total = sum(curve.values for curve in drawn.curves if not curve.baseline)
    assert np.allclose(total, one.market_values.sum(axis=1))


def test_fills_that_differ_are_marked_on_their_sessions() -> None:
    one = result(100)
    assert one.fills is not None
    fills = dataclasses.replace(one.fills, price=one.fills.price.copy())
    fills.price[2] += 1e-4
    nav = charts_of(Sides(dataclasses.replace(one, fills=fills), one)).charts[1]
    assert nav.marks is not None
    assert [str(day) for day in nav.marks.sessions] == [str(one.fills.session[2])]
    assert nav.notes == ("Fills differ on 1 session, marked by triangles.",)
    shuffled = one.fills[np.arange(len(one.fills))[::-1]]
    same = charts_of(Sides(dataclasses.replace(one, fills=shuffled), one)).charts[1]
    assert same.marks is not None
    assert not len(same.marks.values)
    unknown = charts_of(Sides(one, dataclasses.replace(one, fills=None))).charts[1]
    assert "not marked" in unknown.notes[0]


def test_a_new_run_is_drawn_alone_and_says_why() -> None:
    drawn = charts_of(Sides(result(50), None, why_not_baseline="it has no baseline yet"))
    bp, nav, _, positions = drawn.charts
    assert (bp.curves, bp.why_not) == (
        (),
        "it takes this result and its baseline, and it has no baseline yet",
    )
    assert [curve.name for curve in nav.curves] == ["now"]
    assert positions.curves
    assert drawn.notes == ("The baseline is not drawn, because it has no baseline yet.",)


def test_without_either_nothing_is_drawn_and_all_is_said() -> None:
    drawn = charts_of(Sides(None, None, "object a is missing", "object b is missing"), "2020-01-01")
    assert not any(chart.curves for chart in drawn.charts)
    assert all(chart.why_not for chart in drawn.charts)
    assert ["object a" in drawn.notes[0], "object b" in drawn.notes[1]] == [True, True]


def test_other_sessions_are_told_and_left_out_of_the_divergence() -> None:
    drawn = charts_of(Sides(result(40, start="2010-01-14"), result(40)))
    assert drawn.notes[0].startswith("10 sessions only in the baseline, 10 sessions only in this result")
    assert drawn.charts[0].table is not None
    assert drawn.charts[0].table.of == 30
    assert len(drawn.charts[1].curves[0].values) == 40
    apart = charts_of(Sides(result(10, start="2000-01-01"), result(10)))
    assert apart.charts[0].why_not == "this result and its baseline have no session in common"
    assert apart.charts[1].curves
    assert apart.charts[1].table is not None
    assert not apart.charts[1].table.sessions


def test_no_number_is_a_gap_that_is_told() -> None:
    one = result(30)
    nav = one.nav.copy()
    nav[7] = np.nan
    drawn = charts_of(Sides(dataclasses.replace(one, nav=nav), one))
    assert "On 1 session NAV is a number on one side only: gaps." in drawn.charts[0].notes
    assert not np.isfinite(drawn.charts[0].curves[0].values[7])
    assert np.isnan(drawn.charts[1].curves[0].values[7])


def test_what_four_bytes_cannot_hold_is_not_an_empty_chart() -> None:
    days = np.array(["2020-01-02", "2020-01-03"], "datetime64[D]")
    bp, nav, drawdown, _ = charts_of(
        Sides(RunResult(days, np.array([1e300, 9e299])), RunResult(days, np.array([1e300, 8e299])))
    ).charts
    assert (nav.curves, nav.why_not) == ((), "its numbers are beyond 1e+38")
    assert nav.table is not None
    assert [chart.why_not for chart in (bp, drawdown)] == ["", ""]


def test_a_result_of_few_words_is_drawn_as_far_as_it_goes() -> None:
    days = np.array(["2020-01-02", "2020-01-03"], "datetime64[D]")
    bare = RunResult(days, np.array([1.0, 2.0]))
    drawn = charts_of(Sides(bare, bare))
    assert drawn.charts[3].why_not == "neither result tells market values by position"
    single = RunResult(days[:1], np.array([1.0]))
    why = "there is one session, and a line takes two"
    one = charts_of(Sides(single, single)).charts[:3]
    assert [(chart.curves, chart.why_not) for chart in one] == [((), why)] * 3
    assert one[1].table is not None
    assert one[1].table.columns == (("now", ("1.00",)), ("baseline", ("1.00",)))
    empty = RunResult(days[:0], np.empty(0))
    assert [chart.why_not != "" for chart in charts_of(Sides(empty, empty)).charts] == [True] * 4
