"""All that is to be told of one batch, read from its own files: no index is needed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finbot.cli.show import first_line
from pytest_finbot.contracts import RunStatus

if TYPE_CHECKING:
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.fold import BatchFold

_LONGEST = 60
_WORKERS = "gw"
"""Writers that begin so only execute: their segments have no session's begin or end."""


def batch_facts(registry: FilesRegistry, batch_id: str) -> dict[str, Any]:
    """The batch as a JSON document. Raises RegistryError where its segments cannot be read.

    A manifest that cannot be read is among ``problems``; what it would say is ``None``.
    """
    from pytest_finbot.cli.naming import using_manifest
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry.liveness import is_alive

    folder = registry.batch_folder(batch_id)
    alive = is_alive(folder)  # before the segments are read, as the fold wants it
    fold = registry.fold(batch_id, writer_alive=alive)
    problems = list(fold.problems)
    try:
        with using_manifest(batch_id):
            manifest = registry.manifest(batch_id)
    except RegistryError as error:
        problems.append(str(error))
        manifest = {}
    return {
        "batch_id": batch_id,
        "name": manifest.get("batch_name"),
        "description": manifest.get("description") or "",
        "shard": object_of(manifest, "shard", f"{batch_id}/manifest.json", problems) or None,
        "plan": manifest.get("plan"),
        "status": fold.status.value,
        "alive": alive,
        "created_at": manifest.get("created_at"),
        "ended": fold.ended,
        "cancel_reason": fold.cancel_reason,
        "expected": fold.expected_count,
        "recorded": fold.recorded,
        "success": fold.success,
        "failed": fold.failed,
        "not_run": fold.not_run_count,
        "deselected": fold.deselected,
        "error_categories": dict(fold.error_categories),
        "verdicts": dict(fold.verdicts),
        "failed_runs": _failed(fold),
        "not_run_names": list(fold.not_run),
        "unfinished_names": list(fold.unfinished),
        **_sessions(folder),
        "provenance": object_of(manifest, "provenance", f"{batch_id}/manifest.json", problems),
        "files": {
            "folder": str(folder),
            "logs": str(registry.logs_folder(batch_id)),
            "batch_file": manifest.get("file"),
            "output": manifest.get("output"),
            "baseline": manifest.get("baseline"),
        },
        "resume": resume_command(registry, batch_id, manifest),
        "problems": problems,
    }


def resume_command(registry: FilesRegistry, batch_id: str, manifest: Mapping[str, Any]) -> str | None:
    """What goes on with the batch, for a shell; ``None`` where no batch file is known."""
    from pytest_finbot.session.sharding import option_of
    from pytest_finbot.session.slicing import options_of

    file, root = manifest.get("file"), manifest.get("root")
    if not isinstance(file, str):
        return None
    root = root if isinstance(root, str) else str(Path(file).parent)
    words = ["pytest", "--finbot-batch", file, "--finbot-resume", batch_id]
    if registry.root != Path(root, ".finbot"):
        words += ["--finbot-registry", str(registry.root)]
    words += options_of(object_of(manifest, "slicing", "", []))  # it is gone on with by the same slices
    words += option_of(manifest.get("shard"))
    return f"cd {shlex.quote(root)} && {shlex.join(words)}"


def object_of(value: Mapping[str, Any], key: str, where: str, problems: list[str]) -> dict[str, Any]:
    """The JSON object under ``key``; where it is something else, that is added to ``problems``."""
    found = value.get(key)
    if found is not None and not isinstance(found, dict):
        problems.append(f"{where}: {key} is {first_line(repr(found), _LONGEST)}, expected an object")
    return found if isinstance(found, dict) else {}


def provenance_at(registry: FilesRegistry, batch_id: str, at: object) -> dict[str, Any] | None:
    """What the session that was at work at a time told of itself, if it went on with a batch."""
    from pytest_finbot.registry.durable import telling
    from pytest_finbot.registry.layout import segments
    from pytest_finbot.registry.records import unseal

    found: list[tuple[str, dict[str, Any]]] = []
    for path in segments(registry.batch_folder(batch_id)):
        if path.name.startswith("main-"):
            with telling("read", path), path.open("rb") as file:
                first = file.readline()
            try:
                line = unseal(first, str(path))
            except ValueError:
                continue  # told by the fold
            told, began = line.get("provenance"), line.get("at")
            if isinstance(told, dict) and isinstance(began, str) and began <= str(at):
                found.append((began, told))
    return max(found, key=lambda each: each[0])[1] if found else None


def error_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Category, phase, type and message of a failed record, whatever of them it has."""
    error = record.get("error")
    said = error if isinstance(error, dict) else {}
    return {
        "category": str(said.get("category") or "unknown"),
        **{key: str(said.get(key) or "") for key in ("phase", "type", "message")},
    }


def _failed(fold: BatchFold) -> list[dict[str, Any]]:
    if not fold.failed:
        return []
    return [
        {"name": record["name"], "attempt": record["attempt"], **error_of(record)}
        for record in fold.records()
        if record["status"] == RunStatus.FAILED
    ]


def _sessions(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """When the batch was begun and gone on with, and who asked to cancel it; oldest first."""
    from pytest_finbot.registry.layout import segments
    from pytest_finbot.registry.segments import read_segment

    sessions: list[dict[str, Any]] = []
    cancels: list[dict[str, Any]] = []
    for path in segments(folder):
        if path.name.startswith(_WORKERS):
            continue
        begun: dict[str, Any] = {}
        for line in read_segment(path, []):  # what cannot be read, the fold has told
            value = line.value
            if value["kind"] == "begin":
                expected = value.get("expected")
                begun = {
                    "began": str(value.get("at", "")),
                    "ended": None,
                    "runs": len(expected) if isinstance(expected, list) else 0,
                    "segment": path.name,
                }
                sessions.append(begun)
            elif value["kind"] == "end":
                begun["ended"] = value.get("at")
            elif value["kind"] == "cancel":
                asked = {"at": str(value.get("at", "")), "reason": value.get("reason")}
                how = {"at_once": bool(value.get("at_once")), "segment": path.name}
                cancels.append({**asked, **how})
    sessions.sort(key=lambda session: session["began"])
    cancels.sort(key=lambda cancel: cancel["at"])
    return {"sessions": sessions, "cancels": cancels}
