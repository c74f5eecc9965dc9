"""Loads each price file once per process and hands out windows of it, checked.

A batch is thousands of runs on a few files and a few windows. A file is read again only when
its modification time or size has changed; a window that has been cut before is the same
object again.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pytest_finbot.contracts import DataFinding, FloatArray, MarketData, RunSpec
from pytest_finbot.errors import DataError, ParameterError
from pytest_finbot.fingerprint import data_digest
from pytest_finbot.market.actions import Actions, booked_of, check_actions, resolve_actions, with_actions
from pytest_finbot.market.factor_panel import FactorPanel, align, open_panel, require_factors
from pytest_finbot.market.findings.factors import factor_findings
from pytest_finbot.market.missing import apply_policy, not_reached
from pytest_finbot.market.ohlcv import (
    SymbolBars,
    is_file_of,
    looks_like_bars,
    no_symbol_files,
    symbol_bars,
    symbol_files,
)
from pytest_finbot.market.prices import PriceTable, prices_of_bars, prices_of_wide, require_symbols
from pytest_finbot.market.quality import UnfitPricesError, check_window
from pytest_finbot.market.snapshots.reading import manifest_path, open_snapshot
from pytest_finbot.market.snapshots.replay import Replay
from pytest_finbot.market.table_file import TableFile, read_table_file, require_exists, some, suffix_of
from pytest_finbot.market.wide import WideTable, wide_table
from pytest_finbot.market.window import Window, immutable, window_of

WINDOWS_KEPT = 32
WINDOW_BYTES_KEPT = 256 * 1024 * 1024
"""Windows cut before are kept up to this number and this size, the latest used ones."""

TABLES_KEPT = 8


class _Stamp(NamedTuple):
    """A file as it was when it was read."""

    path: str
    modified: int
    size: int
    inode: int


class PriceStore:
    """Files, tables and windows of one process. Safe to share between threads.

    ``files_read`` counts the files opened so far, ``windows_cut`` the windows cut and checked.
    """

    def __init__(self) -> None:
        self.files_read = 0
        self.windows_cut = 0
        self._lock = threading.RLock()
        self._files: dict[str, tuple[_Stamp, WideTable | SymbolBars]] = {}
        self._panels: dict[str, tuple[tuple[_Stamp, ...], FactorPanel]] = {}
        self._replays: dict[str, tuple[_Stamp, Replay]] = {}
        self._tables: OrderedDict[object, PriceTable] = OrderedDict()
        self._windows: OrderedDict[object, MarketData] = OrderedDict()

    def load(self, spec: RunSpec, factors: Sequence[str] = ()) -> MarketData:
        """Prices of ``spec``'s symbols and window, with panel ``factors``, checked and digested.

        Raises DataError for files that cannot be used and windows not fit to trade on,
        ParameterError for settings that do not go together.
        """
        with self._lock:
            return self._load(spec, tuple(factors))

    def window(self, spec: RunSpec) -> Window:
        """``spec``'s symbols and window as the files have them: not checked, nothing put in.

        Raises as :meth:`load` does for files that cannot be used.
        """
        with self._lock:
            stamps = self._price_stamps(spec)
            table = self._kept_table(_table_key(spec, stamps), spec, stamps)
            require_symbols(spec.symbols, table.symbols, table.source)
            return window_of(table, spec.symbols, spec.start_date, spec.end_date)

    def _kept_table(self, key: object, spec: RunSpec, stamps: tuple[_Stamp, ...]) -> PriceTable:
        table = self._tables.get(key)
        if table is None:
            table = self._table(spec, stamps)
            self._tables[key] = table
        self._tables.move_to_end(key)
        while len(self._tables) > TABLES_KEPT:
            self._tables.popitem(last=False)
        return table

    def _load(self, spec: RunSpec, factors: tuple[str, ...]) -> MarketData:
        stamps = self._price_stamps(spec)
        panel_path = _panel_path(spec, factors)
        panel_stamps = () if panel_path is None else _panel_stamps(spec, panel_path)
        of_table = _table_key(spec, stamps)
        of_window = (
            of_table,
            spec.symbols,
            spec.start_date,
            spec.end_date,
            spec.data.calendar,
            spec.fill == "next_open",
            spec.data.missing,
            spec.data.missing_limit if spec.data.missing == "forward_fill" else None,
            spec.data.allow,
            # How dividends are booked is no matter of prices.
            (spec.actions.dividends, spec.actions.splits),
            # Of a part, actions outside its dates are another part's.
            spec.part is not None,
            factors,
            panel_path,
            panel_stamps,
        )
        kept = self._windows.get(of_window)
        if kept is not None:
            self._windows.move_to_end(of_window)
            return kept
        table = self._kept_table(of_table, spec, stamps)
        panel = None if panel_path is None else self._panel(spec, panel_path, panel_stamps)
        market = self._cut(spec, table, factors, panel, panel_stamps)
        self._windows[of_window] = market
        self._forget_windows()
        return market

    def _cut(
        self,
        spec: RunSpec,
        table: PriceTable,
        factors: tuple[str, ...],
        panel: FactorPanel | None,
        panel_stamps: tuple[_Stamp, ...],
    ) -> MarketData:
        require_symbols(spec.symbols, table.symbols, table.source)
        whole = window_of(table, spec.symbols, spec.start_date, spec.end_date)
        window, missing = apply_policy(whole, spec.data.missing, spec.data.missing_limit)
        actions = resolve_actions(spec, window, whole)
        odd = _checked(spec, window, whole, actions)
        odd += check_actions(actions, window, spec.data.missing, opens=spec.fill == "next_open")
        self.windows_cut += 1
        sessions = immutable(window.sessions)
        table = window.table
        close = window.cut(table.close)
        open_ = None if table.open is None else window.cut(table.open)
        observed = None if table.observed is None else window.cut(table.observed)
        dividends = None if actions.dividends is None else immutable(actions.dividends)
        splits = None if actions.splits is None else immutable(actions.splits)
        known: dict[str, FloatArray] = {}
        if panel is not None:
            require_factors(panel, factors)
            known = {
                name: immutable(align(panel.read(name), name, spec.symbols, sessions)) for name in factors
            }
            odd = factor_findings(panel, known, spec.symbols, sessions) + odd
            _require_unchanged(panel_stamps, _panel_stamps(spec, Path(panel.source)))
        used = {
            "open": open_,
            "missing.observed": None if observed is None else observed.astype(np.float64),
            "actions.dividends": dividends,
            "actions.splits": splits,
        }
        fields = {**known, spec.data.field: close}
        fields.update((name, values) for name, values in used.items() if values is not None)
        return MarketData(
            sessions=sessions,
            symbols=spec.symbols,
            close=close,
            field=spec.data.field,
            source=table.source,
            open=open_,
            factors=known,
            calendar=spec.data.calendar,
            digest=data_digest(sessions, spec.symbols, fields),
            observed=observed,
            dividends=dividends,
            splits=splits,
            missing=missing,
            odd=odd,
        )

    def _forget_windows(self) -> None:
        held = sum(_size(market) for market in self._windows.values())
        while len(self._windows) > 1 and (len(self._windows) > WINDOWS_KEPT or held > WINDOW_BYTES_KEPT):
            _, oldest = self._windows.popitem(last=False)
            held -= _size(oldest)

    # ------------------------------------------------------------------------- prices

    def _price_stamps(self, spec: RunSpec) -> tuple[_Stamp, ...]:
        if spec.data.snapshot is not None:
            return (_snapshot_stamp(spec),)
        path = Path(spec.data.path)
        mode, stamp = _look(path, "data.path")
        if not stat.S_ISDIR(mode):
            if spec.data.open_path is None:
                return (stamp,)
            return (stamp, _look(Path(spec.data.open_path), "data.open_path")[1])
        if spec.data.open_path is not None:
            raise ParameterError(
                f"data.open_path: {spec.data.open_path}: opens come with the closes in {path}, "
                "a folder with one file per symbol; leave data.open_path out"
            )
        files = symbol_files(path)
        if not files:
            raise no_symbol_files(path)
        require_symbols(spec.symbols, files, str(path))
        for symbol in spec.symbols:
            if len(files[symbol]) > 1:
                raise DataError(
                    f"{path}: two files for symbol '{symbol}': {', '.join(files[symbol])}; keep one"
                )
        return tuple(_look(path / files[symbol][0], "data.path")[1] for symbol in spec.symbols)

    def _table(self, spec: RunSpec, stamps: tuple[_Stamp, ...]) -> PriceTable:
        if spec.data.snapshot is not None:
            return self._replay(spec, stamps[0]).prices(spec)
        path, field = Path(spec.data.path), spec.data.field
        if path.is_dir():
            bars = {symbol: self._bars(stamp) for symbol, stamp in zip(spec.symbols, stamps, strict=True)}
            return prices_of_bars(bars, field, str(path))
        closes = self._file(stamps[0])
        if isinstance(closes, SymbolBars):
            if len(spec.symbols) != 1 or not is_file_of(spec.symbols[0], path):
                raise DataError(
                    f"{path}: bars of one symbol (it has columns open, high, low, close); give the folder "
                    f"that has a file per symbol, {path.parent}, or one file of date x symbol"
                )
            return prices_of_bars({spec.symbols[0]: closes}, field, str(path))
        if len(stamps) == 1:
            return prices_of_wide(closes, None, field)
        opens = self._file(stamps[1])
        if isinstance(opens, SymbolBars):
            raise DataError(f"{opens.source}: bars of one symbol; data.open_path is a file of date x symbol")
        return prices_of_wide(closes, opens, field)

    def _bars(self, stamp: _Stamp) -> SymbolBars:
        known = self._files.get(stamp.path)
        if known is not None and known[0] == stamp and isinstance(known[1], SymbolBars):
            return known[1]
        bars = symbol_bars(self._read(stamp))
        self._files[stamp.path] = (stamp, bars)
        return bars

    def _file(self, stamp: _Stamp) -> WideTable | SymbolBars:
        known = self._files.get(stamp.path)
        if known is not None and known[0] == stamp:
            return known[1]
        table = self._read(stamp)
        prices = symbol_bars(table) if looks_like_bars(table) else wide_table(table)
        self._files[stamp.path] = (stamp, prices)
        return prices

    def _read(self, stamp: _Stamp) -> TableFile:
        self.files_read += 1
        table = read_table_file(Path(stamp.path))
        _require_unchanged((stamp,), (_look(Path(stamp.path), "data")[1],))
        return table

    def _replay(self, spec: RunSpec, stamp: _Stamp) -> Replay:
        known = self._replays.get(stamp.path)
        if known is not None and known[0] == stamp:
            return known[1]
        self.files_read += 1
        replay = Replay(open_snapshot(Path(spec.data.snapshots), spec.data.snapshot or ""))
        self._replays[stamp.path] = (stamp, replay)
        return replay

    # ------------------------------------------------------------------------ factors

    def _panel(self, spec: RunSpec, path: Path, stamps: tuple[_Stamp, ...]) -> FactorPanel:
        if spec.data.snapshot is not None:
            return self._replay(spec, stamps[0]).panel(str(path))
        known = self._panels.get(str(path))
        if known is not None and known[0] == stamps:
            return known[1]
        self.files_read += 1
        panel = open_panel(path)
        self._panels[str(path)] = (stamps, panel)
        return panel


def _look(path: Path, setting: str) -> tuple[int, _Stamp]:
    """Mode and stamp of ``path`` as it is now; DataError where it is not there."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        require_exists(path, setting)
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error} ({setting})") from error
    return found.st_mode, _Stamp(os.path.abspath(path), found.st_mtime_ns, found.st_size, found.st_ino)


