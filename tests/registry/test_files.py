"""Batches in a registry of files: created once, listed newest first, written by sharing."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry import open_registry

BATCH = "batch-20261121T091502Z-3f9c1a"


@pytest.fixture
def registry(tmp_path):
    return open_registry(tmp_path / ".finbot")


def create(registry, batch_id=BATCH, **more):
    return registry.create_batch(
        {"batch_id": batch_id, "batch_name": "small", "runs": [{"id": "held"}], **more}
    )


def segments(registry, batch_id=BATCH):
    return sorted(registry.logs_folder(batch_id).parent.glob("*.jsonl"))


def test_a_manifest_comes_back_as_it_was_created(registry):
    assert create(registry, description="ü") == BATCH
    assert registry.manifest(BATCH) == {
        "batch_id": BATCH,
        "batch_name": "small",
        "runs": [{"id": "held"}],
        "description": "ü",
    }
    [path] = registry.root.glob("batches/2026/11/*/*")
    assert path.name == "manifest.json"
    assert json.loads(path.read_text())["v"] == 2
    assert json.loads(path.read_text())["kind"] == "manifest"


def test_the_same_batch_twice_is_refused_and_the_first_is_left_alone(registry):
    create(registry)
    with pytest.raises(RegistryError, match=f"batch {BATCH} exists already"):
        create(registry, batch_name="other")
    assert registry.manifest(BATCH)["batch_name"] == "small"


def test_a_manifest_that_is_not_json_leaves_no_batch(registry):
    with pytest.raises(RegistryError, match=r"runs\[0\].capital is inf"):
        registry.create_batch({"batch_id": BATCH, "runs": [{"capital": float("inf")}]})
    assert list(registry.batch_ids()) == []
    create(registry)


def test_a_manifest_without_an_id_is_refused(registry):
    with pytest.raises(RegistryError, match="no batch_id"):
        registry.create_batch({"batch_name": "small"})
    with pytest.raises(RegistryError, match=r"'\.\./x' is not a batch id"):
        registry.create_batch({"batch_id": "../x"})


def test_a_full_disk_leaves_no_half_batch(registry, monkeypatch):
    def full(_source, _target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(RegistryError, match=r"cannot create the batch in .*No space left on device"):
            create(registry)
    assert list(registry.batch_ids()) == []
    create(registry)


def test_batches_are_listed_newest_first_whatever_else_lies_there(registry):
    ids = [
        "batch-20251231T235959Z-ffffff",
        "batch-20261121T091502Z-3f9c1a",
        "batch-20260101T000000Z-000000",
        "batch-20261121T091503Z-000000",
    ]
    for batch_id in ids:
        create(registry, batch_id)
    (registry.root / "batches" / "notes.txt").write_text("mine")
    (registry.root / "batches" / "2026" / "11" / ".DS_Store").write_text("")
    (registry.root / "batches" / "2026" / "11" / "batch-20261122T000000Z-aaaaaa").mkdir()  # no manifest
    assert list(registry.batch_ids()) == sorted(ids, reverse=True)


def test_a_batch_that_is_not_there_is_told_with_the_nearest(registry):
    with pytest.raises(RegistryError, match="it is empty"):
        registry.manifest(BATCH)
    create(registry)
    for ask in (registry.manifest, registry.fold, lambda batch_id: registry.open_writer(batch_id, "gw0")):
        with pytest.raises(RegistryError, match=f"did you mean '{BATCH}'"):
            ask(BATCH[:-1] + "b")


def test_a_manifest_of_a_newer_version_or_another_batch_is_refused(registry):
    create(registry)
    path = registry.root / "batches" / "2026" / "11" / BATCH / "manifest.json"
    path.write_text('{"v":3,"kind":"manifest"}')
    with pytest.raises(RegistryError, match=r"manifest.json has version 3.*upgrade"):
        registry.manifest(BATCH)
    path.write_text('{"v":1,"kind":"manifest","batch_id":"batch-20261121T091502Z-000000"}')
    with pytest.raises(RegistryError, match="is not the manifest of"):
        registry.manifest(BATCH)
    path.write_text('{"v":1,')
    with pytest.raises(RegistryError, match="is not a manifest"):
        registry.manifest(BATCH)


def test_writers_of_one_name_and_process_share_a_segment_until_the_last_closes(registry):
    create(registry)
    controller, recorder = registry.open_writer(BATCH, "main"), registry.open_writer(BATCH, "main")
    controller.append("begin", {"at": "1", "expected": ["held"], "deselected": 0})
    recorder.append("start", {"name": "held", "attempt": 1, "at": "2"}, sync=False)
    recorder.close()
    recorder.close()
    with pytest.raises(RegistryError, match="is closed"):
        recorder.append("start", {"name": "late"})
    controller.append("end", {"at": "3", "exitstatus": 1})
    controller.close()
    [segment] = segments(registry)
    kinds = [json.loads(line)["kind"] for line in segment.read_text().splitlines()]
    assert kinds == ["begin", "start", "end"]


def test_a_writer_opened_later_has_a_segment_of_its_own(registry):
    create(registry)
    for _ in range(2):
        writer = registry.open_writer(BATCH, "main")
        writer.append("end", {"at": "1", "exitstatus": 0})
        writer.close()
    assert len(segments(registry)) == 2


def test_logs_are_beside_the_records_and_are_not_counted(registry):
    create(registry)
    writer = registry.open_writer(BATCH, "gw0")
    writer.log("phase_start", {"run": "held", "phase": "marks"})
    writer.close()
    assert [path.name for path in registry.logs_folder(BATCH).iterdir()] == ["gw0.jsonl"]
    assert segments(registry) == []
    assert registry.fold(BATCH).status == BatchStatus.PENDING


def test_an_empty_batch_is_discarded_one_with_records_is_not(registry):
    create(registry)
    registry.open_writer(BATCH, "main").close()
    assert registry.discard_empty(BATCH)
    assert list(registry.root.glob("batches/*/*/*")) == []
    create(registry)
    registry.open_writer(BATCH, "main").append("end", {"at": "1", "exitstatus": 0})
    assert not registry.discard_empty(BATCH)
    assert registry.manifest(BATCH)["batch_name"] == "small"


def test_creating_and_folding_loads_neither_pyarrow_nor_pandas(tmp_path):
    code = f"""
