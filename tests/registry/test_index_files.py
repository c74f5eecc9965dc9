"""An index follows the files, outlives what is wrong with them, and what becomes of itself."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.index import Index
from pytest_finbot.registry.index.place import cache_folder, index_path
from pytest_finbot.registry.queries import RunFilter
from pytest_finbot.registry.records import seal

OLD, NEW, NEWEST = (f"batch-2026{month}21T091502Z-00000{month[1]}" for month in ("02", "03", "04"))
VERSIONS = {"python": "3.11.7", "numpy": "2.4.6"}


def digest(letter):
    return letter * 64


@pytest.fixture
def registry(recorder_in, tmp_path):
    return recorder_in(tmp_path / ".finbot")


@pytest.fixture
def reads(monkeypatch):
    """Ids of the batches that a refresh reads."""
    from pytest_finbot.registry.index import rows

    found = []
    read = rows.read_batch

    def reading(files, folder):
        found.append(folder.name)
        return read(files, folder)

    monkeypatch.setattr(rows, "read_batch", reading)
    return found


def names(rows):
    return [row.name for row in rows]


def rewrite(path, old, new):
    """Change what lines say, and their checksums with it; how many characters it has then."""
    lines = []
    for line in path.read_text().splitlines():
        value = json.loads(line.replace(old, new))
        kind = value["kind"]
        lines.append(seal(kind, {k: v for k, v in value.items() if k not in ("v", "kind", "crc")}, "it"))
    path.write_bytes(b"".join(lines))
    return len(path.read_text())


# ------------------------------------------------------------------------------- refresh


def test_only_what_grew_is_read_again(registry, reads):
    registry.whole(OLD, "a")
    registry.begin(NEW, "a", "b")
    registry.run(NEW, "a")
    with registry.index() as index:
        assert sorted(reads) == [OLD, NEW]
        reads.clear()
        index.refresh()
        assert reads == []
        registry.run(NEW, "b")
        assert index.count_runs() == 2  # an answer is as new as the last refresh
        index.refresh()
        assert (reads, index.count_runs()) == ([NEW], 3)
        reads.clear()
    with registry.index() as index:
        assert (reads, index.count_runs()) == ([], 3)


def test_new_and_deleted_batches_come_and_go(registry):
    registry.whole(OLD, "a")
    with registry.index() as index:
        registry.whole(NEW, "a", "b")
        index.refresh()
        assert [row.batch_id for row in index.batches()] == [NEW, OLD]
        shutil.rmtree(registry.folder(OLD))
        index.refresh()
        assert [row.batch_id for row in index.batches()] == [NEW]
        assert {row.batch_id for row in index.runs()} == {NEW}
        shutil.rmtree(registry.folder(NEW))
        index.refresh()
        assert (index.batches(), index.runs()) == ([], [])


def test_a_changed_segment_is_read_again_though_its_size_is_the_same(registry):
    registry.whole(OLD, "a", "b")
    settle(registry)
    with registry.index() as index:
        (segment,) = list(registry.folder(OLD).glob("gw0-*.jsonl"))[:1]
        text = segment.read_text()
        assert '"seconds":2.0' in text
        assert rewrite(segment, '"seconds":2.0', '"seconds":9.0') == len(text)
        index.refresh()
        assert index.batches()[0].run_seconds == 11.0


def test_a_segment_that_joins_or_leaves_a_settled_batch_is_noticed(registry):
    registry.begin(OLD, "a")
    registry.end(OLD)
    settle(registry)
    with registry.index() as index:
        assert index.count_runs() == 0
        registry.run(OLD, "a")
        index.refresh()
        assert index.count_runs() == 1
        for segment in registry.folder(OLD).glob("gw0-*.jsonl"):
            segment.unlink()
        index.refresh()
        assert index.count_runs() == 0


def settle(registry):
    """Make the batches old enough for their folders' times to be trusted."""
    for folder in registry.files.root.glob("batches/*/*/batch-*"):
        os.utime(folder, (1e9, 1e9))


def test_a_folder_that_just_changed_is_looked_into_though_its_time_says_nothing(registry):
    registry.begin(OLD, "a")
    with registry.index() as index:
        folder = registry.folder(OLD)
        before = os.stat(folder)
        registry.run(OLD, "a")
        os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))  # the same tick of the clock
        index.refresh()
        assert index.count_runs() == 1


# ------------------------------------------------------------------------------ problems


def test_a_malformed_manifest_hides_nothing(registry):
    registry.whole(OLD, "a")
    registry.whole(NEW, "a")
    (registry.folder(OLD) / "manifest.json").write_text("{nonsense")
    with registry.index() as index:
        new, old = index.batches()
        assert (old.batch_id, old.name, old.status, old.success) == (OLD, "", BatchStatus.COMPLETED, 1)
        assert old.created_at == "2026-02-21T09:15:02.000+00:00"
        assert (new.name, new.problems) == ("core", ())
        assert index.problems() == old.problems
        assert len(old.problems) == index.statistics().problems == 1
        assert f"{OLD}/manifest.json" in old.problems[0].replace("\\", "/")
        (registry.folder(OLD) / "manifest.json").unlink()
        index.refresh()
        assert [row.batch_id for row in index.batches()] == [NEW, OLD]
        assert f"{OLD}/manifest.json" in index.problems()[0]


