"""The full fingerprint of a result: what it depended on, in enough detail to name a difference.

A record names tables that thousands of runs share by their hash; here they are put in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_finbot.contracts import RunSpec
from pytest_finbot.errors import RegistryError
from pytest_finbot.fingerprint import config_document
from pytest_finbot.registry.protocol import Objects


def dependencies_of_run(
    spec: RunSpec, fingerprint: Mapping[str, Any], parts: Mapping[str, Mapping[str, str]] | None
) -> dict[str, Any]:
    """Of a run just executed: ``fingerprint`` as it gathered it, ``parts`` its data's digests."""
    full = dict(fingerprint)
    full["config"] = {"hash": fingerprint["config"], "settings": config_document(spec)}
    if full.get("data") is not None and parts is not None:
        full["data"] = {**full["data"], "parts": {name: dict(years) for name, years in parts.items()}}
    return full


def dependencies_of_record(objects: Objects, record: Mapping[str, Any], spec: RunSpec) -> dict[str, Any]:
    """Of a recorded run; what the registry no longer has is left out, which a comparison tells."""
    fingerprint = record.get("fingerprint") or {}
    full = dict(fingerprint)
    full["config"] = {"hash": fingerprint.get("config"), "settings": config_document(spec)}
    for part, key in (("data", "parts"), ("code", "modules")):
        known = fingerprint.get(part)
        if known is None or key in known:
            continue
        try:
            full[part] = {**known, key: objects.get_json(known["hash"], verify=True)}
        except RegistryError:
            full[part] = dict(known)
    return full
