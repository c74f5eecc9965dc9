"""Records as JSON, and the envelope every line and manifest of the registry comes in.

A line is ``{"v": 2, "kind": …, …, "crc": "8c736521"}``. What a reader does not know it leaves
alone; a version older than its own it upgrades in memory, a newer one it refuses. ``crc`` is the
CRC-32 of the line as it is without it, so that any byte that changed afterwards is noticed;
lines of version 1 have none.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from enum import Enum
from typing import Any

from pytest_finbot.contracts import (
    CheckResult,
    ErrorCategory,
    ErrorInfo,
    PhaseResult,
    RunRecord,
    RunStatus,
    Verdict,
)
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.strict_json import decode, encode

VERSION = 2
"""Version of lines and manifests."""
_CRC = b',"crc":"'
_CRC_BYTES = len(_CRC) + 10
"""Length of ``,"crc":"8c736521"}``, by which every line of this version ends."""

_FIELDS: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(field.name for field in dataclasses.fields(kind))
    for kind in (RunRecord, ErrorInfo, PhaseResult, CheckResult)
}


_DEFAULTS: dict[type[Any], tuple[tuple[str, Any], ...]] = {
    kind: tuple(
        (
            field.name,
            field.default if field.default_factory is dataclasses.MISSING else field.default_factory(),
        )
        for field in dataclasses.fields(kind)
    )
    for kind in (PhaseResult, CheckResult)
}
_APART = frozenset(("phases", "checks", "tables"))
_HEAD = ("run_id", "batch_id", "name", "status", "attempt", "finished_at", "compared_at", "verdict", "error")
"""What a batch is folded from. It is written first: the rest, which is long, need not be read for that."""
_WRITTEN = tuple(dict.fromkeys((*_HEAD, "started_at", *_FIELDS[RunRecord])))
_LAST_OF_HEAD, _AFTER_HEAD = b',"error":', b',"started_at":'
_HEAD_BYTES = 2048


def envelope(kind: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """``payload`` as a line of the given kind. Raises ValueError if it brings its own v or kind."""
    if "v" in payload or "kind" in payload:
        raise ValueError(f"the payload of a {kind!r} line must not have a key 'v' or 'kind'")
    return {"v": VERSION, "kind": kind, **payload}


def seal(kind: str, payload: Mapping[str, Any], what: str) -> bytes:
    """``payload`` as a line of the given kind, checksum and newline included.

    Raises RegistryError, naming ``what``, where it is not strict JSON.
    """
    body = encode(envelope(kind, payload), what)
    return b'%s%s%08x"}\n' % (body[:-1], _CRC, zlib.crc32(body))


def unseal(raw: bytes, where: str) -> dict[str, Any]:
    """What the line ``raw`` says, if this version understands it and it is as it was written.

    Raises RegistryError, naming ``where``, for a newer version; ValueError for what is no
    line, or one that was changed since.
    """
    fits = seal_fits(raw)
    if fits is False:
        raise ValueError("it is not as it was written: its checksum does not fit")
    value = check_envelope(decode(raw), where)
    if fits is None and value["v"] > 1:
        raise ValueError("it is not as it was written: its checksum is gone")
    value.pop("crc", None)
    return value


_RUN_HEAD = b'{"v":%d,"kind":"run",' % VERSION
_NO_TABLES = b',"tables":{}'


def record_text(raw: bytes) -> bytes | None:
    """The record in the line ``raw`` as JSON text without envelope and tables; to be copied as it is.

    ``None`` where it has tables, or is a line of another kind or version: then it has to be read.
    """
    line = raw[:-1] if raw.endswith(b"\n") else raw
    said = line[:-_CRC_BYTES]
    if not line.startswith(_RUN_HEAD) or not said.endswith(_NO_TABLES):
        return None
    return b"{" + said[len(_RUN_HEAD) : -len(_NO_TABLES)] + b"}"


def record_head(raw: bytes) -> dict[str, Any] | None:
    """What the line ``raw`` of a run says first: a fold needs no more of it.

    ``None`` where that cannot be told apart from the rest, as in lines that were not written by this
    version, of long errors, or changed since: then it has to be read whole.
    """
    # No text of JSON holds a quotation mark as it is: what is found is a key, and all before it is whole.
    end = raw.find(_AFTER_HEAD, 0, _HEAD_BYTES) if raw.startswith(_RUN_HEAD) else -1
    if end < 0 or raw.find(_LAST_OF_HEAD, 0, end) < 0 or not seal_fits(raw):
        return None
    try:
        said = decode(raw[:end] + b"}")
    except ValueError:
        return None
    return said if all(name in said for name in _HEAD) else None


def seal_fits(raw: bytes) -> bool | None:
    """Whether the line ``raw`` is as it was written; ``None`` where it has no checksum."""
    line = raw[:-1] if raw.endswith(b"\n") else raw
    if line[-_CRC_BYTES:-10] != _CRC or line[-2:] != b'"}':
        return None
    return b"%08x" % zlib.crc32(b"}", zlib.crc32(line[:-_CRC_BYTES])) == line[-10:-2]


def check_envelope(value: Any, where: str) -> dict[str, Any]:
    """``value`` if it is a line this version understands.

    Raises RegistryError, naming ``where``, for a newer version; ValueError for what is no
    line at all.
    """
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object was expected, not {type(value).__name__}")
    version = value.get("v")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"version {version!r} is not a whole number from 1 on")
    if version > VERSION:
        raise RegistryError(
            f"{where} has version {version}, this pytest-finbot reads up to {VERSION}; upgrade pytest-finbot"
        )
    if not isinstance(value.get("kind"), str):
        raise ValueError("it has no kind")
    return value


def record_to_json(record: RunRecord) -> dict[str, Any]:
    """``record`` as plain JSON values, a key a field. Raises RegistryError for keys that are no text.

    Of phases and checks only what they have to say is written; what is left out is at its
    default. ``tables`` are plain already, and the bulk of a short run's record.
    """
    plain = {name: _plain(getattr(record, name)) for name in _WRITTEN if name not in _APART}
    plain["phases"] = [_telling(phase) for phase in record.phases]
    plain["checks"] = [_telling(check) for check in record.checks]
    plain["tables"] = dict(record.tables)
    return plain


def record_from_json(value: Mapping[str, Any]) -> RunRecord:
    """The record of a ``run`` or ``crash`` line, with or without its envelope.

    Keys this version does not know are ignored, fields it knows and does not find take
    their defaults. Raises RegistryError where a required field is missing, has a value
    unheard of, or the line is of a newer version.
    """
    where = f"record of run {value.get('run_id') or value.get('name')!r}"
    if "v" in value:
        try:
            check_envelope(dict(value), where)
        except ValueError as error:
            raise RegistryError(f"{where}: {error}") from error
    known = {name: value[name] for name in _FIELDS[RunRecord] if name in value}
    try:
        known["status"] = RunStatus(known["status"])
        if known.get("verdict") is not None:
            known["verdict"] = Verdict(known["verdict"])
        if known.get("error") is not None:
            error_info = _known(ErrorInfo, known["error"])
            known["error"] = ErrorInfo(**{**error_info, "category": ErrorCategory(error_info["category"])})
        known["phases"] = tuple(
            PhaseResult(**_known(PhaseResult, phase)) for phase in known.get("phases", ())
        )
        known["checks"] = tuple(
            CheckResult(**{**_known(CheckResult, check), "verdict": Verdict(check["verdict"])})
            for check in known.get("checks", ())
        )
        for name in ("warnings", "artifacts", "tags"):
            known[name] = tuple(known.get(name, ()))
        return RunRecord(**known)
    except KeyError as error:
        raise RegistryError(f"{where} has no {error}") from error
    except (TypeError, ValueError) as error:
        raise RegistryError(f"{where} cannot be read: {error}") from error


def _known(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value[name] for name in _FIELDS[kind] if name in value}


def _telling(part: PhaseResult | CheckResult) -> dict[str, Any]:
    """A phase or a check without the fields that are at their default."""
    values = ((name, getattr(part, name), default) for name, default in _DEFAULTS[type(part)])
    return {name: _plain(value) for name, value, default in values if value != default}


def _plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as dicts and lists; anything else as it is."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):  # json.dumps would quietly write text for it
                raise RegistryError(f"a record has the key {key!r}; expected text")
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    fields = _FIELDS.get(type(value))
    if fields is not None:
        return {name: _plain(getattr(value, name)) for name in fields}
    return value
