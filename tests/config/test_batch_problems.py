"""What is wrong with a batch file is told in plain words, with line and key, all at once."""

import os

import pytest

from pytest_finbot.config.expand import load_batch
from pytest_finbot.config.fields import RESERVED_TAGS
from pytest_finbot.errors import BatchFileError

COMPLETE = "data_path: prices.csv, strategy: s, symbols: X, start_date: 2020-01-02, end_date: 2020-02-03"
"""All that a run needs but its id."""


def told(problems) -> list[str]:
    return [str(problem) for problem in problems]


def only(problems) -> str:
    assert len(problems) == 1, told(problems)
    return str(problems[0])


# ------------------------------------------------------------------------- the whole file


def test_every_mistake_is_told_at_once_in_the_order_of_the_lines(folder):
    folder.write("bundle.yaml", "factors: [{name: x, weight: -1}]\n")
    problems = folder.problems("""\
        batch_name: a/b
        defaults:
          data: {path: pricess.csv, feild: close}
          strategy: fixed_weights
          bundle_path: bundle.yaml
          fill: later
          symbols: [AAA]
          end_date: 2020-12-31
        runs:
          - {id: one, strateggy: x, start_date: 2020-01-02}
          - id: One
            start_date: 2020-13-45
          - id: three
            start_date: 2021-01-01
            start_capital: "100"
            seed: 1.5
          - text
        """)
    assert [(problem.file, problem.line, problem.key) for problem in problems] == [
        ("finbot.yaml", 1, "batch_name"),
        ("finbot.yaml", 3, "defaults.data.feild"),
        ("finbot.yaml", 3, "defaults.data.path"),
        ("finbot.yaml", 6, "defaults.fill"),
        ("finbot.yaml", 10, "runs[0].strateggy"),
        ("finbot.yaml", 11, "runs[1].id"),
        ("finbot.yaml", 12, "runs[1].start_date"),
        ("finbot.yaml", 13, "runs[2]"),
        ("finbot.yaml", 15, "runs[2].start_capital"),
        ("finbot.yaml", 16, "runs[2].seed"),
        ("finbot.yaml", 17, "runs[3]"),
        ("bundle.yaml", 1, "factors[0].weight"),
    ]


def test_a_batch_file_that_is_not_there_names_its_neighbour(folder):
    folder.write("finbot_core.yaml", "")
    with pytest.raises(
        BatchFileError, match=r"finbot_cor\.yaml: file not found; did you mean 'finbot_core\.yaml'"
    ):
        load_batch(folder.path / "finbot_cor.yaml")
    with pytest.raises(BatchFileError, match="there is no folder"):
        load_batch(folder.path / "nowhere" / "finbot.yaml")
    with pytest.raises(BatchFileError, match="is a folder"):
        load_batch(folder.path)


def test_a_file_that_does_not_parse(folder):
    assert only(folder.problems("batch_name: a\nruns: [1,\n")).startswith("finbot.yaml:3: not valid YAML: ")


def test_an_empty_file(folder):
    assert only(folder.problems("")) == "finbot.yaml: the file is empty"


def test_messages_name_the_file_as_it_was_named(folder, monkeypatch):
    folder.write("sub/finbot.yaml", "batch_name: x\nruns: [{id: a, bundle_path: b.yaml}]")
    folder.write("sub/b.yaml", "factors: []")
    monkeypatch.chdir(folder.path)
    with pytest.raises(BatchFileError) as caught:
        load_batch(folder.path.__class__("sub/finbot.yaml"))
    assert {problem.file for problem in caught.value.problems} == {
        os.path.join("sub", "finbot.yaml"),
        os.path.join("sub", "b.yaml"),
    }


# --------------------------------------------------------------------------- batch level


def test_a_batch_needs_a_name_and_runs(folder):
    assert told(folder.problems("description: nothing else\n")) == [
        "finbot.yaml:1: batch_name: missing; a batch needs batch_name",
        "finbot.yaml:1: runs: missing; a batch needs runs",
    ]


