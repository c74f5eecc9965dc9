"""What may go, goes; what anything refers to, runs, or was just written, stays."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry import BatchRegistry, Experiment, ExperimentRegistry, open_registry
from pytest_finbot.registry.upkeep.prune import prune

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def batch_id(days, number=0):
    """Of a batch that was made so many days ago."""
    return f"batch-{NOW - days * DAY:%Y%m%dT%H%M%S}Z-{number:06x}"


def table(level):
    return {"session": np.arange(3).astype("datetime64[D]"), "nav": np.full(3, float(level))}


@pytest.fixture
def registry(tmp_path):
    return open_registry(tmp_path / ".finbot", durability="second")


def batch(registry, days, levels=(), name="small", over=True, ended=True, number=0, manifest=(), **line):
    """A batch whose runs have series at these levels; all of it written when it was made."""
    identifier = batch_id(days, number)
    registry.create_batch({"batch_id": identifier, "batch_name": name, **dict(manifest)})
    main = registry.open_writer(identifier, "main")
    at = (NOW - days * DAY).isoformat()
    main.append("begin", {"at": at, "expected": [str(level) for level in levels], "deselected": 0})
    for level in levels:
        run = {"name": str(level), "status": "success", "attempt": 1, "finished_at": at}
        main.append("run", {**run, "series": registry.objects.put_table(table(level)), **line})
    if ended:
        main.append("end", {"at": at, "exitstatus": 0})
    main.close()
    if over:
        registry.hold(identifier).release()
    age(registry.batch_folder(identifier), days)
    return identifier


def age(folder, days):
    moment = (NOW - days * DAY).timestamp()
    for path in folder.rglob("*"):
        os.utime(path, (moment, moment))


def objects(registry):
    return {path.stem for path in registry.root.glob("series/*/*.parquet")}


def named(registry):
    """Series that the remaining batches' records refer to."""
    return {
        record["series"]
        for identifier in registry.batch_ids()
        for record in registry.fold(identifier).records()
        if record.get("series")
    }


def snapshot(registry):
    return {path: path.stat().st_mtime_ns for path in registry.root.rglob("*")}


def test_without_apply_nothing_is_touched_and_all_is_said(registry):
    old, young = batch(registry, 100, [1, 2]), batch(registry, 10, [2, 3])
    age(registry.root / "series", 100)
    before = snapshot(registry)
    plan = prune(registry, older_than=90 * DAY, now=NOW)
    assert snapshot(registry) == before
    assert [removal.batch_id for removal in plan.removed] == [old]
    [removal] = plan.removed
    assert removal.bytes == sum(path.stat().st_size for path in registry.batch_folder(old).iterdir())
    assert (plan.objects, plan.applied, dict(plan.not_chosen)) == (1, False, {"not old enough": 1})
    done = prune(registry, older_than=90 * DAY, apply=True, now=NOW)
    assert (done.removed, done.objects, done.object_bytes, done.applied) == (
        plan.removed,
        1,
        plan.object_bytes,
        True,
    )
    assert list(registry.batch_ids()) == [young]
    assert objects(registry) == named(registry)
    assert not registry.batch_folder(old).exists()
    again = prune(registry, older_than=90 * DAY, apply=True, now=NOW)
    assert (again.removed, again.objects, again.leftovers) == ((), 0, ())


def test_each_criterion_has_to_let_a_batch_go(registry):
    ids = [batch(registry, days) for days in (400, 300, 200, 100, 1)]
    other = batch(registry, 350, name="other")

    def gone(**criteria):
        return sorted(removal.batch_id for removal in prune(registry, now=NOW, **criteria).removed)

    assert gone(keep_last=2) == sorted(ids[:3])
    assert gone(keep_last=0) == sorted([*ids, other])
    assert gone(older_than=250 * DAY) == sorted([*ids[:2], other])
    assert gone(older_than=150 * DAY, keep_last=1) == sorted(ids[:3])
    assert gone(older_than=0 * DAY, keep_last=9) == []
    for wrong in ({}, {"keep_last": -1}, {"older_than": -DAY}, {"keep_last": 1, "grace": -DAY}):
        with pytest.raises(RegistryError):
            prune(registry, now=NOW, **wrong)