def test_a_malformed_line_is_told_by_file_and_line(registry):
    registry.begin(OLD, "a")
    (main,) = registry.folder(OLD).glob("main-*.jsonl")
    with main.open("a") as file:
        file.write('{"v":1,"kind":"run","name":"a","status":"won"}\nnonsense\n')
    registry.run(OLD, "a")
    with registry.index() as index:
        assert index.count_runs() == 1
        told = index.problems()
        assert [problem.partition(": ")[0] for problem in told] == [
            f"{OLD}/{main.name}:2",
            f"{OLD}/{main.name}:3",
        ]


def test_a_batch_with_a_line_of_a_newer_version_is_listed_with_it(registry):
    registry.whole(OLD, "a")
    registry.whole(NEW, "a")
    (registry.folder(NEW) / "gw9-00000000.jsonl").write_text('{"v":99,"kind":"run"}\n')
    with registry.index() as index:
        new, old = index.batches()
        # The line that is not understood may be of a failure.
        assert (new.batch_id, new.status, new.success) == (NEW, BatchStatus.PARTIAL, 1)
        assert (old.batch_id, old.status, old.problems) == (OLD, BatchStatus.COMPLETED, ())
        (problem,) = index.problems()
        assert f"{NEW}/gw9-00000000.jsonl:1 has version 99" in problem
        assert "upgrade pytest-finbot" in problem


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_folder_that_cannot_be_looked_into_hides_no_other(registry):
    registry.whole(OLD, "a")
    registry.whole(NEW, "a")
    with registry.index() as index:
        month = registry.folder(OLD).parent
        month.rename(month.with_name("aside"))
        month.symlink_to(month)  # a loop, which not even root can look into
        index.refresh()
        assert str(month) in index.problems()[0]
        assert index.count_batches() == 2
        month.unlink()
        index.refresh()
        assert (index.problems(), index.count_batches()) == ((), 1)
        batch = registry.folder(NEW)
        batch.rename(batch.with_name("aside"))
        batch.symlink_to(batch)
        index.refresh()
        (row,) = index.batches()
        assert (row.batch_id, row.recorded) == (NEW, 0)
        assert any("cannot read the batch in" in problem for problem in index.problems())


def test_records_of_odd_shapes_are_told_as_far_as_they_go(registry):
    registry.begin(OLD, "a", created_at="yesterday", provenance=["x"])
    registry.run(
        OLD,
        "a",
        fingerprint=[1],
        metrics=7,
        tags="core",
        series=5,
        seconds="long",
        started_at=None,
        engine=None,
        verdict=None,
        strategy="\udc80",
        run_id=3,
    )
    with registry.index() as index:
        (row,) = index.runs()
        assert (row.tags, row.series, row.seconds, row.started_at, row.strategy) == (
            (),
            None,
            0.0,
            "",
            "\\udc80",
        )
        assert "created_at is 'yesterday'" in index.problems()[0]
        assert names(index.runs(RunFilter(strategy="\udc80"))) == ["a"]


# -------------------------------------------------------------------------------- its file


def test_it_is_kept_in_the_users_cache_and_never_in_the_registry(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("FINBOT_CACHE_DIR", str(tmp_path / "cache"))
    registry.whole(OLD, "a")
    with Index.of(registry.files) as index:
        assert index.where == str(index_path(registry.files.root))
        assert index.where.startswith(str(tmp_path / "cache" / "finbot"))
        assert len(os.path.basename(os.path.dirname(index.where))) == 16
    assert not list(registry.files.root.rglob("*sqlite*"))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="other systems have other folders")
