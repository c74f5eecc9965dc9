"""A run's exported tables: what somebody else needs to follow the account from day to day."""

import csv
import dataclasses
from datetime import date

import numpy as np
import pyarrow.parquet as pq
import pytest

from pytest_finbot.contracts import ActionSpec, CostSpec, DataSpec, Flow, MarketData, RunSpec, TargetWeights
from pytest_finbot.engines.portfolio import simulate
from pytest_finbot.reports.run_files import write_run_files
from pytest_finbot.valuation.books import Books

SPEC = RunSpec(
    name="held",
    engine="portfolio",
    strategy="fixed_weights",
    params={},
    symbols=("AAA", "BBB", "CCC"),
    start_date=date(2020, 1, 1),
    end_date=date(2020, 1, 6),
    start_capital=1000.0,
    data=DataSpec("prices.csv"),
    costs=CostSpec(commission_bps=10.0, slippage_bps=5.0),
    flows=(Flow(date(2020, 1, 3), 250.0), Flow(date(2020, 1, 5), -100.0)),
    multipliers={"CCC": 5.0},
    outputs=("parquet", "csv"),
)
EVERY_DAY = TargetWeights(
    np.array([0, 2, 4], np.int64),
    np.array([[0.5, 0.2, 0.1], [0.3, 0.3, -0.2], [0.4, 0.1, 0.2]]),
)


def a_market():
    """AAA is split two for one on the fourth day, and pays on the third; CCC pays on the fifth."""
    close = np.array([[10, 20, 1], [11, 21, 1.1], [12, 19, 1.2], [6, 20, 1.1], [7, 22, 0.9], [6.5, 21, 1]])
    dividends, splits = np.zeros((6, 3)), np.ones((6, 3))
    dividends[2, 0], dividends[4, 2], splits[3, 0] = 0.5, 0.01, 2.0
    return MarketData(
        sessions=np.datetime64("2020-01-01") + np.arange(6),
        symbols=SPEC.symbols,
        close=close,
        field="close",
        source="prices.csv",
        dividends=dividends,
        splits=splits,
    )


def exported(folder, result, spec):
    """The two tables as each format has them, columns of numbers and of text by name."""
    names = write_run_files(
        folder / "run",
        spec,
        result=result,
        market_values=Books(result).market_values,
        metrics={},
        undefined={},
        risk=None,
        costs=None,
    )
    assert sorted(names) == ["fills.csv", "fills.parquet", "series.csv", "series.parquet"]
    for stem in ("series", "fills"):
        with (folder / "run" / f"{stem}.csv").open(newline="") as file:
            title, *rows = csv.reader(file)
        written = {
            name: values if name in ("session", "asset") else [float(value) for value in values]
            for name, *values in zip(title, *rows, strict=True)
        }
        table = pq.read_table(folder / "run" / f"{stem}.parquet").to_pydict()
        table["session"] = [str(day) for day in table["session"]]
        assert table == written
        yield written


@pytest.mark.parametrize("booking", ["cash", "reinvest"])
def test_cash_and_quantities_roll_from_the_exported_series_and_fills_alone(tmp_path, booking):
    spec = dataclasses.replace(SPEC, actions=ActionSpec(booking=booking))
    result = simulate(spec, a_market(), EVERY_DAY)

    series, fills = exported(tmp_path, result, spec)

    cash, held = spec.start_capital, dict.fromkeys(spec.symbols, 0.0)
    for row, day in enumerate(series["session"]):
        cash += series["flows"][row]
        for asset in held:
            cash += series.get(f"income:{asset}", [0.0] * 6)[row]
            held[asset] *= series.get(f"splits:{asset}", [1.0] * 6)[row]
        for number in (n for n, session in enumerate(fills["session"]) if session == day):
            asset, quantity = fills["asset"][number], fills["quantity"][number]
            unit = fills["price"][number] * series.get(f"multiplier:{asset}", [1.0] * 6)[row]
            cash -= quantity * unit + fills["fee"][number]
            held[asset] += quantity
        assert cash == pytest.approx(series["cash"][row], rel=1e-12)
        assert held == pytest.approx({asset: series[f"quantity:{asset}"][row] for asset in held}, rel=1e-12)
    assert result.income.any()


def test_what_says_nothing_has_no_column(tmp_path):
    result = simulate(SPEC, a_market(), EVERY_DAY)
    series, _ = exported(tmp_path, result, SPEC)

    kinds = ("market_value", "quantity", "mark")
    assert [*series] == [
        *("session", "nav", "cash", "flows"),
        *(f"{kind}:AAA" for kind in (*kinds, "income", "splits")),
        *(f"{kind}:BBB" for kind in kinds),
        *(f"{kind}:CCC" for kind in (*kinds, "income", "multiplier")),
    ]

    plain = dataclasses.replace(SPEC, flows=(), multipliers={})
    market = dataclasses.replace(a_market(), dividends=None, splits=None)
    series, _ = exported(tmp_path, simulate(plain, market, EVERY_DAY), plain)
    assert {name.partition(":")[0] for name in series} == {"session", "nav", "cash", *kinds}
