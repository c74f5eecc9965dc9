"""Which files of a pytest call are batch files. Imports nothing heavy: every pytest start asks.

Controller and workers must agree on the answer, so that the controller can validate each
file before a worker starts; hence one search, by name, over what was asked for: files named
by ``--finbot-batch``, and files called ``finbot.yaml`` or ``finbot_*.yaml`` (``.yml``,
``.json``) given as arguments or found in folders given as arguments or by ``testpaths``.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

OUTPUT_MARKER = ".finbot-output.json"
"""Lies in every output folder. The copy of a batch file beside it is a document, not a batch."""
SUFFIXES = (".yaml", ".yml", ".json")


def is_batch_name(name: str) -> bool:
    """Whether a file is a batch file by its name."""
    stem, suffix = os.path.splitext(name)
    return suffix in SUFFIXES and (stem == "finbot" or stem.startswith("finbot_"))


def split_node_id(argument: str) -> str:
    """The path of a command-line argument such as ``finbot.yaml::alpha``."""
    return argument.partition("::")[0]


def absolute(path: str, config: pytest.Config) -> Path:
    """``path`` as the user meant it, from the folder pytest was called in."""
    return Path(os.path.abspath(config.invocation_params.dir / path))


def find_batch_files(config: pytest.Config) -> tuple[Path, ...]:
    """Batch files of this call, sorted by path, each once."""
    found = {absolute(name, config) for name in config.option.finbot_batch}
    searched = config.args_source is not config.ArgsSource.INVOCATION_DIR
    for argument in config.args:
        path = absolute(split_node_id(argument), config)
        if is_batch_name(path.name) and path.is_file():
            found.add(path)
        elif searched and path.is_dir():
            found.update(_walk(path, config.getini("norecursedirs"), _ignored(config)))
    return tuple(sorted(found))


def leave_out(config: pytest.Config, names: Iterable[str]) -> None:
    """Let pytest not collect these, though they are asked for: paths of batch files, or ``path::run``."""
    gone = set(names)

    def wanted(argument: str) -> bool:
        path = str(absolute(split_node_id(argument), config))
        return path not in gone and f"{path}::{argument.partition('::')[2]}" not in gone

    config.args = [argument for argument in config.args if wanted(argument)]


def _ignored(config: pytest.Config) -> set[Path]:
    ignore: Iterable[str] = config.getoption("ignore") or ()
    return {absolute(os.fspath(path), config) for path in ignore}


def _walk(folder: Path, skipped: Iterable[str], ignored: set[Path]) -> Iterator[Path]:
    """Batch files below ``folder``, passing over what pytest passes over."""
    patterns = tuple(skipped)
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name != "__pycache__"
            and not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
            and not os.path.exists(os.path.join(parent, name, "pyvenv.cfg"))
            and not os.path.exists(os.path.join(parent, name, OUTPUT_MARKER))
            and Path(parent, name) not in ignored
        )
        for name in sorted(files):
            path = Path(parent, name)
            if is_batch_name(name) and path not in ignored:
                yield path