def test_no_runs_is_a_problem(folder):
    assert only(folder.problems("batch_name: a\nruns: []\n")) == (
        "finbot.yaml:2: runs: no runs; a batch needs at least one"
    )
    assert "expected a list of runs, got nothing (null)" in only(folder.problems("batch_name: a\nruns:\n"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("outputroot: x", "unknown key 'outputroot'; did you mean 'output_root'?"),
        ("run: []", "unknown key 'run'; did you mean 'runs'?"),
        ("xyz: 1", "unknown key 'xyz'; expected one of batch_name, description, output_root, engine, "),
        ("batch_name: ../up", "'../up' is not a name for a folder; allowed are letters, digits, _ and -"),
        ("batch_name: 2024", "expected text, got the number 2024; put it in quotes"),
        ("max_workers: 0", "0 is not at least 1"),
        ("max_workers: 2.0", "expected a whole number, got the number 2.0"),
        ("max_workers: true", "expected a whole number, got true"),
        ("durability: items", "'items' is not one of item, second; did you mean 'item'?"),
        ("output_root: ''", "must not be empty"),
        ("engine: [x]", "expected text, got a list"),
    ],
)
def test_keys_of_the_batch(folder, line, words):
    head = "" if line.startswith("batch_name") else "batch_name: small\n"
    message = only(folder.problems(f"{head}{line}\nruns: [{{id: a, {COMPLETE}}}]\n"))
    key = line.split(":")[0]
    assert message.startswith(f"finbot.yaml:{1 if not head else 2}: {key}: {words}")


# ------------------------------------------------------------------------------ a run's keys


@pytest.mark.parametrize(
    ("keys", "key", "words"),
    [
        ("strateggy: x", "strateggy", "unknown key 'strateggy'; did you mean 'strategy'?"),
        ("qqqq: x", "qqqq", "unknown key 'qqqq'; expected one of "),
        ("data: {pth: x}", "data.pth", "unknown key 'pth'; did you mean 'path'?"),
        (
            "costs: {comission_bps: 1}",
            "costs.comission_bps",
            "unknown key 'comission_bps'; did you mean 'comm",
        ),
        ("start_date: 2020-13-45", "start_date", "'2020-13-45' is not a date: there is no month 13"),
        ("start_date: 2021-02-29", "start_date", "'2021-02-29' is not a date: 2021-02 has 28 days"),
        ("start_date: 2020-1-2", "start_date", "'2020-1-2' is not a date; expected YYYY-MM-DD"),
        ("start_date: '20200102'", "start_date", "'20200102' is not a date; expected YYYY-MM-DD"),
        ("start_date: 0000-01-01", "start_date", "'0000-01-01' is not a date: there is no year 0"),
        ("start_date: 20200102", "start_date", "expected a date as YYYY-MM-DD, got the number 20200102"),
        ("start_capital: abc", "start_capital", "expected a number, got the text 'abc'"),
        ("start_capital: '100'", "start_capital", "expected a number, got the text '100'"),
        ("start_capital: true", "start_capital", "expected a number, got true"),
        ("start_capital: 0", "start_capital", "0 is not above 0"),
        ("start_capital:", "start_capital", "expected a number, got nothing (null)"),
        ("start_capital: .nan", "start_capital", "the value is not a number (NaN); expected a finite number"),
        ("params: {x: [1, .inf]}", "params.x[1]", "the value is infinite or too large"),
        ("params: {x: 9007199254740993}", "params.x", "9007199254740993 is beyond 2**53"),
        ("params: {BRK.B: .nan}", 'params["BRK.B"]', "the value is not a number"),
        ("params: [1]", "params", "expected a mapping, got a list"),
        ("data: prices.csv", "data", "expected a mapping, got the text 'prices.csv'"),
        (
            "data: {source: yahoo}",
            "data.source",
            "the text 'yahoo' is not available; expected local: a run nev",
        ),
        ("data: {field: open}", "data.field", "'open' is not one of close, adj_close"),
        (
            "data: {missing: ffill}",
            "data.missing",
            "'ffill' is not one of error, drop, forward_fill, interpolate, backfill; did you mean 'forward_f",
        ),
        ("costs: {booking: cash}", "costs.booking", "'cash' is not one of targeted, from_cash"),
        ("costs: {slippage_bps: -1}", "costs.slippage_bps", "-1 is not at least 0"),
        (
            "rebalance_freq: yearly",
            "rebalance_freq",
            "'yearly' is not one of none, D, W, M, Q, A; did you mean 'A'?",
        ),
        ("rebalance_freq: m", "rebalance_freq", "'m' is not one of none, D, W, M, Q, A; did you mean 'M'?"),
        ("rebalance_freq: 5", "rebalance_freq", "expected one of none, D, W, M, Q, A, got the number 5"),
        (
            "fill: next_opn",
            "fill",
            "'next_opn' is not one of close, next_close, next_open; did you mean 'next_op",
        ),
        ("units: whol", "units", "'whol' is not one of fractional, whole; did you mean 'whole'?"),
        ("min_trade: -5", "min_trade", "-5 is not at least 0"),
        ("max_gross_exposure: 0", "max_gross_exposure", "0 is not above 0"),
        ("seed: 1.5", "seed", "expected a whole number, got the number 1.5"),
        ("seed: -1", "seed", "-1 is not at least 0"),
        ("seed: 007", "seed", "expected a whole number, got the text '007'"),
        ("symbols: []", "symbols", "expected at least 1, got 0"),
        ("symbols: [AAA, 600519]", "symbols[1]", "expected text, got the number 600519; put it in quotes"),
        ("symbols: [AAA, true]", "symbols[1]", "expected text, got true; put it in quotes"),
        ("symbols: [AAA, BBB, AAA]", "symbols[2]", "the symbol 'AAA' is given twice"),
        ("symbols: [AAA, ' BBB']", "symbols[1]", "the symbol ' BBB' has blanks around it"),
        ("symbols: ''", "symbols", "a symbol must not be empty"),
        ("tags: core", "tags", "expected a list, got the text 'core'"),
        ("tags: [a, 1b]", "tags[1]", "'1b' is not a tag; expected a letter, then"),
        ("tags: ['a b']", "tags[0]", "'a b' is not a tag"),
        ("reports: [summary, tax]", "reports[1]", "'tax' is not one of summary, risk, tca"),
        ("outputs: [excel]", "outputs[0]", "'excel' is not one of parquet, csv"),
        ("freq: 1h", "freq", "the text '1h' is not available; expected 1d: sessions are days"),
        (
            "data_source: yahoo",
            "data_source",
            "the text 'yahoo' is not available; expected local: a run never t",
        ),
        ("generate_report: yes", "generate_report", "expected true or false, got the text 'yes'; write true"),
    ],
)
def test_a_wrong_key_is_told_once_with_its_line(folder, keys, key, words):
    for level, text in (
        ("runs[1]", f"- id: a\n- id: b\n  {keys}\n"),
        ("defaults", f"batch_name: small\ndefaults:\n  {keys}\nruns:\n"),
    ):
        if level == "defaults":
            runs = "".join(f"  - {{id: {name}, {COMPLETE}}}\n" for name in "abc")
            # Every run overrides what is wrong, or shares it: defaults are checked by themselves.
            message, line = only(folder.problems(text + runs)), 3
        else:
            message, line = only(folder.run_problems(text)), 11
        place = f"{level}{key}" if key.startswith("[") else f"{level}.{key}"
        assert message.startswith(f"finbot.yaml:{line}: {place}: {words}"), message