def _require_unchanged(before: tuple[_Stamp, ...], after: tuple[_Stamp, ...]) -> None:
    """Raise DataError for a file that is not what it was when reading it began: half may be old."""
    if before == after:
        return
    changed = sorted({stamp.path for stamp in {*before} ^ {*after}})
    raise DataError(f"{some(changed)}: changed while it was being read; run again when nothing writes to it")


def _checked(spec: RunSpec, window: Window, whole: Window, actions: Actions) -> tuple[DataFinding, ...]:
    """What is odd about the window's prices; DataError where they are not fit to trade on."""
    try:
        return check_window(
            with_actions(window, actions),
            spec.data.calendar,
            opens=spec.fill == "next_open",
            booked=booked_of(actions, window, whole),
            allow=spec.data.allow,
            is_part=spec.part is not None,
        )
    except UnfitPricesError as error:
        limits = not_reached(
            window, spec.data.missing, spec.data.missing_limit, opens=spec.fill == "next_open"
        )
        if not limits:
            raise
        told = "".join(f"\n  {line}" for line in limits)
        raise UnfitPricesError(f"{error}{told}", error.findings) from error


def _panel_path(spec: RunSpec, factors: tuple[str, ...]) -> Path | None:
    if not factors:
        return None
    if spec.factors_path is None:
        raise ParameterError(
            f"factors_path: {', '.join(factors)} cannot be computed from prices, and no panel is given"
        )
    taken = sorted({"open", spec.data.field} & set(factors))
    if taken:
        raise ParameterError(f"factors_path: a factor cannot have the name of a price: {', '.join(taken)}")
    return Path(spec.factors_path)


