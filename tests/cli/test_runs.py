"""finbot runs: what a user is told of single runs, of several, and of one over time."""

import dataclasses
import datetime
import json

import pytest

from pytest_finbot.cli.show import NOTHING
from pytest_finbot.registry import Experiment, ExperimentRegistry, open_registry
from pytest_finbot.registry.queries import RunRow

FIELDS = {field.name for field in dataclasses.fields(RunRow)}
METRICS = {"final_nav": 1300.0, "total_return": 0.3, "cagr": 0.1, "sharpe": 1.5, "max_drawdown": -0.2}


@pytest.fixture
def experiments(root):
    with ExperimentRegistry(root) as experiments:
        yield experiments


def names(asked):
    return [row["name"] for row in asked.document["runs"]]


# ---------------------------------------------------------------------------------- list


def test_runs_are_listed_newest_first_with_what_they_came_to(ask, record):
    batch_id = record(a={"status": "success", "metrics": METRICS, "seconds": 0.25}, b="failed")
    asked = ask("runs", "list")
    assert asked.status == 0
    assert asked.row(f"{batch_id}/a")[1] == "success"
    assert asked.row(f"{batch_id}/a")[-4:] == ["1,300.00", "+30.00%", "1.50", "-20.00%"]
    assert "250 ms" in asked.row(f"{batch_id}/a")
    assert asked.row(f"{batch_id}/b")[1:3] == ["failed", "unknown"]
    document = ask("runs", "list", "--json").document
    assert document.keys() == {"runs", "total", "limit", "offset", "problems"}
    assert document["runs"][0].keys() == FIELDS
    assert names(ask("runs", "list", "--json")) == ["b", "a"]
    assert "1 of 2 runs; older ones: --offset 1" in ask("runs", "list", "--limit", "1").out


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (("--strategy", "sma"), {"a"}),
        (("--engine", "bt"), {"b"}),
        (("--status", "failed"), {"b", "c"}),
        (("--category", "timeout"), {"b"}),
        (("--category", "unknown"), {"c"}),
        (("--verdict", "moved"), {"c"}),
        (("--tag", "core"), {"a", "b"}),
        (("--tag", "core", "--status", "success"), {"a"}),
        (("--name", "[abc]"), set()),
        (("--name", "?"), {"a", "b", "c"}),
        (("--since", "2026-01-02", "--until", "2026-01-03"), {"b"}),
        (("--batch", "last"), {"a", "b", "c"}),
        (("--offset", "7"), set()),
    ],
)
def test_filters(ask, record, filters, found):
    at = {name: {"started_at": f"2026-01-0{number}T12:00:00"} for number, name in enumerate("abc", 1)}
    record(z="success")
    record(
        a={"status": "success", "strategy": "sma", "engine": "portfolio", "tags": ["core", "x"], **at["a"]},
        b={
            "status": "failed",
            "engine": "bt",
            "tags": ["core"],
            **at["b"],
            "error": {"category": "timeout", "message": "slow"},
        },
        c={"status": "failed", "verdict": "moved", **at["c"]},
    )
    filters = ("--until", "2026-02-01", *filters) if "--until" not in filters else filters
    asked = ask("runs", "list", "--json", *filters)
    assert set(names(asked)) == found
    assert asked.status == (0 if found else 1)


# ---------------------------------------------------------------------------------- show


def test_a_run_is_shown_whole(ask, root, record):
    batch_id = record(
        a={
            "status": "success",
            "metrics": {**METRICS, "calmar": None},
            "undefined_metrics": {"calmar": "no drawdown in 3 sessions"},
            "checks": [{"name": "nav_identity", "verdict": "identical", "value": 0.0, "limit": 1e-06}],
            "phases": [{"name": "simulate", "status": "success", "seconds": 0.5, "counters": {"fills": 7}}],
            "fingerprint": {"config": "ab" * 32, "environment": {"numpy": "2.4.6"}},
            "params": {"fast": 50, "since": datetime.date(2020, 1, 2)},
            "warnings": ["a [bold]price[/bold] was used 3 times"],
        }
    )
    writer = open_registry(root).open_writer(batch_id, "gw0")
    writer.log("output", {"run": "a", "attempt": 1, "stdout": "fast = 50\n\x1b[2Jgone\n"})
    writer.log("output", {"run": "other", "attempt": 1, "stdout": "not of this run\n"})
    writer.close()
    asked = ask("runs", "show", "last/a")
    assert asked.status == 0
    for said in (
        f"{batch_id}/a\n",
        "no drawdown in 3 sessions",
        "7 fills",
        "500 ms",
        "abababababababab\n",
        "numpy 2.4.6",
        "fast   50",
        "a [bold]price[/bold] was used 3 times",
        "    fast = 50\n    \\x1b[2Jgone\n",
    ):
        assert said in asked.out
    assert "not of this run" not in asked.out
    document = ask("runs", "show", "a", "--batch", "last", "--json").document
    assert document["run_id"] == f"{batch_id}/a"
    assert document["record"]["metrics"]["calmar"] is None
    assert document["output"][0]["stdout"] == "fast = 50\n\x1b[2Jgone\n"
    assert document["params"]["fast"] == 50


