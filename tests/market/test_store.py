"""Files are read once per process, windows cut once, and an edited file is read again."""

import dataclasses
import os
import threading
from pathlib import Path

import pytest

from pytest_finbot.errors import DataError
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


@pytest.fixture
def changes_while_read(monkeypatch):
    """``changes_while_read(path, change)``: what happens to the file at the moment it is read."""
    read = Path.read_bytes

    def arrange(path, change):
        def meddled(self):
            content = read(self)
            if self == path:
                change(path)
            return content

        monkeypatch.setattr(Path, "read_bytes", meddled)

    return arrange


def append(path):
    with path.open("a") as file:
        file.write("2020-01-13,1,2\n")


def replace(path):
    """The same size and times: only that it is another file tells."""
    before = path.stat()
    path.with_name("new.csv").write_text(path.read_text())
    path.with_name("new.csv").replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [append, replace])
def test_a_file_that_changes_while_it_is_read_is_refused(load, wide, changes_while_read, monkeypatch, change):
    path = wide()
    changes_while_read(path, change)
    with pytest.raises(DataError, match=f"{path}: changed while it was being read; run again"):
        load(path)
    monkeypatch.undo()
    assert len(load(path).sessions) == 5, "once nothing writes to it, it is read"


def test_a_file_of_a_folder_that_changes_while_it_is_read_is_refused(load, text, changes_while_read):
    rows = "Date,Close\n2020-01-06,1\n2020-01-10,2\n"
    text(rows, "prices/KO.csv")
    path = text(rows, "prices/AAPL.csv")
    changes_while_read(path, append)
    with pytest.raises(DataError, match=f"{path}: changed while"):
        load(path.parent)


def test_a_file_that_vanishes_while_it_is_read_is_refused(load, wide, changes_while_read):
    path = wide()
    changes_while_read(path, Path.unlink)
    with pytest.raises(DataError, match="no such file"):
        load(path)


def test_a_panel_that_changes_while_it_is_read_is_refused(store, a_run, wide, text, changes_while_read):
    panel = text("Date,AAPL,KO\n2020-01-06,1,2\n", "panel/value.csv")
    changes_while_read(panel, append)
    run = a_run(wide(), factors_path=str(panel.parent))
    with pytest.raises(DataError, match=r"value\.csv: changed while"):
        store.load(run, ["value"])
