"""Which recorded batches accepted results came from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pytest_finbot.registry.protocol import Registry

_SECOND = timedelta(seconds=1)
"""Baselines tell the time in whole seconds."""


def accepted_batches(registry: Registry) -> dict[str, str]:
    """Batches that an accepted result may have come from, each with the reason in words.

    A baseline does not name its batch. One is kept where it was compared with the baseline's
    folder (its manifest says which), was run at the revision that the baseline names, was
    created before the result was accepted, and recorded for the run the same fingerprint
    (config, data, code) and every metric with the same value. Where several batches did, any
    may be the one, and all are kept. Where that cannot be found out (a baseline that cannot
    be read, a project that is not on this machine, a batch that cannot be read) the batch is
    kept as well. A result accepted into a folder that its batch does not name is not found.
    """
    from pytest_finbot.errors import RegistryError

    kept: dict[str, str] = {}
    folders: dict[str, _Folder] = {}
    for batch_id in registry.batch_ids():
        try:
            manifest = registry.manifest(batch_id)
            named = manifest.get("baseline")
            if not isinstance(named, str):
                continue
            if named not in folders:
                folders[named] = _read_folder(Path(named))
            why = folders[named].unknown or _match(registry, batch_id, manifest, folders[named])
        except RegistryError as error:
            why = f"whether a baseline came from it cannot be told: {error}"
        if why is not None:
            kept[batch_id] = why
    return kept


class _Accepted(NamedTuple):
    """What identifies an accepted result."""

    file: str
    at: datetime
    commit: str
    facts: Mapping[str, Any]


class _Folder(NamedTuple):
    """A folder's baselines by run; ``unknown`` says why they cannot all be told."""

    accepted: Mapping[str, _Accepted]
    unknown: str | None


def _read_folder(folder: Path) -> _Folder:
    from pytest_finbot.baselines.store import baseline_names, read_baseline
    from pytest_finbot.errors import BaselineError

    # A project without accepted results has no such folder; a project that is elsewhere may have.
    if not folder.is_dir() and not folder.parent.parent.is_dir():
        return _Folder({}, f"its baselines in {folder} are not on this machine")
    accepted = {}
    for run in baseline_names(folder):
        try:
            found = read_baseline(folder, run)
        except BaselineError as error:
            return _Folder({}, f"whether a baseline came from it cannot be told: {error}")
        if found is not None and found.acceptance is not None:
            at = _utc(found.acceptance.at)
            if at is None:
                return _Folder(
                    {}, f"{folder / run}.json was accepted at {found.acceptance.at!r}, which is no time"
                )
            facts = _identity(found.fingerprint, found.result.metrics)
            accepted[run] = _Accepted(f"{folder / run}.json", at, found.acceptance.commit, facts)
    return _Folder(accepted, None)


def _match(registry: Registry, batch_id: str, manifest: Mapping[str, Any], folder: _Folder) -> str | None:
    provenance = manifest.get("provenance") or {}
    commit = provenance.get("git commit", "unknown")
    if provenance.get("git dirty") == "yes":
        commit += " with uncommitted changes"
    created = _utc(manifest.get("created_at"))
    candidates = [
        run
        for run, accepted in folder.accepted.items()
        if accepted.commit == commit and (created is None or created <= accepted.at + _SECOND)
    ]
    if not candidates:
        return None
    for record in registry.fold(batch_id).records(candidates):
        accepted = folder.accepted[record["name"]]
        if _identity(record.get("fingerprint") or {}, record.get("metrics") or {}) == accepted.facts:
            return f"accepted: {accepted.file} has its result"
    return None


def _identity(fingerprint: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What a record and the baseline made of it have in common, without reading its series."""
    hashes = {}
    for part in ("config", "data", "code"):
        known = fingerprint.get(part)
        hashes[part] = known.get("hash") if isinstance(known, Mapping) else known
    return {"hashes": hashes, "metrics": dict(metrics)}


def _utc(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
