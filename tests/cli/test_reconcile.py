"""finbot reconcile: recorded books that add up, and what is told where they do not."""

import dataclasses
import inspect
import json
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pytest_finbot.cli.reconcile import reconcile
from pytest_finbot.config.manifest import runs_to_json
from pytest_finbot.contracts import (
    DataSpec,
    EngineResult,
    ErrorCategory,
    ErrorInfo,
    Fills,
    PhaseResult,
    RunRecord,
    RunSpec,
    RunStatus,
)
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.ids import new_batch_id
from pytest_finbot.registry.recorded_result import TableReader, engine_result_of
from pytest_finbot.registry.records import record_to_json
from pytest_finbot.registry.small_tables import keep_table
from pytest_finbot.registry.tables import fills_columns, marks_columns, series_columns

_APART = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
EXAMPLES = Path(__file__).parents[2] / "examples"
DAYS = np.busday_offset("2015-03-02", np.arange(200)).astype("datetime64[D]")
RUNS = ("long", "other", "short")


class Asked:
    def __init__(self, done):
        self.status, self.out, self.err = done.exit_code, done.stdout, done.stderr

    @property
    def document(self):
        return json.loads(self.out)

    @property
    def runs(self):
        return {run["run"]: run for run in self.document["runs"]}

    def line(self, *words):
        """The only line of the text that has all of ``words``."""
        (line,) = [line for line in self.out.splitlines() if all(word in line for word in words)]
        return line.split()


