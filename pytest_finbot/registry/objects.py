"""Content-addressed objects: tables of daily series and fills, and JSON values.

An object is named by a SHA-256 of its values, not of its file: Parquet's bytes change with
the library's version. What exists is never written again, so processes need not agree on
who writes, equal runs share one file, and a registry under git shows no noise.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytest_finbot.errors import RegistryError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry.durable import make_folder, sync_folder, telling, write_file
from pytest_finbot.registry.strict_json import decode, encode

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Column = npt.NDArray[Any]
else:  # NumPy is for those who put or get a table, not for who only asks about records
    Column = Any
"""One-dimensional: float64, int64, datetime64[D], or text (dtype U, or objects all of str)."""

_Kind = Literal["float64", "int64", "date", "text"]
_YOUNG = 3600.0
"""Seconds for which an object that was written or asked for is safe from a prune in any case."""
_UNSETTLED = 120.0
"""Seconds after which the system has written a name to the disk by itself."""
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


def table_hash(columns: Mapping[str, Column]) -> str:
    """SHA-256 of names, kinds and values, in the order of the columns.

    All NaN are one value, and so are 0.0 and -0.0: their bits differ between machines where
    results do not. Raises RegistryError for columns that make no table.
    """
    return _hash(_checked(columns))


class ObjectStore:
    """Objects in the folder ``root``, as ``ab/<hash>.parquet`` and ``ab/<hash>.json``.

    ``durable=False`` leaves it to the system when they reach the disk.
    """

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self._root = root.absolute()
        self._durable = durable
        self._known: dict[Path, float] = {}
        """When each object was last known to be there."""

    def path_of(self, digest: str, suffix: Literal[".parquet", ".json"] = ".parquet") -> Path:
        """Where an object is, or would be. Raises RegistryError for what is no hash."""
        if _HASH.fullmatch(digest) is None:
            raise RegistryError(f"{digest!r} cannot name an object; expected 64 hexadecimal digits")
        return self._root / digest[:2] / f"{digest}{suffix}"

    def has(self, digest: str) -> bool:
        """Whether the table is there, as far as can be told without reading it."""
        try:
            return self.path_of(digest).stat().st_size > 0
        except OSError:
            return False

    # ---------------------------------------------------------------------------- tables

    def put_table(self, columns: Mapping[str, Column]) -> str:
        """Store columns of equal length [T] and return their hash; the order counts.

        Raises RegistryError for columns that make no table, or where it cannot be written.
        """
        checked = _checked(columns)
        digest = _hash(checked)
        path = self.path_of(digest)
        if not self._exists(path):
            self._write(path, _parquet(checked))
        return digest

    def get_table(
        self, digest: str, *, verify: bool = False, columns: Sequence[str] | None = None
    ) -> dict[str, Column]:
        """The columns of a table; dates as datetime64[D], text as objects.

        With ``columns`` only those of them that it has, which is quicker, and cannot be verified. Raises
        RegistryError where the object is missing or unreadable, and with ``verify`` where its values
        are not those it is named by.
        """
        if verify and columns is not None:
            raise ValueError("a table is verified as a whole, or not at all")
        import pyarrow as pa
        import pyarrow.parquet as pq

        from pytest_finbot.arrow import from_arrow

        path = self.path_of(digest)
        if not path.is_file():
            raise self._missing(path)
        try:
            with pq.ParquetFile(path) as file:
                table = file.read(columns=None if columns is None else list(columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise RegistryError(f"object {path} cannot be read: {error}") from error
        found = {name: from_arrow(table.column(name)) for name in table.column_names}
        if verify and table_hash(found) != digest:
            raise _tampered(path)
        return found

    # ------------------------------------------------------------------------------ JSON

    def put_json(self, digest: str, value: Any) -> None:
        """Store a JSON value under ``digest``, which is ``fingerprint.sha256_of_json(value)``.

        Raises RegistryError where the value is not strict JSON or cannot be written.
        """
        path = self.path_of(digest, ".json")
        if not self._exists(path):
            self._write(path, encode(value, f"object {digest}") + b"\n")

    def get_json(self, digest: str, *, verify: bool = False) -> Any:
        """The value stored under ``digest``. Raises as :meth:`get_table` does."""
        path = self.path_of(digest, ".json")
        try:
            value = decode(path.read_bytes())
        except FileNotFoundError as error:
            raise self._missing(path) from error
        except (OSError, ValueError) as error:
            raise RegistryError(f"object {path} cannot be read: {error}") from error
        if verify and sha256_of_json(value) != digest:
            raise _tampered(path)
        return value

    # --------------------------------------------------------------------------- writing

    def _exists(self, path: Path) -> bool:
        if time.monotonic() - self._known.get(path, -_YOUNG) < _YOUNG:
            return True
        try:
            facts = os.stat(path)
            # An empty file is what a power cut leaves of one that was not synced.
            found = facts.st_size > 0
            if found and time.time() - facts.st_mtime > _YOUNG:
                os.utime(path)  # wanted again: a prune that runs now must not take it for garbage
        except FileNotFoundError:
            return False
        except OSError as error:
            raise RegistryError(f"cannot look for object {path}: {error.strerror}") from error
        if found:
            if self._durable and time.time() - facts.st_mtime < _UNSETTLED:
                # Whoever wrote it may have been killed before its name was on the disk.
                with telling("sync the folder of", path):
                    sync_folder(path.parent)
            self._known[path] = time.monotonic()
        return found

    def _write(self, path: Path, data: bytes | memoryview) -> None:
        with telling("write object", path):
            try:
                write_file(path, data, durable=self._durable)
            except FileNotFoundError:  # the first object with these two digits
                make_folder(path.parent, durable=self._durable)
                write_file(path, data, durable=self._durable)
        self._known[path] = time.monotonic()

    def _missing(self, path: Path) -> RegistryError:
        return RegistryError(
            f"object {path} is missing; copy series/ together with batches/ when a registry is moved, "
            "or run the batch again"
        )


def _tampered(path: Path) -> RegistryError:
    return RegistryError(
        f"object {path} does not hold the values it is named by; remove it and run the batch again"
    )


def _checked(columns: Mapping[str, Column]) -> list[tuple[str, _Kind, Column]]:
    """Each column with its kind: contiguous, little-endian, one NaN and one zero."""
    import numpy as np

    checked: list[tuple[str, _Kind, Column]] = []
    lengths = set()
    for name, column in columns.items():
        if column.ndim != 1:
            raise RegistryError(f"column {name!r} has shape {column.shape}; expected one dimension")
        lengths.add(len(column))
        kind, size = column.dtype.kind, column.dtype.itemsize
        if kind == "f" and size == 8:
            values = np.add(column, 0.0, dtype="<f8")
            values[np.isnan(values)] = np.nan
            checked.append((name, "float64", values))
        elif kind == "i" and size == 8:
            checked.append((name, "int64", np.ascontiguousarray(column, dtype="<i8")))
        elif kind == "M" and np.datetime_data(column.dtype) == ("D", 1):
            if np.isnat(column).any():
                raise RegistryError(f"column {name!r} has a date that is not a date (NaT)")
            checked.append((name, "date", np.ascontiguousarray(column)))
        elif kind == "U" or (kind == "O" and all(isinstance(text, str) for text in column)):
            checked.append((name, "text", column.astype(object)))
        else:
            raise RegistryError(
                f"column {name!r} has dtype {column.dtype}; expected float64, int64, datetime64[D] or text"
            )
    if len(lengths) > 1:
        raise RegistryError(f"the columns {', '.join(columns)} have different lengths: {sorted(lengths)}")
    return checked


def _hash(checked: list[tuple[str, _Kind, Column]]) -> str:
    import numpy as np

    # The head says how long each column is, so no two tables give the same bytes.
    head = [[name, kind, len(values)] for name, kind, values in checked]
    digest = hashlib.sha256(b"finbot-table 1\n" + json.dumps(head).encode() + b"\n")
    for _, kind, values in checked:
        if kind == "text":
            digest.update(json.dumps(values.tolist()).encode() + b"\n")
        elif kind == "date":
            digest.update(values.view(np.int64).astype("<i8").data)
        else:
            digest.update(values.data)
    return digest.hexdigest()


def _parquet(checked: list[tuple[str, _Kind, Column]]) -> memoryview:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pytest_finbot.arrow import to_arrow

    types: dict[_Kind, pa.DataType] = {
        "float64": pa.float64(),
        "int64": pa.int64(),
        "date": pa.date32(),
        "text": pa.string(),
    }
    schema = pa.schema([pa.field(name, types[kind], nullable=False) for name, kind, _ in checked])
    arrays = [to_arrow(values, types[kind]) for _, kind, values in checked]
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=schema),
        sink,
        compression="zstd",
        use_dictionary=[name for name, kind, _ in checked if kind == "text"],
        use_byte_stream_split=[name for name, kind, _ in checked if kind == "float64"],
        write_statistics=False,
        store_schema=False,
    )
    return memoryview(sink.getvalue())
