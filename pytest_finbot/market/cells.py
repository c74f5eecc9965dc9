"""Text and Arrow values -> days and float64, strictly, with the place of what is neither."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from pytest_finbot.arrow import from_arrow, no_value, to_arrow
from pytest_finbot.contracts import FloatArray, SessionArray
from pytest_finbot.errors import DataError
from pytest_finbot.market.table_file import NAMED_AT_MOST, TableFile, some

UNKNOWN = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None")
"""Spellings of "no value" in a text file."""

_ISO_DAY = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_EXPECTED_DATE = "expected YYYY-MM-DD, or a timestamp at midnight"


def read_days(table: TableFile, column: int) -> SessionArray:
    """Column ``column`` as days [rows], in file order.

    Timestamps have to be at midnight; one with a time zone is taken at its local date.
    Raises DataError naming the first cell that is no date.
    """
    import pyarrow.types as kinds

    values = table.columns[column]
    if kinds.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    name = table.names[column]
    if kinds.is_string(values.type) or kinds.is_large_string(values.type):
        return _days_of_text(table, name, values)
    if not (kinds.is_date(values.type) or kinds.is_timestamp(values.type)):
        raise DataError(
            f"{table.path}: column '{name}' holds {values.type}, not dates; "
            f"expected the date as index or first column"
        )
    if values.null_count:
        row = int(np.flatnonzero(values.is_null().to_numpy())[0])
        raise DataError(f"{table.path}: {table.where(row)}: no date in column '{name}'; {_EXPECTED_DATE}")
    if kinds.is_timestamp(values.type) and values.type.tz is not None:
        # pandas brings its own time zone table; Arrow needs the system's, which may be absent.
        times = values.to_pandas().dt.tz_localize(None).to_numpy()
    else:
        times = from_arrow(values)
    days: SessionArray = times.astype("datetime64[D]")
    off = np.flatnonzero(days != times)
    if len(off):
        row = int(off[0])
        raise DataError(
            f"{table.path}: {table.where(row)}: {times[row]} in column '{name}' is not a date; "
            f"{_EXPECTED_DATE}"
        )
    return days


def _days_of_text(table: TableFile, name: str, values: Any) -> SessionArray:
    import pyarrow.compute as compute

    # A date stands in a long table once per symbol: parse each spelling once.
    filled = compute.fill_null(values, "") if values.null_count else values
    spelled = filled.combine_chunks().dictionary_encode()
    days = np.empty(len(spelled.dictionary), "datetime64[D]")
    for number, text in enumerate(spelled.dictionary.to_pylist()):
        day = _day(text)
        if day is None:
            row = int(np.flatnonzero(from_arrow(spelled.indices) == number)[0])
            raise DataError(
                f"{table.path}: {table.where(row)}: {text!r} in column '{name}' is not a date; "
                f"{_EXPECTED_DATE}"
            )
        days[number] = day
    found: SessionArray = days[from_arrow(spelled.indices)]
    return found


def _day(text: str) -> date | None:
    match = _ISO_DAY.fullmatch(text.strip())
    if match is None:
        return None
    try:
        return date.fromisoformat(match["day"])
    except ValueError:
        return None


def require_rising(table: TableFile, days: SessionArray) -> None:
    """Raise DataError naming days that appear more than once, or the first one out of order."""
    unique, counts = np.unique(days, return_counts=True)
    if len(unique) < len(days):
        twice = some(str(day) for day in unique[counts > 1])
        raise DataError(f"{table.path}: dates that appear more than once: {twice}")
    falls = np.flatnonzero(days[1:] < days[:-1])
    if len(falls):
        row = int(falls[0]) + 1
        raise DataError(
            f"{table.path}: dates are not in order: {table.where(row)}: "
            f"{days[row]} after {days[row - 1]}; expected the oldest first"
        )


def read_numbers(table: TableFile, columns: Sequence[int]) -> FloatArray:
    """Columns as float64 [rows, len(columns)], C-contiguous, NaN where there is no value.

    Decimal text becomes the nearest float64, so that what ``repr`` wrote comes back as it
    was. Raises DataError naming the cells that hold something else.
    """
    matrix = np.empty((table.rows, len(columns)))
    wrong: list[str] = []
    total = 0
    for place, column in enumerate(columns):
        numbers, bad = _numbers(table, column)
        if numbers is None:
            total += len(bad)
            wrong += [_named(table, column, row) for row in bad[: NAMED_AT_MOST - len(wrong)]]
        else:
            matrix[:, place] = numbers
    if total:
        more = f" and {total - len(wrong)} more" if total > len(wrong) else ""
        raise DataError(f"{table.path}: not a number: {', '.join(wrong)}{more}")
    return matrix


def _numbers(table: TableFile, column: int) -> tuple[FloatArray | None, list[int]]:
    import pyarrow as pa
    import pyarrow.compute as compute
    import pyarrow.types as kinds

    values = table.columns[column]
    if kinds.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if kinds.is_null(values.type):
        return np.full(table.rows, np.nan), []
    if kinds.is_string(values.type) or kinds.is_large_string(values.type):
        text = compute.utf8_trim_whitespace(values)
        unknown_words = to_arrow(np.array(UNKNOWN, dtype=object))
        unknown = compute.is_in(text, value_set=unknown_words.cast(text.type))
        text = compute.if_else(unknown, no_value(text.type), text)
        try:
            return from_arrow(compute.cast(text, pa.float64())), []
        except pa.ArrowInvalid:
            return None, [row for row, cell in enumerate(text) if not _is_number(cell)]
    if kinds.is_integer(values.type) or kinds.is_floating(values.type) or kinds.is_decimal(values.type):
        return from_arrow(compute.cast(values, pa.float64(), safe=False)), []
    return None, list(range(table.rows))


def _is_number(cell: Any) -> bool:
    import pyarrow as pa

    try:
        cell.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _named(table: TableFile, column: int, row: int) -> str:
    value = table.columns[column][row].as_py()
    return f"{table.where(row)}, column '{table.names[column]}': {value!r}"
