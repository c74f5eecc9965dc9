"""All that is to be told of one run: its record, its attempts, what it wrote, where its series are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.cli.show import first_line

if TYPE_CHECKING:
    from pytest_finbot.registry.files import FilesRegistry

_LONGEST: Final = 60


def run_facts(registry: FilesRegistry, batch_id: str, name: str) -> dict[str, Any]:
    """The run ``name`` (``name#2``: its second attempt) of a batch as a JSON document.

    Raises RegistryError where it has no record; the message says whether it was expected.
    """
    from pytest_finbot.cli.batch_facts import object_of, provenance_at
    from pytest_finbot.cli.naming import using_manifest
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry.comparing import params_of
    from pytest_finbot.registry.ids import run_id
    from pytest_finbot.registry.values import to_json

    attempts, final, wanted = _attempts(registry, batch_id, name)
    record = next((each for each in attempts if each is wanted), wanted)
    fold = registry.fold(batch_id)
    problems = list(fold.problems)
    plain = str(record["name"])
    at = record.get("started_at")
    manifest: dict[str, Any] = {}
    params = None
    try:
        with using_manifest(batch_id):
            manifest = registry.manifest(batch_id, at if at and isinstance(at, str) else None)
            params = to_json(params_of(record, manifest), "params")
    except RegistryError as error:
        problems.append(str(error))
    provenance = object_of(manifest, "provenance", f"{batch_id}/manifest.json", problems)
    _, wrong = as_expected(record)
    problems += [f"record of run {plain} in {batch_id}: {message}" for message in wrong]
    output, unread = _output(registry, batch_id, plain)
    return {
        "run_id": record.get("run_id") or run_id(batch_id, plain, record["attempt"]),
        "batch_id": batch_id,
        "batch_name": manifest.get("batch_name"),
        "name": plain,
        "counts": record is final,
        "record": record,
        "params": params,
        "attempts": [_attempt(each) for each in attempts],
        "output": output,
        "tables": {key: _table(registry, record, key) for key in ("series", "fills", "marks")},
        "provenance": provenance_at(registry, batch_id, at) or provenance,
        "problems": [*problems, *unread],
    }


_LISTS: Final = {"tags": str, "warnings": str, "artifacts": str, "phases": dict, "checks": dict}
_NOTES: Final = ("data_notes", "mark_notes", "books", "part", "native", "ladder")
_OBJECTS: Final = ("metrics", "undefined_metrics", "fingerprint", "tables", "error", "comparison", *_NOTES)
_INSIDE: Final[dict[str, dict[str, type]]] = {
    "data_notes": {"missing": dict, "odd": list},
    "mark_notes": {"fallbacks": list, "unmarked": list},
}
"""Objects, and lists of objects, within what is told of prices and marks."""
_NUMBERS: Final = ("seconds", "peak_rss")


def as_expected(record: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """``record`` without what is of another type than its key has, and that in words."""
    kept, wrong = dict(record), []
    for key in (*_LISTS, *_OBJECTS, *_NUMBERS):
        value = record.get(key)
        if value is None:
            continue
        if key in _LISTS:
            fits = isinstance(value, list) and all(isinstance(each, _LISTS[key]) for each in value)
            expected = f"a list of {'text' if _LISTS[key] is str else 'objects'}"
        elif key in _OBJECTS:
            fits, expected = isinstance(value, dict), "an object"
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
            expected = "a number"
        if not fits:
            kept[key] = None
            wrong.append(f"{key} is {first_line(repr(value), _LONGEST)}, expected {expected}")
    for key, inside in _INSIDE.items():
        for name, expected_type in inside.items():
            value = (kept.get(key) or {}).get(name)
            if value is None or _fits_inside(value, expected_type):
                continue
            kept[key] = {**kept[key], name: None}
            wrong.append(f"{key}.{name} is {first_line(repr(value), _LONGEST)}, not as it is recorded")
    return kept, wrong


def _fits_inside(value: Any, expected: type) -> bool:
    if isinstance(value, list) and expected is list:
        return all(isinstance(each, dict) for each in value)
    if not isinstance(value, dict) or expected is not dict:
        return False
    return isinstance(value.get("filled"), dict | None) and isinstance(value.get("dropped"), list | None)


def _attempts(
    registry: FilesRegistry, batch_id: str, name: str
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """Every record of the run, the one that counts, and the one that was asked for."""
    from pytest_finbot.errors import RegistryError, did_you_mean
    from pytest_finbot.registry.journal import Journal

    journal = Journal(registry.root, "item")
    try:
        found = journal.attempts(batch_id, name)
        if found:
            return found, found[-1], found[-1]
        plain, mark, number = name.rpartition("#")
        if mark and number.isdecimal():
            found = journal.attempts(batch_id, plain)
            for record in reversed(found):
                if record["attempt"] == int(number):
                    return found, found[-1], record
            if found:
                raise RegistryError(
                    f"run {plain!r} of {batch_id} has no attempt {number}; it has {found[-1]['attempt']}"
                )
    finally:
        journal.close()
    fold = registry.fold(batch_id)
    if name in fold.expected:
        begun = "was started and left no record" if name in fold.unfinished else "was not run"
        why = f" ({fold.cancel_reason})" if fold.cancel_reason else ""
        raise RegistryError(
            f"run {name!r} was expected of {batch_id} and {begun}: the batch is {fold.status}{why}"
        )
    raise RegistryError(f"{batch_id} has no run {name!r}{did_you_mean(name, fold.expected)}")


def _attempt(record: Mapping[str, Any]) -> dict[str, Any]:
    from pytest_finbot.cli.batch_facts import error_of

    error = error_of(record) if record.get("status") == "failed" else None
    keys = ("attempt", "status", "started_at", "finished_at", "seconds", "worker", "verdict")
    return {**{key: record.get(key) for key in keys}, "error": error}


def _output(registry: FilesRegistry, batch_id: str, name: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What the run wrote to stdout and stderr, by attempt; and log lines that cannot be read."""
    found: list[dict[str, Any]] = []
    problems: list[str] = []
    folder = registry.logs_folder(batch_id)
    for path in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        for number, line in _log_lines(path, problems):
            if line.get("kind") == "output" and line.get("run") == name:
                said = {stream: str(line.get(stream) or "") for stream in ("stdout", "stderr")}
                found.append({"attempt": line.get("attempt"), "at": line.get("at"), **said})
            elif not line:
                problems.append(f"{batch_id}/logs/{path.name}:{number}: the line cannot be read")
    found.sort(key=lambda each: (str(each["attempt"]), str(each["at"])))
    return found, problems


def _log_lines(path: Any, problems: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Lines that may tell output, by number; an empty one for what is no JSON object."""
    from pytest_finbot.registry.strict_json import decode

    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if b'"output"' not in raw:  # phases, by far the most
                    continue
                try:
                    line = decode(raw)
                except ValueError:
                    line = None
                yield number, line if isinstance(line, dict) else {}
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")


def _table(registry: FilesRegistry, record: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """Where a table of the record is: in the record itself, or in a file of its own."""
    digest = record.get(key)
    if not isinstance(digest, str):
        return None
    tables = record.get("tables")
    if isinstance(tables, dict) and key in tables:
        return {"hash": digest, "in_record": True, "file": None, "exists": True}
    path = registry.objects.path_of(digest)
    return {"hash": digest, "in_record": False, "file": str(path), "exists": path.is_file()}
