"""The project's own modules that a result depends on: the import closure of engine and strategy.

Imports are read from source, at any depth of it, except under ``if TYPE_CHECKING``. Followed
are the project's own modules: what lies neither in the standard library nor in site-packages.
Installed packages are named by their distribution, and stand with their version.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_finbot.fingerprint.imports import UNKNOWN, Import, read_source
from pytest_finbot.fingerprint.locate import Locator, Place, distributions_of

_IMPORT_WHAT_A_RUN_NAMES: Final = frozenset(
    {"pytest_finbot.engines.resolve", "pytest_finbot.strategies.resolve"}
)
"""They import by name, and exactly what a run names: that is among the roots."""


@dataclass(frozen=True)
class CodeClosure:
    """What the roots import, and what that imports, and so on.

    ``modules`` maps a module's name (a root file's path) to the SHA-256 of its source, or to
    ``unknown``. ``distributions`` are the installed packages they import; a name that nothing
    installed answers to stands for itself. ``dynamic`` modules may import what is not seen here.
    """

    modules: dict[str, str]
    distributions: tuple[str, ...]
    dynamic: tuple[str, ...]


def code_closure(
    modules: Iterable[str], files: Iterable[Path] = (), *, project: Iterable[Path] = ()
) -> CodeClosure:
    """The closure of ``modules`` (by name) and ``files`` (which nobody need be able to import).

    ``project`` are folders whose modules are the project's own wherever they lie, and can be
    imported though they are not on ``sys.path``; root files are named relative to them. Nothing
    is imported and nothing raised: what cannot be found or read is ``unknown``.
    """
    roots = sorted(set(modules))
    paths = sorted({Path(os.path.abspath(file)) for file in files})
    folders = [Path(os.path.abspath(folder)) for folder in project]
    locator = Locator(
        {root.partition(".")[0] for root in roots},
        folders,
        dict.fromkeys([*folders, *(_package_of(path)[1] for path in paths)]),
    )
    walk = _Walk(locator)
    for path in paths:
        walk.read_root_file(path, folders)
    for root in roots:
        walk.read_root(root)
    walk.follow()
    return CodeClosure(
        dict(sorted(walk.modules.items())), tuple(sorted(walk.distributions)), tuple(sorted(walk.dynamic))
    )


def code_modules(modules: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each named module's source file; ``"unknown"`` where there is none to read."""
    locator = Locator((), (), ())
    places = {name: locator.find(name) for name in sorted(set(modules))}
    return {
        name: UNKNOWN if place is None or place.file is None else read_source(place.file).digest
        for name, place in places.items()
    }


class _Walk:
    """The closure as it grows."""

    def __init__(self, locator: Locator) -> None:
        self._locator = locator
        self._pending: list[str] = []
        self._seen: set[str] = set()
        self.modules: dict[str, str] = {}
        self.distributions: set[str] = set()
        self.dynamic: set[str] = set()

    def read_root(self, name: str) -> None:
        place = self._locator.find(name)
        if place is None or place.file is None:
            self.modules[name] = UNKNOWN
        elif self._locator.owner(name) == "project":
            self._pending.append(name)
        else:  # Python's own: it is a root, and there is nothing to follow
            self.modules[name] = read_source(place.file).digest

    def read_root_file(self, path: Path, project: Iterable[Path]) -> None:
        package, _ = _package_of(path)
        folder = path.parent
        for name in _with_parents(package)[::-1]:
            self._locator.seed(name, Place(str(folder / "__init__.py"), (str(folder),)))
            self._pending.append(name)
            folder = folder.parent
        inside = [path.relative_to(folder) for folder in project if path.is_relative_to(folder)]
        key = inside[0].as_posix() if inside else path.name
        self._read(path.as_posix() if key in self.modules else key, str(path), package)

    def follow(self) -> None:
        while self._pending:
            for name in _with_parents(self._pending.pop()):
                if name in self._seen:
                    continue
                self._seen.add(name)
                place = self._locator.find(name)
                if place is None:
                    break
                if place.file is not None:
                    package = name if place.search is not None else name.rpartition(".")[0]
                    self._read(name, place.file, package)

    def _read(self, key: str, file: str, package: str) -> None:
        source = read_source(file)
        self.modules[key] = source.digest
        stars = False
        for found in source.imports:
            base = _absolute(found, package)
            if base:
                stars |= self._import(base, found.names)
        if (source.dynamic or stars) and key not in _IMPORT_WHAT_A_RUN_NAMES:
            self.dynamic.add(key)

    def _import(self, base: str, names: tuple[str, ...]) -> bool:
        """Queue what ``from base import names`` brings; whether a star may bring modules with it."""
        owner = self._locator.owner(base)
        if owner is None or owner == "installed":
            top = base.partition(".")[0]
            self.distributions.update(distributions_of(top) or (top,))
        if owner != "project":
            return False
        self._pending.append(base)
        place = self._locator.find(base)
        if place is None or place.search is None:
            return False
        # A name that is no module of the package is something the package itself defines.
        self._pending.extend(f"{base}.{name}" for name in names if name != "*")
        return "*" in names


def _absolute(found: Import, package: str) -> str:
    """The full name of what is imported from, within ``package``; empty where dots lead out of it."""
    if not found.level:
        return found.module
    parts = package.split(".") if package else []
    if found.level > len(parts):
        return ""
    kept = parts[: len(parts) - (found.level - 1)]
    return ".".join([*kept, found.module] if found.module else kept)


def _with_parents(name: str) -> list[str]:
    """``a.b.c`` -> ``a``, ``a.b``, ``a.b.c``: importing the last imports them all."""
    return list(_prefixes(name.split("."))) if name else []


def _prefixes(parts: list[str]) -> Iterator[str]:
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _package_of(path: Path) -> tuple[str, Path]:
    """The package that the file at ``path`` lies in, and the folder that holds the outermost."""
    parts: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder
