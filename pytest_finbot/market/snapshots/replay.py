"""Prices and factors of runs that replay a snapshot, each of its sources read once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_finbot.contracts import RunSpec
from pytest_finbot.errors import ParameterError
from pytest_finbot.market.factor_panel import FactorPanel
from pytest_finbot.market.ohlcv import SymbolBars, symbol_bars
from pytest_finbot.market.prices import PriceTable, prices_of_bars, prices_of_wide
from pytest_finbot.market.snapshots.reading import Snapshot
from pytest_finbot.market.wide import WideTable, wide_table


class Replay:
    """What runs take from one snapshot. Nothing is read from where the data came from."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._wide: dict[str, WideTable] = {}
        self._bars: dict[tuple[str, str], SymbolBars] = {}
        self._panels: dict[str, FactorPanel] = {}

    def prices(self, spec: RunSpec) -> PriceTable:
        """Prices of ``spec``'s symbols, as they were when the snapshot was taken.

        Raises DataError where the snapshot does not have them or is damaged, ParameterError for
        settings that do not go together.
        """
        data = spec.data
        source = self._snapshot.named(data.path, "prices")
        if source["kind"] == "bars":
            if data.open_path is not None:
                raise ParameterError(
                    f"data.open_path: {data.open_path}: opens come with the closes of {source['path']} in "
                    f"snapshot {self._snapshot.id}; leave data.open_path out"
                )
            bars = {symbol: self._bars_of(source, symbol) for symbol in spec.symbols}
            return prices_of_bars(bars, data.field, self._snapshot.label(source))
        opens = None if data.open_path is None else self._snapshot.named(data.open_path, "opens")
        return prices_of_wide(
            self._wide_of(source), None if opens is None else self._wide_of(opens), data.field
        )

    def panel(self, path: str | None) -> FactorPanel:
        """The panel of factors that ``path`` means. Raises DataError where there is none."""
        source = self._snapshot.named(path, "factors")
        if source["path"] not in self._panels:
            self._panels[source["path"]] = self._snapshot.panel(source)
        return self._panels[source["path"]]

    def _bars_of(self, source: Mapping[str, Any], symbol: str) -> SymbolBars:
        key = (source["path"], symbol)
        if key not in self._bars:
            self._bars[key] = symbol_bars(self._snapshot.bars_file(source, symbol))
        return self._bars[key]

    def _wide_of(self, source: Mapping[str, Any]) -> WideTable:
        if source["path"] not in self._wide:
            self._wide[source["path"]] = wide_table(self._snapshot.wide_file(source))
        return self._wide[source["path"]]
