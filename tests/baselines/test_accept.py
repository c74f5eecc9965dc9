"""Accepting a recorded batch: what is new or moved, never what failed, and each change told."""

import dataclasses

import pytest

from pytest_finbot.baselines.accept import accept_batch
from pytest_finbot.baselines.facts import Acceptance
from pytest_finbot.baselines.store import read_baseline
from pytest_finbot.contracts import CheckResult, CheckSpec, ErrorCategory, ErrorInfo, RunStatus, Verdict
from pytest_finbot.errors import BaselineError

WHO = Acceptance("2026-11-21T09:15:02Z", "Ada <ada@example.org>", "new roll dates", "abc")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "baselines" / "small"


def accept(batch, folder, runs=None, who=WHO):
    return [str(change) for change in accept_batch(batch.registry, batch.id, folder, who, runs)]


def files(folder):
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(folder.iterdir())}


def failed(category, message="no\nreally"):
    return {"status": RunStatus.FAILED, "error": ErrorInfo(category, "checks", "Error", message)}


def test_new_runs_are_accepted_whole(book, batch, folder):
    engine = book.engine(sessions=200, seed=1)
    batch.record("held", engine, fingerprint={"config": "c" * 64, "environment": {"numpy": "2.4"}})
    batch.record("large", book.engine())
    batch.record("other", book.engine())
    assert accept(batch, folder) == [
        f"accepted held: new, final NAV {engine.nav[-1]:,.2f}",
        f"accepted large: new, final NAV {book.engine().nav[-1]:,.2f}",
        f"accepted other: new, final NAV {book.engine().nav[-1]:,.2f}",
    ]
    found = read_baseline(folder, "held")
    assert book.compare(book.of(engine), found.result, "exact").verdict is Verdict.IDENTICAL
    assert (found.acceptance, found.batch) == (WHO, "small")
    assert found.fingerprint["config"]["settings"]["params"] == {"fast": 50}
    assert found.result.metrics == book.of(engine).metrics


def test_only_what_is_new_or_moved_is_written(book, batch, another_batch, folder):
    batch.record("held", book.engine(seed=1))
    batch.record("other", book.engine(seed=1))
    accept(batch, folder, ["held", "other"])
    before = files(folder)
    noise = book.engine(seed=1)
    another_batch.record("held", dataclasses.replace(noise, nav=noise.nav * (1 + 1e-12)))
    another_batch.record("other", book.engine(seed=2), **failed(ErrorCategory.REGRESSION))
    another_batch.record("large", book.engine(seed=3))
    told = accept(another_batch, folder, who=dataclasses.replace(WHO, reason="again"))
    assert told[0] == "unchanged held: within; the baseline stays as it is"
    old, new = book.engine(seed=1).nav[-1], book.engine(seed=2).nav[-1]
    assert told[2].startswith(f"accepted other: moved: final NAV {old:,.2f} → {new:,.2f} (")
    assert told[2].endswith("first on 2015-01-02")
    assert told[1].startswith("accepted large: new")
    after = files(folder)
    assert {name: after[name] for name in ("held.json", "held.parquet")} == {
        name: before[name] for name in ("held.json", "held.parquet")
    }
    assert read_baseline(folder, "other").acceptance.reason == "again"
    assert read_baseline(folder, "other").result.nav[-1] == new
    again = accept(another_batch, folder)
    assert [line.partition(":")[0] for line in again] == [
        "unchanged held",
        "unchanged large",
        "unchanged other",
    ]
    assert files(folder) == after


def test_a_move_of_a_metric_alone_is_accepted_and_leaves_the_table(book, batch, another_batch, folder):
    batch.record("held", book.engine())
    accept(batch, folder, ["held"])
    table = files(folder)["held.parquet"]
    another_batch.record("held", book.engine(), metrics={**book().metrics, "sharpe": 2.0})
    assert accept(another_batch, folder, ["held"]) == ["accepted held: moved: metrics.sharpe, NAV unchanged"]
    assert read_baseline(folder, "held").result.metrics["sharpe"] == 2.0
    assert files(folder)["held.parquet"] == table


