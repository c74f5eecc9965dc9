"""Factor panels: four forms of file, one meaning."""

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.errors import DataError, ParameterError
from pytest_finbot.market.factor_panel import panel_factor_names, read_panel

SESSIONS = np.array(["2020-01-06", "2020-01-07", "2020-01-08"], "datetime64[D]")
LONG = """date,symbol,value_score,quality
2020-01-07,KO,0.5,1
2020-01-05,KO,9,9
2020-01-06,AAPL,-1.25,
2020-01-07,AAPL,2,3
"""
NAN = float("nan")


def long_file(text):
    return text(LONG, "factors.csv")


def long_parquet(text):
    path = long_file(text)
    frame = pd.read_csv(path, parse_dates=["date"]).set_index(["date", "symbol"])
    frame.to_parquet(path.with_name("factors.parquet"))
    return path.with_name("factors.parquet")


def stacked_file(text):
    rows = [line.split(",") for line in LONG.splitlines()[1:]]
    stacked = [f"{day},{symbol},value_score,{v}\n{day},{symbol},quality,{q}\n" for day, symbol, v, q in rows]
    return text("Date,Symbol,Factor,Value\n" + "".join(stacked), "factors.csv")


def wide_folder(text):
    text("date,KO,AAPL\n2020-01-05,9,\n2020-01-06,,-1.25\n2020-01-07,0.5,2\n", "factors/value_score.csv")
    return text("date,AAPL,KO\n2020-01-05,,9\n2020-01-07,3,1\n", "factors/quality.csv").parent


@pytest.mark.parametrize("panel", [long_file, long_parquet, stacked_file, wide_folder])
def test_every_form_gives_the_value_of_that_day_and_symbol(text, panel):
    path = panel(text)
    assert panel_factor_names(path) == ("quality", "value_score")
    factors = read_panel(path, ["value_score", "quality"], ["AAPL", "PEP", "KO"], SESSIONS)
    expected = [[-1.25, NAN, NAN], [2, NAN, 0.5], [NAN, NAN, NAN]]  # nothing is carried forward
    np.testing.assert_array_equal(factors["value_score"], expected)
    np.testing.assert_array_equal(factors["quality"], [[NAN] * 3, [3, NAN, 1], [NAN] * 3])
    assert factors["quality"].flags.c_contiguous
    assert not factors["quality"].flags.writeable


def test_a_single_wide_file_is_the_factor_of_its_name(text):
    path = text("date,KO\n2020-01-06,1\n", "book_to_price.csv")
    assert panel_factor_names(path) == ("book_to_price",)
    assert read_panel(path, ["book_to_price"], ["KO"], SESSIONS)["book_to_price"][0, 0] == 1


def test_every_unknown_factor_is_named_with_what_the_panel_has(text):
    with pytest.raises(DataError) as error:
        read_panel(long_file(text), ["qualty", "size"], ["KO"], SESSIONS)
    assert "'qualty'; did you mean 'quality'?, 'size'" in str(error.value)
    assert "the panel has quality, value_score" in str(error.value)


def test_an_infinite_value_is_an_error(text):
    path = text(LONG.replace("0.5", "inf"), "factors.csv")
    with pytest.raises(DataError, match="'value_score' is infinite for KO on 2020-01-07"):
        read_panel(path, ["value_score"], ["KO"], SESSIONS)


def test_two_rows_for_one_date_and_symbol_are_an_error(text):
    path = text(LONG + "2020-01-07,KO,1,1\n", "factors.csv")
    with pytest.raises(DataError, match="more than one row for KO on 2020-01-07"):
        read_panel(path, ["quality"], ["KO"], SESSIONS)
    rows = "2020-01-07,KO,size,1\n" * 2 + "2020-01-07,KO,value,1\n"
    with pytest.raises(DataError, match=r"more than one row for KO on 2020-01-07 \(size\)$"):
        read_panel(text("date,symbol,factor,value\n" + rows, "two.csv"), ["value"], ["KO"], SESSIONS)


def test_a_factor_without_any_value_for_the_run_says_what_it_covers(text):
    with pytest.raises(DataError) as error:
        read_panel(long_file(text), ["quality"], ["aapl", "ko"], SESSIONS)
    assert "no value for the run's symbols (aapl, ko)" in str(error.value)
    assert "for AAPL, KO" in str(error.value)


def test_a_symbol_called_na_is_a_symbol_and_none_at_all_is_an_error(text):
    path = text("date,symbol,size\n2020-01-06,NA,1\n", "factors.csv")
    assert read_panel(path, ["size"], ["NA"], SESSIONS)["size"][0, 0] == 1
    path = text("date,symbol,size\n2020-01-06,KO,1\n2020-01-06,,1\n", "factors.csv")
    with pytest.raises(DataError, match="line 3: no symbol"):
        read_panel(path, ["size"], ["KO"], SESSIONS)


