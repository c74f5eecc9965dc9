"""Waivers in the batch file and in a file beside it, and the folder of baselines."""

from datetime import date

import pytest

from pytest_finbot.contracts import Waiver
from pytest_finbot.tolerances import METRIC_UNITS

BATCH = """\
batch_name: small
defaults: {data: {path: prices.csv}, strategy: s, symbols: X, start_date: 2020-01-02, end_date: 2020-12-31}
runs: [{id: a}]
"""
"""Three lines; line 4 is the first of whatever follows."""

FULL = "run: a, check: nav, reason: new fees, reviewer: ann, expires: 2026-12-31"
KEYS = {
    "run": "a",
    "check": "nav",
    "reason": "new fees",
    "reviewer": "ann",
    "expires": "2026-12-31",
}


def with_waiver(**keys) -> str:
    given = ", ".join(f"{key}: {value}" for key, value in {**KEYS, **keys}.items() if value is not None)
    return f"{BATCH}waivers:\n  - {{{given}}}\n"


def told(folder, text: str) -> list[str]:
    return [str(problem) for problem in folder.problems(text)]


def told_beside(folder, waivers: str) -> list[str]:
    folder.write("waivers.yaml", waivers)
    return told(folder, BATCH)


# ---------------------------------------------------------------------------------- accepted


def test_a_batch_that_says_nothing_has_neither_baseline_nor_waivers(folder):
    batch = folder.load(BATCH)
    assert batch.baseline is None
    assert batch.waivers == ()


def test_a_waiver_knows_where_it_stands(folder):
    batch = folder.load(
        BATCH
        + """\
waivers:
  - {run: a, check: nav, reason: new fees, reviewer: ann, expires: 2026-12-31, link: "https://x/1"}

  - run: "momentum_*"
    check: metrics.*
    reason: new fees
    reviewer: ann
    expires: 2020-01-01
"""
    )
    file = str(folder.path / "finbot.yaml")
    assert batch.waivers == (
        Waiver("a", "nav", "new fees", "ann", date(2026, 12, 31), "https://x/1", file, 5),
        # Expired, and naming no run of the batch: for the gate to tell, not for the reader.
        Waiver("momentum_*", "metrics.*", "new fees", "ann", date(2020, 1, 1), "", file, 7),
    )


@pytest.mark.parametrize("form", ["- {{{0}}}\n- {{{0}}}\n", "waivers:\n- {{{0}}}\n- {{{0}}}\n"])
def test_waivers_may_stand_in_a_file_beside_the_batch_file(folder, form):
    folder.write("waivers.yaml", "# who answers for what\n" + form.format(FULL))
    batch = folder.load(BATCH + f"waivers: [{{{FULL.replace('nav', 'cash')}}}]\n")
    assert [(waiver.check, waiver.file, waiver.line) for waiver in batch.waivers] == [
        ("cash", str(folder.path / "finbot.yaml"), 4),
        ("nav", str(folder.path / "waivers.yaml"), 2 + form.count("waivers")),
        ("nav", str(folder.path / "waivers.yaml"), 3 + form.count("waivers")),
    ]


@pytest.mark.parametrize("content", ["[]\n", "waivers: []\n"])
def test_a_file_of_no_waivers(folder, content):
    folder.write("waivers.yaml", content)
    assert folder.load(BATCH + "waivers: []\n").waivers == ()


def test_waivers_outlive_the_runs(folder):
    batch = folder.load(with_waiver() + "baseline: accepted\n").without_runs()
    assert len(batch.waivers) == 1
    assert batch.baseline == folder.path / "accepted"


def test_the_file_of_waivers_is_named_as_the_batch_file_was(folder, monkeypatch):
    from pathlib import Path

    from pytest_finbot.config.expand import load_batch

    folder.write("finbot.yaml", BATCH)
    folder.write("waivers.yaml", f"- {{{FULL}}}\n")
    monkeypatch.chdir(folder.path)
    assert load_batch(Path("finbot.yaml")).waivers[0].file == "waivers.yaml"


@pytest.mark.parametrize(
    "check",
    [
        "sessions",
        "nav",
        "cash",
        "market_values",
        "quantity",
        "fills",
        *(f"metrics.{name}" for name in METRIC_UNITS),
        "*",
        "metrics.*",
        "metrics.max_*",
        "[nc]a*",
        "market_value?",
    ],
)
def test_what_can_be_waived(folder, check):
    assert folder.load(with_waiver(check=f"'{check}'")).waivers[0].check == check


# ----------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("navv", "'navv' is no check that can be waived; did you mean 'nav'?"),
        ("NAVS", "'NAVS' is no check that can be waived; expected one of sessions, coverage, nav, cash, "),
        ("cagr", "'cagr' is no check that can be waived; did you mean 'metrics.cagr'?"),
        ("metrics.sharp", "'metrics.sharp' is no check that can be waived; did you mean 'metrics.sharpe'?"),
        ("metric.*", "'metric.*' matches no check; did you mean 'metrics.*'?"),
        (
            "z?",
            "'z?' matches no check; expected one of sessions, coverage, nav, cash, market_values, quantity, ",
        ),
    ],
)
def test_a_waiver_of_no_check_excuses_nothing_and_is_refused(folder, check, words):
    (message,) = told(folder, with_waiver(check=f"'{check}'"))
    assert message.startswith(f"finbot.yaml:5: waivers[0].check: {words}")


