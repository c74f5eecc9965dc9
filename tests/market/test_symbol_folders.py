"""A folder with one file of daily bars per symbol."""

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.errors import ParameterError

HEADER = "Date,Open,High,Low,Close,Adj Close,Volume\n"


@pytest.fixture
def bars(text):
    """``bars("KO", {day: (open, close, adjusted)})`` writes ``prices/KO.csv``, gives the folder."""

    def write(symbol, days, header=HEADER):
        rows = "".join(f"{day},{o},9,1,{c},{a},many\n" for day, (o, c, a) in days.items())
        return text(header + rows, f"prices/{symbol}.csv").parent

    return write


DAYS = {f"2020-01-{day:02}": (10.0, 12.0, 6.0) for day in range(6, 11)}


def test_raw_and_adjusted_prices_of_the_same_bars(load, bars):
    folder = bars("KO", DAYS)
    raw, adjusted = load(folder, "KO"), load(folder, "KO", field="adj_close")
    assert (raw.close[0, 0], raw.open[0, 0]) == (12.0, 10.0)
    assert (adjusted.close[0, 0], adjusted.open[0, 0]) == (6.0, 5.0)
    assert raw.digest.hash != adjusted.digest.hash


@pytest.mark.parametrize(
    "header", ["date,open,high,low,close,adj_close,volume\n", "DATE,OPEN,HIGH,LOW,CLOSE,AdjClose,VOLUME\n"]
)
def test_column_names_are_known_in_any_spelling(load, bars, header):
    assert load(bars("KO", DAYS, header), "KO", field="adj_close").open[0, 0] == 5.0


def test_only_the_symbols_asked_for_are_read(load, store, bars):
    bars("KO", DAYS)
    bars("AAPL", DAYS)
    folder = bars("BROKEN", {"yesterday": (1, 2, 3)})
    load(folder, "AAPL KO")
    assert store.files_read == 2


def test_files_may_be_csv_gzip_parquet_or_a_history(load, bars, tmp_path):
    folder = bars("A", DAYS)
    frame = pd.read_csv(folder / "A.csv", index_col=0, parse_dates=True)
    frame.to_csv(folder / "B.csv.gz")
    frame.to_parquet(folder / "C.parquet")
    frame.to_parquet(folder / "D_history_1d.parquet")
    market = load(folder, "A B C D", field="adj_close")
    assert np.unique(market.close).tolist() == [6.0]
    assert np.unique(market.open).tolist() == [5.0]


def test_missing_symbols_are_all_named(refused, bars):
    refused(bars("KO", DAYS), "KO PEP KOO", tells=["2 of 3 symbols", "'PEP'", "'KOO'; did you mean 'KO'?"])


def test_two_files_for_one_symbol_are_refused(refused, bars, tmp_path):
    folder = bars("KO", DAYS)
    (folder / "KO.csv.gz").write_bytes(b"")
    refused(folder, "KO", tells=["two files for symbol 'KO'", "KO.csv, KO.csv.gz"])


def test_a_folder_without_prices_says_what_is_expected(refused, tmp_path):
    refused(tmp_path, tells=["no price files", "<SYMBOL>"])


def test_a_file_without_the_field_says_what_it_has(refused, text):
    folder = text("Date,Open,High,Low,Close\n2020-01-06,1,1,1,1\n", "prices/KO.csv").parent
    refused(folder, "KO", field="adj_close", tells=["KO.csv", "field 'adj_close'", "Open, High, Low, Close"])


def test_a_session_that_one_symbol_lacks_is_missing_for_it(refused, bars):
    bars("AAPL", DAYS)
    folder = bars("KO", {day: prices for day, prices in DAYS.items() if day != "2020-01-08"})
    refused(folder, tells=["KO (close): no price on 1 session: 2020-01-08"])


def test_without_opens_for_every_symbol_there_are_none(load, bars, text):
    bars("AAPL", DAYS)
    rows = "".join(f"{day},5\n" for day in DAYS)
    folder = text("Date,Close\n" + rows, "prices/KO.csv").parent
    assert load(folder).open is None


def test_the_bars_of_one_symbol_are_not_a_wide_file(refused, load, bars):
    file = bars("KO", DAYS) / "KO.csv"
    refused(file, "KO AAPL", tells=[str(file), "bars of one symbol", "give the folder", str(file.parent)])
    refused(file, "AAPL", tells=["bars of one symbol"])
    assert load(file, "KO").close[0, 0] == 12.0


def test_opens_are_not_given_twice(load, bars, wide):
    with pytest.raises(ParameterError, match=r"data\.open_path"):
        load(bars("KO", DAYS), "KO", open_path=wide())
