"""Registries into one: whatever the order, and however often it is killed, the same union."""

import itertools
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.upkeep.merge import existing_source, merge
from pytest_finbot.registry.upkeep.verify import verify

IDS = [f"batch-2026112{day}T091502Z-3f9c1a" for day in range(3)]


def table(level):
    return {"session": np.arange(3).astype("datetime64[D]"), "nav": np.full(3, float(level))}


def begin(registry, batch_id, names, manifest=None):
    registry.create_batch({"batch_id": batch_id, "batch_name": "small", **(manifest or {})})
    main = registry.open_writer(batch_id, "main")
    main.append("begin", {"at": "1", "expected": list(names), "deselected": 0})
    main.close()


def run(registry, batch_id, names, writer="gw0"):
    out = registry.open_writer(batch_id, writer)
    for name in names:
        series = registry.objects.put_table(table(sum(map(ord, name))))
        line = {"name": name, "status": "success", "attempt": 1, "finished_at": "2", "series": series}
        out.append("run", line)
        out.log("note", {"about": name})
    out.close()


def files(registry):
    """Every file's bytes but the marker's and the lock's."""
    return {
        path.relative_to(registry.root).as_posix(): path.read_bytes()
        for folder in ("batches", "series")
        for path in (registry.root / folder).rglob("*")
        if path.is_file()
    }


def folds(registry):
    return {
        batch_id: (fold.status, fold.expected, fold.problems, list(fold.records()))
        for batch_id in registry.batch_ids()
        for fold in [registry.fold(batch_id)]
    }


def small(folder, batch_id=IDS[0], names=("a", "b")):
    registry = open_registry(folder, durability="second")
    begin(registry, batch_id, names)
    run(registry, batch_id, names)
    return registry


def copied(registry, folder):
    shutil.copytree(registry.root, folder)
    return open_registry(folder, durability="second")


def test_a_merge_is_the_union_and_a_second_one_does_nothing(tmp_path):
    target, other = small(tmp_path / "target"), small(tmp_path / "other", IDS[1], ("b", "c"))
    before = files(target) | files(other)
    report = merge(target, [other])
    assert (report.batches, report.segments, report.objects, report.logs) == (1, 2, 1, 1)
    assert files(target) == before
    assert folds(target)[IDS[1]] == folds(other)[IDS[1]]
    stamps = {path: path.stat().st_mtime_ns for path in target.root.rglob("*.jsonl")}
    again = merge(target, [other])
    assert not any((again.batches, again.segments, again.grown, again.objects, again.mended, again.logs))
    assert {path: path.stat().st_mtime_ns for path in target.root.rglob("*.jsonl")} == stamps


def test_shards_of_one_batch_come_together(tmp_path):
    registry = open_registry(tmp_path / "one")
    begin(registry, IDS[0], ["a", "b"])
    other = copied(registry, tmp_path / "two")
    run(registry, IDS[0], ["a"])
    run(other, IDS[0], ["b"])
    assert registry.fold(IDS[0]).status is BatchStatus.RUNNING
    merge(registry, [other])
    assert registry.fold(IDS[0]).status is BatchStatus.COMPLETED


def test_a_segment_that_grew_is_taken_over_and_a_longer_one_is_left(tmp_path):
    whole = small(tmp_path / "whole")
    part = copied(whole, tmp_path / "part")
    [path] = part.batch_folder(IDS[0]).glob("gw0-*.jsonl")
    path.write_bytes(path.read_bytes()[:-30])
    merge(whole, [part])
    report = merge(part, [whole])
    assert (report.grown, report.segments, report.batches) == (1, 0, 0)
    assert files(part) == files(whole)
    assert folds(part)[IDS[0]][0] is BatchStatus.COMPLETED


@pytest.mark.parametrize("which", ["manifest.json", "gw0-*.jsonl"])
def test_another_content_of_one_name_is_refused_before_anything_is_copied(tmp_path, which):
    target = small(tmp_path / "target")
    other = copied(target, tmp_path / "other")
    begin(other, IDS[1], ["c"])
    run(other, IDS[1], ["c"])
    [path] = other.batch_folder(IDS[0]).glob(which)
    path.write_bytes(path.read_bytes().replace(b"small", b"large").replace(b'"attempt":1', b'"attempt":3'))
    before = files(target)
    with pytest.raises(
        RegistryError, match=r"nothing was merged: batch .* has (another manifest|other lines)"
    ) as told:
        merge(target, [other])
    assert str(path) in str(told.value)
    assert str(target.batch_folder(IDS[0])) in str(told.value)
    assert files(target) == before
    fresh = open_registry(tmp_path / "fresh")
    with pytest.raises(RegistryError, match="nothing was merged"):
        merge(fresh, [target, other])
    assert files(fresh) == {}


