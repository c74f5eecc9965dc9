"""``timeout``, ``memory_limit``, ``isolation``, ``retries``: what they mean, what wins, what is refused."""

import dataclasses
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pytest_finbot.config.attempts import MemoryLimit, Timeout
from pytest_finbot.config.manifest import runs_from_json, runs_to_json
from pytest_finbot.config.models import BatchModel
from pytest_finbot.contracts import ErrorCategory, RetrySpec
from pytest_finbot.fingerprint import config_document, config_hash

FILE = """\
batch_name: small
defaults:
  data: {{path: prices.csv}}
  strategy: fixed_weights
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-12-31
  {defaults}
runs:
  - {{id: a, {run}}}
  - {{id: b}}
"""
TIMEOUT, CRASH, MEMORY = ErrorCategory.TIMEOUT, ErrorCategory.CRASH, ErrorCategory.MEMORY


def text(defaults="", run="") -> str:
    return FILE.format(defaults=defaults, run=run)


def first(folder, defaults="", run=""):
    return folder.load(text(defaults, run)).runs[0]


def told(folder, defaults="", run="") -> list[str]:
    return [str(problem) for problem in folder.problems(text(defaults, run))]


# ------------------------------------------------------------------------------- what is meant


def test_a_file_that_says_nothing_sets_no_limit_and_tries_once(folder):
    run = first(folder)
    assert (run.timeout, run.memory_limit, run.isolation) == (None, None, "auto")
    assert run.retries == RetrySpec()
    assert run.retries.attempts == 1


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("90s", 90.0),
        ("90 s", 90.0),
        ("' 2m '", 120.0),
        ("1.5h", 5400.0),
        (".5m", 30.0),
        ("null", None),
        ("~", None),
        ("none", None),
        ("None", None),
    ],
)
def test_a_timeout_is_seconds_or_a_number_with_one_unit(folder, said, seconds):
    timeout = first(folder, run=f"timeout: {said}").timeout
    assert timeout == seconds
    assert timeout is None or type(timeout) is float


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("1048576", 2**20),
        ("1 MiB", 2**20),
        ("2 GiB", 2**31),
        ("2gib", 2**31),
        ("2GB", 2 * 10**9),
        ("512 mb", 512 * 10**6),
        ("0.5 GiB", 2**29),
        ("1.1 GB", 1_100_000_000),
        ("4096 KiB", 2**22),
        ("5000 Kb", 5_000_000),
        ("2097152 B", 2**21),
        ("null", None),
        ("none", None),
    ],
)
def test_a_memory_limit_is_bytes_or_a_number_with_a_unit_in_any_case(folder, said, size):
    limit = first(folder, run=f"memory_limit: {said}").memory_limit
    assert limit == size
    assert limit is None or type(limit) is int


@given(
    st.decimals(min_value="0.01", max_value=100_000, places=2),
    st.sampled_from([("s", 1), ("m", 60), ("h", 3600)]),
    st.sampled_from(["", " ", "   "]),
)
def test_whatever_number_and_unit_are_written_the_product_is_meant(number, unit, blank):
    word, size = unit
    assert TypeAdapter(Timeout).validate_python(f"{number}{blank}{word}") == float(number * size)


@given(
    st.decimals(min_value=2, max_value=100_000, places=3),
    st.sampled_from([("MB", 10**6), ("GB", 10**9), ("MiB", 2**20), ("GiB", 2**30)]),
    st.sampled_from([str.lower, str.upper, str.swapcase, str]),
)
def test_part_of_a_byte_is_left_out(number, unit, spelling):
    word, size = unit
    read = TypeAdapter(MemoryLimit).validate_python(f"{number} {spelling(word)}")
    assert 0 <= Decimal(number) * size - read < 1


@pytest.mark.parametrize("isolation", ["auto", "inline", "process"])
def test_where_a_run_is_executed_can_be_said(folder, isolation):
    assert first(folder, run=f"isolation: {isolation}").isolation == isolation


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("3", RetrySpec(attempts=3)),
        ("1", RetrySpec()),
        ("{}", RetrySpec()),
        (
            "{attempts: 3, on: [timeout, crash, memory_error], backoff: 2.0, jitter: true}",
            RetrySpec(3, (TIMEOUT, MEMORY, CRASH), 2.0, True),
        ),
        (
            "{attempts: 100, backoff: 0, jitter: false}",
            RetrySpec(attempts=100, backoff=0.0, jitter=False),
        ),
        ("{on: timeout}", RetrySpec(on=(TIMEOUT,))),
        (
            "{on: [unknown, environment, engine, parameter, data, memory, crash, timeout]}",
            RetrySpec(on=tuple(ErrorCategory(c) for c in ErrorCategory if c != "regression")),
        ),
        ("{on: [memory, memory_error, memory]}", RetrySpec(on=(MEMORY,))),
    ],
)
def test_retries_are_a_number_of_attempts_or_a_mapping(folder, said, expected):
    retries = first(folder, run=f"retries: {said}").retries
    assert retries == expected
    assert all(type(category) is ErrorCategory for category in retries.on)


# ---------------------------------------------------------------------------------- what wins


def test_a_run_replaces_the_defaults_limits_and_null_switches_them_off(folder):
    defaults = "timeout: 60\n  memory_limit: 1 GiB"
    own, inherited = folder.load(text(defaults, "timeout: null, memory_limit: 2 GiB")).runs
    assert (own.timeout, own.memory_limit) == (None, 2**31)
    assert (inherited.timeout, inherited.memory_limit) == (60.0, 2**30)


@pytest.mark.parametrize(
    ("defaults", "run", "expected"),
    [
        ("{attempts: 3, on: [crash], backoff: 5}", "{backoff: 0}", RetrySpec(3, (CRASH,), 0.0)),
        ("{attempts: 3, on: [crash]}", "1", RetrySpec(1, (CRASH,))),
        ("3", "{on: [timeout]}", RetrySpec(3, (TIMEOUT,))),
        # A list is replaced, not added to: there must be a way to take one away.
        ("{attempts: 2, on: [crash, timeout]}", "{on: [data]}", RetrySpec(2, (ErrorCategory.DATA,))),
    ],
)
def test_retries_are_put_on_the_defaults_key_by_key(folder, defaults, run, expected):
    own, inherited = folder.load(text(f"retries: {defaults}", f"retries: {run}")).runs
    assert own.retries == expected
    assert inherited.retries != expected


def test_runs_that_say_nothing_share_their_retries(folder):
    batch = folder.runs("- id: a\n- {id: b, fill: close}\n- id: c\n")
    assert len({id(run.retries) for run in batch.runs}) == 1


def test_none_of_it_is_in_the_hash_of_the_settings(folder):
    plain = first(folder)
    limited = first(
        folder,
        run="timeout: 5, memory_limit: 1 GiB, isolation: process, retries: {attempts: 9, on: [data]}",
    )
    assert limited != plain
    assert config_document(limited) == config_document(plain)
    assert config_hash(limited) == config_hash(plain)


def test_all_of_it_goes_through_a_manifest_and_back(folder):
    runs = folder.load(
        text(
            "timeout: 1h\n  retries: {attempts: 4, on: [data], jitter: false}",
            "timeout: null, memory_limit: 1.5 GiB, isolation: process, retries: 2",
        )
    ).runs
    assert runs_from_json(runs_to_json(runs)) == runs


def test_json_says_the_same_as_yaml(folder):
    run = (
        '{"id": "a", "strategy": "s", "symbols": "X", "start_date": "2020-01-02", '
        '"end_date": "2020-01-03", "data": {"path": "prices.csv"}, "timeout": "2m", '
        '"memory_limit": 2097152, "isolation": "process", "retries": {"attempts": 2, "on": ["crash"]}}'
    )
    [spec] = folder.load(f'{{"batch_name": "a", "runs": [{run}]}}', name="finbot.json").runs
    assert (spec.timeout, spec.memory_limit, spec.isolation) == (120.0, 2**21, "process")
    assert spec.retries == RetrySpec(2, (CRASH,))


# ---------------------------------------------------------------------------- what is refused

TIME = "expected seconds as a number, or text such as 90s, 2m or 1h"
SIZE = "expected bytes as a whole number, or text such as 512 MiB or 2 GiB"
TRIES = "expected a whole number of attempts, or a mapping of attempts, on, backoff and jitter"
CATEGORIES = ", ".join(category for category in ErrorCategory if category != "regression")
TOO_LITTLE = "is below 1 MiB (1048576 bytes), and no run can be executed in less"


@pytest.mark.parametrize(
    ("said", "key", "words"),
    [
        ("timeout: 0", "timeout", "0 is not above 0; write null for no limit"),
        ("timeout: 0s", "timeout", "'0s' is not above 0; write null for no limit"),
        ("timeout: -1.5", "timeout", "-1.5 is not above 0"),
        ("timeout: -1s", "timeout", f"{TIME}, got the text '-1s'"),
        ("timeout: 1h30m", "timeout", f"{TIME}, got the text '1h30m'"),
        ("timeout: '90'", "timeout", f"{TIME}, got the text '90'; write the number without quotes"),
        ("timeout: 2 min", "timeout", "'2 min': 'min' is no unit; did you mean 'm'?"),
        ("timeout: 2M", "timeout", "'2M': 'M' is no unit; did you mean 'm'?"),
        ("timeout: 2d", "timeout", "'2d': 'd' is no unit; expected one of s, m, h"),
        ("timeout: true", "timeout", f"{TIME}, got true"),
        ("timeout: false", "timeout", f"{TIME}, got false; write null for no limit"),
        ("timeout: off", "timeout", f"{TIME}, got the text 'off'; write null for no limit"),
        ("timeout: [1]", "timeout", f"{TIME}, got a list"),
        ("timeout: .inf", "timeout", "the value is infinite or too large; expected a finite number"),
        ("timeout: .nan", "timeout", "the value is not a number (NaN); expected a finite number"),
        ("memory_limit: 2", "memory_limit", f"2 {TOO_LITTLE}"),
        (
            "memory_limit: 512 KiB",
            "memory_limit",
            f"'512 KiB' {TOO_LITTLE}",
        ),
        ("memory_limit: -5", "memory_limit", f"-5 {TOO_LITTLE}"),
        ("memory_limit: 2.5e9", "memory_limit", f"{SIZE}, got the number 2500000000.0"),
        ("memory_limit: 2G", "memory_limit", "'2G': 'G' is no unit; did you mean 'GiB'?"),
        (
            "memory_limit: 2 TB",
            "memory_limit",
            "'2 TB': 'TB' is no unit; expected one of B, KB, MB, GB, KiB, MiB, GiB",
        ),
        ("memory_limit: true", "memory_limit", f"{SIZE}, got true"),
        (
            "memory_limit: unlimited",
            "memory_limit",
            f"{SIZE}, got the text 'unlimited'; write null for no limit",
        ),
        (
            "memory_limit: 99999999999 GiB",
            "memory_limit",
            f"{99999999999 * 2**30} is beyond 2**53, where whole numbers stop being exact; "
            "put it in quotes if it is a name",
        ),
        (
            "isolation: Inline",
            "isolation",
            "'Inline' is not one of auto, inline, process; did you mean 'inline'?",
        ),
        ("isolation: null", "isolation", "expected one of auto, inline, process, got nothing (null)"),
        ("retries: 0", "retries", "0 is not from 1 to 100, the first attempt counted"),
        ("retries: 101", "retries", "101 is not from 1 to 100, the first attempt counted"),
        ("retries: 2.0", "retries", f"{TRIES}, got the number 2.0"),
        ("retries: true", "retries", f"{TRIES}, got true"),
        ("retries: null", "retries", f"{TRIES}, got nothing (null); write 1 to try once"),
        ("retries: never", "retries", f"{TRIES}, got the text 'never'; write 1 to try once"),
        ("retries: [timeout]", "retries", f"{TRIES}, got a list"),
        ("retries: {attempts: 0}", "retries.attempts", "0 is not at least 1"),
        ("retries: {attempts: 101}", "retries.attempts", "101 is not at most 100"),
        ("retries: {attempts: '3'}", "retries.attempts", "expected a whole number, got the text '3'"),
        ("retries: {backoff: -1}", "retries.backoff", "-1 is not at least 0"),
        (
            "retries: {jitter: yes}",
            "retries.jitter",
            "expected true or false, got the text 'yes'; write true",
        ),
        ("retries: {atempts: 3}", "retries.atempts", "unknown key 'atempts'; did you mean 'attempts'?"),
        ("retries: {on: []}", "retries.on", "expected at least 1, got 0"),
        ("retries: {on: null}", "retries.on", "expected a list, got nothing (null)"),
        ("retries: {on: [3]}", "retries.on[0]", f"expected one of {CATEGORIES}, got the number 3"),
        (
            "retries: {on: [crash, timeouts]}",
            "retries.on[1]",
            f"'timeouts' is not one of {CATEGORIES}; did you mean 'timeout'?",
        ),
        (
            "retries: {on: [Memory]}",
            "retries.on[0]",
            f"'Memory' is not one of {CATEGORIES}; did you mean 'memory'?",
        ),
        (
            "retries: {on: regression}",
            "retries.on[0]",
            "a regression is not tried again: a move is no accident, "
            "and a gate that is asked until it opens holds nothing",
        ),
    ],
)
def test_what_is_wrong_is_told_once_with_line_and_key_in_defaults_and_in_a_run(folder, said, key, words):
    assert told(folder, defaults=said) == [f"finbot.yaml:8: defaults.{key}: {words}"]
    assert told(folder, run=said) == [f"finbot.yaml:10: runs[0].{key}: {words}"]


@pytest.mark.parametrize("key", ["timeout", "memory_limit"])
def test_thousands_of_digits_are_told_in_few_words(folder, key):
    [problem] = folder.problems(text(run=f"{key}: {'9' * 5000}h"))
    assert problem.key == f"runs[0].{key}"
    assert len(problem.message) < 200