def test_a_failure_is_shown_with_its_traceback_and_every_attempt(ask, registry, record):
    batch_id = record(
        a={
            "status": "failed",
            "error": {
                "category": "engine_error",
                "phase": "simulate",
                "type": "ValueError",
                "message": "first",
                "traceback": "Traceback:\n  File x\nValueError: first",
            },
        }
    )
    registry.add_item_result(batch_id, {"name": "a", "status": "success"})
    asked = ask("runs", "show", f"{batch_id}/a")
    assert "attempt  2 (2 recorded)" in asked.out
    assert "success" in asked.out
    assert [line.split()[:2] for line in asked.out.splitlines() if line.split()[:1] in (["1"], ["2"])] == [
        ["1", "failed"],
        ["2", "success"],
    ]
    earlier = ask("runs", "show", f"{batch_id}/a#1")
    assert "an earlier attempt: a later one of this run counts" in earlier.out
    assert "engine_error in simulate\n    ValueError: first\n" in earlier.out
    assert "      File x\n" in earlier.out
    missing = ask("runs", "show", f"{batch_id}/a#7")
    assert missing.status == 4
    assert "has no attempt 7; it has 2" in missing.err


def test_a_run_without_a_record_says_why_there_is_none(ask, record, registry):
    batch_id = record(alpha="success", beta=None, end=False)
    registry.update_status(batch_id, "cancelled", "wrong prices")
    asked = ask("runs", "show", "last/beta")
    assert asked.status == 4
    assert "'beta' was expected" in asked.err
    assert "was not run: the batch is cancelled (wrong prices)" in asked.err
    asked = ask("runs", "show", "last/alpa")
    assert asked.status == 4
    assert "did you mean 'alpha'" in asked.err
    asked = ask("runs", "show", "alpha")
    assert asked.status == 4
    assert "Expected BATCH/NAME, last/alpha, or --batch" in asked.err


def test_it_is_said_where_series_are_and_that_one_is_gone(ask, root, experiments):
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(number) for number in range(600)]
    series = {"session": days, "nav": [float(number) for number in range(600)]}
    run_id = experiments.save(Experiment(name="a", series=series))
    table = ask("runs", "show", run_id, "--json").document["tables"]["series"]
    assert table["exists"] is True
    assert table["file"] in ask("runs", "show", run_id).out
    (root / "series" / table["hash"][:2] / f"{table['hash']}.parquet").unlink()
    assert f"{table['file']} (missing)" in ask("runs", "show", run_id).out


