"""Arrays of NumPy to Arrow's and back, without pandas.

pyarrow's own ``array``, ``scalar`` and ``to_numpy`` import pandas at their first call, to see whether
they were given something of it: a third of a second and 40 MB of every process that executes runs,
most of which have no other use for it. Here the memory is shared, or copied, as it lies there.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

_DAYS_BEYOND = 2**31
_LITTLE = sys.byteorder == "little"


def to_arrow(values: npt.NDArray[Any], kind: Any = None) -> Any:
    """``values`` [n] as an Arrow array: what ``pyarrow.array(values, type=kind)`` gives.

    Float64, int64, int32, days and text (objects that are ``str``, or with ``kind`` given); anything
    else is left to pyarrow, pandas and all. Numbers are shared with ``values``, not copied.
    """
    import pyarrow as pa

    if values.ndim != 1 or not _LITTLE:
        return pa.array(values, type=kind)
    if values.dtype == object and (kind is None or kind == pa.string()):
        made = _texts(values) if len(values) or kind is not None else None
        return pa.array(values, type=kind) if made is None else made
    plain, own = values, None
    if values.dtype == np.dtype("datetime64[D]"):
        days = values.astype(np.int64)
        if not len(days) or (days.min() >= -_DAYS_BEYOND and days.max() < _DAYS_BEYOND):
            plain, own = days.astype(np.int32), pa.date32()
    elif values.dtype in (np.float64, np.int64, np.int32):
        own = pa.from_numpy_dtype(values.dtype)
    if own is None or kind not in (None, own):
        return pa.array(values, type=kind)
    held = pa.py_buffer(np.ascontiguousarray(plain))
    return pa.Array.from_buffers(own, len(plain), [None, held])


def from_arrow(values: Any) -> npt.NDArray[Any]:
    """A column of Arrow, in chunks or not, as ``to_numpy`` gives it: no value is NaN.

    Numbers, dates and timestamps without a time zone; anything else is left to pyarrow.
    """
    import pyarrow as pa
    import pyarrow.types as kinds

    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    kind = values.type
    stored: np.dtype[Any] | None = None
    dtype: np.dtype[Any] | None = None
    if kinds.is_date32(kind):
        stored, dtype = np.dtype(np.int32), np.dtype("datetime64[D]")
    elif kinds.is_timestamp(kind) and kind.tz is None:
        stored, dtype = np.dtype(np.int64), np.dtype(f"datetime64[{kind.unit}]")
    elif kinds.is_integer(kind) or kinds.is_float64(kind):
        stored = np.dtype(kind.to_pandas_dtype())
    if stored is None or not _LITTLE or (values.null_count and not kinds.is_float64(kind)):
        found: npt.NDArray[Any] = (
            values.to_numpy()
            if isinstance(values, pa.ChunkedArray)
            else values.to_numpy(zero_copy_only=False)
        )
        return found
    parts = [_numbers(chunk, stored) for chunk in chunks]
    whole = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, stored), *parts])
    return whole if dtype is None else whole.astype(np.int64).view(dtype)


def no_value(kind: Any) -> Any:
    """Arrow's scalar of type ``kind`` that has no value."""
    import pyarrow as pa

    return pa.nulls(1, kind)[0]


def _texts(values: npt.NDArray[Any]) -> Any:
    """Text [n] as Arrow's strings; ``None`` for what is not all text, or too much of it."""
    import pyarrow as pa

    if not all(type(text) is str for text in values):
        return None
    try:
        coded = [text.encode() for text in values]
    except UnicodeEncodeError:  # half of a surrogate pair: pyarrow says what it thinks of that
        return None
    ends = np.zeros(len(coded) + 1, np.int64)
    np.cumsum([len(text) for text in coded], out=ends[1:])
    if ends[-1] >= 2**31:
        return None
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(coded))]
    return pa.Array.from_buffers(pa.string(), len(coded), buffers)


def _numbers(chunk: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if not len(chunk):
        return np.empty(0, dtype)
    valid, held = chunk.buffers()
    numbers = np.frombuffer(held, dtype, len(chunk), chunk.offset * dtype.itemsize)
    if chunk.null_count:
        bits = np.frombuffer(valid, np.uint8)
        there = np.unpackbits(bits, count=chunk.offset + len(chunk), bitorder="little")[chunk.offset :]
        numbers = np.where(there, numbers, np.nan)
    return numbers