import sys
from pytest_finbot.registry import open_registry
registry = open_registry({str(tmp_path)!r})
registry.create_batch({{"batch_id": {BATCH!r}}})
writer = registry.open_writer({BATCH!r}, "main")
writer.append("begin", {{"at": "1", "expected": ["held"], "deselected": 0}})
writer.log("warning", {{}})
writer.close()
assert registry.fold({BATCH!r}).not_run == ("held",)
registry.objects.put_json("0" * 64, {{}})
import pytest_finbot.registry.tables
print([name for name in ("pyarrow", "pandas", "exchange_calendars", "pydantic") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_session_that_goes_on_may_plan_anew(registry):
    batch = create(registry)
    created = registry.manifest(batch)
    plan = registry.plan_anew({"runs": [{"name": "a", "seed": 2**60}]})
    writer = registry.open_writer(batch, "main")
    writer.append("begin", {"at": "2", "expected": ["a"], "deselected": 0, "runs": plan})
    writer.close()
    assert registry.manifest(batch) == {**created, "runs": [{"name": "a", "seed": 2**60}]}


def test_of_several_plans_the_latest_counts(registry):
    batch = create(registry)
    for at in ("3", "2"):
        plan = registry.plan_anew({"description": at})
        writer = registry.open_writer(batch, "main")
        writer.append("begin", {"at": at, "expected": ["a"], "deselected": 0, "runs": plan})
        writer.close()
    assert registry.manifest(batch)["description"] == "3"


def test_a_segment_that_was_removed_meanwhile_is_told(registry):
    writer = registry.open_writer(create(registry), "gw0")
    writer.append("start", {"name": "a", "attempt": 1, "at": "1"})
    shutil.rmtree(registry.root)
    with pytest.raises(RegistryError, match=r"gw0-.*removed meanwhile"):
        writer.append("run", {"name": "a"})


def test_plans_add_up(registry):
    batch = create(registry, source="a.yaml")
    for at, changed in (("2", {"description": "x", "source": "b.yaml"}), ("3", {"description": "y"})):
        plan = registry.plan_anew(changed)
        writer = registry.open_writer(batch, "main")
        writer.append("begin", {"at": at, "expected": ["a"], "deselected": 0, "runs": plan})
        writer.close()
    assert (registry.manifest(batch)["description"], registry.manifest(batch)["source"]) == ("y", "b.yaml")
    assert registry.manifest(batch, at="2")["description"] == "x"
    assert "description" not in registry.manifest(batch, at="1")
