"""The files a batch names: where they are, whether they are there, each read once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pytest_finbot.config.bundle import read_bundle
from pytest_finbot.config.problems import LONGEST_PATH, quoted
from pytest_finbot.config.source import nearest_file
from pytest_finbot.config.symbols_file import read_symbols
from pytest_finbot.config.waivers import read_waivers
from pytest_finbot.contracts import FactorBundle, Waiver
from pytest_finbot.errors import BatchFileError, Problem, did_you_mean

PRICES: Final = ("data/prices.parquet", "data/prices.csv.gz", "data/prices.csv", "data/prices")
"""Where prices are looked for, beside the batch file, when none are named."""

WAIVERS: Final = "waivers.yaml"
"""Waivers beside the batch file, for all batch files of the folder."""

SNAPSHOTS: Final = ".finbot/snapshots"

FACTORS: Final = ("data/factors.parquet", "data/factors.csv.gz", "data/factors.csv")


class Files:
    """Resolves what a batch file names, relative to its own folder; ``~`` is not expanded.

    ``problems`` are those inside the files read, by the name each file has in messages.
    """

    def __init__(self, batch_file: Path, snapshots: Path | None = None) -> None:
        self._shown_folder = batch_file.parent
        self.folder = Path(os.path.abspath(batch_file.parent))
        self.problems: dict[str, list[Problem]] = {}
        self.snapshots = Path(os.path.abspath(SNAPSHOTS if snapshots is None else snapshots))
        """Folder of recorded data; that of the registry in the working directory where none is given."""
        self._absolute: dict[str, str] = {}
        self._faults: dict[tuple[str, bool], str | None] = {}
        self._symbols: dict[str, tuple[str, ...] | None] = {}
        self._bundles: dict[str, FactorBundle | None] = {}
        self._found: dict[tuple[str, ...], str | None] = {}

    def absolute(self, given: str) -> str:
        """Absolute path, ``..`` folded, links kept as they are."""
        if given not in self._absolute:
            self._absolute[given] = os.path.abspath(os.path.join(self.folder, given))
        return self._absolute[given]

    def fault(self, given: str, *, folder_too: bool = False) -> str | None:
        """Why the file, or folder if that will do, cannot be used; ``None`` if it is there."""
        key = (self.absolute(given), folder_too)
        if key not in self._faults:
            self._faults[key] = None
            if os.path.isdir(key[0]) and not folder_too:
                self._faults[key] = f"{quoted(given, LONGEST_PATH)} is a folder; expected a file"
            elif not os.path.exists(key[0]):
                near = nearest_file(Path(key[0]))
                self._faults[key] = f"file not found: {quoted(given, LONGEST_PATH)}{near}"
        return self._faults[key]

    def snapshot_fault(self, snapshot: str) -> str | None:
        """Why recorded data cannot be used; ``None`` if its manifest is there."""
        folder = self.snapshots
        if (folder / f"{snapshot}.json").is_file():
            return None
        where = quoted(str(folder), LONGEST_PATH)
        if not folder.is_dir():
            return f"there is no snapshot {quoted(snapshot)}: there is no folder {where}"
        known = sorted(path.stem for path in folder.glob("*.json"))
        return f"there is no snapshot {quoted(snapshot)} in {where}{did_you_mean(snapshot, known)}"

    def symbols(self, given: str) -> tuple[str, ...] | None:
        """The symbols in a file that is there; ``None`` if the file has problems."""
        path = self.absolute(given)
        if path not in self._symbols:
            shown = self._shown(given)
            try:
                self._symbols[path] = read_symbols(Path(path), shown)
            except BatchFileError as error:
                self.problems[shown] = list(error.problems)
                self._symbols[path] = None
        return self._symbols[path]

    def bundle(self, given: str) -> FactorBundle | None:
        """The bundle in a file that is there; ``None`` if the file has problems."""
        path = self.absolute(given)
        if path not in self._bundles:
            shown = self._shown(given)
            try:
                self._bundles[path] = read_bundle(Path(path), shown)
            except BatchFileError as error:
                self.problems[shown] = list(error.problems)
                self._bundles[path] = None
        return self._bundles[path]

    def waivers(self) -> tuple[Waiver, ...]:
        """The waivers in the file beside the batch file; none where there is no such file."""
        path = Path(self.absolute(WAIVERS))
        if not path.exists():
            return ()
        shown = self._shown(WAIVERS)
        try:
            return read_waivers(path, shown)
        except BatchFileError as error:
            self.problems[shown] = list(error.problems)
            return ()

    def universe(self, bundle: FactorBundle, bundle_path: str) -> str | None:
        """The symbols file that the bundle's ``universe`` names, if it names one."""
        if not bundle.universe:
            return None
        for folder in (os.path.dirname(bundle_path), self.folder):
            path = os.path.abspath(os.path.join(folder, bundle.universe))
            if os.path.isfile(path):
                return path
        return None

    def prices(self) -> str | None:
        """Prices beside the batch file, where none are named."""
        return self._first_of(PRICES)

    def factors(self) -> str | None:
        """A factor panel beside the batch file, where none is named."""
        return self._first_of(FACTORS)

    def _first_of(self, names: tuple[str, ...]) -> str | None:
        if names not in self._found:
            paths = (self.absolute(name) for name in names)
            self._found[names] = next((path for path in paths if os.path.exists(path)), None)
        return self._found[names]

    def _shown(self, given: str) -> str:
        """The file's name in messages, relative where the batch file's own name is."""
        return str(self._shown_folder / given)
