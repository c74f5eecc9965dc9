"""A segment loses nothing that was acknowledged, and says what of it cannot be read."""

import errno
import json
import os
import threading

import pytest

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry import append_file
from pytest_finbot.registry.logs import LogWriter
from pytest_finbot.registry.records import unseal
from pytest_finbot.registry.segments import SegmentWriter, read_segment


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "batch-20261121T091502Z-3f9c1a"
    folder.mkdir()
    return folder / "gw0-1a2b3c4d.jsonl"


def read(path):
    problems = []
    return list(read_segment(path, problems)), [str(problem) for problem in problems]


def names(path):
    return [line.value["name"] for line in read(path)[0]]


@pytest.fixture
def disk(monkeypatch):
    """A disk that takes so many bytes a write and so many in all, and counts its syncs."""

    class Disk:
        room = 10**9
        chunk = 10**9
        syncs = 0

    real_write, disk = os.write, Disk()

    def write(descriptor, data):
        if disk.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = real_write(descriptor, bytes(data)[: min(disk.chunk, disk.room)])
        disk.room -= count
        return count

    def sync(_descriptor):
        disk.syncs += 1

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(append_file, "_sync_data", sync)
    return disk


def test_lines_come_back_in_order_with_their_places(path):
    writer = SegmentWriter(path)
    writer.append("start", {"name": "one", "attempt": 1})
    writer.append("run", {"name": "zwei ü\n€"})
    writer.close()
    lines, problems = read(path)
    assert problems == []
    assert [line.value for line in lines] == [
        {"v": 2, "kind": "start", "name": "one", "attempt": 1},
        {"v": 2, "kind": "run", "name": "zwei ü\n€"},
    ]
    raw = path.read_bytes()
    for line in lines:
        assert unseal(raw[line.offset : line.offset + line.length], "here") == line.value


def test_the_file_appears_with_the_first_line(path):
    writer = SegmentWriter(path)
    assert not path.exists()
    writer.append("end", {})
    assert path.exists()


def test_an_existing_segment_is_never_written_to(path):
    path.write_text('{"v":1,"kind":"run","name":"precious"}\n')
    with pytest.raises(RegistryError, match=r"gw0-1a2b3c4d.jsonl: File exists"):
        SegmentWriter(path).append("run", {"name": "other"})
    assert names(path) == ["precious"]


def test_a_torn_tail_counts_as_not_written_and_is_reported(path):
    path.write_bytes(b'{"v":1,"kind":"run","name":"whole"}\n{"v":1,"kind":"run","name":"to')
    lines, problems = read(path)
    assert [line.value["name"] for line in lines] == ["whole"]
    assert len(problems) == 1
    assert problems[0].startswith(
        "batch-20261121T091502Z-3f9c1a/gw0-1a2b3c4d.jsonl:2: the last line was cut off"
    )


def test_a_tail_that_only_lacks_its_newline_does_not_count(path):
    path.write_bytes(b'{"v":1,"kind":"run","name":"acknowledged?"}')
    lines, problems = read(path)
    assert lines == []
    assert "cut off" in problems[0]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x00\x00\x00",
        b"\xff\xfe{}",
        b'{"v":1,"kind":"run","name":"half',
        b"[1]",
        b'{"kind":"run"}',
        b'{"v":true,"kind":"run"}',
        b'{"v":0,"kind":"run"}',
        b'{"v":1}',
        b'{"v":1,"kind":"run","sharpe":NaN}',
        b"[" * 100_000,
    ],
)
def test_a_line_of_garbage_is_named_and_hides_no_other(path, garbage):
    path.write_bytes(
        b'{"v":1,"kind":"run","name":"before"}\n' + garbage + b'\n{"v":1,"kind":"run","name":"after"}\n'
    )
    lines, problems = read(path)
    assert [line.value["name"] for line in lines] == ["before", "after"]
    assert len(problems) == 1
    assert "gw0-1a2b3c4d.jsonl:2: the line cannot be read" in problems[0]


def test_a_line_of_a_newer_version_is_refused_not_skipped(path):
    path.write_bytes(b'{"v":1,"kind":"run","name":"old"}\n{"v":3,"kind":"run","name":"new"}\n')
    with pytest.raises(RegistryError, match=r"gw0-1a2b3c4d.jsonl:2 has version 3.*upgrade pytest-finbot"):
        read(path)


def test_a_short_write_is_carried_on(path, disk):
    disk.chunk = 7
    writer = SegmentWriter(path)
    writer.append("run", {"name": "in pieces"})
    writer.append("run", {"name": "again"})
    assert read(path)[1] == []
    assert names(path) == ["in pieces", "again"]


def test_a_full_disk_is_told_and_the_next_record_is_not_glued_to_the_torn_one(path, disk):
    writer = SegmentWriter(path)
    writer.append("run", {"name": "before"})
    disk.room = 10
    with pytest.raises(
        RegistryError, match=r"cannot append to .*gw0-1a2b3c4d.jsonl: No space left on device"
    ):
        writer.append("run", {"name": "lost"})
    with pytest.raises(RegistryError, match="No space"):
        writer.append("run", {"name": "lost too"})
    disk.room = 1
    with pytest.raises(RegistryError, match="No space"):
        writer.append("run", {"name": "only its newline"})
    disk.room = 10**9
    writer.append("run", {"name": "after"})
    writer.append("run", {"name": "and on"})
    lines, problems = read(path)
    assert [line.value["name"] for line in lines] == ["before", "after", "and on"]
    assert len(problems) == 1
    assert ":2:" in problems[0]