@pytest.mark.parametrize("key", list(KEYS))
def test_a_waiver_needs_all_of_its_keys_but_the_link(folder, key):
    assert told(folder, with_waiver(**{key: None})) == [
        f"finbot.yaml:5: waivers[0].{key}: missing; a waiver needs {key}"
    ]


@pytest.mark.parametrize("key", ["run", "check", "reason", "reviewer"])
@pytest.mark.parametrize("empty", ["''", "'  '"])
def test_a_waiver_that_says_nothing(folder, key, empty):
    assert told(folder, with_waiver(**{key: empty})) == [
        f"finbot.yaml:5: waivers[0].{key}: must not be empty"
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("expires", "2026-02-30", "'2026-02-30' is not a date: 2026-02 has 28 days"),
        ("expires", "never", "'never' is not a date; expected YYYY-MM-DD"),
        ("expires", "''", "'' is not a date; expected YYYY-MM-DD"),
        ("expires", "20261231", "expected a date as YYYY-MM-DD, got the number 20261231"),
        ("reason", "5", "expected text, got the number 5; put it in quotes"),
        ("run", "[a]", "expected text, got a list"),
        ("link", "null", "expected text, got nothing (null)"),
        ("reson", "x", "unknown key 'reson'; did you mean 'reason'?"),
    ],
)
def test_a_wrong_value_of_a_waiver(folder, key, value, words):
    assert told(folder, with_waiver(**{key: value})) == [f"finbot.yaml:5: waivers[0].{key}: {words}"]


def test_waivers_that_are_no_list(folder):
    assert told(folder, BATCH + "waivers:\n") == [
        "finbot.yaml:4: waivers: expected a list, got nothing (null)"
    ]
    assert told(folder, BATCH + "waivers: [nav]\n") == [
        "finbot.yaml:4: waivers[0]: expected a mapping, got the text 'nav'"
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            f"- {{{FULL}}}\n- {{{FULL.replace('nav', 'navv')}}}\n",
            ["waivers.yaml:2: [1].check: 'navv' is no check that can be waived; did you mean 'nav'?"],
        ),
        (
            f"waivers:\n- {{{FULL}, linc: x}}\n",
            ["waivers.yaml:2: waivers[0].linc: unknown key 'linc'; did you mean 'link'?"],
        ),
        (
            f"waiver:\n- {{{FULL}}}\n",
            [
                "waivers.yaml:1: waiver: unknown key 'waiver'; did you mean 'waivers'?",
                "waivers.yaml:1: waivers: missing; a file of waivers needs waivers",
            ],
        ),
        (
            "waivers: []\nruns: []\n",
            ["waivers.yaml:2: runs: unknown key 'runs'; expected one of waivers"],
        ),
        ("nav\n", ["waivers.yaml:1: expected a list of waivers, got the text 'nav'"]),
        ("# none\n", ["waivers.yaml: the file is empty"]),
        (
            f"- {{{FULL}, run: b}}\n",
            ["waivers.yaml:1: [0].run: the key 'run' is given twice; it was first given on line 1"],
        ),
    ],
)
def test_what_is_wrong_in_the_file_beside_is_told_with_its_own_lines(folder, content, expected):
    assert told_beside(folder, content) == expected


def test_a_file_of_waivers_that_does_not_parse(folder):
    (message,) = told_beside(folder, "- [\n")
    assert message.startswith("waivers.yaml:2: not valid YAML: ")


def test_mistakes_in_both_files_are_told_together(folder):
    folder.write("waivers.yaml", "- {run: a}\n")
    problems = folder.problems(with_waiver(check="navv"))
    assert [problem.file for problem in problems] == ["finbot.yaml", *["waivers.yaml"] * 4]


# ---------------------------------------------------------------------------------- baseline


def test_the_folder_of_baselines_is_beside_the_batch_file_and_need_not_exist(folder):
    assert folder.load(BATCH + "baseline: baselines\n").baseline == folder.path / "baselines"
    (folder.path / "baselines").mkdir()
    assert folder.load(BATCH + "baseline: baselines/../baselines\n").baseline == folder.path / "baselines"
    assert folder.load(BATCH + f"baseline: {folder.path}/else\n").baseline == folder.path / "else"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("prices.csv", "'prices.csv' is a file; expected a folder, which may not exist yet"),
        ("", "expected text, got nothing (null)"),
        ("''", "must not be empty"),
        ("' '", "must not be empty"),
        ("false", "expected text, got false"),
        ("5", "expected text, got the number 5; put it in quotes"),
    ],
)
def test_a_baseline_that_is_no_folder(folder, value, words):
    (message,) = told(folder, f"{BATCH}baseline: {value}\n")
    assert message.startswith(f"finbot.yaml:4: baseline: {words}")


@pytest.mark.parametrize("key", ["baseline: x", "waivers: []"])
def test_baseline_and_waivers_are_the_batchs_own(folder, key):
    for message in (
        *told(folder, BATCH.replace("{id: a", f"{{id: a, {key}")),
        *told(folder, BATCH.replace("s: {data", f"s: {{{key}, data")),
    ):
        assert f"unknown key '{key.split(':')[0]}'" in message
