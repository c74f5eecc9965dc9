"""Where prices and factors lie when a batch file does not say."""

from __future__ import annotations

from pathlib import Path

from pytest_finbot.market.table_file import SUFFIXES


def find_prices(folder: Path) -> Path | None:
    """First that exists of ``data/prices.parquet``, ``.csv.gz``, ``.csv`` and the folder
    ``data/prices/``, below ``folder`` (that of the batch file); ``None`` where none does.
    """
    return _find(folder / "data", "prices")


def find_factors(folder: Path) -> Path | None:
    """As :func:`find_prices`, for ``data/factors``."""
    return _find(folder / "data", "factors")


def _find(folder: Path, name: str) -> Path | None:
    for suffix in SUFFIXES:
        file = folder / f"{name}{suffix}"
        if file.is_file():
            return file
    return folder / name if (folder / name).is_dir() else None