def test_a_batch_that_was_gone_on_with_lately_is_not_old(registry):
    old = batch(registry, 400)
    out = registry.open_writer(old, "main")
    out.append("begin", {"at": (NOW - DAY).isoformat(), "expected": [], "deselected": 0})
    out.close()
    age(registry.batch_folder(old), 400)
    assert prune(registry, older_than=90 * DAY, now=NOW).removed == ()


def test_a_running_batch_stays_and_no_object_is_removed_under_it(registry):
    batch(registry, 300, [1])
    running = batch(registry, 200, [2])
    age(registry.root / "series", 300)
    held = registry.hold(running)
    done = prune(registry, keep_last=0, apply=True, now=NOW)
    assert list(registry.batch_ids()) == [running]
    assert [(kept.batch_id, kept.why) for kept in done.kept] == [(running, "it is running")]
    assert running in done.not_swept
    assert len(objects(registry)) == 2
    held.release()
    prune(registry, keep_last=0, apply=True, now=NOW)
    assert objects(registry) == set()


def test_a_batch_of_which_nobody_can_tell_counts_as_over_a_week_after_it_was_written(registry):
    unknown = batch(registry, 6, [1], over=False, ended=False)
    age(registry.root / "series", 300)
    plan = prune(registry, keep_last=0, now=NOW)
    assert [kept.batch_id for kept in plan.kept] == [unknown]
    assert "nobody can tell" in plan.kept[0].why
    assert prune(registry, keep_last=0, now=NOW + 2 * DAY).removed != ()


def test_a_batch_made_by_a_script_that_ended_does_not_stop_the_sweep(registry):
    batch(registry, 300, [1])
    batch(registry, 2, [2], over=False)
    age(registry.root / "series", 300)
    assert prune(registry, older_than=90 * DAY, apply=True, now=NOW).not_swept is None
    assert objects(registry) == named(registry)


def test_what_is_to_be_kept_is_kept_with_its_reason(registry):
    old = batch(registry, 300)
    plan = prune(registry, keep_last=0, keep={old: "accepted: baselines/small/equal.json"}, now=NOW)
    assert plan.removed == ()
    assert [str(kept.why) for kept in plan.kept] == ["accepted: baselines/small/equal.json"]


def test_a_batch_that_a_remaining_one_was_compared_with_stays_and_so_on(registry):
    first = batch(registry, 300, [1])
    second = batch(registry, 200, [2], comparison={"source": f"batch:{first}"})
    third = batch(registry, 100, [3], comparison={"source": f"batch:{second}"})
    batch(registry, 250, [4])
    age(registry.root / "series", 300)
    done = prune(registry, keep_last=1, apply=True, now=NOW)
    assert list(registry.batch_ids()) == [third, second, first]
    assert [kept.why for kept in done.kept] == [
        f"batch {third} was compared with it",
        f"batch {second} was compared with it",
    ]
    assert objects(registry) == named(registry)


def test_a_batch_whose_manifest_cannot_be_read_stays(registry):
    old = batch(registry, 300)
    (registry.batch_folder(old) / "manifest.json").write_text("{")
    [kept] = prune(registry, keep_last=0, apply=True, now=NOW).kept
    assert "manifest cannot be read" in kept.why


def test_objects_that_torn_deleted_and_repeated_records_name_stay(registry):
    kept = batch(registry, 1, [1])
    hashes = [registry.objects.put_table(table(level)) for level in (2, 3)]
    out = registry.open_writer(kept, "gw0")
    for attempt, digest in enumerate(hashes, start=2):
        line = {"name": "1", "status": "success", "attempt": attempt, "finished_at": "9", "series": digest}
        out.append("run", line)
    out.append("delete", {"at": "9", "name": "1", "attempt": 3})
    out.close()
    path = out.path
    path.write_bytes(path.read_bytes()[:-10])
    plan = registry.plan_anew({"runs": []})
    out = registry.open_writer(kept, "main")
    out.append("begin", {"at": (NOW - DAY).isoformat(), "expected": ["1"], "runs": plan})
    out.append("end", {"at": (NOW - DAY).isoformat(), "exitstatus": 0})
    out.close()
    age(registry.root / "series", 300)
    before = objects(registry)
    done = prune(registry, older_than=90 * DAY, apply=True, now=NOW)
    assert (done.not_swept, done.objects) == (None, 0)
    assert objects(registry) == before
    assert registry.objects.get_json(plan) == '{"runs":[]}'


