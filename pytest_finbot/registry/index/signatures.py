"""What tells that a batch's files are as they were: names, sizes, times. Nothing is read.

A signature is bytes, ``<folder's mtime>/<name>/<facts>/<name>/<facts>…``: quick to keep, to
compare and to take apart, and a file's name can hold no slash. Facts are a file's size, its
times of modification and of change, and its number: who writes into it in place can put back
the first two, not the others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.ids import batch_month, is_batch_id
from pytest_finbot.registry.layout import MANIFEST

_SETTLED_NS = 2_000_000_000
"""A folder changed more recently may change again without its time telling: clocks of file
systems tick every few milliseconds, some every second."""
_MANIFEST = os.fsencode(MANIFEST)
_UNTRUSTED = b"0"


@dataclass(slots=True)
class Scan:
    """How the files differ from what is indexed."""

    changed: dict[str, bytes] = field(default_factory=dict)
    """New and changed batches, with their signatures of before they are read."""
    resigned: dict[str, bytes] = field(default_factory=dict)
    """Batches whose files are as they were, and whose folder's time is not."""
    gone: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Folders that cannot be looked into; what is indexed of them stays."""


def scan(batches: Path, known: Mapping[str, bytes]) -> Scan:
    """Compare the batches in the folder ``batches`` with ``known``, signatures by batch id.

    Raises RegistryError where the registry itself is not there.
    """
    if not batches.parent.is_dir():
        raise RegistryError(f"cannot read the registry {batches.parent}: the folder is gone")
    found = Scan()
    settled = time.time_ns() - _SETTLED_NS
    seen: set[str] = set()
    blind: list[tuple[str, str]] = []
    root = os.fsencode(batches)
    for year in _names(root, found, blind, ("", "")):
        for month in _names(root + b"/" + year, found, blind, (os.fsdecode(year), "")):
            where = root + b"/" + year + b"/" + month
            months = (os.fsdecode(year), os.fsdecode(month))
            for name in _names(where, found, blind, months):
                batch_id = os.fsdecode(name)
                old = known.get(batch_id)
                if old is None and not is_batch_id(batch_id):
                    continue
                if batch_month(batch_id) != months if old is None else batch_id[6:12] != "".join(months):
                    continue
                folder = where + b"/" + name
                if old is not None and _is_as_it_was(folder, old):
                    seen.add(batch_id)
                    continue
                try:
                    new = _sign(folder, settled)
                except (FileNotFoundError, NotADirectoryError):
                    continue  # deleted this moment, or no batch
                except OSError as error:
                    new = b"0/unreadable/" + (error.strerror or "").encode()
                if new.count(b"/") == 0:
                    continue  # being created: not even its manifest is there
                seen.add(batch_id)
                if old is None or old.partition(b"/")[2] != new.partition(b"/")[2]:
                    found.changed[batch_id] = new
                elif new != old:
                    found.resigned[batch_id] = new
    found.gone = [batch_id for batch_id in known if batch_id not in seen and not _hidden(batch_id, blind)]
    return found


def _names(folder: bytes, found: Scan, blind: list[tuple[str, str]], where: tuple[str, str]) -> list[bytes]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        found.problems.append(f"{os.fsdecode(folder)}: cannot be read: {error.strerror}")
        blind.append(where)
        return []


def _hidden(batch_id: str, blind: list[tuple[str, str]]) -> bool:
    if not blind or not is_batch_id(batch_id):  # an id that is none was damaged: it is forgotten
        return False
    year, month = batch_month(batch_id)
    return any(hidden[0] in ("", year) and hidden[1] in ("", month) for hidden in blind)


def _is_as_it_was(folder: bytes, signature: bytes) -> bool:
    """Whether neither the folder nor any of its files has changed; False where that is unsure."""
    parts = signature.split(b"/")
    if parts[0] == _UNTRUSTED:
        return False
    try:
        if os.stat(folder).st_mtime_ns != int(parts[0]):
            return False
        for at in range(1, len(parts), 2):
            if _facts(folder + b"/" + parts[at]) != parts[at + 1]:
                return False
    except OSError:
        return False
    return True


def _facts(path: bytes) -> bytes:
    # Not as the folder has it: on Windows that knows no file's number.
    now = os.stat(path)
    return b"%d,%d,%d,%d" % (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)


def _sign(folder: bytes, settled: int) -> bytes:
    mtime = os.stat(folder).st_mtime_ns  # before the names are read, never after
    files: list[bytes] = []
    with os.scandir(folder) as entries:
        files += [
            entry.name + b"/" + _facts(entry.path)
            for entry in entries
            if (entry.name == _MANIFEST or entry.name.endswith(b".jsonl")) and entry.is_file()
        ]
    trusted = b"%d" % mtime if mtime < settled else _UNTRUSTED
    return b"/".join((trusted, *sorted(files)))
