"""Whether what is about to be copied is as it was written."""

from __future__ import annotations

from pathlib import Path

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.cut_lines import is_cut_off
from pytest_finbot.registry.durable import telling
from pytest_finbot.registry.objects import ObjectStore
from pytest_finbot.registry.records import unseal


def advice(root: Path) -> str:
    """What to do about damage in the registry in ``root``."""
    return f"verify the source: finbot registry verify --registry {root}"


def damaged_manifest(path: Path) -> str | None:
    """What is wrong with a manifest, naming its file; ``None`` where it can be read."""
    with telling("read", path):
        raw = path.read_bytes()
    try:
        unseal(raw, str(path))
    except RegistryError as error:
        return str(error)
    except ValueError as error:
        return f"{path} cannot be read: {error}"
    return None


def damaged_line(path: Path, known: int, size: int) -> str | None:
    """The first line of a segment that cannot be read, with its file and number.

    Only lines that end after the first ``known`` bytes are looked at, up to ``size``. The
    beginning of a line that was never written whole is no damage.
    """
    offset = 0
    with telling("read", path), path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            offset += len(raw)
            if offset > size or not raw.endswith(b"\n"):
                return None
            if offset <= known or raw == b"\n":
                continue
            try:
                unseal(raw, f"{path}:{number}")
            except RegistryError as error:
                return str(error)
            except ValueError as error:
                if not is_cut_off(raw):
                    return f"{path}:{number} cannot be read: {error}"
    return None


def is_whole(objects: ObjectStore, path: Path) -> bool:
    """Whether the object in the file ``path`` of ``objects`` holds what it is named by."""
    import pyarrow as pa

    try:
        if path.suffix == ".json":
            objects.get_json(path.stem, verify=True)
        else:
            objects.get_table(path.stem, verify=True)
    except (RegistryError, ValueError, TypeError, KeyError, AttributeError, OverflowError, pa.ArrowException):
        return False
    return True
