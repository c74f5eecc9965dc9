"""One table of a local file, as it stands there: CSV, CSV.gz or Parquet, not yet interpreted.

Cells of a CSV stay text until someone asks for dates or numbers, so that a wrong cell can be
named by line, column and value. Nothing here guesses: no types, no date formats.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_finbot.errors import DataError, did_you_mean

SUFFIXES = (".parquet", ".csv.gz", ".csv")
"""What can be read, in the order in which one is preferred over the next."""

NAMED_AT_MOST = 5
"""Of many wrong cells or dates, this many are named and the rest counted."""

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LIKE_A_DATE = re.compile(r"\d{4}\D?\d{1,2}\D?\d{1,2}(?:[T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}", re.ASCII)
_LIKE_A_PRICE = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class TableFile:
    """Columns of one file, in file order; those of a Parquet file's pandas index come first.

    ``columns`` are pyarrow chunked arrays of equal length ``rows``.
    """

    path: str
    names: tuple[str, ...]
    columns: tuple[Any, ...]
    rows: int
    content: bytes | None
    """The text of a CSV, to find line numbers in; ``None`` for Parquet."""

    def where(self, row: int) -> str:
        """``line 7`` (1-based, in a CSV) or ``row 7`` (1-based) for a 0-based row."""
        if self.content is None:
            return f"row {row + 1}"
        return f"line {_line_of(self.content, row + 1)}"


def _line_of(content: bytes, place: int) -> int:
    """1-based line of the row ``place`` (the header's is 0): empty lines are no rows."""
    filled = (number for number, line in enumerate(content.splitlines(), 1) if line)
    return next(number for at, number in enumerate(filled) if at == place)


def suffix_of(name: str) -> str | None:
    """The suffix of a readable file's name as it is spelled there, or ``None``."""
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[-len(suffix) :]
    return None


def stem_of(name: str) -> str:
    """``AAPL`` of ``AAPL.csv.gz``: a file's name without the suffix that can be read."""
    return name[: -len(suffix_of(name) or "")] or name


def folded(name: str) -> str:
    """``adjclose`` of ``Adj Close`` and ``adj_close``: names of columns that mean the same."""
    return name.lower().replace(" ", "").replace("_", "")


def require_exists(path: Path, setting: str) -> None:
    """Raise DataError, naming a near neighbour, unless ``path`` is there."""
    if path.exists():
        return
    if path.is_symlink():
        raise DataError(f"{path}: a link to {os.readlink(path)}, which is not there ({setting})")
    near = did_you_mean(path.name, os.listdir(path.parent)) if path.parent.is_dir() else ""
    raise DataError(f"{path}: no such file or folder ({setting}){near}")


def require_regular(path: Path) -> None:
    """Raise DataError for a pipe or a device: reading one may wait for ever. A folder is neither."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(f"{path}: not a regular file, but a pipe, a socket or a device")


def some(items: Iterable[str], limit: int = NAMED_AT_MOST) -> str:
    """``a, b, c and 4 more``: the first ``limit`` of ``items``, the rest counted."""
    listed = list(items)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def read_table_file(path: Path) -> TableFile:
    """Read one file. Raises DataError where it is not there, not whole, or not a table."""
    suffix = suffix_of(path.name)
    if suffix is None:
        raise DataError(f"{path}: cannot read this kind of file; expected .csv, .csv.gz or .parquet")
    try:
        require_regular(path)
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if suffix.lower() == ".parquet":
        return _checked(_read_parquet(path, content))
    if suffix.lower() == ".csv.gz":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(f"{path}: broken or incomplete gzip file: {error}") from error
    return _checked(_read_csv(path, content))


def _read_csv(path: Path, content: bytes) -> TableFile:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    _require_utf8(path, content)
    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "error"

    # One thread: a run may be forked off this process later, and threads do not survive that.
    options = arrow_csv.ReadOptions(use_threads=False)
    cells = arrow_csv.ParseOptions(invalid_row_handler=note)
    try:
        names = arrow_csv.open_csv(
            pa.BufferReader(content), read_options=options, parse_options=cells
        ).schema.names
        _require_header(path, names)
        table = arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=options,
            parse_options=cells,
            convert_options=arrow_csv.ConvertOptions(column_types={name: pa.string() for name in names}),
        )
    except pa.ArrowException as error:
        if ragged:
            raise _ragged(path, content, ragged[0]) from error
        raise DataError(f"{path}: not a readable CSV file: {error}") from error
    stripped = tuple(name.strip() for name in names)
    return TableFile(str(path), stripped, tuple(table.columns), table.num_rows, content)


def _require_utf8(path: Path, content: bytes) -> None:
    """Raise DataError for what is no UTF-8 text, with the line of the first wrong byte."""
    if content.startswith(_UTF16_MARKS):
        raise DataError(f"{path}: UTF-16, not UTF-8 (it begins with a byte order mark); save it as UTF-8")
    nul = content.find(b"\0")
    if nul >= 0:
        # Plain text in UTF-16 is a NUL every other byte; one of them is damage.
        start = content[:400]
        if start.count(b"\0") * 4 >= len(start):
            raise DataError(f"{path}: UTF-16 without a byte order mark, not UTF-8; save it as UTF-8")
        raise DataError(
            f"{path}: line {_line_at(content, nul)}: a NUL byte, which no text has; the file is damaged, or "
            "not saved as UTF-8"
        )
    if content.isascii():
        return
    try:
        content.decode()
    except UnicodeDecodeError as error:
        wrong = error.start
        began = max(content.rfind(b"\n", 0, wrong), content.rfind(b"\r", 0, wrong)) + 1
        around = content[max(began, wrong - 20) : wrong + 20].splitlines()[0]
        raise DataError(
            f"{path}: not UTF-8 (line {_line_at(content, wrong)}, byte {wrong - began + 1} of it is "
            f"0x{content[wrong]:02x}, in {str(around)[1:]}); save it as UTF-8"
        ) from error


def _line_at(content: bytes, place: int) -> int:
    """1-based line of the byte at ``place``."""
    return len(content[: place + 1].splitlines())


def _require_header(path: Path, names: Sequence[str]) -> None:
    """Raise DataError where the first line is a row already: it would be lost, and name the symbols.

    Symbols may be whole numbers, as in Tokyo and Hong Kong; they have no decimal point.
    """
    first, others = names[0].strip(), [name.strip() for name in names[1:]]
    if _LIKE_A_DATE.fullmatch(first):
        why = f"its first cell is a date, {first!r}"
    elif others and all(map(_LIKE_A_PRICE.fullmatch, others)):
        why = f"its other cells are numbers: {some(others)}"
    else:
        return
    raise DataError(
        f"{path}: line 1 is not a header: {why}; expected the name of the date and a name per column"
    )


def _ragged(path: Path, content: bytes, row: Any) -> DataError:
    """What to say of a line with too few or too many cells.

    A file that was cut within its last cell has the right number of cells, and cannot be told.
    """
    has, expected = row.actual_columns, row.expected_columns
    lines = content.rstrip(b"\r\n").count(b"\n") + 1
    line = _line_of(content, row.number - 1)
    cut = has < expected and line == lines and not content.endswith((b"\n", b"\r"))
    why = "; the file ends there, in the middle of a line: it is not whole" if cut else ""
    return DataError(
        f"{path}: line {line}: {has} cell{'' if has == 1 else 's'}, expected {expected} as in the first line"
        f": {row.text[:60]!r}{why}"
    )


def _read_parquet(path: Path, content: bytes) -> TableFile:
    import pyarrow as pa
    import pyarrow.parquet as arrow_parquet

    try:
        file = arrow_parquet.ParquetFile(pa.BufferReader(content), pre_buffer=False)
        table = file.read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error
    metadata = table.schema.pandas_metadata or {}
    index = [name for name in metadata.get("index_columns", []) if isinstance(name, str)]
    order = [table.column_names.index(name) for name in index if name in table.column_names]
    order += [number for number in range(table.num_columns) if number not in order]
    return TableFile(
        str(path),
        tuple(table.column_names[number] for number in order),
        tuple(table.column(number) for number in order),
        table.num_rows,
        None,
    )


def _checked(table: TableFile) -> TableFile:
    if not table.rows:
        raise DataError(f"{table.path}: no rows")
    # The first name may be empty: an index without a name is written so.
    unnamed = [str(number) for number, name in enumerate(table.names, 1) if not name and number > 1]
    if unnamed:
        raise DataError(f"{table.path}: column {some(unnamed)} has no name")
    twice = sorted({name for name in table.names if table.names.count(name) > 1})
    if twice:
        raise DataError(f"{table.path}: columns that appear more than once: {some(twice)}")
    return table
