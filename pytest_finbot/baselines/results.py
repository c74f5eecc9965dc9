"""What a run gave, as far as it can be compared: the same noun for new, accepted and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_finbot.contracts import EngineResult, FloatArray, IntArray, SessionArray
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.protocol import Objects
from pytest_finbot.registry.small_tables import get_table
from pytest_finbot.registry.tables import read_series

MetricValue = float | int | str | None


@dataclass(frozen=True, eq=False)
class FillTable:
    """Executed trades in order, as columns of equal length F.

    ``session`` is the day, ``asset`` a column number of the result's assets, ``quantity``
    signed; ``price`` and ``fee`` are currency.
    """

    session: SessionArray
    asset: IntArray
    quantity: FloatArray
    price: FloatArray
    fee: FloatArray

    def __len__(self) -> int:
        return len(self.session)

    def __getitem__(self, rows: npt.NDArray[Any] | slice) -> FillTable:
        """The fills at ``rows``, in their order."""
        return FillTable(
            self.session[rows], self.asset[rows], self.quantity[rows], self.price[rows], self.fee[rows]
        )


@dataclass(frozen=True, eq=False)
class RunResult:
    """Results of one run: T sessions x N assets, float64, currency of the run.

    ``sessions`` [T] rise strictly (datetime64[D]). ``nav`` [T]; ``cash`` [T], ``quantity``
    [T, N], ``market_values`` [T, N] and ``fills`` are ``None`` where whoever brought the
    result does not know them. ``metrics`` maps names to numbers, ISO dates, or ``None``
    where undefined, with the reason in ``undefined``.
    """

    sessions: SessionArray
    nav: FloatArray
    assets: tuple[str, ...] = ()
    cash: FloatArray | None = None
    quantity: FloatArray | None = None
    market_values: FloatArray | None = None
    fills: FillTable | None = None
    metrics: Mapping[str, MetricValue] = field(default_factory=dict)
    undefined: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def start_nav(self) -> float:
        """First NAV that is finite and not 0, in absolute value; 0 where there is none."""
        usable = self.nav[np.isfinite(self.nav) & (self.nav != 0)]
        return float(abs(usable[0])) if len(usable) else 0.0

    @classmethod
    def of_engine(
        cls,
        result: EngineResult,
        market_values: FloatArray,
        metrics: Mapping[str, MetricValue],
        undefined: Mapping[str, str],
    ) -> RunResult:
        """The comparable part of an engine's result; ``market_values`` as its books have them."""
        fills = result.fills
        return cls(
            sessions=result.sessions,
            nav=np.asarray(result.nav, np.float64),
            assets=result.assets,
            cash=np.asarray(result.cash, np.float64),
            quantity=np.asarray(result.quantity, np.float64),
            market_values=np.asarray(market_values, np.float64),
            fills=FillTable(
                session=result.sessions[fills.session],
                asset=np.asarray(fills.asset, np.int64),
                quantity=np.asarray(fills.quantity, np.float64),
                price=np.asarray(fills.price, np.float64),
                fee=np.asarray(fills.fee, np.float64),
            ),
            metrics=dict(metrics),
            undefined=dict(undefined),
        )

    @classmethod
    def of_record(cls, objects: Objects, record: Mapping[str, Any]) -> RunResult:
        """The result a registry keeps for ``record`` (its JSON).

        Raises RegistryError where the run recorded none, or what it recorded is damaged.
        """
        series = read_series(objects, record, verify=True)
        columns = get_table(objects, record, "fills", verify=True) if record.get("fills") else {}
        try:
            fills = fill_table(columns, series.assets)
        except KeyError as error:
            raise RegistryError(
                f"run {record.get('run_id')}: its fills have no column or asset {error}"
            ) from error
        return cls(
            sessions=series.sessions,
            nav=series.nav,
            assets=series.assets,
            cash=series.cash,
            quantity=series.quantity,
            market_values=series.market_values,
            fills=fills,
            metrics=dict(record.get("metrics") or {}),
            undefined=dict(record.get("undefined_metrics") or {}),
        )


def fill_table(columns: Mapping[str, npt.NDArray[Any]], assets: tuple[str, ...]) -> FillTable:
    """Fills from columns ``session``, ``asset`` (names), ``quantity``, ``price``, ``fee``; none from {}.

    Raises KeyError for an asset that is not one of ``assets``.
    """
    if not columns:
        empty = np.empty(0)
        return FillTable(
            np.empty(0, "datetime64[D]"), np.empty(0, np.int64), empty, empty.copy(), empty.copy()
        )
    number = {name: n for n, name in enumerate(assets)}
    return FillTable(
        session=columns["session"].astype("datetime64[D]"),
        asset=np.array([number[name] for name in columns["asset"].tolist()], dtype=np.int64),
        quantity=np.asarray(columns["quantity"], np.float64),
        price=np.asarray(columns["price"], np.float64),
        fee=np.asarray(columns["fee"], np.float64),
    )
