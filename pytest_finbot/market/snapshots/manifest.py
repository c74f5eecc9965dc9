"""A snapshot's manifest: which sources it has, and which object holds which symbol's year.

::

    {"format": "finbot-snapshot", "version": 1, "id": "snap-3f9c1a7e5b2d", "created_at": "…",
     "sources": [{"path": "data/prices.csv.gz", "kind": "wide", "roles": ["prices"], "fields": ["adj_close"],
                  "tables": [{"file": "", "names": ["Date"], "date": 0, "columns": ["price"],
                              "order": ["AAPL", …], "symbols": {"AAPL": {"2010": "<hash>", …}, …}}]}],
     "taken": [{"at": "…", "batch": "finbot.yaml", "digests": {"run": "<hash>"}, "refused": {"run": "why"}}],
     "checksum": "<SHA-256 of all of the above, as canonical JSON>"}

The id is made of ``sources`` alone: the same data has the same id whoever takes it, and when.
``taken`` ties it to the records of runs, by the digest of the data that each used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from pytest_finbot.errors import DataError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.market.snapshots.objects import is_hash
from pytest_finbot.market.snapshots.sources import Source

FORMAT: Final = "finbot-snapshot"
VERSION: Final = 1
_ID = re.compile(r"snap-[0-9a-f]{12}", re.ASCII)

Years = Mapping[str, Mapping[str, str]]
"""Symbol -> year -> hash of the object."""


def is_snapshot_id(text: str) -> bool:
    """Whether ``text`` is ``snap-`` and 12 hexadecimal digits."""
    return _ID.fullmatch(text) is not None


def describe(sources: Sequence[Source], hashes: Sequence[Sequence[Years]]) -> list[dict[str, Any]]:
    """What the manifest says of ``sources``; ``hashes``: for each its tables, in their order."""
    return [
        {
            "path": source.path,
            "kind": source.kind,
            "roles": list(source.roles),
            "fields": list(source.fields),
            "tables": [
                {
                    "file": table.file,
                    "names": list(table.names),
                    "date": table.date,
                    "columns": list(next(iter(table.symbols.values())).columns),
                    "order": list(table.symbols),
                    "symbols": {symbol: dict(years[symbol]) for symbol in table.symbols},
                }
                for table, years in zip(source.tables, of_tables, strict=True)
            ],
        }
        for source, of_tables in zip(sources, hashes, strict=True)
    ]


def snapshot_id(described: Sequence[Mapping[str, Any]]) -> str:
    """The id of the data that :func:`describe` describes."""
    return f"snap-{sha256_of_json(described)[:12]}"


def seal(document: Mapping[str, Any]) -> bytes:
    """The manifest's file: ``document`` with its checksum, as strict JSON."""
    body = {key: value for key, value in document.items() if key != "checksum"}
    sealed = {**body, "checksum": sha256_of_json(body)}
    return json.dumps(sealed, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def unseal(raw: bytes, identity: str, where: str) -> dict[str, Any]:
    """The manifest of snapshot ``identity`` in the file ``where``.

    Raises DataError for what is none, was changed since it was written, is another's, or is of a
    newer version.
    """
    try:
        document = json.loads(raw.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not a snapshot's manifest: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f"{where} is not a snapshot's manifest: it lacks the format {FORMAT!r}")
    version = document.get("version")
    if type(version) is int and version > VERSION:
        raise DataError(
            f"{where} has version {version}, this pytest-finbot reads up to {VERSION}; upgrade pytest-finbot"
        )
    if sha256_of_json({key: value for key, value in document.items() if key != "checksum"}) != document.get(
        "checksum"
    ):
        raise DataError(f"{where} is not as it was written: its checksum does not fit; {_AGAIN}")
    if document.get("id") != identity or not _is_sound(document):
        raise DataError(f"{where} is not the manifest of {identity}; {_AGAIN}")
    return document


_AGAIN = "remove it and take the snapshot again from the same files"


def _is_sound(document: Mapping[str, Any]) -> bool:
    """Whether the id is that of the sources, and every year names an object."""
    try:
        return snapshot_id(document["sources"]) == document["id"] and all(
            is_hash(digest)
            for source in document["sources"]
            for table in source["tables"]
            for symbol in table["order"]
            for digest in table["symbols"][symbol].values()
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
