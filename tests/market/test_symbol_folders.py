"""A folder with one file of daily bars per symbol."""

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.errors import ParameterError
from pytest_finbot.market.ohlcv import symbol_bars
from pytest_finbot.market.prices import prices_of_bars
from pytest_finbot.market.table_file import read_table_file

HEADER = "Date,Open,High,Low,Close,Adj Close,Volume\n"


@pytest.fixture
def bars(text):
    """``bars("KO", {day: (open, close, adjusted)})`` writes ``prices/KO.csv``, gives the folder."""

    def write(symbol, days, header=HEADER):
        rows = "".join(f"{day},{o},20,1,{c},{a},many\n" for day, (o, c, a) in days.items())
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


def test_a_table_of_bars_has_what_the_files_say_besides(text):
    header = "Date,Open,High,Low,Close,Adj Close,Dividends,Stock Splits\n"
    text(header + "2020-01-06,2,5,1,4,2,0.5,0\n2020-01-07,2,5,1,4,2,,\n", "A.csv")
    text(header + "2020-01-07,2,6,1,3,3,0,2\n", "B.csv")
    folder = text("Date,Close\n2020-01-07,8\n", "C.csv").parent
    bars = {name: symbol_bars(read_table_file(folder / f"{name}.csv")) for name in "ABC"}
    both = prices_of_bars({name: bars[name] for name in "AB"}, "adj_close", str(folder))
    assert both.close.tolist() == [[2, pytest.approx(np.nan, nan_ok=True)], [2, 3]]
    assert (both.raw[1].tolist(), both.high[1].tolist(), both.low[1].tolist()) == ([4, 3], [5, 6], [1, 1])
    assert both.dividends.tolist() == [[0.5, 0], [0, 0]]
    assert both.splits.tolist() == [[1, 1], [1, 2]]
    assert both.without == {"Dividends": (), "Stock Splits": ()}
    three = prices_of_bars(bars, "close", str(folder))
    assert three.raw is three.close
    assert (three.high, three.low) == (None, None), "not every file has them"
    assert three.dividends.tolist() == [[0.5, 0, 0], [0, 0, 0]]
    assert three.without["Dividends"] == (str(folder / "C.csv"),)


def test_columns_and_sessions_of_a_table_are_picked_together(text):
    rows = "Date,Open,High,Low,Close,Dividends\n2020-01-06,1,1,1,1,0\n2020-01-07,2,2,2,2,0.5\n"
    text(rows, "A.csv")
    folder = text(rows.replace(",2", ",3"), "B.csv").parent
    bars = {name: symbol_bars(read_table_file(folder / f"{name}.csv")) for name in "AB"}
    table = prices_of_bars(bars, "close", str(folder))
    assert table.of([0, 1]) is table
    turned = table.of([1, 0]).at(np.array([False, True]))
    assert turned.symbols == ("B", "A")
    assert [str(day) for day in turned.sessions] == ["2020-01-07"]
    for array in (turned.close, turned.open, turned.raw, turned.high, turned.low):
        assert array.tolist() == [[3, 2]]
        assert not array.flags.writeable
    assert turned.dividends.tolist() == [[0.5, 0.5]]
    assert turned.splits is None