def test_what_a_run_had_to_do_without_is_shown(ask, record):
    uses = [
        {"session": f"2012-10-{n:02}", "asset": "K\x1bO", "from_session": "2012-09-28", "age": n}
        for n in range(1, 26)
    ]
    record(
        a={
            "status": "success",
            "data_notes": {
                "missing": {
                    "policy": "interpolate",
                    "filled": {"KO": 6, "XOM": 1},
                    "dropped": ["2012-10-19", "2012-10-22"],
                    "dropped_count": 2,
                    "first": "2012-10-19",
                    "look_ahead": True,
                },
                "odd": [{"kind": "jump", "message": "KO: far beyond its usual moves"}],
                "odd_count": 3,
                "snapshot": "data-0123456789abcdef",
            },
            "mark_notes": {
                "held": 500,
                "fallback_count": 250,
                "fallbacks": uses,
                "look_ahead_count": 4,
                "unmarked_count": 1,
                "unmarked": [{"session": "2012-10-26", "asset": "KO", "why": "its last price is too old"}],
            },
            "books": {"start_cash": 100000.0, "cent": 0.0},
            "part": {"of": "adaptive", "kind": "out_of_sample", "number": 2, "own_from": "2012-10-15"},
            "warnings": ["KO: far beyond its usual moves", "another"],
        },
        b="success",
    )
    asked = ask("runs", "show", "last/a")
    for said in (
        "snapshot      data-0123456789abcdef\n",
        "data.missing  interpolate\n",
        "put in        6 of KO, 1 of XOM\n",
        "left out      2 sessions: 2012-10-19, 2012-10-22\n",
        "LOOK-AHEAD: what was put in was known only later",
        "jump: KO: far beyond its usual moves\n  and 2 more\n",
        "4 of 500 positions at a price known only later\n",
        "250 of 500 positions at a price that stands in\n",
        "  and 230 more\n",
        "1 of 500 positions without a valid mark\n",
        "out of sample 2 of adaptive, its own sessions from 2012-10-15 on\n",
        "starts with  100,000.00 in cash\n",
    ):
        assert said in asked.out
    assert asked.row("2012-10-20") == ["2012-10-20", "K\\x1bO", "2012-09-28", "20"]
    assert "2012-10-21" not in asked.out
    assert asked.row("2012-10-26") == ["2012-10-26", "KO", "its last price is too old"]
    assert asked.out.count("far beyond") == 1
    assert "warning: another" in asked.out
    plain = ask("runs", "show", "last/b").out
    for absent in ("prices", "LOOK-AHEAD", "odd", "positions", "starts with", "part "):
        assert absent not in plain


def test_notes_that_are_not_as_recorded_are_named_and_hide_nothing_else(ask, record):
    record(
        a={
            "status": "success",
            "data_notes": {"missing": [1], "odd": [3], "snapshot": "data-0123456789abcdef"},
            "mark_notes": {"fallbacks": "none"},
            "part": "two",
            "books": {"start_cash": "much"},
        }
    )
    asked = ask("runs", "show", "last/a")
    assert asked.status == 0
    assert "data-0123456789abcdef" in asked.out
    for told in (
        "data_notes.missing is [1]",
        "data_notes.odd is [3]",
        "mark_notes.fallbacks",
        "part is 'two'",
    ):
        assert told in asked.err


# ------------------------------------------------------------------- compare, hash, similar


def test_runs_are_compared_metric_by_metric_and_in_what_differs(ask, record):
    def given(nav, fast, data):
        return {
            "status": "success",
            "metrics": {"final_nav": nav, "calmar": None, "costs": 0.0},
            "undefined_metrics": {"calmar": "no drawdown"},
            "params": {"fast": fast, "slow": 200, "since": datetime.date(2020, 1, 2)},
            "fingerprint": {"config": "c" * 64, "data": {"hash": data * 64}},
        }

    batch_id = record(a=given(1300.0, 50, "a"), b=given(1300.5, 49, "b"))
    asked = ask("runs", "compare", "last/a", "last/b")
    assert asked.status == 0
    assert asked.row("final_nav") == ["final_nav", "1300", "1300.5", "+0.5"]
    assert asked.row("costs") == ["costs", "0", "0", "0"]
    assert asked.row("calmar") == ["calmar", "undefined: no drawdown", "undefined: no drawdown", NOTHING]
    assert asked.row("fast") == ["fast", "50", "49"]
    assert asked.row("data.hash") == ["data.hash", "a" * 16, "b" * 16]
    assert "slow" not in asked.out
    document = ask("runs", "compare", "a", "b", "--batch", "last", "--json").document
    assert document["runs"] == [f"{batch_id}/a", f"{batch_id}/b"]
    assert document["metric"]["final_nav"] == {f"{batch_id}/a": 1300.0, f"{batch_id}/b": 1300.5}
    assert document["params"].keys() == {"fast"}
    assert document["fingerprint"].keys() == {"data.hash"}
    assert ask("runs", "compare", "last/a").status == 2
    assert ask("runs", "compare", "last/a", "last/a").status == 2
    assert ask("runs", "compare", "last/a", "last/c").status == 4