def test_an_interrupt_in_the_middle_of_a_write_leaves_the_next_line_whole(path, monkeypatch):
    real_write = os.write
    writer = SegmentWriter(path)

    def interrupted(descriptor, data):
        real_write(descriptor, data[:9])
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writer.append("run", {"name": "interrupted"})
    monkeypatch.setattr(os, "write", real_write)
    writer.append("cancel", {"name": "after"})
    assert names(path) == ["after"]


def test_a_write_that_writes_nothing_is_an_error_not_a_loop(path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with pytest.raises(RegistryError, match="nothing was written"):
        SegmentWriter(path).append("run", {"name": "x"})


def test_a_failed_sync_is_not_an_acknowledgement(path, monkeypatch):
    def broken(_descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(append_file, "_sync_data", broken)
    with pytest.raises(RegistryError, match="Input/output error"):
        SegmentWriter(path).append("run", {"name": "x"})


def test_every_record_is_synced_before_it_is_acknowledged(path, disk):
    writer = SegmentWriter(path)
    for number in range(1, 4):
        writer.append("start", {"name": "x"}, sync=False)
        assert disk.syncs == number - 1
        writer.append("run", {"name": "x"})
        assert disk.syncs == number
    writer.append("start", {"name": "x"}, sync=False)
    writer.close()
    assert disk.syncs == 4


def test_records_are_synced_at_most_once_a_second_where_that_was_asked(path, disk, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(append_file.time, "monotonic", lambda: clock[0])
    writer = SegmentWriter(path, "second")
    for clock[0], syncs in ((100.0, 1), (100.3, 1), (100.9, 1), (101.0, 2), (101.5, 2)):
        writer.append("run", {"name": "x"})
        assert disk.syncs == syncs
    writer.close()
    assert disk.syncs == 3


def test_the_last_record_before_a_silence_is_synced_when_its_second_is_over(path, monkeypatch):
    synced = threading.Semaphore(0)
    real = append_file._sync_data

    def sync(descriptor):
        real(descriptor)
        synced.release()

    monkeypatch.setattr(append_file, "_sync_data", sync)
    writer = SegmentWriter(path, "second")
    writer.append("run", {"name": "first"})
    assert synced.acquire(timeout=60)
    writer.append("run", {"name": "second"})
    assert synced.acquire(timeout=60)  # nobody wrote or closed meanwhile
    writer.close()


def test_a_sync_that_fails_later_is_told_to_whoever_comes_next(path, monkeypatch):
    failed = threading.Event()
    writer = SegmentWriter(path, "second")
    writer.append("run", {"name": "first"})

    def sync(descriptor):
        failed.set()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(append_file, "_sync_data", sync)
    writer.append("run", {"name": "second"})
    assert failed.wait(60)
    with pytest.raises(RegistryError, match="Input/output error"):
        writer.append("run", {"name": "third"})
    monkeypatch.undo()
    writer.close()


def test_a_closed_writer_says_so(path):
    writer = SegmentWriter(path)
    writer.close()
    writer.close()
    with pytest.raises(RegistryError, match="is closed"):
        writer.append("run", {"name": "late"})
    assert not path.exists()


def test_a_forked_process_cannot_write_into_its_parents_segment(path, monkeypatch):
    writer = SegmentWriter(path)
    writer.append("run", {"name": "parent"})
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    with pytest.raises(RegistryError, match=f"belongs to process {parent}"):
        writer.append("run", {"name": "child"})
    monkeypatch.undo()
    writer.append("run", {"name": "still open"})
    assert names(path) == ["parent", "still open"]


def test_threads_share_a_writer(path, disk):
    disk.chunk = 11  # were two lines written at a time, their pieces would mix
    writer = SegmentWriter(path)
    threads = [
        threading.Thread(target=lambda t=t: [writer.append("run", {"name": f"{t}-{n}"}) for n in range(50)])
        for t in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(path)[1] == []
    assert sorted(names(path)) == sorted(f"{t}-{n}" for t in range(4) for n in range(50))


def test_a_log_tells_when_and_goes_on_after_a_torn_line(tmp_path):
    path = tmp_path / "logs" / "gw0.jsonl"
    log = LogWriter(path)
    assert not path.parent.exists()
    log.append("phase_start", {"run": "held", "phase": "marks"})
    log.close()
    with path.open("ab") as file:
        file.write(b'{"torn')
    again = LogWriter(path)
    again.append("warning", {"at": "2026-01-01", "run": "held"})
    again.close()
    first, torn, second = path.read_text().splitlines()
    assert json.loads(first).keys() == {"v", "kind", "at", "run", "phase"}
    assert torn == '{"torn'
    assert json.loads(second) == {"v": 2, "kind": "warning", "at": "2026-01-01", "run": "held"}


def test_a_line_of_the_log_that_may_wait_is_written_with_the_next_or_at_the_end(tmp_path):
    path = tmp_path / "logs" / "gw0.jsonl"

    def phases():
        return [json.loads(line)["phase"] for line in path.read_text().splitlines()]

    log = LogWriter(path)
    log.append("phase_result", {"phase": "one"}, flush=False)
    assert not path.exists()
    log.append("phase_start", {"phase": "two"})
    log.append("phase_result", {"phase": "three"}, flush=False)
    assert phases() == ["one", "two"]
    log.close()
    log.close()
    assert phases() == ["one", "two", "three"]


def test_a_forked_process_does_not_write_what_waits_in_its_parents_log(tmp_path, monkeypatch):
    path = tmp_path / "logs" / "gw0.jsonl"
    log = LogWriter(path)
    log.append("phase_result", {"phase": "one"}, flush=False)
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    log.close()
    assert not path.exists()


def test_a_log_does_not_wait_without_bound(tmp_path):
    log = LogWriter(tmp_path / "logs" / "gw0.jsonl")
    for _ in range(100):
        log.append("output", {"text": "x" * 1000}, flush=False)
    assert log.path.stat().st_size > 60_000
