"""The JSON Schema of a batch file says what the loader knows: its keys, every example, what is wrong."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pytest_finbot.cli.main import main
from pytest_finbot.config.expand import load_batch
from pytest_finbot.config.meanings import MEANINGS
from pytest_finbot.config.schema import batch_schema
from pytest_finbot.config.yaml_source import read_yaml
from pytest_finbot.errors import BatchFileError

jsonschema = pytest.importorskip("jsonschema")

ROOT = Path(__file__).parents[2]
SCHEMA = batch_schema()
CHECKER = jsonschema.Draft202012Validator(
    SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
OUTPUT = {"output", ".finbot", ".venv", "node_modules"}
BATCHES = sorted(
    path
    for path in (ROOT / "examples").rglob("finbot*.y*ml")
    if not OUTPUT & set(path.relative_to(ROOT).parts)
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SOUND = {
    "batch_name": "a",
    "runs": [
        {
            "id": "a",
            "strategy": "fixed_weights",
            "symbols": "X",
            "start_date": "2020-01-02",
            "end_date": "2020-01-03",
            "data": {"path": "prices.csv"},
        }
    ],
}


def faults(document):
    return [f"{error.json_path}: {error.message}" for error in CHECKER.iter_errors(document)]


def loaded(document, folder):
    """The loader's problems with a file that holds ``document``."""
    (folder / "prices.csv").write_text("Date,X\n2020-01-02,1\n2020-01-03,2\n")
    path = folder / "finbot.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), "utf-8")
    try:
        load_batch(path)
    except BatchFileError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_it_is_a_schema_of_its_dialect():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_command_prints_it_with_the_names_that_are_built_in():
    printed = json.loads(CliRunner().invoke(main, ["schema"]).stdout)
    jsonschema.Draft202012Validator.check_schema(printed)
    names = printed["$defs"]["DefaultsModel"]["properties"]["strategy"]["anyOf"][0]["enum"]
    assert "sma_crossover" in names
    own = copy.deepcopy(SOUND)
    own["runs"][0] |= {"strategy": "strategies:mine", "engine": "mine:run"}
    jsonschema.validate(own, printed)


@pytest.mark.parametrize("path", BATCHES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_example_is_valid(path):
    assert faults(read_yaml(path.read_text("utf-8")).root) == []


def fragments():
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text("utf-8")):
            yield pytest.param(
                block[1], id=f"{page.name}:{page.read_text('utf-8').count(chr(10), 0, block.start()) + 1}"
            )


@pytest.mark.parametrize("text", list(fragments()))
def test_every_yaml_of_the_documentation_is_valid(text):
    document = read_yaml(text).root
    others = {"jobs", "on", "factors", "stages", "script", "uses", "steps"}
    if isinstance(document, dict) and others & document.keys():
        pytest.skip("no batch file")
    if isinstance(document, dict) and any(
        isinstance(value, dict) and "script" in value for value in document.values()
    ):
        pytest.skip("no batch file")
    if isinstance(document, list):
        whole = {"check": {"waivers": document}, "id": {"runs": document}}
        document = next(
            (made for key, made in whole.items() if key in document[0]),
            {"runs": [{"id": "a", "flows": document}]},
        )
    if not document.keys() <= SCHEMA["properties"].keys():
        document = {"runs": [{"id": "a", **document}]}
    assert faults({"batch_name": "a", "runs": SOUND["runs"], **document}) == []


# ------------------------------------------------------------------------------- the same keys


def models():
    """Each model of the schema with a document that reaches it: its keys go to what is returned."""

    def at(*path):
        def put(key, value):
            document = copy.deepcopy(SOUND)
            place = document
            for step, following in zip(path, (*path[1:], None), strict=False):
                if isinstance(step, int):
                    place = place[step]
                else:
                    empty = [{}] if isinstance(following, int) else {}
                    place = place.setdefault(step, empty)
            place[key] = value
            return document

        return put

    run = ("runs", 0)
    return {
        "BatchModel": at(),
        "DefaultsModel": at("defaults"),
        "RunModel": at(*run),
        "DataModel": at(*run, "data"),
        "CostsModel": at("defaults", "costs"),
        "ChecksModel": at("checks"),
        "MetricsModel": at(*run, "checks", "metrics"),
        "CompareModel": at(*run, "compare_with"),
        "MarksModel": at("defaults", "marks"),
        "RetriesModel": at(*run, "retries"),
        "WindowsModel": at("windows"),
        "FlowModel": at(*run, "flows", 0),
        "DividendModel": at(*run, "dividends", "X", 0),
        "SplitModel": at(*run, "splits", "X", 0),
        "WaiverModel": at("waivers", 0),
        "NotifyModel": at("notify", 0),
    }


def properties(model):
    return (SCHEMA if model == "BatchModel" else SCHEMA["$defs"][model])["properties"]


