"""Files are read once per process, windows cut once, and an edited file is read again."""

import dataclasses
import os
import threading

from pytest_finbot.market.store import WINDOWS_KEPT


def test_a_thousand_runs_read_a_file_once_and_share_one_window(store, a_run, wide):
    run = a_run(wide())
    first = store.load(run)
    for number in range(1000):
        assert store.load(dataclasses.replace(run, name=f"run{number}", start_capital=number + 1.0)) is first
    assert (store.files_read, store.windows_cut) == (1, 1)


def test_other_windows_and_symbols_need_no_other_reading(store, load, wide):
    path = wide()
    load(path)
    assert load(path, "KO").symbols == ("KO",)
    assert load(path, "KO AAPL").symbols == ("KO", "AAPL")
    assert len(load(path, end="2020-01-08").sessions) == 3
    assert load(path, calendar="XNYS").calendar == "XNYS"
    assert load(path, field="adj_close").field == "adj_close"
    assert (store.files_read, store.windows_cut) == (1, 6)


def test_an_edited_file_is_read_again(store, load, wide):
    path = wide()
    before = load(path)
    path.write_text(path.read_text().replace("299.8", "200.8"))  # the same size
    os.utime(path, ns=(1, 1))
    after = load(path)
    assert (before.close[0, 0], after.close[0, 0]) == (299.8, 200.8)
    assert before.digest.parts["AAPL"] != after.digest.parts["AAPL"]
    assert before.digest.parts["KO"] == after.digest.parts["KO"]
    assert store.files_read == 2


def test_of_an_edited_folder_only_the_edited_file_is_read_again(store, load, text):
    rows = "Date,Close\n2020-01-06,1\n2020-01-10,2\n"
    text(rows, "prices/KO.csv")
    folder = text(rows, "prices/AAPL.csv").parent
    load(folder)
    assert load(folder).close[1, 0] == 2
    text(rows.replace(",2", ",25"), "prices/AAPL.csv")
    assert load(folder).close[1].tolist() == [25, 2]
    assert store.files_read == 3


def test_a_file_that_was_wrong_is_looked_at_again(load, refused, wide):
    refused(wide({("2020-01-08", "KO"): 0}), tells=["above zero"])
    assert len(load(wide()).sessions) == 5


def test_windows_not_used_for_long_are_forgotten(store, load, text):
    symbols = [f"S{number}" for number in range(WINDOWS_KEPT + 1)]
    path = text(f"Date,{','.join(symbols)}\n2020-01-06{',1' * len(symbols)}\n")
    window = ("2020-01-06", "2020-01-06")
    kept = load(path, "S0", *window)
    for symbol in symbols[1:]:
        assert load(path, "S0", *window) is kept
        load(path, symbol, *window)
    assert load(path, "S0", *window) is kept
    cut = store.windows_cut
    load(path, "S1", *window)
    assert store.windows_cut == cut + 1
    assert store.files_read == 1


def test_threads_share_one_reading(store, a_run, wide):
    run, loaded = a_run(wide()), []
    threads = [threading.Thread(target=lambda: loaded.append(store.load(run))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(market) for market in loaded}) == 1
    assert store.files_read == 1
