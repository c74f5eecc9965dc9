"""Files a batch names: found beside it, read once, told of by name when they are not there."""

import pytest

from pytest_finbot.config import files as files_module

NO_PRICES = """\
batch_name: a
defaults: {strategy: s, symbols: [AAA], start_date: 2020-01-02, end_date: 2020-12-31}
runs:
  - {id: a}
  - {id: b}
"""
BUNDLE = "factors: [{name: x, weight: 1}]\n"


@pytest.mark.parametrize(
    "name", ["data/prices.parquet", "data/prices.csv.gz", "data/prices.csv", "data/prices/AAA.csv"]
)
def test_prices_that_are_not_named_are_found_beside_the_batch_file(folder, name):
    folder.write(name, "")
    found = str(folder.path / name.removesuffix("/AAA.csv"))
    assert {spec.data.path for spec in folder.load(NO_PRICES).runs} == {found}


def test_the_first_prices_found_win(folder):
    for name in ("data/prices.csv", "data/prices.parquet", "data/prices/AAA.csv"):
        folder.write(name, "")
    assert folder.load(NO_PRICES).runs[0].data.path == str(folder.path / "data" / "prices.parquet")


def test_no_prices_anywhere_is_told_once(folder):
    (problem,) = folder.problems(NO_PRICES + "  - {id: c, field: adj_close}\n")
    assert (problem.line, problem.key) == (4, "runs[0].data.path")
    assert problem.message == (
        "no prices: give data.path, or put data/prices.parquet, data/prices.csv.gz, data/prices.csv "
        "or a folder data/prices/ beside the batch file"
    )


def test_factors_are_looked_for_only_where_there_is_a_bundle(folder):
    folder.write("bundle.yaml", BUNDLE)
    runs = """\
        - {id: a}
        - {id: b, bundle_path: bundle.yaml}
        - {id: c, bundle_path: bundle.yaml, factors_path: null}
        """
    assert [spec.factors_path for spec in folder.runs(runs).runs] == [None, None, None]
    panel = folder.write("data/factors.csv.gz", b"")
    assert [spec.factors_path for spec in folder.runs(runs).runs] == [None, str(panel), None]


def test_a_factors_file_that_is_named_is_used(folder):
    panel = folder.write("other/f.parquet", b"")
    assert folder.runs("- {id: a, factors_path: other/f.parquet}").runs[0].factors_path == str(panel)


def test_a_folder_of_factors_is_a_panel_but_no_bundle(folder):
    panel = folder.write("panel/momentum.csv", "").parent
    assert folder.runs("- {id: a, factors_path: panel}").runs[0].factors_path == str(panel)
    (problem,) = folder.run_problems("- {id: a, bundle_path: panel}")
    assert problem.message == "'panel' is a folder; expected a file"


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ("data: {path: pricse.csv}", "data.path"),
        ("data: {open_path: pricse.csv}", "data.open_path"),
        ("factors_path: pricse.csv", "factors_path"),
        ("bundle_path: pricse.csv", "bundle_path"),
        ("symbols_file: pricse.csv", "symbols_file"),
    ],
)
def test_a_file_that_is_not_there_names_the_nearest(folder, keys, key):
    (problem,) = folder.run_problems(f"- id: a\n  {keys}\n")
    assert (problem.line, problem.key) == (10, f"runs[0].{key}")
    assert problem.message == "file not found: 'pricse.csv'; did you mean 'prices.csv'?"


def test_a_home_folder_is_not_expanded(folder):
    (problem,) = folder.run_problems("- {id: a, data: {path: ~/prices.csv}}")
    assert problem.message.startswith("file not found: '~/prices.csv'; there is no folder ")


def test_a_folder_is_no_symbols_file(folder):
    folder.write("sub/x", "")
    (problem,) = folder.run_problems("- {id: a, symbols_file: sub}")
    assert problem.message == "'sub' is a folder; expected a file"
    assert folder.runs("- {id: a, data: {path: sub}}").runs[0].data.path == str(folder.path / "sub")