@pytest.mark.parametrize("tag", sorted(RESERVED_TAGS))
def test_tags_that_mean_something_to_pytest_could_turn_a_failing_run_green(folder, tag):
    message = only(folder.run_problems(f"- {{id: a, tags: [core, {tag}]}}"))
    assert message == (
        f"finbot.yaml:9: runs[0].tags[1]: "
        f"the tag '{tag}' has a meaning of its own in pytest; choose another word"
    )


# -------------------------------------------------------------------------------------- ids


@pytest.mark.parametrize("name", ["../x", "a/b", "a::b", "", ".", "..", "-a", "a b", "a\\b", "ä", "a\n"])
def test_an_id_cannot_leave_its_folder(folder, name):
    (problem,) = folder.run_problems(f"- {{id: {name!r}}}" if "\n" not in name else '- {id: "a\\n"}')
    assert problem.key == "runs[0].id"
    assert "is not a name for a folder" in problem.message


def test_an_id_has_an_end(folder):
    assert folder.runs(f"- {{id: {'a' * 120}}}").runs[0].name == "a" * 120
    assert "has 121 characters; at most 120" in only(folder.run_problems(f"- {{id: {'a' * 121}}}"))


def test_a_run_needs_an_id(folder):
    assert (
        only(folder.run_problems("- {fill: close}")) == "finbot.yaml:9: runs[0].id: missing; a run needs id"
    )