def _snapshot_stamp(spec: RunSpec) -> _Stamp:
    """Stamp of the manifest: objects are named by their content, and do not change."""
    folder, identity = Path(spec.data.snapshots), spec.data.snapshot or ""
    manifest = manifest_path(folder, identity)
    if not manifest.exists():
        open_snapshot(folder, identity)  # raises, with the snapshots there are
    return _look(manifest, "data.snapshot")[1]


def _table_key(spec: RunSpec, stamps: tuple[_Stamp, ...]) -> object:
    """What the table is kept by that the prices of ``spec`` are cut from."""
    return (
        spec.data.path,
        spec.data.field,
        spec.data.open_path,
        stamps,
        # A wide file is one table whatever symbols a run picks; one symbol may also be
        # a file of its bars, and from a folder only the symbols asked for are read.
        spec.symbols if len(spec.symbols) == 1 or _may_be_bars(spec) else (),
    )


def _may_be_bars(spec: RunSpec) -> bool:
    return spec.data.snapshot is not None or os.path.isdir(spec.data.path)


def _panel_stamps(spec: RunSpec, path: Path) -> tuple[_Stamp, ...]:
    if spec.data.snapshot is not None:
        return (_snapshot_stamp(spec),)
    mode, stamp = _look(path, "factors_path")
    if not stat.S_ISDIR(mode):
        return (stamp,)
    names = [name for name in sorted(os.listdir(path)) if suffix_of(name) is not None]
    return (stamp, *(_look(path / name, "factors_path")[1] for name in names))


def _size(market: MarketData) -> int:
    arrays = (market.close, market.open, market.observed, market.dividends, market.splits)
    held = [array for array in (*arrays, *market.factors.values()) if array is not None]
    return sum(array.nbytes for array in held)


_store = PriceStore()


def load_market(spec: RunSpec, factors: Sequence[str] = ()) -> MarketData:
    """:meth:`PriceStore.load` of this process's own store. ``factors`` name panel factors."""
    return _store.load(spec, factors)
