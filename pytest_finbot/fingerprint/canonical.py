"""JSON in one spelling, so that equal values have equal hashes."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def canonical_json(value: Any) -> bytes:
    """``value`` as RFC 8785 canonical JSON: key order and ``50`` or ``50.0`` do not matter.

    Raises ``rfc8785.CanonicalizationError`` for anything JSON has no word for: NaN,
    infinities, dates, objects, whole numbers beyond 2**53. There is no fallback to ``str``:
    an object's address in a hash would make it differ in every process.
    """
    return rfc8785.dumps(value)


def sha256_of_json(value: Any) -> str:
    """SHA-256 of :func:`canonical_json`, in hex. Raises as it does."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
