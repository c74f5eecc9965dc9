"""Small tables travel in the record itself; large ones are objects of their own.

A file costs more than what a short run has to say: some tenths of a millisecond to make, a
block of the disk to keep, two more syncs to be durable. Either way the record names the table
by the hash of its values, so where it lies makes no difference to who compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.objects import Column, table_hash
from pytest_finbot.registry.protocol import Objects

SMALL = 512
"""Most values (rows times columns) of a table that is kept in its record: some 8 KiB of JSON."""


def keep_table(
    objects: Objects, part: str, columns: Mapping[str, Column], small: dict[str, dict[str, list[Any]]]
) -> str:
    """Keep a table and return its hash.

    A small one is added to ``small`` under ``part``, to go into the record; a larger one, or
    one with values that JSON has no word for, becomes an object. Raises RegistryError for
    columns that make no table, or where the object cannot be written.
    """
    values = sum(len(column) for column in columns.values())
    if values > SMALL or not all(_is_plain(column) for column in columns.values()):
        return objects.put_table(columns)
    small[part] = {name: _to_list(column) for name, column in columns.items()}
    return table_hash(columns)


def get_table(
    objects: Objects, record: Mapping[str, Any], part: str, *, verify: bool = False
) -> dict[str, Column]:
    """The table that a record (its JSON) names as ``part``, from the record or its object.

    Raises RegistryError where it has none, or it is missing or damaged; with ``verify`` also
    where its values are not those of its hash.
    """
    named: str | None = record.get(part)
    if named is None:
        raise RegistryError(
            f"run {record.get('run_id')} recorded no {part} (its status: {record.get('status')})"
        )
    small = (record.get("tables") or {}).get(part)
    if small is None:
        return objects.get_table(named, verify=verify)
    columns = {name: _from_list(name, values) for name, values in small.items()}
    if verify and table_hash(columns) != named:
        raise RegistryError(f"run {record.get('run_id')}: its {part} are not those of the hash it names")
    return columns


def _is_plain(column: Column) -> bool:
    return column.dtype.kind != "f" or bool(np.isfinite(column).all())


def _to_list(column: Column) -> list[Any]:
    plain: list[Any] = (column.astype(str) if column.dtype.kind == "M" else column).tolist()
    return plain


def _from_list(name: str, values: list[Any]) -> Column:
    if name == "session":
        return np.array(values, dtype="datetime64[D]")
    if name == "asset":
        return np.array(values, dtype=object)
    return np.array(values, dtype=np.float64)
