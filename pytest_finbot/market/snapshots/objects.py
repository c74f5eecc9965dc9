"""A symbol's rows of one year as a Parquet object, named by a SHA-256 of its values.

Parquet's bytes change with the library's version, so a name never depends on them. Of values
only the bit patterns of NaN are made one; -0.0 and 0.0 stay two, so that what is read is bit for
bit what was stored.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from pytest_finbot.arrow import from_arrow, to_arrow
from pytest_finbot.errors import DataError
from pytest_finbot.fingerprint import canonical_json
from pytest_finbot.market.snapshots.sources import Column, SymbolData

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SESSION = "session"
_VALUE = "value:"
"""Begins the name of every other column: a factor may be called ``session``."""


def object_hash(data: SymbolData) -> str:
    """SHA-256 of the names, kinds, sessions and values of ``data``, in the order of its columns."""
    kinds = [[name, "text" if column.dtype == object else "float64"] for name, column in data.columns.items()]
    digest = hashlib.sha256(canonical_json([kinds, len(data.sessions)]))
    digest.update(data.sessions.astype("datetime64[D]").astype("<i8").tobytes())
    for column in data.columns.values():
        if column.dtype == object:
            digest.update(canonical_json(column.tolist()))
        else:
            digest.update(_one_nan(column).tobytes())
    return digest.hexdigest()


def object_path(snapshots: Path, digest: str) -> Path:
    """``<snapshots>/objects/ab/<hash>.parquet``."""
    return snapshots / "objects" / digest[:2] / f"{digest}.parquet"


def is_hash(text: object) -> bool:
    return isinstance(text, str) and _HASH.fullmatch(text) is not None


def to_parquet(data: SymbolData) -> memoryview:
    """``data`` as the bytes of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as arrow_parquet

    fields = [pa.field(_SESSION, pa.date32(), nullable=False)]
    arrays = [to_arrow(data.sessions.astype("datetime64[D]"), pa.date32())]
    for name, column in data.columns.items():
        text = column.dtype == object
        fields.append(pa.field(_VALUE + name, pa.string() if text else pa.float64(), nullable=text))
        if text:
            arrays.append(pa.array(column.tolist(), type=pa.string()))
        else:
            arrays.append(to_arrow(_one_nan(column), pa.float64()))
    sink = pa.BufferOutputStream()
    arrow_parquet.write_table(
        pa.Table.from_arrays(arrays, schema=pa.schema(fields)),
        sink,
        compression="zstd",
        use_dictionary=False,
        # A year has 250 days that rise by one or three: as differences they take next to nothing.
        column_encoding={_SESSION: "DELTA_BINARY_PACKED"},
        write_statistics=False,
        store_schema=False,
    )
    return memoryview(sink.getvalue())


def read_object(snapshots: Path, digest: str, what: str) -> SymbolData:
    """The rows that ``digest`` names. ``what`` says in the error whose they are.

    Raises DataError where the object is not there, cannot be read, or holds anything else.
    """
    import pyarrow as pa
    import pyarrow.parquet as arrow_parquet

    path = object_path(snapshots, digest)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{what}: object {path} is missing; {_MEND}") from error
    except OSError as error:
        raise DataError(f"{what}: object {path} cannot be read: {error.strerror or error}") from error
    try:
        with arrow_parquet.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
            table = file.read(use_threads=False)
        data = SymbolData(
            from_arrow(table.column(0)).astype("datetime64[D]"),
            {
                name.removeprefix(_VALUE): _values(column)
                for name, column in zip(table.column_names[1:], table.columns[1:], strict=True)
            },
        )
        found = object_hash(data)
    except (OSError, pa.ArrowException, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{what}: object {path} cannot be read: {error}; remove it, then {_MEND}") from error
    if found != digest:
        raise DataError(
            f"{what}: object {path} does not hold the values it is named by; remove it, then {_MEND}"
        )
    return data


_MEND = "copy it from where the snapshot is whole, or take the snapshot again from the same files"


def _values(column: Any) -> Column:
    import pyarrow as pa

    if column.type == pa.string():
        texts: Column = np.empty(len(column), dtype=object)
        texts[:] = column.to_pylist()
        return texts
    if column.type != pa.float64():
        raise ValueError(f"a column of {column.type}")
    values: Column = from_arrow(column)
    return values


def _one_nan(column: Column) -> Column:
    values = np.array(column, dtype="<f8")
    values[np.isnan(values)] = np.nan
    return values
