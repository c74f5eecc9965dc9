"""What the public classes share: a registry opened for as long as a ``with`` lasts."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from pytest_finbot.registry.journal import Journal
from pytest_finbot.registry.segments import Durability


class PublicRegistry:
    """Base of BatchRegistry and ExperimentRegistry."""

    def __init__(self, url_or_folder: str | Path, durability: Durability = "item") -> None:
        self._journal = Journal(url_or_folder, durability)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and index. No batch of BatchRegistry ends by it; the object can be used again,
        and what ExperimentRegistry saves then begins a new batch."""
        self._journal.close()
