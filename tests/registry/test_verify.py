"""Is a registry whole: each thing is broken once, and told with its file and line."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import RunRecord, RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.cut_lines import is_cut_off
from pytest_finbot.registry.records import record_to_json, seal
from pytest_finbot.registry.small_tables import keep_table
from pytest_finbot.registry.strict_json import decode
from pytest_finbot.registry.upkeep.verify import verify

BATCH = "batch-20261121T091502Z-3f9c1a"
MODULES = {"strategies.momentum": "ab"}


def table(sessions, level=1.0):
    return {"session": np.arange(sessions).astype("datetime64[D]"), "nav": np.full(sessions, level)}


def record(registry, name, level=1.0, batch_id=BATCH):
    """A run whose series lie in the record, its marks and code as objects."""
    small = {}
    series = keep_table(registry.objects, "series", table(5, level), small)
    code = sha256_of_json(MODULES)
    registry.objects.put_json(code, MODULES)
    return record_to_json(
        RunRecord(
            run_id=f"{batch_id}/{name}",
            batch_id=batch_id,
            name=name,
            status=RunStatus.SUCCESS,
            attempt=1,
            started_at="2026-11-21T09:15:03.000+00:00",
            finished_at="2026-11-21T09:15:04.000+00:00",
            seconds=1.0,
            worker="gw0",
            fingerprint={"config": "c" * 64, "code": {"hash": code}},
            series=series,
            marks=registry.objects.put_table(table(600)),
            tables=small,
        )
    )


@pytest.fixture
def registry(tmp_path):
    registry = open_registry(tmp_path / ".finbot")
    registry.create_batch({"batch_id": BATCH, "batch_name": "small"})
    main, gw0 = registry.open_writer(BATCH, "main"), registry.open_writer(BATCH, "gw0")
    main.append("begin", {"at": "2026-11-21T09:15:02", "expected": ["a", "b"], "deselected": 0})
    for name in ("a", "b"):
        gw0.append("start", {"name": name, "attempt": 1, "at": "1"})
        gw0.append("run", record(registry, name))
    gw0.log("note", {"about": "logs are for people"})
    main.append("end", {"at": "2026-11-21T09:16:02", "exitstatus": 0})
    main.close()
    gw0.close()
    return registry


def segment(registry, writer="gw0"):
    [path] = registry.batch_folder(BATCH).glob(f"{writer}-*.jsonl")
    return path


def resealed(raw, change=lambda value: value):
    """A line or manifest with other values, as its writer would have written them."""
    value = change(decode(raw))
    kind = value.pop("kind")
    value.pop("v")
    value.pop("crc")
    return seal(kind, value, "it")


def newer(raw, version):
    return raw[: raw.rindex(b',"crc"')].replace(b'"v":2', b'"v":%d' % version) + b"}\n"


def told(registry, level):
    return [str(finding) for finding in verify(registry) if finding.level == level]


def test_a_whole_registry_is_clean_and_counted(registry):
    looked = verify(registry)
    assert list(looked) == []
    assert (looked.batches, looked.records, looked.objects, looked.faults) == (1, 2, 2, 0)


def test_looking_changes_nothing(registry):
    before = {path: path.stat().st_mtime_ns for path in registry.root.rglob("*")}
    list(verify(registry))
    assert {path: path.stat().st_mtime_ns for path in registry.root.rglob("*")} == before


@pytest.mark.parametrize("suffix", ["parquet", "json"])
def test_a_missing_object_is_told_once_with_the_first_line_that_names_it(registry, suffix):
    [path] = registry.root.glob(f"series/*/*.{suffix}")
    path.unlink()
    [fault] = told(registry, "fault")
    assert f"{segment(registry).relative_to(registry.root)}:2: object series/" in fault
    assert "is missing" in fault
    assert "of run a" in fault
    assert "1 other lines name it" in fault


def test_no_byte_of_an_object_can_change_its_values_unnoticed(registry):
    [path] = registry.root.glob("series/*/*.parquet")
    whole = path.read_bytes()
    found = registry.objects.get_table(path.stem)
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        faults = told(registry, "fault")
        if faults:
            assert faults[0].startswith(f"fault: {path.relative_to(registry.root)}: the object is damaged")
        else:  # of metadata nobody reads: the values are what they were
            now = registry.objects.get_table(path.stem)
            assert all(np.array_equal(found[name], now[name]) for name in found)


def test_an_object_with_other_values_and_an_empty_one_are_told(registry):
    [code] = registry.root.glob("series/*/*.json")
    code.write_text('{"strategies.momentum":"cd"}\n')
    [marks] = registry.root.glob("series/*/*.parquet")
    marks.write_bytes(b"")
    faults = told(registry, "fault")
    assert len(faults) == 2
    assert any(f"{code.name}: the object is damaged: does not hold the values" in fault for fault in faults)
    assert any(f"{marks.name}: the object is damaged: cannot be read" in fault for fault in faults)


def test_a_small_table_that_is_not_its_hash_is_told_with_its_line(registry):
    path = segment(registry)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = resealed(lines[1].replace(b'"nav":[1.0,1.0', b'"nav":[1.0,1.5', 1))
    path.write_bytes(b"".join(lines))
    [fault] = told(registry, "fault")
    assert f"{path.name}:2: the series in the record of run a are damaged" in fault


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"series": {"nav": "x"}}, "damaged"),
        ({"series": 5}, "damaged"),
        ({"series": {"nav": [[1]]}}, "damaged"),
    ],
)
def test_tables_of_another_shape_are_a_fault_and_no_failure(registry, tables, said):
    other = registry.open_writer(BATCH, "gw1")
    other.append("run", {**record(registry, "a"), "attempt": 2, "tables": tables})
    other.close()
    [fault] = told(registry, "fault")
    assert said in fault


def test_a_cut_last_line_is_a_note_and_none_while_somebody_is_at_work(registry):
    path = segment(registry)
    path.write_bytes(path.read_bytes()[:-40])
    assert told(registry, "fault") == []
    [note] = told(registry, "note")
    assert f"{path.name}:4: the last line was cut off after" in note
    held = registry.hold(BATCH)
    script = (
        "import sys; from pytest_finbot.registry import open_registry\n"
        "from pytest_finbot.registry.upkeep.verify import verify\n"
        "print(*verify(open_registry(sys.argv[1])), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(registry.root)], capture_output=True, text=True, check=True
    )
    held.release()
    assert done.stdout.strip() == ""


def test_a_line_cut_by_a_failed_write_is_a_note_a_damaged_one_a_fault(registry):
    path = segment(registry)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], lines[3][:200] + b"\n", lines[3]]))
    assert told(registry, "fault") == []
    assert [note for note in told(registry, "note") if f"{path.name}:4: the line was cut off" in note]
    path.write_bytes(b"".join([*lines[:3], lines[3].replace(b'"attempt":1', b'"attempt"\x01 1'), *lines[3:]]))
    [fault] = told(registry, "fault")
    assert f"{path.name}:4: the line cannot be read and is not counted" in fault


def test_a_newer_line_and_a_newer_manifest_are_told_and_hide_no_others(registry):
    path = segment(registry)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([newer(lines[0], 3), lines[1], b"nonsense\n", *lines[2:]]))
    manifest = registry.batch_folder(BATCH) / "manifest.json"
    manifest.write_bytes(newer(manifest.read_bytes(), 7))
    faults = told(registry, "fault")
    assert len(faults) == 3
    assert "manifest.json: the manifest cannot be read: it has version 7" in faults[0]
    assert f"{path.name}:1: the line cannot be read: it has version 3" in faults[1]
    assert f"{path.name}:3: the line cannot be read and is not counted" in faults[2]


def test_what_cannot_be_used_or_was_not_expected_is_told(registry):
    other = registry.open_writer(BATCH, "gw1")
    other.append("run", record(registry, "stranger"))
    other.append("start", {"name": "a"})
    other.append("run", {"name": "b", "status": "success", "attempt": 1, "finished_at": "2"})
    other.append("begin", {"at": "0", "expected": [], "deselected": 0, "runs": "d" * 64})
    other.append("run", {**record(registry, "a"), "marks": "no hash"})
    other.close()
    name = other.path.name
    faults = told(registry, "fault")
    for said in (
        f"{name}:2: the start line cannot be used",
        f"{name}:3: record of run 'b' cannot be read",
        f"{name}:4: object series/dd/{'d' * 64}.json is missing: it holds the session's plan",
        f"{name}:5: the marks of run a: 'no hash' cannot name an object",
        f"{name}: run 'stranger' is recorded but was not expected",
    ):
        assert [fault for fault in faults if said in fault], (said, faults)
    assert len(faults) == 5, faults


def test_batches_that_nobody_would_find_are_faults(registry):
    folder = registry.batch_folder(BATCH)
    manifest = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").unlink()
    [fault] = told(registry, "fault")
    assert "there is no manifest.json" in fault
    (folder / "manifest.json").write_bytes(manifest)
    (folder.parents[1] / "12").mkdir()
    folder.rename(folder.parents[1] / "12" / BATCH)
    [fault] = told(registry, "fault")
    assert "in the folder of another month" in fault


def test_what_killed_processes_left_and_others_put_there_are_notes(registry):
    folder = registry.batch_folder(BATCH)
    [marks] = registry.root.glob("series/*/*.parquet")
    young, old = marks.with_name(".x.1-ab.tmp"), marks.with_name(".y.1-ab.tmp")
    for path in (
        young,
        old,
        folder / ".main.jsonl.1-ab.tmp",
        folder / "notes.txt",
        marks.with_name("z.parquet"),
    ):
        path.write_bytes(b"")
    for path in (old, folder / ".main.jsonl.1-ab.tmp"):
        os.utime(path, (0, 0))
    (folder.parent / f".pruned-{BATCH}").mkdir()
    (folder.parent / "batch-20261121T091503Z-000000").mkdir()
    registry.objects.put_table(table(700))
    looked = verify(registry)
    findings = [str(finding) for finding in looked]
    assert looked.faults == 0
    for said in (
        ".y.1-ab.tmp: a draft",
        ".main.jsonl.1-ab.tmp: a draft",
        "notes.txt: it is none of the registry's files",
        "z.parquet: it is none of the registry's files",
        f".pruned-{BATCH}: left by a prune",
        "batch-20261121T091503Z-000000: an empty folder",
        f"series: 1 objects ({looked.unreferenced_bytes:,} bytes) that no record refers to",
    ):
        assert [finding for finding in findings if said in finding], (said, findings)
    assert len(findings) == looked.notes == 7


def test_after_a_kill_in_the_midst_of_recording_the_registry_is_clean(tmp_path):
    registry = open_registry(tmp_path / ".finbot")
    registry.create_batch({"batch_id": BATCH})
    main = registry.open_writer(BATCH, "main")
    main.append("begin", {"at": "1", "expected": ["a"], "deselected": 0})
    main.close()
    line = json.dumps({**record(registry, "a"), "tables": {}, "series": None})
    script = (
        "import json, sys, time\nfrom pytest_finbot.registry import open_registry\n"
        "out = open_registry(sys.argv[1]).open_writer(sys.argv[2], 'gw0')\n"
        "record = json.loads(sys.argv[3])\nprint(flush=True)\n"
        "while True: out.append('run', record); time.sleep(0.002)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(registry.root), BATCH, line], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    segments = registry.batch_folder(BATCH)
    while not any(
        b'"run_id"' in path.read_bytes().rpartition(b"\n")[0] for path in segments.glob("gw0-*.jsonl")
    ):
        time.sleep(0.001)
    assert [finding for finding in verify(registry) if finding.level == "fault"] == []  # while it goes on
    process.send_signal(signal.SIGKILL)
    process.communicate()
    looked = verify(registry)
    assert [finding for finding in looked if finding.level == "fault"] == []
    assert looked.records > 0


def test_a_folder_that_is_no_registry_is_refused(tmp_path):
    (tmp_path / "registry.json").write_text('{"format":"finbot-registry","version":9}')
    with pytest.raises(RegistryError, match="has version 9"):
        open_registry(tmp_path)


# ------------------------------------------------------------------------------- cut lines

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.text(), json_values, max_size=4), st.booleans(), st.data())
def test_every_beginning_of_a_record_is_told_from_damage(value, escaped, data):
    raw = json.dumps({"v": 1, "kind": "run", **value}, ensure_ascii=escaped, separators=(",", ":"))
    line = raw.encode("utf-8", "backslashreplace")
    cut = line[: data.draw(st.integers(2, len(line) - 1))]
    # One that ends in a brace may have lost a quotation mark instead; it is not excused.
    assert is_cut_off(cut + b"\n") or cut.endswith(b"}")
    assert not is_cut_off(line + b"\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"{",
        b'{"v":1]',
        b'{"v":1}}',
        b'{"v":1x',
        b'{"v":1,"kind":"a}',
        b"\xff{",
        b"\x00\x00",
        b"[1,2",
    ],
)
def test_damage_is_not_excused(raw):
    with pytest.raises(ValueError):
        decode(raw)
    assert is_cut_off(raw + b"\n") == (raw == b"{")


def test_a_symlink_is_one_note_and_is_not_followed(registry, tmp_path):
    folder = registry.batch_folder(BATCH)
    named_like_a_batch = folder.with_name("batch-20261121T091503Z-000000")
    [marks] = registry.root.glob("series/*/*.parquet")
    links = {
        named_like_a_batch: folder,
        folder / "gw9-00000000.jsonl": segment(registry),
        registry.root / "batches" / "2027": registry.root / "batches" / "2026",
        registry.root / "batches" / "2026" / "12": folder.parent,
        registry.root / "series" / "zz": marks.parent,
        marks.with_name(f"{marks.name[:2]}{'0' * 62}.parquet"): marks,
        folder / "round": folder,
    }
    for link, target in links.items():
        link.symlink_to(target)
    looked = verify(registry)
    findings = [finding for finding in looked if "a symlink" in finding.message]
    assert sorted(finding.file for finding in findings) == sorted(
        path.relative_to(registry.root).as_posix() for path in links
    )
    assert {finding.level for finding in findings} == {"note"}
    assert (looked.batches, looked.records, looked.faults) == (1, 2, 0)
    [said] = [finding.message for finding in findings if finding.file.endswith(named_like_a_batch.name)]
    assert said == f"a symlink named like a batch, to {folder}; what it leads to is not looked at"


@pytest.mark.parametrize(
    ("created_at", "said"),
    [
        ("noon", "created_at is 'noon', which is no time"),
        (5, "created_at is 5, which is no time"),
        ("2026-11-23T00:00:00+00:00", "but the batch's id says 2026-11-21T09:15:02+00:00"),
        ("2026-11-20T00:00:00", "but the batch's id says"),
        ("2026-11-22T09:15:02.000+00:00", None),
        ("2026-11-21T23:15:02+14:00", None),
    ],
)
def test_a_batch_was_created_when_its_id_says(registry, created_at, said):
    path = registry.batch_folder(BATCH) / "manifest.json"
    path.write_bytes(resealed(path.read_bytes(), lambda value: {**value, "created_at": created_at}))
    faults = told(registry, "fault")
    assert len(faults) == (said is not None)
    assert all(said in fault and "manifest.json" in fault for fault in faults)


def test_a_record_without_metrics_is_a_fault(registry):
    other = registry.open_writer(BATCH, "gw1")
    line = {**record(registry, "a"), "attempt": 2}
    del line["metrics"]
    other.append("run", line)
    other.close()
    [fault] = told(registry, "fault")
    assert f"{other.path.name}:1: the record of run a has no metrics" in fault
