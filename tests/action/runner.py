"""Runs the steps of ``action.yml`` as GitHub's runner would, on this machine.

Real are: the conditions, the environment of each step, ``bash --noprofile --norc -eo pipefail``, the files of
outputs, environment, path and summary, and what the runner does with each line of a step's output. Not real
are the steps that use other actions: stand-ins note what they were given and copy what they would upload.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.action.expressions import condition, interpolate

ROOT = Path(__file__).parents[2]
KNOWN = {
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "warning",
}
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")


@dataclass(frozen=True)
class Said:
    """A workflow command that the runner carried out."""

    name: str
    message: str
    properties: Mapping[str, str]


@dataclass
class Step:
    """What became of a step."""

    name: str
    conclusion: str
    status: int | None = None
    commands: list[Said] = field(default_factory=list)
    output: str = ""
    summary: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    """Of a stand-in: its inputs."""


@dataclass
class Job:
    """A job whose only step is the action. ``github`` is the context of that name."""

    workspace: Path
    temp: Path
    inputs: Mapping[str, str]
    github: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    action: Path = ROOT / "action.yml"
    cancelled: bool = False
    steps: dict[str, Step] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    path: list[str] = field(default_factory=lambda: [str(Path(sys.executable).parent)])
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def conclusion(self) -> str:
        red = any(step.conclusion == "failure" for step in self.steps.values())
        return "cancelled" if self.cancelled else "failure" if red else "success"

    @property
    def commands(self) -> list[Said]:
        return [command for step in self.steps.values() for command in step.commands]

    @property
    def annotations(self) -> list[Said]:
        return [command for command in self.commands if command.name in ("error", "warning", "notice")]

    @property
    def summary(self) -> str:
        return "".join(step.summary for step in self.steps.values())

    def run(self, after: Callable[[Job, str], None] | None = None) -> Job:
        """Run all steps; ``after`` is called with the name of each that has ended."""
        said = yaml.safe_load(self.action.read_text())
        github = {"token": "ghs_of_the_job", **self.github}
        inputs: dict[str, str] = {}
        for name, one in said["inputs"].items():
            default = interpolate(one.get("default", ""), {"github": github}, self._status())
            inputs[name] = self.inputs.get(name, default)
        unknown = set(self.inputs) - set(inputs)
        assert not unknown, f"the action has no inputs {unknown}"
        contexts: dict[str, Any] = {"inputs": inputs, "github": github, "steps": {}}
        for number, step in enumerate(said["runs"]["steps"]):
            self._step(number, step, contexts)
            if after is not None:
                after(self, step["name"])
        for name, one in said["outputs"].items():
            self.outputs[name] = interpolate(one["value"], contexts, self._status())
        return self

    def _status(self) -> dict[str, bool]:
        red = any(step.conclusion == "failure" for step in self.steps.values())
        return {
            "success": not red and not self.cancelled,
            "failure": red and not self.cancelled,
            "cancelled": self.cancelled,
            "always": True,
        }

    def _step(self, number: int, step: Mapping[str, Any], contexts: dict[str, Any]) -> None:
        name = step["name"]
        if not condition(step.get("if"), contexts, self._status()):
            self.steps[name] = Step(name, "skipped")
            return

        def filled(values: Mapping[str, Any]) -> dict[str, str]:
            return {key: interpolate(str(value), contexts, self._status()) for key, value in values.items()}

        outputs: dict[str, str]
        if "uses" in step:
            done = Step(name, "success", given=filled(step.get("with", {})))
            outputs = self._stand_in(step["uses"], done)
        else:
            folder = self.temp / f"step-{number}"
            folder.mkdir()
            where = interpolate(step.get("working-directory", "."), contexts, self._status())
            done = self._script(step, folder, self.workspace / where, filled(step.get("env", {})))
            outputs = assignments(folder / "output")
        if done.conclusion == "failure" and step.get("continue-on-error"):
            done.conclusion = "success"
        self.steps[name] = done
        if "id" in step:
            contexts["steps"][step["id"]] = {"outputs": outputs}

    def _script(self, step: Mapping[str, Any], folder: Path, where: Path, env: dict[str, str]) -> Step:
        assert step["shell"] == "bash", "a composite action names the shell of each step"
        script = folder / "script.sh"
        script.write_text(step["run"])
        files = {"GITHUB_OUTPUT": "output", "GITHUB_ENV": "env", "GITHUB_PATH": "path"}
        files["GITHUB_STEP_SUMMARY"] = "summary"
        for file in files.values():
            (folder / file).touch()
        done = subprocess.run(
            [*BASH, str(script)],
            cwd=where,
            env={
                "PATH": os.pathsep.join((*self.path, os.environ["PATH"])),
                "HOME": str(self.temp),
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str(self.action.parent),
                "GITHUB_WORKSPACE": str(self.workspace),
                "RUNNER_TEMP": str(self.temp),
                **self.kept,
                **self.environment,
                **{variable: str(folder / file) for variable, file in files.items()},
                **env,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        self.kept.update(assignments(folder / "env"))
        self.path[:0] = reversed((folder / "path").read_text().splitlines())
        reader = CommandReader()
        output = ""
        # The runner reads two streams at once: what is on stderr can come to it last.
        for stream in (done.stdout, done.stderr):
            text = stream.decode("utf-8", "replace")
            output += text
            for line in text.splitlines():
                reader.read(line)
        return Step(
            step["name"],
            "success" if done.returncode == 0 else "failure",
            status=done.returncode,
            commands=reader.done,
            output=output,
            summary=(folder / "summary").read_text(),
        )

    def _stand_in(self, uses: str, step: Step) -> dict[str, str]:
        """What another action would leave. The real one is not run."""
        action = uses.partition("@")[0]
        if action == "actions/upload-artifact":
            source = Path(step.given["path"])
            assert step.given["name"] not in self.artifacts
            if source.is_dir():
                target = self.temp / "uploaded" / step.given["name"]
                shutil.copytree(source, target)
                self.artifacts[step.given["name"]] = target
            return {"artifact-url": "https://github.example/artifacts/1"}
        assert action == "actions/setup-python", f"there is no stand-in for {uses}"
        return {}


class CommandReader:
    """What a runner takes for a command: ``::name …::`` as a line's beginning, ``##[name …]`` anywhere."""

    def __init__(self) -> None:
        self.done: list[Said] = []
        self._token: str | None = None

    def read(self, line: str) -> None:
        known = {*KNOWN, "stop-commands", *((self._token,) if self._token else ())}
        said = _parse(line, known)
        if said is None:
            return
        if self._token is not None:
            if said.name == self._token:
                self._token = None
        elif said.name == "stop-commands":
            self._token = said.message
        else:
            self.done.append(said)


