"""What data the runs of a batch file use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_finbot.market.snapshots.gather import Use


def uses_of(file: Path) -> list[Use]:
    """The runs of the batch ``file``, each with the factors that it takes from its panel.

    Raises BatchFileError with every problem of the file.
    """
    from pytest_finbot.config.expand import load_batch
    from pytest_finbot.strategies.factors import panel_factors

    return [(spec, panel_factors(spec)) for spec in load_batch(file).runs]