def test_a_run_is_held_to_its_own_limits_and_informational_moves_are_accepted(
    book, batch, another_batch, folder
):
    batch.record("held", book.engine(), metrics={"cagr": 0.08})
    accept(batch, folder, ["held"])
    lenient = CheckSpec("cross_engine")
    another_batch.checks("held", lenient)
    another_batch.record("held", book.engine(seed=1), metrics={"cagr": 0.085})
    assert accept(another_batch, folder, ["held"]) == ["unchanged held: within; the baseline stays as it is"]
    another_batch.record("held", book.engine(seed=1), metrics={"cagr": 0.2}, attempt=2)
    assert accept(another_batch, folder, ["held"])[0].startswith("accepted held: moved")


def test_what_failed_is_refused_and_the_others_go_on(book, batch, folder):
    batch.record("held", book.engine(), **failed(ErrorCategory.ENGINE, "the books do not add up\ncash"))
    batch.record("large", book.engine(), checks=(CheckResult("determinism", Verdict.MOVED, "no"),))
    batch.record("other", book.engine())
    assert accept(batch, folder) == [
        "refused held: it failed (engine_error: the books do not add up)",
        "refused large: it is not deterministic: two executions gave two results",
        f"accepted other: new, final NAV {book.engine().nav[-1]:,.2f}",
    ]
    assert list(files(folder)) == ["other.json", "other.parquet"]


def test_a_nondeterministic_run_is_refused_also_where_it_moved(book, batch, folder):
    twice = CheckResult("determinism", Verdict.MOVED, "no")
    batch.record("held", book.engine(), checks=(twice,), **failed(ErrorCategory.REGRESSION))
    assert accept(batch, folder, ["held"]) == [
        "refused held: it is not deterministic: two executions gave two results"
    ]
    assert not folder.exists()


def test_a_run_without_a_record_is_refused(book, batch, folder):
    batch.record("held", book.engine())
    assert accept(batch, folder)[1:] == [
        "refused large: it left no record in this batch",
        "refused other: it left no record in this batch",
    ]


def test_a_result_that_cannot_be_read_is_refused_and_the_others_go_on(book, batch, folder):
    batch.record("held", book.engine(sessions=400))
    batch.record("other", book.engine())
    for path in (batch.registry.root / "series").rglob("*.parquet"):
        if path.stat().st_size > 10_000:
            path.unlink()
    told = accept(batch, folder, ["held", "other"])
    assert told[0].startswith("refused held: batch:")
    assert told[1].startswith("accepted other: new")


def test_a_damaged_baseline_is_not_written_over(book, batch, folder):
    batch.record("held", book.engine())
    accept(batch, folder, ["held"])
    (folder / "held.json").write_text("{")
    [told] = accept(batch, folder, ["held"])
    assert told.startswith(f"refused held: baseline {folder / 'held.json'} cannot be read")
    assert (folder / "held.json").read_text() == "{"


def test_an_unknown_run_is_told_with_the_nearest_name_and_nothing_is_written(book, batch, folder):
    batch.record("held", book.engine())
    with pytest.raises(BaselineError) as caught:
        accept(batch, folder, ["held", "othr"])
    assert str(caught.value) == f"batch {batch.id} has no run 'othr'; did you mean 'other'?"
    assert not folder.exists()


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_nothing_is_accepted(book, batch, folder, reason):
    batch.record("held", book.engine())
    with pytest.raises(BaselineError, match="accepting needs a reason"):
        accept(batch, folder, who=dataclasses.replace(WHO, reason=reason))
    assert not folder.exists()


def test_a_run_named_twice_is_accepted_once(book, batch, folder):
    batch.record("held", book.engine())
    assert len(accept(batch, folder, ["held", "held"])) == 1
