"""What a batch's segments say of its runs so far, read on from where the last look ended.

Less than a fold, for those who add one record after another: which runs are expected, and
which attempts are recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_finbot.registry.durable import telling
from pytest_finbot.registry.layout import segments
from pytest_finbot.registry.records import unseal
from pytest_finbot.registry.segments import segment_name


class KnownRuns:
    """Of the batch in ``folder``; :meth:`update` before each look. One thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.attempts: dict[str, int] = {}
        """The highest attempt of each run that is recorded, or was and is deleted."""
        self.deleted: dict[str, str] = {}
        """When a run was last deleted."""
        self._begins: list[tuple[str, list[str], list[str]]] = []
        self._expected: dict[str, str] | None = None
        self._read: dict[Path, int] = {}

    @property
    def began(self) -> str | None:
        """When the latest session began; ``None`` for a batch that never did."""
        return max(at for at, _, _ in self._begins) if self._begins else None

    @property
    def expected(self) -> dict[str, str]:
        """Runs that owe a record, in the order in which they were asked for, and since when."""
        if self._expected is None:
            expected: dict[str, str] = {}
            for at, names, gone in sorted(self._begins):
                for name in gone:
                    expected.pop(name, None)
                expected.update(dict.fromkeys(names, at))
            self._expected = {name: at for name, at in expected.items() if at > self.deleted.get(name, "")}
        return self._expected

    def update(self) -> None:
        """Read what was added. Raises RegistryError for what cannot be read, or is of a newer version.

        Lines that are no records are the fold's to tell: they count for nothing here.
        """
        for path in segments(self.folder):
            for line in self._new_lines(path):
                self._take(line)

    def wrote(self, path: Path, line: dict[str, Any]) -> None:
        """Take a line that this process has just appended to its own segment, without reading it."""
        with telling("read", path):
            self._read[path] = path.stat().st_size
        self._take(line)

    def _new_lines(self, path: Path) -> Iterator[dict[str, Any]]:
        read = self._read.get(path, 0)
        with telling("read", path):
            if path.stat().st_size == read:
                return
            with path.open("rb") as file:
                file.seek(read)
                data = file.read()
        whole = data.rfind(b"\n") + 1  # what follows is still being written
        self._read[path] = read + whole
        for raw in data[:whole].splitlines():
            try:
                if raw:
                    yield unseal(raw, segment_name(path))
            except ValueError:
                continue

    def _take(self, line: dict[str, Any]) -> None:
        kind, name, attempt, at = (line.get(key) for key in ("kind", "name", "attempt", "at"))
        if kind in ("run", "crash", "delete"):
            if isinstance(name, str) and isinstance(attempt, int):
                self.attempts[name] = max(attempt, self.attempts.get(name, 0))
                if kind == "delete" and isinstance(at, str):
                    self.deleted[name] = max(at, self.deleted.get(name, ""))
                    self._expected = None
        elif kind == "begin" and isinstance(at, str):
            self._begins.append((at, _names(line.get("expected")), _names(line.get("gone"))))
            self._expected = None


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
