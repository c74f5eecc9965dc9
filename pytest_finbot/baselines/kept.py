"""What a run was compared with, kept beside its record: a report of a month later can still draw it.

Baselines are files that people replace. For runs that moved, the baseline's series and fills go into
the registry as objects, and the comparison names them; those of runs that did not move are the run's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pytest_finbot.baselines.facts import Comparison
from pytest_finbot.baselines.results import RunResult, fill_table
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.objects import Column
from pytest_finbot.registry.protocol import Objects

SERIES: Final = "baseline_series"
FILLS: Final = "baseline_fills"
_PER_ASSET: Final = {"quantity": "quantity", "value": "market_values"}


def keep_comparison(objects: Objects, comparison: Comparison | None) -> dict[str, Any] | None:
    """The comparison as JSON; what a run that moved was compared with is kept as objects it names.

    Raises RegistryError where these cannot be written.
    """
    if comparison is None:
        return None
    baseline = comparison.baseline
    if baseline is None:
        return comparison.to_json()
    series: dict[str, Column] = {"session": baseline.sessions, "nav": baseline.nav}
    if baseline.cash is not None:
        series["cash"] = baseline.cash
    for prefix, name in _PER_ASSET.items():
        values = getattr(baseline, name)
        if values is not None:
            series |= {f"{prefix}:{asset}": values[:, n] for n, asset in enumerate(baseline.assets)}
    named = {SERIES: objects.put_table(series)}
    fills = baseline.fills
    if fills is not None and len(fills):
        named[FILLS] = objects.put_table(
            {
                "session": fills.session.astype("datetime64[D]"),
                "asset": np.asarray(baseline.assets, dtype=object)[fills.asset],
                "quantity": fills.quantity,
                "price": fills.price,
                "fee": fills.fee,
            }
        )
    return {**comparison.to_json(), **named}


def kept_baseline(objects: Objects, comparison: Mapping[str, Any]) -> RunResult | None:
    """What a comparison (its JSON) was made with; ``None`` where nothing was kept.

    Raises RegistryError where what was kept is gone or damaged.
    """
    named = comparison.get(SERIES)
    if named is None:
        return None
    series = objects.get_table(named, verify=True)
    assets = tuple(dict.fromkeys(name.partition(":")[2] for name in series if ":" in name))

    def of_assets(prefix: str) -> Any:
        columns = [series.get(f"{prefix}:{asset}") for asset in assets]
        known = [column for column in columns if column is not None]
        return np.column_stack(known) if len(known) == len(assets) and known else None

    fills = comparison.get(FILLS)
    try:
        table = fill_table({} if fills is None else objects.get_table(fills, verify=True), assets)
        result = RunResult(series["session"], series["nav"], assets, series.get("cash"), fills=table)
    except KeyError as error:
        raise RegistryError(f"object {named} is no series of a baseline: it has no {error}") from error
    return dataclasses.replace(
        result, quantity=of_assets("quantity"), market_values=of_assets("value"), metrics={}
    )