def test_all_mistakes_are_told_at_once_each_on_its_own_line(folder):
    problems = folder.run_problems("""\
        - id: a
          timeout: soon
          memory_limit: 12
          isolation: jail
          retries:
            attempts: 0
            on:
              - crash
              - regression
            backof: 1
          fill: later
        """)
    assert [(problem.line, problem.key) for problem in problems] == [
        (10, "runs[0].timeout"),
        (11, "runs[0].memory_limit"),
        (12, "runs[0].isolation"),
        (14, "runs[0].retries.attempts"),
        (17, "runs[0].retries.on[1]"),
        (18, "runs[0].retries.backof"),
        (19, "runs[0].fill"),
    ]


def test_wrong_retries_do_not_hide_what_a_higher_layer_finds(folder):
    found = folder.problems(
        text(run="retries: 0, timeout: soon"),
        inspect=lambda spec: [(("params",), "missing")] if spec.name == "a" else [],
    )
    assert {problem.key for problem in found} == {"runs[0].retries", "runs[0].timeout", "runs[0].params"}


# ----------------------------------------------------------------------- inline beside a limit

WHY = (
    "exclude each other: nothing can end a run inside its own process; write isolation: process (or auto), or"
)


@pytest.mark.parametrize(
    ("defaults", "run", "where", "words"),
    [
        ("", "isolation: inline, timeout: 5", "10: runs[0].isolation", f"timeout {WHY} timeout: null"),
        ("timeout: 5", "isolation: inline", "10: runs[0].isolation", f"timeout {WHY} timeout: null"),
        (
            "isolation: inline",
            "memory_limit: 1 GiB",
            "10: runs[0].memory_limit",
            f"memory_limit {WHY} memory_limit: null",
        ),
        (
            "timeout: 5",
            "isolation: inline, memory_limit: 1 GiB",
            "10: runs[0].isolation",
            f"timeout and memory_limit {WHY} timeout: null and memory_limit: null",
        ),
        # Once, though two runs inherit it.
        ("timeout: 5\n  isolation: inline", "", "9: defaults.isolation", f"timeout {WHY} timeout: null"),
    ],
)
def test_inline_and_a_limit_exclude_each_other(folder, defaults, run, where, words):
    line, key = where.split(": ")
    found = told(folder, defaults, run)
    assert found == [f"finbot.yaml:{line}: {key}: isolation: inline and {words}"]


@pytest.mark.parametrize(
    ("defaults", "run"),
    [
        ("timeout: 5", "isolation: inline, timeout: null"),
        ("timeout: 5", "isolation: process"),
        ("timeout: 5", "isolation: auto"),
        ("isolation: inline", "timeout: null"),
    ],
)
def test_a_limit_that_is_switched_off_excludes_nothing(folder, defaults, run):
    assert first(folder, defaults, run).name == "a"


def test_a_limit_that_cannot_be_read_is_told_alone(folder):
    found = told(folder, "timeout: 5", "isolation: inline, timeout: soon")
    assert len(found) == 1
    assert "runs[0].timeout" in found[0]


# ------------------------------------------------------------------------------------ schema


def test_editors_learn_how_they_are_written():
    schema = BatchModel.model_json_schema()
    run = schema["$defs"]["RunModel"]["properties"]
    assert run["isolation"]["enum"] == ["auto", "inline", "process"]
    assert {"type": "null"} in run["timeout"]["anyOf"]
    number, mapping = run["retries"]["anyOf"]
    assert number == {"type": "integer", "minimum": 1, "maximum": 100}
    assert mapping == {"$ref": "#/$defs/RetriesModel"}
    retries = schema["$defs"]["RetriesModel"]
    assert retries["additionalProperties"] is False
    assert list(retries["properties"]) == [field.name for field in dataclasses.fields(RetrySpec)]
    words = retries["properties"]["on"]["anyOf"][0]["enum"]
    assert {"timeout", "memory", "memory_error"} <= set(words)
    assert "regression" not in words


@pytest.mark.parametrize("said", ["90s", ".5 h", "1.5m", "2M", "1h30m", "90", "x", "-1s", " none ", "2.s"])
def test_the_schema_accepts_the_texts_that_loading_accepts(said):
    adapter = TypeAdapter(Timeout)
    patterns = [form["pattern"] for form in adapter.json_schema()["anyOf"] if "pattern" in form]
    try:
        adapter.validate_python(said)
    except ValidationError:
        accepted = False
    else:
        accepted = True
    assert any(re.search(pattern, said) for pattern in patterns) is accepted
