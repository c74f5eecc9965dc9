"""Digest of the prices and factors a run used."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping

from pytest_finbot.contracts import DataDigest, FloatArray, SessionArray
from pytest_finbot.fingerprint.canonical import sha256_of_json

DIGEST_LENGTH = 32
"""Hex digits kept of a symbol-and-year digest; the combined hash keeps all 64."""


def data_digest(
    sessions: SessionArray, symbols: Iterable[str], fields: Mapping[str, FloatArray]
) -> DataDigest:
    """Digest of the values used, addressed by symbol and year.

    ``fields`` maps a field's name (``close``, ``open``, a factor's name) to its values
    [T, N]. A difference between two digests then names the symbol and the year without the
    data having been kept.
    """
    import numpy as np

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
