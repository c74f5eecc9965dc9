"""What data the runs of a batch file use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_finbot.market.snapshots.gather import Use


def uses_of(file: Path, registry: str) -> list[Use]:
    """The runs of the batch ``file``, each with the factors that it takes from its panel.

    Snapshots that they replay are those of the folder ``registry``.

    Raises BatchFileError with every problem of the file.
    """
    from pytest_finbot.config.expand import load_batch
    from pytest_finbot.registry.snapshots import snapshots_folder
    from pytest_finbot.strategies.factors import panel_factors

    batch = load_batch(file, snapshots=snapshots_folder(Path(registry)))
    return [(spec, panel_factors(spec)) for spec in batch.runs]
