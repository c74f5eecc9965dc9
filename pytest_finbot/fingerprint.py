"""Hashes of what a result depends on: configuration, data, code, environment.

SHA-256 throughout; JSON is hashed in the canonical form of RFC 8785, so key order and the
spelling of a number (``50`` or ``50.0``) do not matter. No wall clock, no randomness.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import itertools
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rfc8785

from pytest_finbot.contracts import DataDigest, FloatArray, RunSpec, SessionArray

DIGEST_LENGTH = 32
"""Hex digits kept of a symbol-and-year digest; the combined hash keeps all 64."""


def canonical_json(value: Any) -> bytes:
    """``value`` as RFC 8785 canonical JSON.

    Raises ``rfc8785.CanonicalizationError`` for anything JSON has no word for: NaN,
    infinities, dates, objects. There is no fallback to ``str``: an object's address in a
    hash would make it differ in every process.
    """
    return rfc8785.dumps(value)


def sha256_of_json(value: Any) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def config_document(spec: RunSpec) -> dict[str, Any]:
    """Everything of ``spec`` that can change the numbers, as plain JSON values.

    Left out on purpose: name, description, tags, reports, outputs, line, and the paths of
    data files, whose *values* are covered by the data digest.
    """
    bundle = spec.bundle
    return {
        "engine": spec.engine,
        "strategy": spec.strategy,
        "params": dict(spec.params),
        "symbols": list(spec.symbols),
        "start_date": spec.start_date.isoformat(),
        "end_date": spec.end_date.isoformat(),
        "start_capital": spec.start_capital,
        "data": {
            "field": spec.data.field,
            "calendar": spec.data.calendar,
            "missing": spec.data.missing,
        },
        "costs": {
            "commission_bps": spec.costs.commission_bps,
            "commission_per_share": spec.costs.commission_per_share,
            "slippage_bps": spec.costs.slippage_bps,
            "booking": spec.costs.booking,
        },
        "rebalance_freq": spec.rebalance_freq,
        "fill": spec.fill,
        "units": spec.units,
        "min_trade": spec.min_trade,
        "max_gross_exposure": spec.max_gross_exposure,
        "bundle": None
        if bundle is None
        else {
            "factors": [[factor.name, factor.weight, factor.direction] for factor in bundle.factors],
            "winsorize": bundle.winsorize,
            "winsorize_limits": list(bundle.winsorize_limits),
            "zscore": bundle.zscore,
            "neutralize_by": bundle.neutralize_by,
        },
        "seed": spec.seed,
    }


def config_hash(spec: RunSpec) -> str:
    """SHA-256 of :func:`config_document`: equal for two runs only if their settings are."""
    return sha256_of_json(config_document(spec))


def data_digest(
    sessions: SessionArray, symbols: Iterable[str], fields: Mapping[str, FloatArray]
) -> DataDigest:
    """Digest of the values used, addressed by symbol and year.

    ``fields`` maps a field's name (``close``, ``open``, a factor's name) to its values
    [T, N]. A difference between two digests then names the symbol and the year without the
    data having been kept.
    """
    days = sessions.astype("datetime64[D]").astype("<i8")
    years = sessions.astype("datetime64[Y]").astype(np.int64) + 1970
    starts = np.flatnonzero(np.r_[True, years[1:] != years[:-1]]) if len(years) else np.empty(0, np.int64)
    bounds = [*starts.tolist(), len(years)]
    named = sorted(fields)
    columns = {}
    for name in named:
        values = np.array(fields[name].T, dtype="<f8", order="C")
        values[np.isnan(values)] = np.nan  # one bit pattern for "not known"
        columns[name] = values + 0.0  # and one for zero
    parts: dict[str, dict[str, str]] = {}
    for number, symbol in enumerate(symbols):
        by_year: dict[str, str] = {}
        for begin, end in itertools.pairwise(bounds):
            digest = hashlib.sha256(days[begin:end].tobytes())
            for name in named:
                digest.update(name.encode() + b"\0")
                digest.update(columns[name][number, begin:end].tobytes())
            by_year[str(years[begin])] = digest.hexdigest()[:DIGEST_LENGTH]
        parts[symbol] = by_year
    return DataDigest(hash=sha256_of_json(parts), parts=parts)


@functools.cache
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def environment(distributions: Iterable[str] = ()) -> dict[str, str]:
    """Versions that can move numbers: Python, platform, NumPy, pandas, ours, and those named."""
    names = sorted({"numpy", "pandas", "pytest-finbot", *distributions})
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": f"{platform.system()}-{platform.machine()}",
        **{name: _version(name) for name in names},
    }


def code_modules(modules: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each named module's source file; ``"unknown"`` where there is none to read."""
    hashes: dict[str, str] = {}
    for name in sorted(set(modules)):
        loaded = sys.modules.get(name)
        spec = loaded.__spec__ if loaded is not None else importlib.util.find_spec(name)
        origin = spec.origin if spec is not None else None
        if origin is None or not Path(origin).is_file():
            hashes[name] = "unknown"
        else:
            hashes[name] = hashlib.sha256(Path(origin).read_bytes()).hexdigest()
    return hashes