def _parse(line: str, known: set[str]) -> Said | None:
    start = line.lstrip()
    if start.startswith("::") and (end := start.find("::", 2)) >= 0:
        name, _, properties = start[2:end].partition(" ")
        if name in known:
            listed = (one.partition("=") for one in properties.strip().split(",") if one)
            return Said(
                name,
                _unescaped(start[end + 2 :], ""),
                {key: _unescaped(value, ":,") for key, equals, value in listed if equals and value},
            )
    at = line.find("##[")
    if at >= 0 and (end := line.find("]", at)) >= 0:
        name, _, _ = line[at + 3 : end].partition(" ")
        if name in known:
            return Said(name, _unescaped(line[end + 1 :], ";]"), {})
    return None


def _unescaped(text: str, more: str) -> str:
    for sign in ("\r", "\n", *more, "%"):
        text = text.replace(f"%{ord(sign):02X}", sign)
    return text


def assignments(file: Path) -> dict[str, str]:
    """A file of outputs: ``name=value``, or ``name<<WORD``, lines, ``WORD``."""
    found: dict[str, str] = {}
    lines = iter(re.split(r"\r?\n", file.read_text()))
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if heredoc >= 0 and (equals < 0 or heredoc < equals):
            name, _, word = line.partition("<<")
            value: list[str] = []
            for inner in lines:
                if inner == word:
                    break
                value.append(inner)
            else:
                raise AssertionError(f"{word} never ends")
            found[name] = "\n".join(value)
        else:
            assert equals > 0, f"the runner refuses {line!r}"
            found[line[:equals]] = line[equals + 1 :]
    return found