def test_a_manifest_that_goes_on_where_the_other_ends_is_no_growth(tmp_path):
    target = small(tmp_path / "target")
    other = copied(target, tmp_path / "other")
    path = other.batch_folder(IDS[0]) / "manifest.json"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(RegistryError, match="another manifest"):
        merge(target, [other])


def test_what_is_no_registry_or_the_target_itself_is_refused(tmp_path):
    target = small(tmp_path / "target")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(RegistryError, match="is the registry to merge into"):
        merge(target, [existing_source(tmp_path / "link")])
    with pytest.raises(RegistryError, match=r"there is no registry in .*nowhere"):
        existing_source(tmp_path / "nowhere")
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "registry.json").write_text('{"format":"finbot-registry","version":2}')
    with pytest.raises(RegistryError, match="has version 2"):
        existing_source(tmp_path / "newer")


def test_objects_of_other_bytes_are_kept_and_damaged_ones_mended(tmp_path):
    target = small(tmp_path / "target", names=("a", "b", "c"))
    other = copied(target, tmp_path / "other")
    kept, damaged, empty = sorted(target.root.glob("series/*/*.parquet"))
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(kept), kept, compression="none", store_schema=False)
    damaged.write_bytes(b"PAR1 of something else")
    empty.write_bytes(b"")
    before = kept.read_bytes()
    report = merge(target, [other])
    assert (report.mended, report.objects) == (1, 1)
    assert kept.read_bytes() == before
    looked = verify(target)
    assert not [one for one in looked if "object is damaged" in one.message]


def test_a_running_batch_is_merged_as_it_is_and_told(tmp_path):
    other = small(tmp_path / "other")
    held = other.hold(IDS[0])
    target = open_registry(tmp_path / "target")
    report = merge(target, [other])
    assert report.running == (f"{other.root}: {IDS[0]}",)
    assert not (target.batch_folder(IDS[0]) / ".alive").exists()
    held.release()
    run(other, IDS[0], ["c"])
    assert merge(target, [other]).running == ()
    assert files(target) == files(other)


def test_a_batch_that_was_killed_is_over_in_the_copy_too(tmp_path):
    other = open_registry(tmp_path / "other")
    begin(other, IDS[0], ["a", "b"])
    run(other, IDS[0], ["a"])
    other.hold(IDS[0]).release()
    target = open_registry(tmp_path / "target")
    merge(target, [other])
    assert other.fold(IDS[0]).status is target.fold(IDS[0]).status is BatchStatus.PARTIAL


def test_the_files_of_a_batch_at_work_here_are_left_to_its_writers(tmp_path):
    target = small(tmp_path / "target")
    whole = copied(target, tmp_path / "other")
    [path] = target.batch_folder(IDS[0]).glob("gw0-*.jsonl")
    path.write_bytes(path.read_bytes()[:-30])
    held, before = target.hold(IDS[0]), files(target)
    report = merge(target, [whole])
    held.release()
    assert report.running == (f"{target.root}: {IDS[0]}",)
    assert files(target) == before


def test_an_object_that_is_there_already_is_young_again_lest_a_prune_takes_it_before_it_is_named(tmp_path):
    target, other = open_registry(tmp_path / "target"), small(tmp_path / "other", names=("a",))
    path = target.objects.path_of(target.objects.put_table(table(ord("a"))))
    os.utime(path, (0, 0))
    merge(target, [other])
    assert path.stat().st_mtime > 0


def test_logs_that_went_different_ways_keep_every_line(tmp_path):
    one = small(tmp_path / "one")
    two = copied(one, tmp_path / "two")
    run(one, IDS[0], ["x"])
    run(two, IDS[0], ["y"])
    log = one.logs_folder(IDS[0]) / "gw0.jsonl"
    lines = {
        *log.read_bytes().splitlines(),
        *(two.logs_folder(IDS[0]) / "gw0.jsonl").read_bytes().splitlines(),
    }
    merge(one, [two])
    assert sorted(log.read_bytes().splitlines()) == sorted(lines)
    assert len(lines) == 4