def test_an_id_given_twice_names_the_line_of_the_first(folder):
    assert told(folder.run_problems("- id: a\n- id: b\n- fill: close\n  id: a\n")) == [
        "finbot.yaml:12: runs[2].id: the id 'a' is already that of the run on line 9"
    ]


def test_ids_that_differ_in_case_only_would_share_a_folder_on_some_machines(folder):
    message = only(
        folder.run_problems("- id: Core\n- {id: core, fill: x}\n- id: other\n".replace(", fill: x", ""))
    )
    assert "the id 'core' is already that of the run on line 9 (as 'Core'; " in message


def test_two_runs_of_one_id_on_one_line(folder):
    assert only(
        folder.problems(f"batch_name: a\ndefaults: {{{COMPLETE}}}\nruns: [{{id: a}}, {{id: a}}]\n")
    ).startswith("finbot.yaml:3: runs[1].id: the id 'a' is already that of the run on line 3")


# ------------------------------------------------------------------------- what belongs together


def test_what_a_run_needs_is_told_with_the_runs_line(folder):
    assert told(folder.problems("batch_name: a\nruns:\n  - id: one\n    data: {path: prices.csv}\n")) == [
        f"finbot.yaml:3: runs[0].{key}: missing; a run needs {words}, here or in defaults"
        for key, words in (
            ("end_date", "end_date"),
            ("start_date", "start_date"),
            ("strategy", "strategy"),
            ("symbols", "symbols or symbols_file"),
        )
    ]


def test_an_engine_of_ones_own_needs_no_strategy(folder):
    spec = folder.runs("- {id: a, strategy: '', engine: 'mine:run'}").runs[0]
    assert (spec.engine, spec.strategy) == ("mine:run", "")
    assert "missing; a run needs strategy" in only(folder.run_problems("- {id: a, strategy: ''}"))


def test_a_window_that_ends_before_it_begins(folder):
    assert only(folder.run_problems("- id: a\n- id: b\n  end_date: 2019-12-31\n")) == (
        "finbot.yaml:10: runs[1]: start_date 2020-01-02 is after end_date 2019-12-31"
    )


def test_a_window_of_one_day_is_a_window(folder):
    [run] = folder.runs("- {id: a, end_date: 2020-01-02}").runs
    assert run.start_date == run.end_date


def test_a_window_that_is_wrong_in_defaults_is_told_once(folder):
    message = only(
        folder.problems("""\
        batch_name: a
        defaults:
          data: {path: prices.csv}
          strategy: s
          symbols: [AAA]
          start_date: 2021-01-01
          end_date: 2020-01-01
        runs: [{id: a}, {id: b}]
        """)
    )
    assert message == "finbot.yaml:6: defaults: start_date 2021-01-01 is after end_date 2020-01-01"


def test_symbols_and_a_symbols_file_at_one_level(folder):
    folder.write("universe.txt", "AAA\n")
    message = only(folder.run_problems("- {id: a, symbols: [AAA], symbols_file: universe.txt}"))
    assert message == "finbot.yaml:9: runs[0].symbols_file: give either symbols or symbols_file, not both"


def test_an_engine_named_twice(folder):
    problems = folder.problems("batch_name: a\nengine: bt\ndefaults: {engine: portfolio}\nruns: []\n")
    assert told(problems)[0] == "finbot.yaml:2: engine: engine and defaults.engine differ; keep one"


def test_defaults_that_are_no_mapping(folder):
    problems = folder.problems("batch_name: a\ndefaults: [1]\nruns: [{id: a, fill: x}]\n")
    assert told(problems)[0] == "finbot.yaml:2: defaults: expected a mapping of a run's keys, got a list"
    assert problems[1].key == "runs[0].fill"


def test_defaults_whose_lines_are_all_comments_are_none(folder):
    text = f"batch_name: a\ndefaults:\n  # fill: close\nruns: [{{id: a, {COMPLETE}}}]\n"
    assert folder.load(text).run_count == 1


def test_hostile_text_does_not_break_the_line(folder):
    message = only(folder.run_problems('- {id: a, fill: "x\\ny: z\\e[31m", tags: []}'))
    assert "\n" not in message
    assert "\x1b" not in message
    assert only(folder.run_problems(f"- {{id: a, fill: {'x' * 500}}}")).count("x") < 100
