"""Daily series and fills of a baseline as one Parquet file, and back.

A row a session; the fills of a session are a list in its row. The file's metadata says which
assets and series there are, and what the digests of the data were, by symbol and year: nobody
reads those in a review.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_finbot.arrow import from_arrow, to_arrow
from pytest_finbot.baselines.results import FillTable, RunResult
from pytest_finbot.contracts import FloatArray, SessionArray
from pytest_finbot.errors import BaselineError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry.objects import table_hash

_METADATA = b"finbot-baseline"
_FILL_PARTS = ("asset", "quantity", "price", "fee")
_BY_ASSET = {"quantity": "quantity", "market_values": "market_value"}
_SERIES = ("cash", "quantity", "market_values", "fills")
"""What a result may not know. NAV it always has."""


def values_hash(result: RunResult) -> str:
    """SHA-256 of everything the file holds of ``result``: what the JSON beside it names."""
    hashes = [table_hash(_daily(result))]
    if result.fills is not None:
        fills = result.fills
        parts = {name: getattr(fills, name) for name in ("session", "asset", "quantity", "price", "fee")}
        hashes.append(table_hash(parts))
    return sha256_of_json([list(result.assets), *hashes])


def write_table(result: RunResult, details: Mapping[str, Any]) -> bytes:
    """The Parquet file of ``result``; ``details`` (JSON values) go into its metadata.

    The same values give the same bytes with one version of pyarrow. Raises BaselineError for
    a result that such a file cannot hold.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check(result)
    daily = _daily(result)
    arrays = [to_arrow(values) for values in daily.values()]
    names = list(daily)
    floats = [name for name in names if name != "session"]
    texts: list[str] = []
    if result.fills is not None:
        arrays.append(_fills_of_sessions(result, result.fills))
        names.append("fills")
        floats += [f"fills.list.element.{part}" for part in _FILL_PARTS if part != "asset"]
        texts.append("fills.list.element.asset")
    held = [name for name in _SERIES if getattr(result, name) is not None]
    about = {"assets": list(result.assets), "series": held, "details": dict(details)}
    words = json.dumps(about, sort_keys=True, allow_nan=False, separators=(",", ":"))
    table = pa.table(arrays, names=names).replace_schema_metadata({_METADATA: words.encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=9,
        use_dictionary=texts,
        use_byte_stream_split=floats,
        write_statistics=False,
    )
    return bytes(sink.getvalue())


def read_table(path: Path) -> tuple[RunResult, dict[str, Any]]:
    """What :func:`write_table` wrote: the result, without metrics, and the details.

    Raises BaselineError, naming the file, where it is not such a file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
            table = file.read(use_threads=False)
        about = json.loads(metadata[_METADATA])
        kinds = {"assets": list, "series": list, "details": dict}
        if not isinstance(about, dict) or any(not isinstance(about[key], kinds[key]) for key in kinds):
            raise ValueError(f"its metadata are {about!r:.80}")
        return _result(table, about["assets"], about["series"]), about["details"]
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise BaselineError(
            f"baseline {path} cannot be read: {why}; restore it from version control, or remove it "
            "(finbot baseline remove) and accept the run again"
        ) from error


def _check(result: RunResult) -> None:
    if len(set(result.assets)) != len(result.assets):
        twice = sorted({asset for asset in result.assets if result.assets.count(asset) > 1})
        raise BaselineError(f"the result names assets twice: {', '.join(twice)}")
    fills, sessions = result.fills, result.sessions
    if fills is None or not len(fills):
        return
    known = np.isin(fills.session, sessions)
    if not known.all():
        stray = fills.session[known.argmin()]
        raise BaselineError(f"a fill of the result is on {stray}, which is none of its sessions")
    falling = fills.session[1:] < fills.session[:-1]
    if falling.any():
        raise BaselineError(
            f"the fills of the result are not in order: {fills.session[falling.argmax() + 1]} comes after "
            f"{fills.session[falling.argmax()]}"
        )


def _daily(result: RunResult) -> dict[str, npt.NDArray[Any]]:
    columns: dict[str, npt.NDArray[Any]] = {"session": result.sessions.astype("datetime64[D]")}
    columns["nav"] = result.nav
    if result.cash is not None:
        columns["cash"] = result.cash
    for name, kind in _BY_ASSET.items():
        values = getattr(result, name)
        if values is not None:
            by_asset = np.ascontiguousarray(values.T)
            columns |= {f"{kind}:{asset}": by_asset[n] for n, asset in enumerate(result.assets)}
    return columns


def _fills_of_sessions(result: RunResult, fills: FillTable) -> Any:
    import pyarrow as pa

    bounds = np.r_[np.searchsorted(fills.session, result.sessions), len(fills)].astype(np.int32)
    names = np.asarray(result.assets, dtype=object)
    columns = {
        "asset": to_arrow(names[fills.asset], pa.string()),
        "quantity": to_arrow(fills.quantity),
        "price": to_arrow(fills.price),
        "fee": to_arrow(fills.fee),
    }
    rows = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    return pa.ListArray.from_arrays(to_arrow(bounds), rows)


def _result(table: Any, assets: list[str], series: list[str]) -> RunResult:
    """The result in ``table``; ValueError unless it has exactly the columns of these assets and series."""
    import pyarrow as pa

    fill = pa.struct(
        [pa.field(part, pa.string() if part == "asset" else pa.float64()) for part in _FILL_PARTS]
    )
    expected = {"session": pa.date32(), "nav": pa.float64()}
    if "cash" in series:
        expected["cash"] = pa.float64()
    for name, kind in _BY_ASSET.items():
        if name in series:
            expected |= {f"{kind}:{asset}": pa.float64() for asset in assets}
    if "fills" in series:
        expected["fills"] = pa.list_(fill)
    _check_columns(table, expected)
    columns = {name: table.column(name) for name in expected}
    sessions = from_arrow(columns["session"]).astype("datetime64[D]")
    shape = (len(sessions), len(assets))
    return RunResult(
        sessions=sessions,
        nav=from_arrow(columns["nav"]),
        assets=tuple(assets),
        cash=from_arrow(columns["cash"]) if "cash" in series else None,
        quantity=_matrix(columns, "quantity", assets, shape) if "quantity" in series else None,
        market_values=_matrix(columns, "market_value", assets, shape) if "market_values" in series else None,
        fills=_fills(columns["fills"], sessions, assets) if "fills" in series else None,
    )


def _check_columns(table: Any, expected: Mapping[str, Any]) -> None:
    found = dict(zip(table.column_names, table.schema.types, strict=True))
    for name, kind in expected.items():
        if found.get(name) != kind:
            there = f"is {found[name]}" if name in found else "is not there"
            raise ValueError(f"its column {name!r} {there}, expected {kind}")
        if table.column(name).null_count:
            raise ValueError(f"its column {name!r} has holes")
    more = [name for name in table.column_names if name not in expected]
    if len(table.column_names) != len(expected):
        raise ValueError(f"it has columns that no baseline has: {', '.join(more) or 'one of them twice'}")


def _fills(column: Any, sessions: SessionArray, assets: list[str]) -> FillTable:
    lists = column.combine_chunks()
    rows = lists.flatten()
    parts = {part: rows.field(part) for part in _FILL_PARTS}
    if rows.null_count or any(values.null_count for values in parts.values()):
        raise ValueError("its column 'fills' has holes")
    number = {name: n for n, name in enumerate(assets)}
    names = parts["asset"].to_pylist()
    unknown = sorted(set(names) - set(assets))
    if unknown:
        raise ValueError(f"its fills are of {', '.join(unknown)}, which is none of its assets")
    return FillTable(
        session=np.repeat(sessions, np.diff(from_arrow(lists.offsets))),
        asset=np.array([number[name] for name in names], dtype=np.int64),
        quantity=from_arrow(parts["quantity"]),
        price=from_arrow(parts["price"]),
        fee=from_arrow(parts["fee"]),
    )


def _matrix(columns: Mapping[str, Any], kind: str, assets: list[str], shape: tuple[int, int]) -> FloatArray:
    matrix = np.empty(shape[::-1])
    for n, asset in enumerate(assets):
        matrix[n] = from_arrow(columns[f"{kind}:{asset}"])
    return matrix.T
