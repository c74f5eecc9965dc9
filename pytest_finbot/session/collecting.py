"""Collecting batch files, alike on controller and worker."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pytest_finbot.contracts import ErrorCategory, RunSpec
from pytest_finbot.pipeline.failure import Categorize
from pytest_finbot.session.items import BatchFile


class BatchCollection:
    """Hands pytest the batch files of this session, and makes their surroundings ready.

    The folder of a batch file and the root folder go first on ``sys.path``, so that
    ``pkg.module:callable`` is found beside the batch file; tags become known markers.
    """

    def __init__(
        self,
        config: pytest.Config,
        specs: Mapping[Path, Sequence[RunSpec]],
    ) -> None:
        self._specs = specs
        import_from([*(path.parent for path in specs), config.rootpath])
        for tag in sorted({tag for runs in specs.values() for spec in runs for tag in spec.tags}):
            config.addinivalue_line("markers", f"{tag}: a tag of runs in a finbot batch file")

    def file(self, path: Path, parent: pytest.Collector) -> BatchFile | None:
        """The collector of ``path`` if it is one of this session's batch files."""
        specs = self._specs.get(path)
        return None if specs is None else BatchFile.of(parent, path, specs)


def import_from(folders: Sequence[Path]) -> None:
    """Put ``folders`` first on ``sys.path``, in this order, where they are not yet."""
    for folder in reversed(list(dict.fromkeys(folders))):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def categorize_by_hook(config: pytest.Config) -> Categorize:
    """What plug-ins say of an exception, by ``pytest_finbot_categorize_error``."""

    def ask(error: BaseException, phase: str) -> ErrorCategory | None:
        answer = config.hook.pytest_finbot_categorize_error(error=error, phase=phase)
        return None if answer is None else ErrorCategory(answer)

    return ask
