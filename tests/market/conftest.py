"""Small price files, and runs that read them."""

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.contracts import DataSpec, RunSpec
from pytest_finbot.errors import DataError
from pytest_finbot.market.store import PriceStore

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_prices():
    """Folder of real prices."""
    if not (SHARED / "sp500_20_daily.csv.gz").is_file():
        without = pytest.fail if os.environ.get("CI") else pytest.skip
        without("the folder of real prices is not beside this repository")
    return SHARED


@pytest.fixture(scope="session")
def a_run():
    """``a_run(path, symbols, start, end, …)``: a run on these prices."""

    def build(
        path, symbols="AAPL KO", start="2020-01-06", end="2020-01-10", *, field="close", calendar=None,
        open_path=None, **changes,
    ):  # fmt: skip
        return RunSpec(
            name="run",
            engine="portfolio",
            strategy="fixed_weights",
            params={},
            symbols=tuple(symbols.split()),
            start_date=date.fromisoformat(start),
            end_date=date.fromisoformat(end),
            start_capital=1000.0,
            data=DataSpec(
                str(path), field, calendar, open_path=None if open_path is None else str(open_path)
            ),
            **changes,
        )

    return build


@pytest.fixture
def store():
    return PriceStore()


@pytest.fixture
def load(store, a_run):
    """``load(path, …)``: market data from a fresh store."""
    return lambda path, *args, **changes: store.load(a_run(path, *args, **changes))


@pytest.fixture
def refused(load):
    """``refused(path, …, tells=[…])``: loading fails with one DataError that says all of it."""

    def check(path, *args, tells, **changes):
        with pytest.raises(DataError) as error:
            load(path, *args, **changes)
        for words in tells:
            assert words in str(error.value)
        return str(error.value)

    return check


@pytest.fixture
def wide(tmp_path):
    """A week of two shares, ``changes`` made to it, as a CSV: ``wide({("2020-01-08", "KO"): 0})``."""

    def write(changes=None, *, drop=(), add=None, name="prices.csv"):
        days = ["2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10"]
        frame = pd.DataFrame(
            {"AAPL": [299.8, 298.39, 303.19, 309.63, 310.33], "KO": [54.69, 54.27, 54.37, 55.33, 55.53]},
            index=pd.Index(days, name="Date"),
        )
        for (day, symbol), value in (changes or {}).items():
            frame.loc[day, symbol] = np.nan if value is None else value
        frame = frame.drop(index=list(drop))
        for day, values in (add or {}).items():
            frame.loc[day] = values
        frame.sort_index().to_csv(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def text(tmp_path):
    """``text("Date,AAPL\\n…")``: a file with exactly this in it."""

    def write(content, name="prices.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
