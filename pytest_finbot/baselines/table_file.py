"""Daily series and fills of a baseline as one Parquet file, and back.

A row a session; the fills of a session are a list in its row. What the digests of the data
were, by symbol and year, is in the file's metadata: nobody reads it in a review.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_finbot.baselines.results import FillTable, RunResult
from pytest_finbot.contracts import FloatArray
from pytest_finbot.errors import BaselineError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry.objects import table_hash

_METADATA = b"finbot-baseline"
_FILL_PARTS = ("asset", "quantity", "price", "fee")


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

    The same values give the same bytes with one version of pyarrow.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    daily = _daily(result)
    arrays = [pa.array(values) for values in daily.values()]
    names = list(daily)
    floats = [name for name in names if name != "session"]
    texts: list[str] = []
    if result.fills is not None:
        arrays.append(_fills_of_sessions(result, result.fills))
        names.append("fills")
        floats += [f"fills.list.element.{part}" for part in _FILL_PARTS if part != "asset"]
        texts.append("fills.list.element.asset")
    words = json.dumps(dict(details), sort_keys=True, allow_nan=False, separators=(",", ":"))
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
        details = json.loads(metadata[_METADATA])
        return _result(table), details
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise BaselineError(
            f"baseline {path} cannot be read: {why}; restore it from version control, or remove it "
            "(finbot baseline remove) and accept the run again"
        ) from error


def _daily(result: RunResult) -> dict[str, npt.NDArray[Any]]:
    columns: dict[str, npt.NDArray[Any]] = {"session": result.sessions.astype("datetime64[D]")}
    columns["nav"] = result.nav
    if result.cash is not None:
        columns["cash"] = result.cash
    for kind, values in (("quantity", result.quantity), ("market_value", result.market_values)):
        if values is not None:
            by_asset = np.ascontiguousarray(values.T)
            columns |= {f"{kind}:{asset}": by_asset[n] for n, asset in enumerate(result.assets)}
    return columns


def _fills_of_sessions(result: RunResult, fills: FillTable) -> Any:
    import pyarrow as pa

    bounds = np.r_[np.searchsorted(fills.session, result.sessions), len(fills)].astype(np.int32)
    names = np.asarray(result.assets, dtype=object)
    columns = {
        "asset": pa.array(names[fills.asset] if len(fills) else [], type=pa.string()),
        "quantity": pa.array(fills.quantity),
        "price": pa.array(fills.price),
        "fee": pa.array(fills.fee),
    }
    rows = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    return pa.ListArray.from_arrays(pa.array(bounds), rows)


def _result(table: Any) -> RunResult:
    columns = {name: table.column(name) for name in table.column_names}
    sessions = columns["session"].to_numpy().astype("datetime64[D]")
    assets = tuple(
        dict.fromkeys(
            name.partition(":")[2] for name in columns if name.startswith(("quantity:", "market_value:"))
        )
    )
    fills = None
    if "fills" in columns:
        lists = columns["fills"].combine_chunks()
        rows = lists.flatten()
        number = {name: n for n, name in enumerate(assets)}
        fills = FillTable(
            session=np.repeat(sessions, np.diff(lists.offsets.to_numpy())),
            asset=np.array([number[name] for name in rows.field("asset").to_pylist()], dtype=np.int64),
            quantity=rows.field("quantity").to_numpy(zero_copy_only=False),
            price=rows.field("price").to_numpy(zero_copy_only=False),
            fee=rows.field("fee").to_numpy(zero_copy_only=False),
        )
    return RunResult(
        sessions=sessions,
        nav=columns["nav"].to_numpy(),
        assets=assets,
        cash=columns["cash"].to_numpy() if "cash" in columns else None,
        quantity=_matrix(columns, "quantity", assets, len(sessions)),
        market_values=_matrix(columns, "market_value", assets, len(sessions)),
        fills=fills,
    )


def _matrix(columns: Mapping[str, Any], kind: str, assets: tuple[str, ...], length: int) -> FloatArray | None:
    if not any(f"{kind}:{asset}" in columns for asset in assets):
        return None
    matrix = np.empty((len(assets), length))
    for n, asset in enumerate(assets):
        matrix[n] = columns[f"{kind}:{asset}"].to_numpy()
    return matrix.T