def test_runs_are_found_by_a_hash_which_is_said(ask, record):
    record(
        a={"status": "success", "fingerprint": {"config": "ab12cd" + "0" * 58}},
        b={"status": "success", "fingerprint": {"code": {"hash": "ab12cd" + "1" * 58}}},
    )
    document = ask("runs", "find-hash", "AB12CD", "--json").document
    assert [(row["name"], row["matched"]) for row in document["runs"]] == [("b", ["code"]), ("a", ["config"])]
    assert "code" in ask("runs", "find-hash", "ab12cd1").out
    assert ask("runs", "find-hash", "ffffff").status == 1
    assert ask("runs", "find-hash", "sixty").status == 4


def test_similar_runs_are_found_by_their_metrics(ask, record):
    near, far = {**METRICS, "sharpe": 1.505}, {**METRICS, "sharpe": 2.5}
    runs = {
        name: {"status": "success", "metrics": of} for name, of in (("a", METRICS), ("b", near), ("c", far))
    }
    record(**runs)
    document = ask("runs", "similar", "last/a", "--json").document
    assert [row["run"]["name"] for row in document["runs"]] == ["b"]
    assert [
        row["run"]["name"]
        for row in ask("runs", "similar", "last/a", "--tolerance", "1", "--json").document["runs"]
    ] == [
        "b",
        "c",
    ]
    assert ask("runs", "similar", "last/a", "--tolerance", "0").status == 1
    assert ask("runs", "similar", "last/a", "--tolerance", "-1").status == 2


# ------------------------------------------------------------------------------- history


def at_nav(nav, day, **fingerprint):
    return {
        "status": "success",
        "metrics": {} if nav is None else {"final_nav": nav, "volatility": 0.5},
        "started_at": f"2026-01-{day:02}T12:00:00",
        "fingerprint": {
            "config": "c" * 64,
            "data": {"hash": "d" * 64, "field": "close"},
            "code": {"hash": "e" * 64},
            "engine": {"name": "portfolio", "version": "1"},
            "environment": {"pandas": "2.3"},
            **fingerprint,
        },
    }


def test_a_history_has_each_move_with_its_cause_and_counts_what_did_not_move(ask, record):
    other = {"environment": {"pandas": "3.1"}}
    record(a=at_nav(100.0, 1))
    record(a=at_nav(100.0, 2))
    record(a=at_nav(None, 3))
    record(a=at_nav(101.0, 4, **other))
    record(a=at_nav(99.0, 5, **other))
    record("other", a=at_nav(7.0, 6))
    asked = ask("runs", "history", "a")
    assert asked.status == 0
    assert "▅▅ █▁" in asked.out
    assert "min 99.00, max 101.00, last 99.00" in asked.out
    assert "5 records, 2026-01-01 12:00:00 to 2026-01-05 12:00:00 UTC; 1 without a value" in asked.out
    assert asked.row("2026-01-01")[1:] == ["100.00", "first", "3f9c1a7e5b", "1", NOTHING]
    assert asked.row("2026-01-04")[1:] == [
        "101.00",
        "+1 (+100 bp)",
        "3f9c1a7e5b",
        NOTHING,
        "environment: pandas 2.3 → 3.1",
    ]
    assert "not deterministic" in asked.row("2026-01-05")[-1]
    # Batches of another name are another history: nothing moved between the two.
    assert asked.row("2026-01-06")[2] == "first"
    only = ask("runs", "history", "a", "--batch-name", "other", "--json").document
    assert [history["values"] for history in only["histories"]] == [[7.0]]
    document = ask("runs", "history", "a", "--metric", "volatility", "--json").document
    assert document["histories"][0]["values"] == [0.5, 0.5, None, 0.5, 0.5]
    (move,) = document["histories"][0]["moves"]
    assert (move["change"], move["unchanged"]) == (None, 3)
    assert [
        history["values"]
        for history in ask("runs", "history", "a", "--limit", "2", "--json").document["histories"]
    ] == [
        [99.0],
        [7.0],
    ]