def test_the_cache_folder_is_the_systems(monkeypatch, tmp_path):
    monkeypatch.delenv("FINBOT_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache"


def test_two_paths_to_one_registry_share_an_index_and_two_registries_do_not(registry, tmp_path):
    (tmp_path / "link").symlink_to(registry.files.root)
    assert index_path(tmp_path / "link") == index_path(registry.files.root)
    assert index_path(tmp_path / "other") != index_path(registry.files.root)


def test_without_a_place_for_its_file_it_is_made_in_memory(registry, tmp_path):
    registry.whole(OLD, "a")
    (tmp_path / "file").write_text("no folder")
    for path in (tmp_path / "file" / "index.sqlite", tmp_path):  # below a file; a folder
        with Index.of(registry.files, path) as index:
            assert index.where.startswith("in memory: ")
            assert names(index.runs()) == ["a"]
            registry.run(OLD, "a", attempt=path == tmp_path or 2)
            index.refresh()
            assert index.count_runs() == 1


def ruin(path, how):
    if how == "garbage":
        path.write_bytes(os.urandom(path.stat().st_size))
    elif how == "text":
        path.write_text("this is no database\n" * 200)
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "cut to a few bytes":
        path.write_bytes(path.read_bytes()[:100])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "pages overwritten":
        raw = bytearray(path.read_bytes())
        raw[4096:] = b"\xa5" * (len(raw) - 4096)
        path.write_bytes(raw)
    elif how == "another version":
        with sqlite3.connect(path) as other:
            other.execute("UPDATE runs SET seconds = 99")
            other.execute("PRAGMA user_version = 999")
        other.close()
    elif how == "somebody else's tables":
        path.unlink()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE runs (x)")
            other.execute("CREATE VIEW batches AS SELECT * FROM runs")
            other.execute("CREATE INDEX runs_by_time ON runs (x)")
        other.close()
    elif how == "a table is missing":
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE runs")
        other.close()
    else:
        path.unlink()


RUINS = (
    "garbage",
    "text",
    "truncated",
    "cut to a few bytes",
    "empty",
    "pages overwritten",
    "another version",
    "somebody else's tables",
    "a table is missing",
    "removed",
)


@pytest.mark.parametrize("how", RUINS)
def test_a_broken_index_is_made_anew(registry, how):
    registry.whole(OLD, *(f"run_{number}" for number in range(60)))
    with registry.index() as index:
        before = (index.batches(), index.runs())
    ruin(registry.path, how)
    with registry.index() as index:
        assert (index.batches(), index.runs()) == before
        assert index.where == str(registry.path)
    with registry.index() as index:  # and the new one is whole
        assert (index.batches(), index.runs()) == before


@pytest.mark.parametrize("how", RUINS)
def test_an_index_that_breaks_while_it_is_open_answers_all_the_same(registry, how):
    registry.whole(OLD, *(f"run_{number}" for number in range(60)))
    with registry.index() as index:
        before = index.runs()
        index._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ruin(registry.path, how)
        assert index.runs() == before
        registry.whole(NEW, "a")
        index.refresh()
        assert index.count_runs() == 61
        assert index.where == str(registry.path)
        assert registry.path.is_file()
    with registry.index() as index:
        assert index.count_runs() == 61


def test_the_index_of_another_registry_in_its_place_is_made_anew(registry, recorder_in, tmp_path):
    registry.whole(OLD, "a")
    other = recorder_in(tmp_path / "other" / ".finbot")
    shutil.copytree(registry.files.root, other.files.root, dirs_exist_ok=True)
    # A copy in which a record is another, and nothing but its content tells.
    for segment in other.folder(OLD).glob("gw0-*.jsonl"):
        before = segment.stat()
        rewrite(segment, '"seconds":2.0', '"seconds":9.0')
        os.utime(segment, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.index().close()
    registry.index().close()
    shutil.copy(other.path, registry.path)
    with registry.index() as index:
        assert [(row.batch_id, row.seconds) for row in index.runs()] == [(OLD, 2.0)]


def test_a_reader_sees_the_state_before_a_refresh_until_it_is_whole(registry, monkeypatch):
    registry.whole(OLD, "a")
    with registry.index() as reader, registry.index() as writer:
        registry.whole(NEW, "a")
        registry.whole(NEWEST, "a")
        seen = []
        from pytest_finbot.registry.index import rows

        read = rows.read_batch

        def reading(files, folder):
            seen.append(reader.count_batches())
            return read(files, folder)

        monkeypatch.setattr(rows, "read_batch", reading)
        writer.refresh()
        assert seen == [1, 1]
        assert reader.count_batches() == 3


def test_an_index_being_made_by_another_for_too_long_is_made_in_memory(registry):
    registry.whole(OLD, "a")
    import filelock

    with filelock.FileLock(f"{registry.path}.lock"):
        index = Index(registry.files, registry.path, patience=0.05)
        index.refresh()
        assert index.where.startswith("in memory: ")
        assert names(index.runs()) == ["a"]
        index.close()
    registry.index().close()
    with filelock.FileLock(f"{registry.path}.lock"):  # but one that is there is read
        registry.whole(NEW, "b")
        index = Index(registry.files, registry.path, patience=0.05)
        index.refresh()
        assert index.where == str(registry.path)
        assert names(index.runs()) == ["a"]
        index.close()


def test_a_registry_that_is_gone_is_said_and_its_index_kept(registry):
    registry.whole(OLD, "a")
    with registry.index() as index:
        shutil.move(registry.files.root, registry.files.root.with_name("moved"))
        with pytest.raises(RegistryError, match="the folder is gone"):
            index.refresh()
        assert index.count_runs() == 1


def test_a_closed_index_says_so(registry):
    index = registry.index()
    index.close()
    index.close()
    with pytest.raises(RegistryError, match="is closed"):
        index.runs()


def test_what_starts_the_command_loads_no_table_library(registry):
    registry.whole(OLD, "a")
    code = (
        "import sys, pathlib\n"
        "from pytest_finbot.registry.files import FilesRegistry\n"
        "from pytest_finbot.registry.index import Index\n"
        "Index.of(FilesRegistry(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2])).runs()\n"
        "print(*sorted({'pandas', 'pyarrow', 'rich', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(registry.files.root), str(registry.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
