"""A batch file, or a file it names, as plain values that remember their lines."""

from __future__ import annotations

import difflib
import math
import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_finbot.config.problems import LONGEST_PATH, Place, describe, key_path, quoted
from pytest_finbot.config.scalars import is_unusual
from pytest_finbot.errors import BatchFileError, Problem

DEEPEST = 64
"""Levels of nesting a file may have."""


class Positions:
    """Lines of every mapping key and sequence item, found by path.

    Kept flat, one array of positions for the whole document and an offset per container, as
    a batch may have hundreds of thousands of keys. A container is known by its identity, so
    one that is used twice (a YAML alias) is located where it is written.
    """

    def __init__(self, line_of: Callable[[int], int] | None = None) -> None:
        self._root: Any = None
        self._start: dict[int, int] = {}
        self._flat = array("q")
        self._line_of = line_of
        self._root_position = 0

    def record(self, container: object, positions: Sequence[int]) -> None:
        """Remember where the children of ``container`` are, in its own order."""
        self._start[id(container)] = len(self._flat)
        self._flat.extend(positions)

    def positions(self, container: Mapping[str, Any] | Sequence[Any]) -> Sequence[int]:
        """What was recorded for ``container``."""
        start = self._start[id(container)]
        return self._flat[start : start + len(container)]

    def settle(self, root: object, position: int) -> None:
        """Name the document's root, and where it starts. Keeps the containers alive."""
        self._root, self._root_position = root, position

    def line(self, path: Place) -> int:
        """1-based line of the element at ``path``, or of its nearest parent that exists."""
        position = self._root_position
        container: Any = self._root
        for part in path:
            if isinstance(container, dict) and part in container:
                child = list(container).index(part)
            elif isinstance(container, list) and isinstance(part, int) and part < len(container):
                child = part
            else:
                break
            position = self._flat[self._start[id(container)] + child]
            container = container[part]
        return position if self._line_of is None else self._line_of(position)


@dataclass(frozen=True, slots=True)
class Oddity:
    """A mistake inside ``container``, found while reading, before its path was known."""

    container: object
    key: str
    position: int
    message: str


@dataclass(frozen=True, slots=True)
class Tree:
    """What a reader of one format returns. ``unusual``: there are numbers no run can use."""

    root: Any
    positions: Positions
    oddities: Sequence[Oddity]
    unusual: bool


class SourceSyntaxError(Exception):
    """The text is not what its format allows; ``line`` is 1-based, 0 if unknown."""

    def __init__(self, line: int, message: str) -> None:
        self.line, self.message = line, message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Document:
    """A file read: its values, where everything is, what was wrong on the way.

    ``root`` is a mapping where :func:`read_document` read the file. ``shown`` is the file's
    name in messages; ``content`` its bytes as they were.
    """

    shown: str
    root: Any
    positions: Positions
    problems: tuple[Problem, ...]
    content: bytes


def read_document(path: Path, shown: str | None = None) -> Document:
    """Read a YAML or (by its suffix) JSON file whose top level is a mapping.

    Raises BatchFileError where the top level is something else, and as :func:`read_values`.
    """
    document = read_values(path, shown)
    if not isinstance(document.root, dict):
        message = f"expected a mapping at the top of the file, got {describe(document.root)}"
        raise _fatal(document.shown, document.positions.line(()), message)
    return document


def read_values(path: Path, shown: str | None = None) -> Document:
    """Read a YAML or (by its suffix) JSON file, whatever its top level is.

    Raises BatchFileError for what leaves nothing to look at: no such file, not UTF-8, not
    YAML or JSON, empty. Lesser mistakes, a key given twice or a NaN, are in ``problems`` so
    that they can be told together with all others.
    """
    shown = str(path) if shown is None else shown
    content = read_bytes(path, shown)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _fatal(shown, line, f"not UTF-8: byte 0x{content[error.start]:02x}; save it as UTF-8") from None
    json = path.suffix.lower() == ".json"
    try:
        if json:
            from pytest_finbot.config.json_source import read_json

            tree = read_json(text)
        else:
            from pytest_finbot.config.yaml_source import read_yaml

            tree = read_yaml(text)
    except SourceSyntaxError as error:
        raise _fatal(shown, error.line, error.message) from None
    return Document(shown, tree.root, tree.positions, tuple(_told(tree, shown)), content)


def read_bytes(path: Path, shown: str) -> bytes:
    """The file's bytes. Raises BatchFileError, naming the nearest file, where there are none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _fatal(shown, 0, f"file not found{nearest_file(path)}") from None
    except IsADirectoryError:
        raise _fatal(shown, 0, "is a folder; expected a file") from None
    except OSError as error:
        raise _fatal(shown, 0, f"cannot be read: {error.strerror}") from None


def nearest_file(path: Path) -> str:
    """``"; did you mean 'x'?"`` with a name from the folder, or which folder is not there."""
    try:
        names = sorted(os.listdir(path.parent))
    except (FileNotFoundError, NotADirectoryError):
        return f"; there is no folder {quoted(str(path.parent), LONGEST_PATH)}"
    except OSError:
        return ""  # a folder that may not be listed has no names to offer
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def _fatal(shown: str, line: int, message: str) -> BatchFileError:
    return BatchFileError([Problem(shown, line, "", message)])


def _told(tree: Tree, shown: str) -> Iterator[Problem]:
    """Mistakes found while reading, with the paths that only the whole tree can give them."""
    if not tree.oddities and not tree.unusual:
        return
    by_container: dict[int, list[Oddity]] = {}
    for oddity in tree.oddities:
        by_container.setdefault(id(oddity.container), []).append(oddity)
    line_of = tree.positions.line
    seen: set[int] = set()
    for path, value in _walk(tree.root):
        if id(value) in by_container and id(value) not in seen:
            seen.add(id(value))
            for oddity in by_container[id(value)]:
                key = key_path((*path, oddity.key) if oddity.key else path)
                yield Problem(shown, oddity.position, key, oddity.message)
        elif is_unusual(value):
            yield Problem(shown, line_of(path), key_path(path), unusual_words(value))
    for number, oddities in by_container.items():
        if number not in seen:  # inside a value that a duplicate key has replaced
            yield from (Problem(shown, odd.position, odd.key, odd.message) for odd in oddities)


def _walk(root: Any) -> Iterator[tuple[Place, Any]]:
    stack: list[tuple[Place, Any]] = [((), root)]
    while stack:
        path, value = stack.pop()
        yield path, value
        if isinstance(value, dict):
            stack.extend(((*path, key), child) for key, child in value.items())
        elif isinstance(value, list):
            stack.extend(((*path, number), child) for number, child in enumerate(value))


def unusual_words(value: float | int) -> str:
    """What is wrong with a number that :func:`scalars.is_unusual`."""
    if isinstance(value, float):
        word = "not a number (NaN)" if math.isnan(value) else "infinite or too large"
        return f"the value is {word}; expected a finite number"
    return f"{value} is beyond 2**53, where whole numbers stop being exact; put it in quotes if it is a name"