def test_a_history_says_first_only_of_the_first_record(ask, record):
    for day, nav in enumerate((100.0, 101.0, 102.0), start=1):
        record(a=at_nav(nav, day))
    record("other", a=at_nav(7.0, 4))
    asked = ask("runs", "history", "a", "--limit", "3")
    assert "  1 earlier records not shown" in asked.out
    assert asked.out.count("earlier records not shown") == 1
    assert asked.row("2026-01-02")[1:3] == ["101.00", NOTHING]
    assert asked.row("2026-01-04")[1:3] == ["7.00", "first"]
    assert [
        history["earlier"]
        for history in ask("runs", "history", "a", "--limit", "3", "--json").document["histories"]
    ] == [1, 0]
    whole = ask("runs", "history", "a", "--limit", "4")
    assert "not shown" not in whole.out
    assert whole.row("2026-01-01")[2] == "first"


def test_a_history_of_texts_has_them_and_draws_nothing(ask, record):
    for day, regime in enumerate(("calm", "calm", "wild", 2.0), start=1):
        record(a={**at_nav(100.0, day), "metrics": {"regime": regime}})
    asked = ask("runs", "history", "a", "--metric", "regime")
    assert asked.status == 0
    assert asked.row("2026-01-01")[1:] == ["calm", "first", "3f9c1a7e5b", "1", NOTHING]
    assert asked.row("2026-01-03")[1:3] == ["wild", "another text"]
    assert asked.row("2026-01-04")[1:3] == ["2.0", "another text"]
    assert not set("▁▂▃▄▅▆▇█") & set(asked.out)
    values = ask("runs", "history", "a", "--metric", "regime", "--json").document["histories"][0]["values"]
    assert values == ["calm", "calm", "wild", 2.0]


def planned(root, stamp, chance, day, costs):
    """A batch whose manifest has a plan, as a pytest session leaves it."""
    registry = open_registry(root)
    batch_id = f"batch-{stamp}Z-{chance}"
    run = {"name": "a", "engine": "portfolio", "strategy": "fixed_weights"}
    registry.create_batch(
        {
            "batch_id": batch_id,
            "batch_name": "core",
            "created_at": f"2026-01-{day:02}T12:00:00.000+00:00",
            "provenance": {},
            "common": {"costs": costs},
            "runs": [run],
        }
    )
    at = f"2026-01-{day:02}T12:00:00.000+00:00"
    writer = registry.open_writer(batch_id, "main")
    writer.append("begin", {"at": at, "expected": ["a"], "deselected": 0})
    record = {**at_nav(100.0 + day, day), "name": "a", "batch_id": batch_id, "attempt": 1, "finished_at": at}
    writer.append("run", {**record, "run_id": f"{batch_id}/a"})
    writer.close()
    return batch_id


def test_a_manifest_that_cannot_be_used_is_one_message_by_its_batch(ask, record, root):
    record(a=at_nav(90.0, 1))
    bad = planned(root, "20260102T120000", "aaaaaa", 2, {"commission_per_shar~": 1.0})
    said = f"manifest of {bad} cannot be used: "
    asked = ask("runs", "compare", "last/a", f"{bad}/a")
    assert asked.status == 4
    assert asked.err.count("\n") == 1
    assert f"finbot: {said}" in asked.err
    assert "commission_per_shar~" in asked.err
    for words in (("runs", "show", f"{bad}/a"), ("runs", "history", "a")):
        asked = ask(*words)
        assert asked.status == 0
        assert asked.err.count(f"finbot: problem: {said}") == 1
    assert ask("batches", "show", bad).status == 0
    assert ask("runs", "list").status == 0


def test_values_of_odd_types_are_shown_or_named_and_break_nothing(ask, record, root):
    batch_id = record(b="success")
    batch = open_registry(root).batch_folder(batch_id)
    odd = {
        "tags": -1,
        "seconds": [1],
        "error": 99,
        "phases": 3,
        "checks": [1],
        "metrics": {"x": "calm", "lots": 10**400},
    }
    odd |= {"fingerprint": 1, "tables": 5, "artifacts": [1], "warnings": {}, "peak_rss": "much"}
    line = {"v": 1, "kind": "run", "name": "b", "status": "failed", "attempt": 2, **odd}
    line |= {"started_at": "2026-01-01T00:00:00.000+00:00", "finished_at": "2026-01-01T00:00:00.000+00:00"}
    (batch / "gw9-00000000.jsonl").write_text(json.dumps(line) + "\n")
    shown = ask("runs", "show", "last/b")
    assert shown.status == 0
    for key in odd.keys() - {"metrics"}:
        assert f"{key} is " in shown.err
    assert shown.row("x")[1] == "calm"
    assert shown.row("lots")[1] == "1e+400"
    assert ask("runs", "show", "last/b", "--json").document["record"]["tags"] == -1
    for words in (("runs", "list"), ("runs", "history", "b", "--metric", "x"), ("batches", "list")):
        assert ask(*words).status == 0
    assert ask("batches", "show", "last").status == 0


