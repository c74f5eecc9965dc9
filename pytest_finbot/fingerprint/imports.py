"""What one source file imports, read from its text. Nothing is executed."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from typing import Final

UNKNOWN: Final = "unknown"
"""Stands for the hash of a module that has no readable source."""

_BUILTINS: Final = frozenset({"__import__", "exec", "eval"})
_CALLS: Final = frozenset(
    {
        "__import__",
        "SourceFileLoader",
        "addsitedir",
        "entry_points",
        "exec_module",
        "import_module",
        "load_module",
        "module_from_spec",
        "resolve_name",
        "run_module",
        "run_path",
        "spec_from_file_location",
    }
)
"""Names, of whatever module, by which code is found otherwise than by an import statement."""
_OF_SYS: Final = frozenset({"meta_path", "path", "path_hooks"})
_HINT: Final = re.compile(
    rb"\b(?:" + b"|".join(sorted(name.encode() for name in _BUILTINS | _CALLS)) + rb"|sys)\b"
)
"""Most files have none of these words, and their expressions need not be looked at."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement: ``from <level dots><module> import <names>``.

    ``names`` is empty for a plain ``import module``.
    """

    level: int
    module: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """SHA-256 of a file's bytes, its imports, and whether it may import by other means."""

    digest: str
    imports: tuple[Import, ...] = ()
    dynamic: bool = False


def read_source(path: str) -> SourceFile:
    """The file at ``path``, read once in a process while its size and time stay the same.

    An extension module has a hash, and imports that cannot be told; so has source that does
    not parse. What cannot be read, or is no source (``.pyc``), has the digest ``unknown``.
    """
    try:
        stat = os.stat(path)
        return _read(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        return SourceFile(UNKNOWN, dynamic=True)


@functools.lru_cache(maxsize=4096)
def _read(path: str, modified: int, size: int) -> SourceFile:
    is_source = path.endswith(tuple(SOURCE_SUFFIXES))
    if not is_source and not path.endswith(tuple(EXTENSION_SUFFIXES)):
        return SourceFile(UNKNOWN, dynamic=True)
    with open(path, "rb") as file:
        source = file.read()
    digest = hashlib.sha256(source).hexdigest()
    if not is_source:
        return SourceFile(digest, dynamic=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of the user's escapes and comparisons; they hear of them on import
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return SourceFile(digest, dynamic=True)
    imports = tuple(_imports(tree.body))
    return SourceFile(digest, imports, _names_a_way_round(imports, tree if _HINT.search(source) else None))


def _imports(body: Iterable[ast.stmt]) -> Iterator[Import]:
    """Import statements at any depth, except where only a type checker looks."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(0, alias.name)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.level, node.module or "", tuple(alias.name for alias in node.names))
        elif isinstance(node, ast.If):
            pending.extend(_executed(node))
        else:
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                part = getattr(node, name, None)
                if type(part) is list:
                    pending.extend(part)


def _executed(node: ast.If) -> list[ast.stmt]:
    test, negated = node.test, False
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, negated = test.operand, not negated
    if not _is_named(test, "TYPE_CHECKING"):
        return [*node.body, *node.orelse]
    return node.body if negated else node.orelse


def _is_named(node: ast.expr, name: str) -> bool:
    return (isinstance(node, ast.Name) and node.id == name) or (
        isinstance(node, ast.Attribute) and node.attr == name
    )


def _names_a_way_round(imports: Iterable[Import], tree: ast.Module | None) -> bool:
    """Whether the module may bring in code by anything but import statements."""
    for found in imports:
        if found.module.partition(".")[0] in ("runpy", "imp", "pydoc") and not found.level:
            return True
        if not _CALLS.isdisjoint(found.names):
            return True
        if found.module == "sys" and not _OF_SYS.isdisjoint(found.names):
            return True
    if tree is None:
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if node.id in _BUILTINS:
                return True
        elif isinstance(node, ast.Attribute) and (
            node.attr in _CALLS
            or (node.attr in _OF_SYS and _is_named(node.value, "sys"))
            or (node.attr in _BUILTINS and _is_named(node.value, "builtins"))
        ):
            return True
    return False