def test_young_objects_stay_for_their_record_is_yet_to_come(registry):
    digest = registry.objects.put_table(table(1))
    batch(registry, 300)
    assert prune(registry, keep_last=0).objects == 0
    assert prune(registry, keep_last=0, apply=True).objects == 0
    assert objects(registry) == {digest}
    assert prune(registry, keep_last=0, apply=True, now=datetime.now(UTC) + 2 * DAY).objects == 1
    assert objects(registry) == set()


def test_what_killed_processes_left_is_finished(registry):
    kept = batch(registry, 1, [1])
    batch(registry, 2, [2])
    [mine] = named(registry) & {registry.objects.put_table(table(1))}
    for digest in objects(registry):
        path = registry.objects.path_of(digest)
        path.rename(path.with_name(f".{path.name}.swept"))
    age(registry.root / "series", 300)
    shutil.copytree(registry.batch_folder(kept), registry.batch_folder(kept).parent / ".pruned-x")
    draft = registry.objects.path_of(mine).with_name(".x.1-ab.tmp")
    young = draft.with_name(".y.1-ab.tmp")
    for path in (draft, young):
        path.write_bytes(b"")
    os.utime(draft, (0, 0))
    plan = prune(registry, keep_last=1, now=NOW)
    assert len(plan.leftovers) == 4
    prune(registry, keep_last=1, apply=True, now=NOW)
    assert objects(registry) == {mine} == named(registry)
    assert young.exists()
    assert prune(registry, keep_last=1, now=NOW).leftovers == ()


@settings(max_examples=25, deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 5), max_size=4, unique=True), max_size=6),
    spare=st.sets(st.integers(0, 9), max_size=4),
    keep_last=st.integers(0, 6),
)
def test_no_object_goes_that_a_remaining_record_refers_to(tmp_path_factory, batches, spare, keep_last):
    root = tmp_path_factory.mktemp("random")
    registry = open_registry(root, durability="second")
    ids = [batch(registry, 10 + number, levels) for number, levels in enumerate(batches)]
    for level in spare:
        registry.objects.put_table(table(level))
    age(registry.root / "series", 300)
    prune(registry, keep_last=keep_last, apply=True, now=NOW)
    assert list(registry.batch_ids()) == ids[:keep_last]
    assert objects(registry) == named(registry)
    shutil.rmtree(root)


KILLED = """
import os, shutil, signal, sys
from datetime import datetime
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.upkeep.prune import prune
left = int(sys.argv[3])
def dying(name):
    real = getattr(os, name)
    def call(*args, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **named)
    setattr(os, name, call)
for name in ("rename", "unlink", "rmdir"):
    dying(name)
prune(open_registry(sys.argv[1]), keep_last=1, apply=True, now=datetime.fromisoformat(sys.argv[2]))
"""