def test_a_default_that_is_missing_is_told_once_though_every_run_has_its_own(folder):
    text = NO_PRICES.replace("strategy: s", "data_path: gone.csv, strategy: s")
    text = text.replace("id: a}", "id: a, data_path: prices.csv}").replace(
        "id: b}", "id: b, data_path: prices.csv}"
    )
    (problem,) = folder.problems(text)
    assert (problem.line, problem.key) == (2, "defaults.data_path")


def test_bundles_and_universes_are_read_once_however_many_runs_name_them(folder, monkeypatch):
    read = []
    for name in ("read_bundle", "read_symbols"):
        original = getattr(files_module, name)

        def counting(path, shown, original=original):
            read.append(path.name)
            return original(path, shown)

        monkeypatch.setattr(files_module, name, counting)
    folder.write("b.yaml", BUNDLE)
    folder.write("u.txt", "AAA\n")
    runs = "".join(f"- {{id: r{n}, bundle_path: ./b.yaml, symbols_file: u.txt}}\n" for n in range(20))
    batch = folder.runs(runs + "- {id: other, bundle_path: b.yaml}\n")
    assert sorted(read) == ["b.yaml", "u.txt"]
    assert len({id(spec.bundle) for spec in batch.runs}) == 1


# ---------------------------------------------------------------------------- symbols files


@pytest.mark.parametrize(
    "content",
    [
        "# a universe\nAAA\n\n  BRK.B  # a class\nÜX\n",
        "symbol\nAAA\nBRK.B\nÜX\n",
        'name,symbol\nfirst,AAA\n\n"second, of two",BRK.B\nthird,ÜX\n',
        "\ufeffSymbol,Name\r\nAAA,x\r\nBRK.B,y\r\nÜX,z\r\n",
    ],
)
def test_symbols_come_in_the_order_of_their_file(folder, content):
    folder.write("u.txt", content.encode())
    assert folder.runs("- {id: a, symbols_file: u.txt}").runs[0].symbols == ("AAA", "BRK.B", "ÜX")


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("", 0, "no symbols in the file; expected one a line"),
        ("# nothing\n", 0, "no symbols in the file"),
        ("symbol\n", 0, "no symbols in the file"),
        ("AAA\nBBB\nAAA\n", 3, "the symbol 'AAA' is given twice; it was first given on line 1"),
        ("AAA, BBB\n", 1, "expected one symbol a line, got 'AAA, BBB'"),
        ("name,symbol\nx\n", 2, "a symbol must not be empty"),
        ("AAA\nB\tB\n", 2, "the symbol 'B\\tB' has blanks around it or unprintable characters"),
        (b"AAA\n\xff\n", 2, "not UTF-8"),
    ],
)
def test_a_symbols_file_with_a_problem_is_told_once_by_its_own_line(folder, content, line, words):
    folder.write("u.txt", content)
    (problem,) = folder.run_problems("- {id: a, symbols_file: u.txt}\n- {id: b, symbols_file: u.txt}\n")
    assert (problem.file, problem.line) == ("u.txt", line)
    assert problem.message.startswith(words)


def test_symbols_of_a_run_override_a_symbols_file_of_defaults_and_the_other_way_round(folder):
    folder.write("u.txt", "FFF\n")
    head = NO_PRICES.replace("runs:", "runs:\n  - {id: c, symbols: XXX}\n  - {id: d, symbols_file: u.txt}")
    head = head.replace("strategy: s", "strategy: s, data_path: prices.csv")
    assert [spec.symbols for spec in folder.load(head).runs] == [("XXX",), ("FFF",), ("AAA",), ("AAA",)]
    head = head.replace("symbols: [AAA]", "symbols_file: u.txt")
    assert [spec.symbols for spec in folder.load(head).runs] == [("XXX",), ("FFF",), ("FFF",), ("FFF",)]
