"""Where a module's file is, and whose it is. Nothing is imported, nothing executed."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Final, Literal

Owner = Literal["project", "installed", "python"]

_INSTALLED: Final = ("site-packages", "dist-packages")
_KNOWN_DISTRIBUTIONS: Final = {"numpy": ("numpy",), "pandas": ("pandas",), "pytest": ("pytest",)}
"""Of those that every strategy or test imports the distribution is known; finding out takes 100 ms."""
_OURS: Final = "pytest_finbot"


@dataclass(frozen=True, slots=True)
class Place:
    """``file`` of a module (``None``: built in, or a namespace package); ``search``: a package's folders."""

    file: str | None
    search: tuple[str, ...] | None = None


class Locator:
    """Finds modules by name for one closure, each name once.

    ``folders`` are looked in for what is not on ``sys.path``. What lies in one of ``project``,
    and the packages in ``own``, are the project's wherever they lie.
    """

    def __init__(self, own: Iterable[str], project: Iterable[Path], folders: Iterable[Path]) -> None:
        self._own = {_OURS, *own}
        self._project = tuple(os.path.join(os.path.abspath(folder), "") for folder in project)
        self._folders = [os.path.abspath(folder) for folder in folders]
        self._places: dict[str, Place | None] = {}
        self._owners: dict[str, Owner] = {}

    def seed(self, name: str, place: Place) -> None:
        """Make ``name`` mean what lies at ``place``."""
        self._places[name] = place
        self._owners[name.partition(".")[0]] = "project"

    def find(self, name: str) -> Place | None:
        """Where module ``name`` is; ``None`` where it is nowhere to be found."""
        if name not in self._places:
            self._places[name] = self._loaded(name) or self._searched(name)
        return self._places[name]

    def owner(self, name: str) -> Owner | None:
        """Whose module ``name`` is, by its top-level package; ``None`` where that is nowhere."""
        top = name.partition(".")[0]
        if top not in self._owners:
            place = self.find(top)
            if place is None:
                return "python" if top in sys.stdlib_module_names else None
            if place.file is None and place.search:  # a namespace, which may belong to several
                place = self.find(name)
                return None if place is None else self._judge(top, place)
            self._owners[top] = self._judge(top, place)
        return self._owners[top]

    def _judge(self, top: str, place: Place) -> Owner:
        where = place.file or (place.search or ("",))[0]
        if not where:
            return "python"
        installed = any(part in _INSTALLED for part in Path(where).parts)
        of_python = not installed and where.startswith(_standard_library())
        if where.startswith(self._project) or (top in self._own and not of_python):
            return "project"
        if installed:
            # A file that was put there without a distribution has no version to stand for it.
            return "installed" if distributions_of(top) else "project"
        return "python" if of_python else "project"

    def _loaded(self, name: str) -> Place | None:
        module = sys.modules.get(name)
        if module is None:
            return None
        spec = getattr(module, "__spec__", None)
        if isinstance(spec, ModuleSpec):
            return self._of_spec(spec)
        file = getattr(module, "__file__", None)
        search = getattr(module, "__path__", None)
        if not isinstance(file, str):
            return None
        return Place(os.path.abspath(file), None if search is None else tuple(search))

    def _searched(self, name: str) -> Place | None:
        parent_name, _, last = name.rpartition(".")
        try:
            if not parent_name:
                spec = importlib.util.find_spec(name) or PathFinder.find_spec(name, self._folders)
                return None if spec is None else self._of_spec(spec)
            parent = self.find(parent_name)
            if parent is None or parent.search is None:
                return None
            spec = PathFinder.find_spec(name, list(parent.search))
        except (ImportError, ValueError):
            return None
        except KeyError:
            # A namespace package within a namespace package that is not imported: the standard
            # library wants the outer one in sys.modules.
            assert parent is not None
            assert parent.search is not None
            folders = tuple(os.path.join(folder, last) for folder in parent.search)
            return Place(None, tuple(folder for folder in folders if os.path.isdir(folder)))
        return None if spec is None else self._of_spec(spec)

    @staticmethod
    def _of_spec(spec: ModuleSpec) -> Place:
        search = spec.submodule_search_locations
        if not spec.has_location or spec.origin is None:
            if spec.origin == "frozen" or search is None:
                return Place(None)
            return Place(None, tuple(search))
        return Place(os.path.abspath(spec.origin), None if search is None else tuple(search))


@functools.cache
def _standard_library() -> tuple[str, ...]:
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.dirname(os.__file__)}
    return tuple(sorted(os.path.join(folder, "") for folder in folders if folder))


@functools.cache
def _packages() -> Mapping[str, list[str]]:
    import importlib.metadata

    return importlib.metadata.packages_distributions()


def distributions_of(top: str) -> tuple[str, ...]:
    """Distributions that bring the top-level package ``top``; none where it is not known."""
    return _KNOWN_DISTRIBUTIONS.get(top) or tuple(sorted(set(_packages().get(top, ()))))