def ask(root, *words):
    done = CliRunner(**_APART).invoke(reconcile, [*map(str, words), "--registry", str(root)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Asked(done)


def a_result(sign=1.0, sessions=200, **changes):
    """100 units of AAPL bought or sold on the first day, a dividend, a split, a deposit, a fee."""
    days = DAYS[:sessions]
    splits, income, flows = np.ones((sessions, 2)), np.zeros((sessions, 2)), np.zeros(sessions)
    splits[3, 0], income[2, 0], flows[4] = 2.0, sign * 50.0, 1_000.0
    mark = np.column_stack((np.where(np.arange(sessions) < 3, 100.0, 50.0), np.full(sessions, 2000.0)))
    quantity = np.zeros((sessions, 2))
    quantity[:, 0], quantity[:, 1] = sign * 100.0 * np.cumprod(splits[:, 0]), 0.25
    cash = 20_000.0 - sign * 10_000.0 - 1.0 - 0.25 * 2000.0 * 5.0 + np.cumsum(income.sum(axis=1) + flows)
    multiplier = np.array([1.0, 5.0])
    facts = {
        "sessions": days,
        "assets": ("AAPL", "FUT"),
        "nav": cash + (quantity * mark * multiplier).sum(axis=1),
        "cash": cash,
        "quantity": quantity,
        "mark": mark,
        "flows": flows,
        "income": income,
        "splits": splits,
        "multiplier": multiplier,
        "start_cash": 20_000.0,
        "fills": Fills(
            np.array([0, 0]),
            np.array([0, 1]),
            np.array([sign * 100.0, 0.25]),
            np.array([100.0, 2000.0]),
            np.array([1.0, 0.0]),
            np.zeros(2),
        ),
    }
    return EngineResult.of(**{**facts, **changes})


class Recorded:
    """A registry with a batch of its own making."""

    def __init__(self, root):
        self.root = root
        self.registry = FilesRegistry(root, "second")
        self.milliseconds = 0

    def batch(
        self,
        results,
        *,
        expected=None,
        file="/p/finbot.yaml",
        books=True,
        manifest=None,
        soon=False,
        end=True,
        **more,
    ):
        """Record a batch: a result by run's name, or an error message of a run that failed."""
        self.milliseconds += 60_000 - 59_999 * soon
        begun = (datetime(2026, 11, 21, tzinfo=UTC) + timedelta(milliseconds=self.milliseconds)).isoformat(
            timespec="milliseconds"
        )
        batch_id = new_batch_id(datetime.fromisoformat(begun))
        specs = [
            RunSpec(
                name,
                "mine",
                "s",
                {},
                ("AAPL",),
                date(2015, 3, 2),
                date(2015, 12, 31),
                20_000.0,
                DataSpec("x"),
            )
            for name in results
        ]
        said = {"batch_name": "core", "file": file, "created_at": begun}
        self.registry.create_batch({"batch_id": batch_id, **said, **(manifest or runs_to_json(specs))})
        writer = self.registry.open_writer(batch_id, "main")
        names = list(expected or results)
        writer.append("begin", {"at": begun, "expected": names, "deselected": 0})
        for name, result in results.items():
            writer.append("run", record_to_json(self._record(batch_id, name, result, books, more)))
        if end:
            writer.append("end", {"at": "2026-11-21T09:16:02.000+00:00", "exitstatus": 0})
        writer.close()
        return batch_id

    def _record(self, batch_id, name, result, books, more):
        small = {}
        kept = {
            "run_id": f"{batch_id}/{name}",
            "batch_id": batch_id,
            "name": name,
            "status": RunStatus.SUCCESS,
            "attempt": 1,
            "started_at": "2026-11-21T09:15:03.000+00:00",
            "finished_at": "2026-11-21T09:15:04.000+00:00",
            "seconds": 1.0,
            "worker": "main",
        }
        if isinstance(result, str):
            error = ErrorInfo(ErrorCategory.DATA, "market_data", "DataError", result)
            return RunRecord(**{**kept, "status": RunStatus.FAILED}, error=error)
        if result is None:  # of a run that was asked for no result
            return RunRecord(**kept, **more)
        return RunRecord(
            **kept,
            series=keep_table(self.registry.objects, "series", series_columns(result), small),
            marks=self.registry.objects.put_table(marks_columns(result)),
            fills=keep_table(self.registry.objects, "fills", fills_columns(result), small),
            tables=small,
            books={"start_cash": result.start_cash, "cent": result.cent} if books else {},
            **more,
        )

    def record(self, batch_id, name):
        return next(self.registry.fold(batch_id).records([name]))

    def edit(self, batch_id, name, column, row, by, part="series"):
        """Change one cell of a recorded table by hand, and write the file again."""
        path = self.registry.objects.path_of(self.record(batch_id, name)[part])
        table = pq.read_table(path)
        values = table.column(column).to_numpy().copy()
        values[row] += by
        at = table.column_names.index(column)
        pq.write_table(table.set_column(at, column, pa.array(values)), path)


@pytest.fixture
def recorded(tmp_path):
    return Recorded(tmp_path / ".finbot")


@pytest.fixture
def core(recorded):
    """Three runs that are as they should be."""
    return recorded.batch({"long": a_result(), "other": a_result(0.5), "short": a_result(-1.0)})


# ------------------------------------------------------------------------------ all is well


def test_books_that_add_up_are_clean_every_run_on_a_line(recorded, core):
    asked = ask(recorded.root, "last")

    assert (asked.status, asked.err) == (0, "")
    assert asked.out.startswith(f"{core}: 3 clean\n")
    assert asked.line("short")[:3] == ["short", "clean", "200"]
    assert "breaks" not in asked.out


def test_the_answer_as_json_has_every_identity_of_every_run(recorded, core):
    asked = ask(recorded.root, core, "--json")

    assert asked.document["counts"] == {"clean": 3, "broken": 0, "altered": 0, "unknown": 0, "other_dates": 0}
    assert asked.document["batch_id"] == core
    assert (asked.document["threshold"], asked.document["relative"], asked.document["date"]) == (
        0.0,
        1e-9,
        None,
    )
    found = asked.runs["long"]["reconciliation"]
    assert found["sessions"] == 200
    assert {each["name"] for each in found["identities"]} >= {"nav_identity", "nav_rolled", "derived_cash"}
    assert max(each["relative"] for each in found["identities"]) < 1e-12


def test_a_result_comes_back_from_the_registry_as_the_engine_gave_it(recorded, core):
    back = engine_result_of(recorded.registry.objects, recorded.record(core, "short"), 20_000.0)

    for field in dataclasses.fields(EngineResult):
        given, got = getattr(a_result(-1.0), field.name), getattr(back, field.name)
        if isinstance(given, np.ndarray):
            np.testing.assert_array_equal(got, given, err_msg=field.name)
        elif field.name == "fills":
            for column in dataclasses.fields(Fills):
                np.testing.assert_array_equal(getattr(got, column.name), getattr(given, column.name))
        else:
            assert got == given, field.name


def test_the_figures_of_a_date_are_shown_and_only_they_are_judged(recorded, core):
    recorded.edit(core, "short", "nav", 100, 5.0)
    asked = ask(recorded.root, "last", "--date", "2015-03-06", "--run", "other")

    assert asked.status == 0
    figures = asked.out.splitlines()[-1].split()
    assert figures == [
        "other",
        "13,524.00",
        "7,500.00",
        "0.00",
        "7,500.00",
        "21,024.00",
        "13,524.00",
        "0.00",
        "1,000.00",
    ]
    on = ask(recorded.root, "last", "--date", "2015-03-06", "--json")
    assert on.status == 1, "what is there is not what was recorded, whatever the date"
    assert on.runs["short"]["state"] == "altered"
    assert on.runs["short"]["reconciliation"]["figures"]["short_market_value"] == -10_000.0
    assert on.runs["short"]["reconciliation"]["figures"]["derived_cash"] == pytest.approx(28_449.0)


def test_a_run_without_that_date_is_told_and_no_fault(recorded):
    recorded.batch({"long": a_result(), "brief": a_result(sessions=150)})
    later = ask(recorded.root, "last", "--date", str(DAYS[180]))

    assert later.status == 0
    assert "1 clean, 1 of other dates" in later.out
    assert f"brief: {DAYS[180]} is none of its 150 sessions" in later.out
    never = ask(recorded.root, "last", "--date", "2014-01-02")
    assert never.status == 1
    assert "no run has a session on 2014-01-02" in never.err


# --------------------------------------------------------------------------- what is at fault


def test_one_cell_changed_by_hand_names_run_date_and_identity(recorded, core):
    recorded.edit(core, "other", "nav", 120, 0.01)

    asked = ask(recorded.root, "last")

    assert asked.status == 1
    assert asked.out.startswith(f"{core}: 2 clean, 1 with breaks\n")
    assert asked.line("other", "7 breaks")[-2:] == ["nav_identity", str(DAYS[120])]
    assert asked.line("other", str(DAYS[120]), "nav_rolled")[-2] == "0.01"
    assert "other: its series in the registry are not as they were recorded" in asked.out
    assert "long" not in asked.out.partition("\nbreaks\n")[2]
    told = ask(recorded.root, "last", "--json").runs["other"]
    assert (told["state"], told["altered"]) == ("broken", ["series"])
    assert told["reconciliation"]["breaks"][0]["session"] == str(DAYS[120])


def test_a_cell_changed_by_less_than_the_threshold_is_not_as_recorded_all_the_same(recorded, core):
    recorded.edit(core, "other", "nav", 120, 0.01)

    asked = ask(recorded.root, "last", "--threshold", "1")

    assert asked.status == 1
    assert asked.line("other", "not as recorded")[3:5] == ["recorded", "200"]


@pytest.mark.parametrize(
    ("column", "part", "identity", "row"),
    [
        ("cash", "series", "cash_roll", 9),
        ("quantity:AAPL", "series", "quantity_roll", 9),
        ("mark:FUT", "marks", "nav_identity", 9),
        ("flows", "series", "cash_roll", 9),
        ("income:AAPL", "series", "cash_roll", 9),
        ("splits:AAPL", "series", "quantity_roll", 9),
    ],
)
def test_whatever_is_changed_is_found_on_its_day(recorded, core, column, part, identity, row):
    recorded.edit(core, "long", column, row, 2.0, part)

    told = ask(recorded.root, "last", "--run", "long", "--json").runs["long"]

    assert told["altered"] == [part]
    assert (identity, str(DAYS[row])) in {
        (each["identity"], each["session"]) for each in told["reconciliation"]["breaks"]
    }


def test_marks_that_runs_share_are_told_altered_for_each(recorded):
    recorded.batch({name: a_result() for name in RUNS})
    assert len({recorded.record(next(recorded.registry.batch_ids()), name)["marks"] for name in RUNS}) == 1
    recorded.edit(next(recorded.registry.batch_ids()), "long", "mark:AAPL", 5, 1.0, "marks")

    asked = ask(recorded.root, "last", "--json")

    assert [run["altered"] for run in asked.document["runs"]] == [["marks"]] * 3


def test_runs_that_cannot_be_looked_at_are_never_left_out(recorded):
    batch_id = recorded.batch(
        {"long": a_result(), "gone": a_result(0.5), "failed": "prices.csv: no such file"},
        expected=["long", "never", "failed", "gone"],
    )
    recorded.registry.objects.path_of(recorded.record(batch_id, "gone")["series"]).unlink()

    asked = ask(recorded.root, "last")

    assert asked.status == 1
    assert asked.out.startswith(f"{batch_id}: 1 clean, 3 not looked at\n")
    assert "never: it was not run, or left no record" in asked.out
    assert "failed: it recorded no series: it failed (data_error: prices.csv: no such file)" in asked.out
    assert "is missing" in " ".join(asked.line("gone: object"))


def test_a_run_of_chosen_phases_says_which_was_not_asked_for(recorded):
    reason = "not asked for (--finbot-phase market_data)"
    phases = (
        PhaseResult("market_data", "success", 0.1),
        PhaseResult("simulate", "skipped", 0.0, reason=reason),
        PhaseResult("marks", "skipped", 0.0, reason=reason),
    )
    recorded.batch({"data": None}, phases=phases)
    assert f"data: it recorded no series: phase simulate was {reason}" in ask(recorded.root, "last").out
    recorded.batch({"data": None})
    assert "data: it recorded no series: it was recorded by a script" in ask(recorded.root, "last").out


def test_the_line_of_a_run_names_its_first_break_and_the_size_of_its_worst(recorded, core):
    recorded.edit(core, "other", "cash", 20, 3.0)
    recorded.edit(core, "other", "nav", 120, 500.0)

    line = ask(recorded.root, "last").line("other", "breaks", "500.00")

    assert line[-2:] == ["nav_identity", str(DAYS[20])]


@pytest.mark.parametrize("off", [0.5, -0.5, 1e-9])
def test_the_metric_final_nav_is_held_to_the_last_nav(recorded, off):
    last = float(a_result().nav[-1])
    recorded.batch({"long": a_result()}, metrics={"final_nav": last + off})

    asked = ask(recorded.root, "last", "--json")

    found = asked.runs["long"]["reconciliation"]
    (outcome,) = [each for each in found["identities"] if each["name"] == "final_nav"]
    assert outcome["residual"] == pytest.approx(abs(off), abs=1e-11)
    broken = abs(off) > 1e-6
    assert asked.status == broken
    assert [each["identity"] for each in found["breaks"]] == ["final_nav"] * broken
    text = ask(recorded.root, "last", "--date", str(DAYS[-1]))
    assert text.status == broken
    assert ask(recorded.root, "last", "--date", str(DAYS[-2])).status == 0
    if broken:
        assert text.line("long", "1 break")[-2:] == ["final_nav", str(DAYS[-1])]


def test_a_table_that_makes_no_result_is_told_and_the_others_are_judged(recorded, core):
    path = recorded.registry.objects.path_of(recorded.record(core, "other")["series"])
    table = pq.read_table(path)
    pq.write_table(table.take(pa.array([1, 0, *range(2, 200)])), path)
    path = recorded.registry.objects.path_of(recorded.record(core, "short")["series"])
    pq.write_table(pq.read_table(path).drop_columns(["cash"]), path)

    asked = ask(recorded.root, "last", "--json")

    assert [run["state"] for run in asked.document["runs"]] == ["clean", "unknown", "unknown"]
    assert "differ in sessions" in asked.runs["other"]["reason"]
    assert "cash" in asked.runs["short"]["reason"]
    assert asked.runs["other"]["altered"] == ["series"]


def test_a_record_changed_by_hand_is_the_batchs_problem(recorded):
    batch_id = recorded.batch({"long": a_result(sessions=20), "other": a_result(0.5, sessions=20)})
    assert "series" in recorded.record(batch_id, "other")["tables"], "small enough to be in the record"
    assert ask(recorded.root, "last").status == 0
    (segment,) = recorded.registry.batch_folder(batch_id).glob("main-*.jsonl")
    before, sep, other = segment.read_text().partition('"name":"other"')
    segment.write_text(before + sep + other.replace('"seconds":1.0', '"seconds":2.0', 1))

    asked = ask(recorded.root, "last")

    assert asked.status == 1
    assert "its checksum does not fit" in asked.err
    (line,) = [line for line in asked.out.splitlines() if line.startswith("  other: ")]
    assert f"other: its record cannot be read: {batch_id}/{segment.name}:3: " in line
    assert line.endswith("its checksum does not fit")


def test_a_line_of_which_nothing_can_be_read_may_be_any_record(recorded):
    batch_id = recorded.batch({"long": a_result(sessions=20), "other": a_result(0.5, sessions=20)})
    (segment,) = recorded.registry.batch_folder(batch_id).glob("main-*.jsonl")
    lines = segment.read_text().splitlines()
    lines[2] = "x" * len(lines[2])
    segment.write_text("\n".join([*lines, ""]))

    asked = ask(recorded.root, "last")

    assert asked.status == 1
    assert "other: it was not run, left no record, or its record is a line that cannot be read" in asked.out


def test_a_run_of_a_batch_that_is_still_running_has_no_record_yet(recorded):
    batch_id = recorded.batch({"long": a_result(sessions=20)}, expected=["long", "next"], end=False)
    held = recorded.registry.hold(batch_id)
    asked = ask(recorded.root, "last")
    held.release()

    assert asked.status == 1
    assert "next: it has no record yet: the batch is still running" in asked.out


def test_what_is_wrong_with_the_batch_itself_is_no_clean_answer(recorded):
    recorded.batch({"long": a_result(), "stranger": a_result()}, expected=["long"])

    asked = ask(recorded.root, "last")

    assert asked.status == 1
    assert asked.line("long")[1] == "clean"
    assert "run 'stranger' is recorded but was not expected" in asked.err


# -------------------------------------------------------------------- start cash, cents, marks


def test_without_its_start_cash_a_record_is_judged_by_the_capital_of_its_manifest(recorded):
    recorded.batch({"long": a_result()}, books=False)
    assert ask(recorded.root, "last").status == 0

    recorded.batch({"long": a_result()}, books=False, manifest={"common": {}, "runs": []})
    asked = ask(recorded.root, "last")
    assert asked.status == 1
    assert "its start cash is unknown: the record does not tell it" in asked.out

    recorded.batch({"long": a_result()}, manifest={"common": {}, "runs": []})
    assert ask(recorded.root, "last").status == 0, "the record tells it"


def test_an_engine_that_books_in_cents_may_be_off_by_one_for_each_fill(recorded):
    cents = {"cash": a_result().cash + 0.01, "nav": a_result().nav + 0.01}
    recorded.batch({"long": a_result(**cents, cent=0.01)})
    assert ask(recorded.root, "last").status == 0
    recorded.batch({"long": a_result(**cents)})
    assert ask(recorded.root, "last").status == 1


def test_the_answer_as_json_is_laid_out_as_every_other_however_many_runs_there_are(recorded, core):
    for words in ((core,), (core, "--run", "long"), (core, "--date", "1999-01-04")):
        asked = ask(recorded.root, *words, "--json")
        assert asked.out == json.dumps(asked.document, indent=2) + "\n"
    recorded.batch({}, expected=[])
    asked = ask(recorded.root, "last", "--json")
    assert (asked.document["runs"], asked.status) == ([], 1)
    assert asked.out == json.dumps(asked.document, indent=2) + "\n"


def test_prices_that_stood_in_are_told_beside_the_figures(recorded):
    notes = {"held": 400, "fallback_count": 3, "fallbacks": []}
    recorded.batch({"long": a_result()}, mark_notes=notes)

    assert "long: 3 positions valued at a price that stood in" in ask(recorded.root, "last").out
    assert ask(recorded.root, "last", "--json").runs["long"]["marks"] == notes
    recorded.batch({"long": a_result()}, mark_notes={"held": 400, "unmarked_count": 1})
    assert "long: 1 position without a valid mark" in ask(recorded.root, "last").out


# ------------------------------------------------------------------------------------ the call


def test_of_a_batch_file_the_latest_batch_is_meant(recorded, tmp_path):
    file = tmp_path / "finbot.yaml"
    file.write_text("batch_name: core\n")
    recorded.batch({"old": a_result()}, file=str(file))
    of_one_second = [
        recorded.batch({"long": a_result()}, file=str(file), soon=number > 0) for number in range(5)
    ]
    recorded.batch({"stranger": a_result()}, file="/elsewhere/finbot.yaml")

    asked = ask(recorded.root, file, "--json")
    assert asked.document["batch_id"] == of_one_second[-1]
    other = ask(recorded.root, tmp_path / "other.yaml")
    assert (other.status, other.out) == (4, "")
    assert "no batch of" in other.err
    assert "there is no such file" in other.err


def test_a_newest_batch_whose_manifest_cannot_be_read_is_not_passed_over_for_an_older_one(recorded, tmp_path):
    file = tmp_path / "finbot.yaml"
    recorded.batch({"long": a_result()}, file=str(file))
    recorded.milliseconds += 60_000
    newest = recorded.batch({"long": a_result()}, file=str(file))
    (recorded.registry.batch_folder(newest) / "manifest.json").write_text("{}\n")

    asked = ask(recorded.root, file)

    assert (asked.status, asked.out) == (4, "")
    assert f"the latest batch of {file} is unknown" in asked.err
    assert "see finbot registry verify, or name the batch that is meant by its id" in asked.err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("last", "--run", "lnog"), 4, "did you mean 'long'?"),
        (("nonesuch",), 4, "no batch in"),
        (("last", "--threshold", "nan"), 2, "is no amount"),
        (("last", "--relative=-1"), 2, "is no amount"),
        (("last", "--date", "tomorrow"), 2, "does not match the format"),
    ],
)
def test_a_call_that_is_wrong_is_told_what_was_expected(recorded, core, words, status, said):
    asked = ask(recorded.root, *words)

    assert asked.status == status
    assert said in asked.err
    assert asked.out == ""


def test_where_there_is_no_registry_none_is_made(tmp_path):
    assert ask(tmp_path / "none", "last").status == 4
    assert not (tmp_path / "none").exists()


def test_fills_of_what_the_series_have_not_are_refused_by_name(recorded, core):
    record = recorded.record(core, "long")
    tables = TableReader(recorded.registry.objects).read(record)
    for column, values, said in (
        ("asset", ["APPL", "FUT"], "'APPL', which is no asset of its series; did you mean 'AAPL'"),
        ("session", ["2015-03-02", "2015-03-07"], "fill on 2015-03-07, which is no session"),
        ("session", ["2015-03-04", "2015-03-03"], "not in order of session"),
    ):
        kind = object if column == "asset" else "datetime64[D]"
        fills = {**tables.fills, column: np.array(values, kind)}
        with pytest.raises(RegistryError, match=said):
            engine_result_of(
                recorded.registry.objects, record, 1.0, tables=dataclasses.replace(tables, fills=fills)
            )


# --------------------------------------------------------------------------------- the examples


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Some of the shipped examples, run and recorded as a user does."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("output", ".finbot"))
    chosen = "sixty_forty or whole_shares or long_short_paid_from_cash"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen),
            *("--finbot-batch", "examples/finbot.yaml", "--finbot-registry", str(folder / ".finbot")),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_examples_are_clean_to_a_billionth_and_a_hand_edit_of_one_is_found(examples):
    recorded = Recorded(examples / ".finbot")
    (batch_id,) = recorded.registry.batch_ids()
    asked = ask(recorded.root, examples / "examples" / "finbot.yaml", "--json")
    assert asked.status == 0, asked.out + asked.err
    assert asked.document["counts"]["clean"] == 3
    for run in asked.document["runs"]:
        for identity in run["reconciliation"]["identities"]:
            assert identity["relative"] <= 1e-9

    recorded.edit(batch_id, "whole_shares", "nav", 777, 1.0)
    series = pq.read_table(
        recorded.registry.objects.path_of(recorded.record(batch_id, "whole_shares")["series"])
    )
    edited = str(series.column("session")[777])
    asked = ask(recorded.root, "last")

    assert asked.status == 1
    assert asked.line("whole_shares", "breaks")[-2:] == ["nav_identity", edited]
    assert asked.line("sixty_forty")[1] == "clean"
    assert "whole_shares: its series in the registry are not as they were recorded" in asked.out