def test_text_in_a_factor_is_named(text):
    with pytest.raises(DataError, match="line 2, column 'quality': 'high'"):
        read_panel(text(LONG.replace("0.5,1", "0.5,high"), "f.csv"), ["quality"], ["KO"], SESSIONS)


def test_a_long_file_among_wide_ones_is_told(text):
    folder = text(LONG, "factors/all.csv").parent
    with pytest.raises(DataError, match="Give this file itself"):
        read_panel(folder, ["all"], ["KO"], SESSIONS)


def test_a_run_gets_its_factors_and_they_count_in_the_digest(store, a_run, wide, text):
    run = a_run(wide(), factors_path=str(long_file(text)))
    plain, market = store.load(run), store.load(run, ("quality",))
    assert list(market.factors) == ["quality"]
    np.testing.assert_array_equal(market.factors["quality"][1], [3, 1])
    assert plain.digest.hash != market.digest.hash
    assert store.load(run, ("quality",)) is market
    assert list(store.load(run, ("value_score",)).factors) == ["value_score"]
    text(LONG.replace("2,3", "2,4.5"), "factors.csv")
    assert store.load(run, ("quality",)).factors["quality"][1, 0] == 4.5
    assert store.files_read == 3


# --------------------------------------------------------------- panels that hardly fit the run


def panel_of(text, days, symbols="AAPL KO", value=None):
    rows = (
        f"{day},{symbol},{number if value is None else value}\n"
        for number, day in enumerate(days)
        for symbol in symbols.split()
    )
    return text("date,symbol,size\n" + "".join(rows), "factors.csv")


@pytest.fixture
def odd(store, a_run, wide, text):
    """``odd(days, symbols)``: kind, symbol, day and count of what is odd about the panel, and the words."""

    def look(days, symbols="AAPL KO", value=None):
        run = a_run(wide(), factors_path=str(panel_of(text, days, symbols, value)))
        found = store.load(run, ("size",)).odd
        assert all(one.severity == "odd" for one in found)
        return [(one.kind, one.symbol, one.session, one.count) for one in found], " ".join(
            one.message for one in found
        )

    return look


WEEK = [f"2020-01-{day:02d}" for day in (6, 7, 8, 9, 10)]


def test_a_panel_that_fits_is_not_odd(odd):
    assert odd(WEEK)[0] == []
    assert odd(WEEK[:3])[0] == []  # more than half


def test_symbols_without_a_value_are_named_with_those_of_other_letters(odd):
    told, words = odd(WEEK, "aapl KO")
    assert told == [("factor_symbol_missing", "AAPL", "2020-01-06", 1)]
    assert "factor 'size' has no value" in words
    assert "1 of 2 symbols: AAPL (did you mean 'aapl'?)" in words
    assert odd(WEEK, "KO PEP")[1].endswith("1 of 2 symbols: AAPL")


def test_sessions_without_any_value_are_told_with_those_that_have_one(odd):
    told, words = odd(["2020-01-05", "2020-01-09", "2020-01-10"])
    assert told == [("factor_not_covered", None, "2020-01-06", 3)]
    assert "on 3 of 5 sessions (60.0%)" in words
    assert "first there is on 2020-01-09, its last on 2020-01-10. Nothing" in words


def test_dates_that_are_no_sessions_are_counted(store, a_run, wide, text):
    run = a_run(
        wide(add={"2020-01-13": [310.0, 55.6]}), end="2020-01-13",
        factors_path=str(panel_of(text, ["2020-01-07", "2020-01-11", "2020-01-12"])),
    )  # fmt: skip
    (found,) = [one for one in store.load(run, ("size",)).odd if one.kind.startswith("factor")]
    assert (found.kind, found.count) == ("factor_not_covered", 5)
    assert "2 of its 3 dates there are no sessions" in found.message


def test_a_factor_that_is_one_number_ranks_nothing(odd):
    told, words = odd(WEEK, value=1.5)
    assert told == [("factor_constant", None, "2020-01-06", 10)]
    assert "every value is 1.5" in words


def test_a_panel_factor_without_a_panel_is_a_wrong_setting(store, a_run, wide):
    with pytest.raises(ParameterError, match="quality cannot be computed from prices"):
        store.load(a_run(wide()), ("quality",))
    with pytest.raises(ParameterError, match="cannot have the name of a price: open"):
        store.load(a_run(wide(), factors_path="factors.csv"), ("open",))


def test_a_panel_that_is_not_there_is_named(store, a_run, wide, tmp_path):
    with pytest.raises(DataError, match=r"factors\.csv: no such file or folder \(factors_path\)"):
        store.load(a_run(wide(), factors_path=str(tmp_path / "factors.csv")), ("quality",))