def test_every_model_is_reached_and_every_key_has_a_meaning():
    assert models().keys() == SCHEMA["$defs"].keys() | {"BatchModel"}
    for name, model in {**SCHEMA["$defs"], "BatchModel": SCHEMA}.items():
        assert model["additionalProperties"] is False
        if name in MEANINGS:
            spare = {"matrix", "windows", "id"} if name == "DefaultsModel" else set()
            assert set(MEANINGS[name]) - spare == set(model["properties"]), name
        for key, value in model["properties"].items():
            assert "$ref" in value or value["description"], f"{name}.{key}"


@pytest.mark.parametrize("name", sorted(models()))
def test_the_loader_knows_the_keys_of_the_schema_and_no_other(name, tmp_path):
    put = models()[name]
    for key in properties(name):
        told = loaded(put(key, 12345), tmp_path)
        assert not [line for line in told if "unknown key" in line], key
    document = put("surely_no_key", 12345)
    assert any("unknown key" in line for line in loaded(document, tmp_path))
    assert faults(document)


# ------------------------------------------------------------------------------ the same faults


WRONG = {
    "no runs": lambda d: d.update(runs=[]),
    "runs missing": lambda d: d.pop("runs"),
    "no name": lambda d: d.pop("batch_name"),
    "name with a slash": lambda d: d.update(batch_name="a/b"),
    "no id": lambda d: d["runs"][0].pop("id"),
    "id with a blank": lambda d: d["runs"][0].update(id="a b"),
    "no day of the calendar": lambda d: d["runs"][0].update(start_date="2020-02-30"),
    "a day as a number": lambda d: d["runs"][0].update(start_date=20200102),
    "capital as text": lambda d: d["runs"][0].update(start_capital="100"),
    "capital below 0": lambda d: d["runs"][0].update(start_capital=-1),
    "capital true": lambda d: d["runs"][0].update(start_capital=True),
    "no such frequency": lambda d: d["runs"][0].update(rebalance_freq="monthly"),
    "no such preset": lambda d: d.update(checks={"preset": "lax"}),
    "limit below 0": lambda d: d.update(checks={"nav": -1}),
    "limit in words": lambda d: d.update(checks={"nav": "a bit"}),
    "limit true": lambda d: d.update(checks={"metrics": {"sharpe": True}}),
    "no such metric": lambda d: d.update(checks={"metrics": {"sharp": 1}}),
    "no workers": lambda d: d.update(max_workers=0),
    "half a worker": lambda d: d.update(max_workers=1.5),
    "source of the network": lambda d: d["runs"][0]["data"].update(source="yahoo"),
    "tag with a blank": lambda d: d["runs"][0].update(tags=["a b"]),
    "timeout in words": lambda d: d["runs"][0].update(timeout="soon"),
    "cash buffer of all": lambda d: d["runs"][0].update(cash_buffer=1.0),
    "matrix of a run's id": lambda d: d.update(matrix={"id": ["a", "b"]}),
    "matrix of nothing": lambda d: d.update(matrix={"params.x": []}),
    "windows of no kind": lambda d: d.update(windows={"kind": "sliding", "length": "1y"}),
    "window of a length without unit": lambda d: d.update(windows={"length": 12}),
    "a waiver nobody answers for": lambda d: d.update(waivers=[{"run": "a", "check": "nav"}]),
    "retries for what is never tried again": lambda d: d["runs"][0].update(retries={"on": ["regression"]}),
    "a report there is none of": lambda d: d["runs"][0].update(reports=["pdf"]),
    "no notifier": lambda d: d.update(notify={"url_env": "A"}),
    "a notifier in clear": lambda d: d.update(notify=[{"url_env": "json://host"}]),
    "a notifier without a name": lambda d: d.update(notify=[{"when": "always"}]),
    "a notifier at no known time": lambda d: d.update(notify=[{"url_env": "A", "when": "sometimes"}]),
    "defaults as a list": lambda d: d.update(defaults=[]),
    "a matrix in defaults": lambda d: d.update(defaults={"matrix": {"params.x": [1]}}),
    "baseline of blanks": lambda d: d.update(baseline=" "),
}


def test_what_these_are_changed_from_is_sound(tmp_path):
    assert faults(SOUND) == []
    assert loaded(SOUND, tmp_path) == []


@pytest.mark.parametrize("what", WRONG)
def test_both_refuse(what, tmp_path):
    document = copy.deepcopy(SOUND)
    WRONG[what](document)
    assert loaded(document, tmp_path)
    assert faults(document)


EMPTY = [{"defaults": None}, {"matrix": None}, {"windows": None}, {"matrix": False}, {"max_workers": None}]


@pytest.mark.parametrize("extra", EMPTY, ids=str)
def test_neither_refuses_a_section_with_all_its_lines_commented_out(extra, tmp_path):
    assert loaded({**SOUND, **extra}, tmp_path) == []
    assert faults({**SOUND, **extra}) == []
