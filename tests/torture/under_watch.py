"""Records in a registry while every step towards the disk is watched, or one of them is the last.

    under_watch.py watch ROOT DURABILITY FILE     every sync is noted in FILE, with what was on the disk then
    under_watch.py kill  FOLDER DURABILITY        once for each step: killed there, in a registry of its own

Steps are counted where the registry asks the system for something: to write, to sync, to rename,
to make a folder. What was acknowledged is noted in between.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

ITEMS = 12
CALLS = ("write", "fsync", "fdatasync", "replace", "mkdir")
REAL: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in CALLS if hasattr(os, name)}
clock = [0.0]
"""Seconds; what the registry takes for the time since the last sync."""


def patch(name: str, stand_in: Callable[..., Any]) -> None:
    """Put ``stand_in`` where the registry finds the system's call."""
    from pytest_finbot.registry import append_file

    if append_file._sync_data is REAL[name]:
        append_file._sync_data = stand_in
    setattr(os, name, stand_in)


# ------------------------------------------------------------------------------------ watching


class Watch:
    """Notes what is safe from a power cut: files as far as they were synced, names in synced folders."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self.events: list[dict[str, Any]] = []
        for name in ("fsync", "fdatasync"):
            if name in REAL:
                patch(name, self._syncing(REAL[name]))

    def _syncing(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            real(descriptor)
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                names = {entry.name: entry.inode() for entry in os.scandir(descriptor)}
                self._note("folder", inode=found.st_ino, names=names)
            else:
                self._note("file", inode=found.st_ino, size=found.st_size)

        return sync

    def told(self, what: str, name: str) -> None:
        self._note("told", about=what, name=name)

    def _note(self, what: str, **facts: Any) -> None:
        folders: dict[int, dict[str, int]] = {}
        sizes: dict[int, int] = {}
        for parent, _, files in os.walk(self._top):
            folders[os.stat(parent).st_ino] = {entry.name: entry.inode() for entry in os.scandir(parent)}
            for name in files:
                found = os.stat(os.path.join(parent, name))
                sizes[found.st_ino] = found.st_size
        self.events.append({"what": what, "at": clock[0], "folders": folders, "sizes": sizes, **facts})


# ------------------------------------------------------------------------------------- killing


class Death:
    """Ends the process by SIGKILL at the step of this number; a write is half done then."""

    def __init__(self, at: int, file: Path) -> None:
        self._left = at
        self._file = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        for name in CALLS:
            if name in REAL:
                patch(name, self._counted(name))

    def _counted(self, name: str) -> Callable[..., Any]:
        real = REAL[name]

        def call(*arguments: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                if name == "write":
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                elif name == "fsync" and stat.S_ISREG(os.fstat(arguments[0]).st_mode):
                    # A draft that was being written.
                    os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    def told(self, what: str, name: str) -> None:
        REAL["write"](self._file, f"{what} {name}\n".encode())


# ------------------------------------------------------------------------------------- stories


def story(root: Path, durability: str, told: Callable[[str, str], None], items: int, objects: bool) -> None:
    """A batch as a script records it, then one as the plugin does; each step acknowledged."""
    import numpy as np

    from pytest_finbot.registry import BatchRegistry, append_file, open_registry

    append_file.time = types.SimpleNamespace(monotonic=lambda: clock[0])  # type: ignore[attr-defined]
    names = [f"item-{number:02}" for number in range(items)]

    def series(number: int) -> str | None:
        if not objects:
            return None
        days = np.arange(200).astype("datetime64[D]")
        return files.objects.put_table({"session": days, "nav": np.full(200, float(number // 2))})

    with BatchRegistry(root, durability) as registry:  # type: ignore[arg-type]
        batch_id = registry.create_batch("scripted", names, {"items": items})
        told("batch", batch_id)
        files = open_registry(root, durability=durability)  # type: ignore[arg-type]
        for number, name in enumerate(names):
            clock[0] += 0.15
            given = {"name": name, "status": "success", "metrics": {"final_nav": number}}
            registry.add_item_result(batch_id, given | {"series": series(number)})
            told("item", f"{batch_id}/{name}")
        registry.complete_batch(batch_id)
        told("end", batch_id)

    batch_id = "batch-20261121T091502Z-3f9c1a"
    files.create_batch(
        {"batch_id": batch_id, "batch_name": "planned", "created_at": "2026-11-21T09:15:02+00:00"}
    )
    main, worker = files.open_writer(batch_id, "main"), files.open_writer(batch_id, "gw0")
    main.append("begin", {"at": "2026-11-21T09:15:03.000+00:00", "expected": names, "deselected": 0})
    told("batch", batch_id)
    for number, name in enumerate(names):
        clock[0] += 0.15
        at = f"2026-11-21T09:16:{number:02}.000+00:00"
        worker.append("start", {"name": name, "attempt": 1, "at": at}, sync=False)
        worker.log("phase_start", {"run": name})
        worker.append("run", record(batch_id, name, at, series(number + 1000)))
        told("item", f"{batch_id}/{name}")
    main.append("end", {"at": "2026-11-21T09:17:00.000+00:00", "exitstatus": 0})
    told("end", batch_id)
    for writer in (main, worker):
        writer.close()


def record(batch_id: str, name: str, at: str, series: str | None) -> dict[str, Any]:
    from pytest_finbot.contracts import RunRecord, RunStatus
    from pytest_finbot.registry.records import record_to_json

    said = RunRecord(
        run_id=f"{batch_id}/{name}",
        batch_id=batch_id,
        name=name,
        status=RunStatus.SUCCESS,
        attempt=1,
        started_at=at,
        finished_at=at,
        seconds=0.0,
        worker="gw0",
        series=series,
    )
    return record_to_json(said)


def watch(root: Path, durability: str, log: Path, objects: bool) -> None:
    watched = Watch(root.parent)
    story(root, durability, watched.told, ITEMS, objects)
    log.write_text(json.dumps(watched.events))


def kill_at_each_step(folder: Path, durability: str) -> None:
    # Imported once, before there is anything to fork. pyarrow looks for pandas at its first array.
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import pytest_finbot.registry.batch_registry
    import pytest_finbot.registry.index  # noqa: F401

    status = -1
    for step in range(10_000):
        place = folder / f"{step:04}"
        place.mkdir()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                story(place / ".finbot", durability, Death(step, place / "told").told, 2, objects=True)
                code = 0
            finally:
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != -signal.SIGKILL:
            break
    raise SystemExit(status)


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        watch(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), sys.argv[5] == "objects")
    else:
        kill_at_each_step(Path(sys.argv[2]), sys.argv[3])