shards = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sets(st.sampled_from(IDS), min_size=1),
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=4, deadline=None)
@given(shards=shards, cut=st.integers(0, 60))
def test_the_union_is_the_same_in_any_order(tmp_path_factory, shards, cut):
    """Batches known to all; each registry records something of its own, one has lost its tail."""
    folder = tmp_path_factory.mktemp("orders")
    origin = open_registry(folder / "origin")
    for batch_id in IDS:
        begin(origin, batch_id, "abcd")
        run(origin, batch_id, "ab")
    registries = [copied(origin, folder / name) for name in ("r0", "r1", "r2")]
    for path in registries[0].batch_folder(IDS[0]).glob("gw0-*.jsonl"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    for number, batch_ids, names, spare in shards:
        registries[number].objects.put_table(table(number)) if spare else None
        for batch_id in sorted(batch_ids):
            run(registries[number], batch_id, names, writer="gw1")
    results = []
    for turn, order in enumerate([*itertools.permutations(registries)][::2]):
        target = open_registry(folder / f"all{turn}")
        if turn % 2:
            merge(target, order)
        else:
            for other in order:
                merge(target, [other])
        results.append((files(target), folds(target)))
    assert all(result == results[0] for result in results)
    union = {name for registry in registries for name in files(registry)}
    assert results[0][0].keys() == union
    shutil.rmtree(folder)


KILLED = """
import os, signal, sys
from pathlib import Path
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.upkeep.merge import existing_source, merge
left, replace = int(sys.argv[3]), os.replace
def dying(source, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = dying
merge(open_registry(sys.argv[1]), [existing_source(Path(sys.argv[2]))])
"""


def test_killed_at_any_file_no_reader_sees_a_batch_without_its_objects_and_a_repeat_makes_it_whole(tmp_path):
    other = small(tmp_path / "other")
    merge(other, [small(tmp_path / "more", IDS[1], ("c",))])
    for left in range(0, 40, 3):
        target = open_registry(tmp_path / f"target{left}")
        done = subprocess.run([sys.executable, "-c", KILLED, str(target.root), str(other.root), str(left)])
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        for batch_id in target.batch_ids():
            assert folds(target)[batch_id] == folds(other)[batch_id]
            for record in target.fold(batch_id).records():
                target.objects.get_table(record["series"], verify=True)
        merge(target, [other])
        drafts = [name for name in files(target) if name.endswith(".tmp")]
        assert {name: content for name, content in files(target).items() if name not in drafts} == files(
            other
        )
        assert len(drafts) == 1
        assert folds(target) == folds(other)
    assert done.returncode == 0
    assert left > 9


def test_two_upkeeps_at_once_are_refused(tmp_path):
    target, other = small(tmp_path / "target"), small(tmp_path / "other", IDS[1])
    script = (
        "import sys\nfrom pathlib import Path\nfrom pytest_finbot.registry.upkeep.lock import upkeep_lock\n"
        "with upkeep_lock(Path(sys.argv[1])):\n    print(flush=True)\n    sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(target.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    with pytest.raises(RegistryError, match="another finbot registry prune or merge is at work"):
        merge(target, [other])
    os.kill(process.pid, signal.SIGKILL)  # the lock does not outlive it
    process.communicate()
    assert merge(target, [other]).batches == 1


def broken_line(registry):
    [path] = registry.batch_folder(IDS[0]).glob("gw0-*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"status":"success"', b'"status":"sucCess"', 1))
    return f"{path}:1 cannot be read: it is not as it was written"


def broken_manifest(registry):
    path = registry.batch_folder(IDS[0]) / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"small", b"smalL"))
    return f"{path} cannot be read: it is not as it was written"


def broken_object(registry):
    path = min(registry.root.glob("series/*/*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    return f"object {path} does not hold what it is named by"


@pytest.mark.parametrize("damage", [broken_line, broken_manifest, broken_object])
def test_damage_is_not_spread_unless_it_is_allowed(tmp_path, damage):
    target, other = small(tmp_path / "target", IDS[1]), small(tmp_path / "other", names=("c", "d"))
    said, before = damage(other), files(target)
    advice = f"; verify the source: finbot registry verify --registry {other.root}"
    with pytest.raises(RegistryError) as raised:
        merge(target, [other])
    assert f"nothing was merged: {said}" in str(raised.value)
    assert f"{advice}; or copy it as it is: --allow-damaged" in str(raised.value)
    assert files(target) == before
    report = merge(target, [other], allow_damaged=True)
    [told] = report.damaged
    assert told.startswith(said)
    assert told.endswith(advice)
    assert files(target) == before | files(other)


def test_damage_in_what_is_here_already_or_only_there_does_not_matter(tmp_path):
    target = small(tmp_path / "target")
    other = copied(target, tmp_path / "other")
    broken_object(other)  # whole here
    run(other, IDS[0], ["b"], writer="gw1")
    [path] = other.batch_folder(IDS[0]).glob("gw1-*.jsonl")
    path.write_bytes(path.read_bytes()[:-30])  # a torn tail is no damage
    assert (merge(target, [other]).segments, merge(target, [other]).damaged) == (1, ())


def test_only_the_new_lines_of_a_segment_that_grew_are_looked_at(tmp_path):
    whole = small(tmp_path / "whole")
    [path] = whole.batch_folder(IDS[0]).glob("gw0-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = lines[0].replace(b"success", b"sucCess")
    path.write_bytes(damaged + lines[1])
    part = copied(whole, tmp_path / "part")
    here = part.batch_folder(IDS[0]) / path.name
    here.write_bytes(damaged + lines[1][:50])
    assert merge(part, [whole]).grown == 1
    here.write_bytes(damaged[:50])
    with pytest.raises(RegistryError, match=f"{path.name}:1 cannot be read"):
        merge(part, [whole])
