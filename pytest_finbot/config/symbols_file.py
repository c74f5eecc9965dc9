"""A universe as a file: one symbol a line, or a CSV with a column ``symbol``."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from pytest_finbot.config.fields import symbol_fault
from pytest_finbot.config.problems import quoted
from pytest_finbot.config.source import read_bytes
from pytest_finbot.errors import BatchFileError, Problem

COLUMN = "symbol"


def read_symbols(path: Path, shown: str) -> tuple[str, ...]:
    """Symbols in the order of the file. ``#`` begins a comment; blank lines do not count.

    Raises BatchFileError with every line that is wrong: no symbol at all, one given twice,
    several on a line.
    """
    content = read_bytes(path, shown)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BatchFileError([Problem(shown, line, "", "not UTF-8; save it as UTF-8")]) from None
    first: dict[str, int] = {}
    problems: list[Problem] = []
    for line, symbol in _symbols(text):
        fault = symbol_fault(symbol)
        if fault is None and symbol in first:
            fault = f"the symbol {quoted(symbol)} is given twice; it was first given on line {first[symbol]}"
        elif fault is None and "," in symbol:
            fault = f"expected one symbol a line, got {quoted(symbol)}"
        if fault is not None:
            problems.append(Problem(shown, line, "", fault))
        first.setdefault(symbol, line)
    if not first:
        problems.append(Problem(shown, 0, "", "no symbols in the file; expected one a line"))
    if problems:
        raise BatchFileError(problems)
    return tuple(first)


def _symbols(text: str) -> Iterator[tuple[int, str]]:
    lines = ((line, row.split("#")[0].strip()) for line, row in enumerate(text.splitlines(), 1))
    rows = [(line, row) for line, row in lines if row]
    header = [cell.strip().lower() for cell in rows[0][1].split(",")] if rows else []
    if COLUMN not in header:
        yield from rows
        return
    column = header.index(COLUMN)
    for line, row in rows[1:]:
        cells = next(csv.reader([row]))
        yield line, cells[column].strip() if column < len(cells) else ""
