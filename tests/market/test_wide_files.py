"""Reading date x symbol files: exactly, or not at all."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from pytest_finbot.errors import DataError
from pytest_finbot.market.table_file import read_table_file
from pytest_finbot.market.wide import wide_table


def read(path):
    return wide_table(read_table_file(path))


def test_prices_come_in_the_order_of_the_runs_symbols(load, wide):
    market = load(wide(), "KO AAPL", "2020-01-07", "2020-01-09")
    assert market.symbols == ("KO", "AAPL")
    assert market.sessions.tolist() == np.arange("2020-01-07", "2020-01-10", dtype="datetime64[D]").tolist()
    assert market.close.tolist() == [[54.27, 298.39], [54.37, 303.19], [55.33, 309.63]]
    assert market.open is None
    assert market.field == "close"


def test_shared_arrays_cannot_be_written_to(load, wide):
    market = load(wide())
    assert market.close.flags.c_contiguous
    assert market.sessions.dtype == "datetime64[D]"
    for array in (market.close, market.sessions):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(some.lists(some.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_a_float_comes_back_bit_for_bit_from_text(text, numbers):
    days = np.datetime_as_string(np.datetime64("2020-01-01") + np.arange(len(numbers)))
    rows = "".join(f"{day},{number!r}\n" for day, number in zip(days, numbers, strict=True))
    values = read(text("Date,AAPL\n" + rows)).values
    assert values[:, 0].tobytes() == np.array(numbers).tobytes()


def test_csv_gzip_and_parquet_of_the_same_prices_are_the_same(load, text, tmp_path):
    days = pd.date_range("2020-01-06", "2020-01-10", freq="D", name="Date")
    frame = pd.DataFrame(np.random.default_rng(1).lognormal(size=(5, 2)), days, ["AAPL", "KO"])
    frame.to_csv(tmp_path / "prices.csv")
    frame.to_csv(tmp_path / "zipped.csv.gz")
    frame.to_parquet(tmp_path / "index.parquet")
    frame.reset_index().rename(columns={"Date": "date"}).to_parquet(tmp_path / "column.parquet")
    loaded = [load(tmp_path / n) for n in ("prices.csv", "zipped.csv.gz", "index.parquet", "column.parquet")]
    assert len({market.close.tobytes() for market in loaded}) == 1
    assert len({market.digest.hash for market in loaded}) == 1
    assert loaded[0].close.tobytes() == frame.to_numpy().tobytes()


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_a_time_zone_keeps_the_local_date(load, tmp_path, zone):
    days = pd.date_range("2020-01-06", "2020-01-10", tz=zone, name="Date")
    pd.DataFrame({"AAPL": 1.0, "KO": 2.0}, days).to_parquet(tmp_path / "prices.parquet")
    assert str(load(tmp_path / "prices.parquet").sessions[0]) == "2020-01-06"


def test_dates_may_be_timestamps_at_midnight(text):
    table = read(text("when,A\n2020-01-06 00:00:00,1\n2020-01-07T00:00:00.000-05:00,2\n2020-01-08,3\n"))
    assert [str(day) for day in table.sessions] == ["2020-01-06", "2020-01-07", "2020-01-08"]


@pytest.mark.parametrize(
    "spelled", ["01/07/2020", "20200107", "2020-02-30", "2020-1-7", "2020-01-07 16:00:00", "", "soon"]
)
def test_anything_else_is_not_a_date_and_is_named(text, spelled):
    path = text(f"Date,A\n2020-01-06,1\n\n{spelled},2\n")
    with pytest.raises(DataError) as error:
        read(path)
    assert f"{path}: line 4: {spelled!r} in column 'Date' is not a date" in str(error.value)
    assert "expected YYYY-MM-DD" in str(error.value)


def test_a_parquet_timestamp_within_the_day_is_not_a_date(tmp_path):
    days = pd.DatetimeIndex(["2020-01-06", "2020-01-07 16:00"], name="Date")
    pd.DataFrame({"A": [1.0, 2.0]}, days).to_parquet(tmp_path / "prices.parquet")
    with pytest.raises(DataError, match=r"row 2: 2020-01-07T16:00\S* in column 'Date' is not a date"):
        read(tmp_path / "prices.parquet")


def test_a_parquet_file_without_dates_says_what_it_holds(tmp_path):
    pd.DataFrame({"A": [1.0, 2.0]}).to_parquet(tmp_path / "prices.parquet")
    with pytest.raises(DataError, match="expected a date and one column per symbol"):
        read(tmp_path / "prices.parquet")
    pd.DataFrame({"A": [1.0, 2.0], "B": 1.0}).to_parquet(tmp_path / "prices.parquet")
    with pytest.raises(DataError, match="column 'A' holds double, not dates"):
        read(tmp_path / "prices.parquet")


def test_a_date_that_appears_twice_is_named(refused, wide):
    path = wide()
    path.write_text(path.read_text() + "2020-01-08,1,2\n")
    refused(path, tells=[str(path), "more than once: 2020-01-08"])


def test_dates_out_of_order_are_named(refused, text):
    path = text("Date,AAPL,KO\n2020-01-07,1,1\n2020-01-08,1,1\n2020-01-06,1,1\n")
    refused(path, tells=["not in order: line 4: 2020-01-06 after 2020-01-08"])


def test_text_in_a_price_cell_is_named_by_line_column_and_value(refused, text):
    path = text('Date,AAPL,KO\n2020-01-06,1,2\n2020-01-07,n.a.,2\n2020-01-08,1,"1,5"\n')
    refused(path, tells=[str(path), "line 3, column 'AAPL': 'n.a.'", "line 4, column 'KO': '1,5'"])


def test_of_many_wrong_cells_some_are_named_and_the_rest_counted(refused, text):
    rows = "".join(f"2020-01-{day:02},x,1\n" for day in range(1, 31))
    message = refused(text("Date,AAPL,KO\n" + rows), tells=["line 2, column 'AAPL'", "and 25 more"])
    assert message.count("column 'AAPL'") == 5


@pytest.mark.parametrize("values", [["1.5", "high"], [True, False]])
def test_a_parquet_column_that_holds_no_numbers_is_refused(tmp_path, values):
    days = pd.date_range("2020-01-06", periods=2, name="Date")
    pd.DataFrame({"A": values}, days).to_parquet(tmp_path / "prices.parquet")
    with pytest.raises(DataError, match=f"not a number: .*row 2, column 'A': {values[1]!r}"):
        read(tmp_path / "prices.parquet")


def test_a_gzip_file_cut_in_the_middle_is_refused(refused, wide, tmp_path):
    whole = gzip.compress(wide().read_bytes())
    path = tmp_path / "cut.csv.gz"
    for length in (len(whole) // 2, len(whole) - 4, 5):
        path.write_bytes(whole[:length])
        refused(path, tells=[str(path), "broken or incomplete gzip file"])


def test_a_parquet_file_cut_in_the_middle_is_refused(refused, tmp_path):
    path = tmp_path / "prices.parquet"
    pd.DataFrame({"A": [1.0]}, pd.date_range("2020-01-06", periods=1)).to_parquet(path)
    path.write_bytes(path.read_bytes()[:200])
    refused(path, tells=[str(path), "not a readable Parquet file"])


@pytest.mark.parametrize("last", ["2020-01-09,1", "2020-01", "2"])
def test_a_csv_cut_in_the_middle_of_a_line_is_refused(refused, text, last):
    path = text(f"Date,AAPL,KO\n2020-01-06,1,2\n\n2020-01-08,1,2\n{last}")
    message = refused(path, tells=[f"{path}: line 5: ", "expected 3", repr(last), "it is not whole"])
    assert "\n" not in message


def test_a_short_line_that_is_not_the_end_is_not_called_cut(refused, text):
    path = text("Date,AAPL,KO\n2020-01-06,1,2\n2020-01-07,1\n2020-01-08,1,2")
    assert "not whole" not in refused(path, tells=[f"{path}: line 3: 2 cells, expected 3"])
    path = text("Date,AAPL,KO\n2020-01-06,1,2\n2020-01-07,1\n")
    assert "not whole" not in refused(path, tells=[f"{path}: line 3: 2 cells, expected 3"])


def test_the_last_line_needs_no_end(load, text):
    assert load(text("Date,AAPL,KO\n2020-01-06,1,2\n2020-01-10,1,2")).close.shape == (2, 2)


def test_a_cut_far_down_a_large_file_is_found_by_its_line(refused, text):
    days = np.arange("1900-01-01", "2020-01-11", dtype="datetime64[D]").astype(str)
    cells = ",".join(["1.2345678"] * 10)
    rows = "".join(f"{day},{cells}\n" for day in days)
    assert len(rows) > 2**21, "more than one block of Arrow's reader"
    header = "Date," + ",".join(f"S{number}" for number in range(10)) + "\n"
    path = text(header + rows[:-20])
    refused(path, tells=[f"line {len(days) + 1}: ", "expected 11", "it is not whole"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not a readable CSV file: Empty CSV"),
        ("Date,A\n", "no rows"),
        ("Date,A\n2020-01-06,1,2\n", "line 2: 3 cells, expected 2"),
        ("Date,A,A\n2020-01-06,1,2\n", "more than once: A"),
        ("Date,A,\n2020-01-06,1,2\n", "column 3 has no name"),
        ("Date;A\n2020-01-06;1\n", "with commas between them"),
        (b"Date,A\n2020-01-06,\xff\n", "not UTF-8 (line 2, byte 12 of it is 0xff"),
        ("Date,Ä\n2020-01-06,1\n".encode("latin-1"), r"0xc4, in 'Date,\xc4'); save it as UTF-8"),
        (b"Date,A\r2020-01-06,1\r2020-01-07,\xe4\r", "not UTF-8 (line 3, byte 12"),
        ("Date,A\n2020-01-06,1\n".encode("utf-16"), "UTF-16, not UTF-8"),
        (b"\xfe\xff" + "Date,A\n2020-01-06,1\n".encode("utf-16-be"), "UTF-16, not UTF-8"),
        ("Date,A\n2020-01-06,1\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b"Date,A\n2020-01-06,1\n2020-\x0001-07,1\n", "line 3: a NUL byte"),
        (
            "2020-01-06,1,2\n2020-01-07,3,4\n",
            "line 1 is not a header: its first cell is a date, '2020",
        ),
        ("20200106,1,1\n20200107,3,4\n", "line 1 is not a header"),
        ("01/06/2020,1,1\n01/07/2020,3,4\n", "line 1 is not a header"),
        (",1.5,2.25\n2020-01-07,3,4\n", "line 1 is not a header: its other cells are numbers: 1.5, 2.25"),
    ],
)
def test_what_is_not_a_table_is_refused_with_the_reason(refused, text, content, reason):
    path = text(content)
    refused(path, tells=[str(path), reason])


def test_symbols_may_be_whole_numbers_and_have_letters_of_all_kinds(load, text):
    path = text("\ufeffDate,7203,Ä.DE\n2020-01-06,1.5,2\n2020-01-10,1,2\n")
    assert load(path, "Ä.DE 7203").close[0].tolist() == [2.0, 1.5]


def test_a_file_that_is_not_there_is_named_with_its_neighbour(refused, wide):
    path = wide()
    refused(path.with_name("price.csv"), tells=["price.csv: no such file", "did you mean 'prices.csv'?"])


def test_a_file_of_another_kind_says_what_is_expected(refused, text):
    refused(text("x", "prices.xlsx"), tells=["prices.xlsx", "expected .csv, .csv.gz or .parquet"])


def test_every_missing_symbol_is_named_with_the_nearest_one(refused, wide):
    message = refused(wide(), "AAPL ko AAPLE ZZZ", tells=["3 of 4 symbols", "'ko'; did you mean 'KO'?"])
    assert "'AAPLE'; did you mean 'AAPL'?" in message
    assert "'ZZZ'" in message
    assert "\n  'AAPL'" not in message


def test_opens_come_from_a_second_file(load, wide):
    opens = wide({("2020-01-07", "KO"): 50.5}, name="opens.csv")
    market = load(wide(), "KO", open_path=opens)
    assert market.open[:, 0].tolist() == [54.69, 50.5, 54.37, 55.33, 55.53]
    assert set(market.digest.parts["KO"]) == {"2020"}
    assert market.digest.hash != load(wide(), "KO").digest.hash


def test_opens_in_another_order_of_columns_are_put_right(load, wide, tmp_path):
    pd.read_csv(wide(), index_col=0)[["KO", "AAPL"]].to_csv(tmp_path / "opens.csv")
    market = load(wide(), open_path=tmp_path / "opens.csv")
    assert market.open.tolist() == market.close.tolist()


def test_opens_that_do_not_match_the_closes_are_told_apart(refused, wide, text):
    closes = wide(name="closes.csv")
    opens = text(
        "Date,AAPL,PEP\n2020-01-06,1,2\n2020-01-07,1,2\n2020-01-08,1,2\n2020-01-12,1,2\n", "opens.csv"
    )
    refused(
        closes,
        open_path=opens,
        tells=[
            f"symbols only in {closes}: KO",
            f"symbols only in {opens}: PEP",
            f"sessions only in {closes}: 2020-01-09, 2020-01-10",
            f"sessions only in {opens}: 2020-01-12",
        ],
    )
