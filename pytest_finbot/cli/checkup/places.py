"""Where a session writes and what it reads of ours: registry, output, cache, templates. Each is tried."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pytest_finbot.cli.checkup.finding import Finding, note, ok, problem
from pytest_finbot.errors import FinbotError

_LEAST: Final = 100 * 2**20
_LITTLE: Final = 2**30
"""Bytes free: below the first a batch may not be recorded to its end, below the second it is told."""


def findings(registry: Path) -> Iterator[Finding]:
    yield from _registry(registry)
    yield _cache(registry)
    yield _templates()
    yield _workers()


def _registry(root: Path) -> Iterator[Finding]:
    from pytest_finbot.registry.layout import MARKER

    why = why_not_writable(root)
    if why is not None:
        todo = "make it writable, or name another: --finbot-registry FOLDER"
        yield problem("registry", f"{root}: {why}", todo)
        return
    if (root / MARKER).is_file():
        from pytest_finbot.registry.files import FilesRegistry

        try:
            FilesRegistry(root)
        except FinbotError as error:
            yield problem("registry", str(error), "finbot registry verify; or name another registry")
            return
        yield ok("registry", f"{root}: written to, locked and read")
    else:
        yield ok("registry", f"{root}: is made by the first batch; written to and locked for trial")
    free = shutil.disk_usage(_there(root)).free
    words = f"{free / 2**30:,.1f} GiB free beside the registry"
    if free < _LEAST:
        yield problem("disk", words, "make room: a batch that cannot be recorded fails")
    elif free < _LITTLE:
        yield note("disk", words, "make room: finbot registry prune")
    else:
        yield ok("disk", words)


def why_not_writable(folder: Path) -> str | None:
    """Why no file can be written and locked in ``folder``, or where it would be made; tried, and removed."""
    from filelock import FileLock

    place = _there(folder)
    if not place.is_dir():
        return f"{place} is no folder"
    try:
        with tempfile.TemporaryDirectory(prefix=".finbot-doctor-", dir=place) as made:
            with Path(made, "probe").open("wb") as file:
                file.write(b"probe")
                file.flush()
                os.fsync(file.fileno())
            with FileLock(Path(made, "lock"), timeout=0):
                pass
    except (OSError, NotImplementedError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return None


def _there(folder: Path) -> Path:
    """``folder``, or the nearest above it that is there."""
    return next((one for one in (folder, *folder.parents) if os.path.lexists(one)), folder)


def _cache(registry: Path) -> Finding:
    from pytest_finbot.registry.index.place import CACHE_VARIABLE, index_path

    try:
        place = index_path(registry).parent
    except RuntimeError as error:
        why: str | None = str(error)
        place = Path()
    else:
        why = why_not_writable(place)
    if why is None:
        return ok("cache", f"{place}: the registry's index can be kept there")
    return note(
        "cache",
        f"the registry's index cannot be kept ({why}): asking the registry takes longer",
        f"name a folder that can be written: {CACHE_VARIABLE}=FOLDER",
    )


def _templates() -> Finding:
    import jinja2

    from pytest_finbot.reports.templates import templates_folder

    try:
        folder = templates_folder()
        names = sorted(folder.rglob("*.j2"))
        for path in names:
            jinja2.Environment(autoescape=True).parse(path.read_text("utf-8"), filename=str(path))
    except (FinbotError, OSError, UnicodeDecodeError, jinja2.TemplateError) as error:
        return problem("templates", str(error), "pip install --force-reinstall pytest-finbot")
    return ok("templates", f"{len(names)} in {folder}")


def _workers() -> Finding:
    import pytest

    from pytest_finbot.session.limits import VARIABLE, worker_limit

    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    try:
        workers = worker_limit(cores, ())
    except pytest.UsageError as error:
        return problem("workers", str(error), f"unset {VARIABLE}, or set it to a number")
    less = f", as {VARIABLE} says" if workers < cores else ""
    return ok("workers", f"{cores} cores; -n auto starts at most {workers}{less}")