def test_killed_at_any_step_what_remains_is_whole_and_a_repeat_finishes(registry, tmp_path):
    kept = batch(registry, 1, [1, 2])
    batch(registry, 10, [2, 3])
    batch(registry, 11, [4])
    age(registry.root / "series", 300)
    for left in range(0, 40, 2):
        root = tmp_path / f"turn{left}"
        shutil.copytree(registry.root, root)
        turn = open_registry(root, durability="second")
        words = [sys.executable, "-c", KILLED, str(root), NOW.isoformat(), str(left)]
        done = subprocess.run(words, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        for identifier in turn.batch_ids():
            assert turn.fold(identifier).problems == ()
        assert named(turn) <= objects(turn)
        prune(turn, keep_last=1, apply=True, now=NOW)
        assert list(turn.batch_ids()) == [kept]
        assert objects(turn) == named(turn)
        assert not [path for path in root.rglob(".*") if path.name not in (".alive", ".finbot-prune.lock")]
    assert done.returncode == 0
    assert left > 8


def test_a_session_that_takes_a_batch_up_meanwhile_keeps_it(registry, monkeypatch):
    old = batch(registry, 300)
    script = (
        "import sys\nfrom pytest_finbot.registry import open_registry\n"
        "held = open_registry(sys.argv[1]).hold(sys.argv[2])\nprint(flush=True)\nsys.stdin.read()"
    )
    from pytest_finbot.registry.upkeep import prune as module

    sessions = []
    real = module._Pruning.apply

    def taken_up_first(pruning, plan):
        words = [sys.executable, "-c", script, str(registry.root), old]
        sessions.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        sessions[0].stdout.readline()
        return real(pruning, plan)

    monkeypatch.setattr(module._Pruning, "apply", taken_up_first)
    done = prune(registry, keep_last=0, apply=True, now=NOW)
    sessions[0].communicate()
    assert (done.removed, [kept.why for kept in done.kept]) == ((), ["it is running"])
    assert list(registry.batch_ids()) == [old]


def test_what_a_remaining_batch_names_as_its_baseline_stays_though_nothing_moved(registry):
    first = batch(registry, 300, [1], manifest={"baseline_batch": None})
    second = batch(registry, 200, [2], manifest={"baseline_batch": first})
    third = batch(registry, 100, [3], manifest={"baseline_batch": second})
    batch(registry, 250, [4])
    age(registry.root / "series", 300)
    done = prune(registry, keep_last=1, apply=True, now=NOW)
    assert list(registry.batch_ids()) == [third, second, first]
    assert [kept.why for kept in done.kept] == [
        f"batch {third} was compared with it",
        f"batch {second} was compared with it",
    ]
    assert objects(registry) == named(registry)


def test_the_baseline_of_a_batch_that_runs_stays(registry):
    first = batch(registry, 300, [1])
    running = batch(registry, 200, manifest={"baseline_batch": first})
    held = registry.hold(running)
    done = prune(registry, keep_last=0, apply=True, now=NOW)
    assert [(kept.batch_id, kept.why) for kept in done.kept] == [
        (running, "it is running"),
        (first, f"batch {running} was compared with it"),
    ]
    held.release()
    assert len(prune(registry, keep_last=0, apply=True, now=NOW).removed) == 2


def test_the_baseline_of_a_later_plan_stays(registry):
    first, again = batch(registry, 300, [1]), batch(registry, 200)
    later = registry.open_writer(again, "main")
    at = (NOW - 200 * DAY).isoformat()
    plan = registry.plan_anew({"baseline_batch": first, "runs": []})
    later.append("begin", {"at": at, "expected": [], "deselected": 0, "runs": plan})
    later.append("end", {"at": at, "exitstatus": 0})
    later.close()
    age(registry.batch_folder(again), 200)
    done = prune(registry, keep_last=1, now=NOW)
    assert [kept.batch_id for kept in done.kept] == [first]


def test_a_baseline_that_a_session_names_after_the_plan_was_made_stays(registry, monkeypatch):
    first = batch(registry, 300, [1])
    from pytest_finbot.registry.upkeep import prune as module

    finish = module._Pruning.apply

    def later(pruning, plan):
        assert [removal.batch_id for removal in plan.removed] == [first]
        batch(registry, 0, manifest={"baseline_batch": first}, number=9)
        return finish(pruning, plan)

    monkeypatch.setattr(module._Pruning, "apply", later)
    assert prune(registry, keep_last=0, apply=True, now=NOW).removed == ()
    assert first in registry.batch_ids()


def test_a_script_that_ended_or_was_cancelled_is_over_at_once_and_its_objects_go(
    registry, monkeypatch, tmp_path
):
    monkeypatch.setenv("FINBOT_CACHE_DIR", str(tmp_path / "cache"))
    later = datetime.now(UTC) + 2 * DAY
    with BatchRegistry(registry.root) as batches, ExperimentRegistry(registry.root) as experiments:
        running = batches.create_batch("running", ["a"])
        over = [batches.create_batch("over", ["a"]), batches.create_batch("cancelled", ["a"])]
        assert batches.complete_batch(over[0]) == "partial"
        batches.update_status(over[1], "cancelled")
        saved = experiments.save(Experiment(name="x", series={"nav": [1.0, 2.0]}))
        plan = prune(registry, keep_last=0, now=later)
        assert {one.batch_id for one in plan.removed} == {*over, saved.partition("/")[0]}
        assert [one.batch_id for one in plan.kept] == [running]
        assert running in plan.not_swept
        batches.complete_batch(running)
    done = prune(registry, keep_last=0, apply=True, now=later)
    assert (len(done.removed), done.objects, done.not_swept) == (4, 1, None)
    assert objects(registry) == set()