def test_numbers_of_more_than_15_digits_are_shown_in_powers_of_ten(ask, record):
    huge = {"final_nav": 1e300, "total_return": -2.5e17, "sharpe": 1e15}
    batch_id = record(a={"status": "success", "metrics": huge}, b={"status": "success", "metrics": METRICS})
    assert ask("runs", "list").row(f"{batch_id}/a")[-4:] == ["1e+300", "-2.5e+17", "1e+15", NOTHING]
    asked = ask("runs", "show", "last/a")
    assert asked.row("final_nav")[1] == "1e+300"
    assert asked.row("total_return")[1] == "-2.5e+17"
    assert ask("runs", "compare", "last/a", "last/b").status == 0


def test_only_final_records_are_compared_and_that_is_said(ask, root):
    batch_id = planned(root, "20260102T120000", "aaaaaa", 2, {})
    registry = open_registry(root)
    writer = registry.open_writer(batch_id, "main")
    at = "2026-01-02T13:00:00.000+00:00"
    again = {"name": "a", "status": "success", "attempt": 2, "finished_at": at, "batch_id": batch_id}
    writer.append("run", {**again, "run_id": f"{batch_id}/a", "metrics": METRICS, "started_at": at})
    writer.append("run", {**again, "run_id": f"{batch_id}/b", "name": "b", "metrics": METRICS})
    writer.append("begin", {"at": at, "expected": ["b"], "deselected": 1})
    writer.close()
    for words in (("compare", "last/a#1", "last/b"), ("similar", "last/a#1")):
        asked = ask("runs", *words)
        assert asked.status == 4
        assert "only final records are compared" in asked.err
        assert f"that of a in {batch_id} is attempt 2" in asked.err
    assert ask("runs", "similar", "last/b#2", "--json").document["reference"] == f"{batch_id}/b"
    assert "no run" in ask("runs", "similar", "last/c#1").err


def test_a_history_of_what_there_is_not(ask, record):
    record(a=at_nav(100.0, 1))
    asked = ask("runs", "history", "b")
    assert (asked.status, asked.out) == (1, "")
    assert "no run is called b" in asked.err
    asked = ask("runs", "history", "a", "--metric", "volatilty")
    assert asked.status == 4
    assert "has no metric 'volatilty'" in asked.err
    assert "did you mean 'volatility'" in asked.err


def test_the_cause_of_a_real_move_is_the_setting_that_was_edited(folder):
    def run(weight):
        folder.batch(f"{{id: both, params: {{weights: {{AAA: {weight}, BBB: 0.4}}}}}}")
        done = folder.finbot("run", "finbot.yaml", "-q")
        assert done.status == 0, done.out + done.err

    run(0.6)
    run(0.5)
    asked = folder.finbot("runs", "history", "both")
    assert asked.status == 0, asked.err
    (cause,) = [line for line in asked.out.splitlines() if "config: " in line]
    assert "params.weights.AAA 0.6 → 0.5" in cause


# -------------------------------------------------------------------------------- delete


def test_a_deleted_run_is_listed_no_longer(ask, record):
    batch_id = record(a="success", b="success")
    assert ask("runs", "delete", "last/a").status == 2
    asked = ask("runs", "delete", "last/a", "--yes")
    assert (asked.status, asked.out) == (0, f"deleted {batch_id}/a\n")
    assert names(ask("runs", "list", "--json")) == ["b"]
    assert ask("runs", "delete", "last/a", "--yes").status == 4


def test_a_run_of_a_batch_that_goes_on_is_not_deleted(ask, record, root):
    batch_id = record(a="success", b=None, end=False)
    hold = open_registry(root).hold(batch_id)
    asked = ask("runs", "delete", "last/a", "--yes")
    assert asked.status == 4
    assert f"somebody is at work on {batch_id}" in asked.err
    hold.release()
