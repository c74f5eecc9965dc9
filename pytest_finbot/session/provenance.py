"""Where a batch came from: revision, machine, versions, CI."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import pytest

import pytest_finbot

_CI_RUN = {
    "GITHUB_RUN_ID": "GitHub run",
    "CI_PIPELINE_ID": "GitLab pipeline",
    "BUILD_ID": "build",
}
_GIT_SECONDS = 10.0


def provenance(folder: Path) -> dict[str, str]:
    """Facts about the surroundings of ``folder``, as text; what cannot be told says why."""
    known = {
        "host": platform.node() or "unknown",
        "python": platform.python_version(),
        "pytest": pytest.__version__,
        "pytest-finbot": pytest_finbot.__version__,
        **_git(folder),
    }
    for variable, name in _CI_RUN.items():
        if os.environ.get(variable):
            known[name] = os.environ[variable]
    return known


def _git(folder: Path) -> dict[str, str]:
    try:
        done = subprocess.run(  # one question for all: each costs a process
            ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"],  # noqa: S607 - the user's own git, wherever it is
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except FileNotFoundError:
        return {"git commit": "unknown: git is not installed"}
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()
        return {"git commit": f"unknown: {reason[-1] if reason else 'git failed'}"}
    except subprocess.TimeoutExpired:
        return {"git commit": f"unknown: git did not answer in {_GIT_SECONDS:g} s"}
    lines = done.stdout.splitlines()
    said = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    if said["branch.oid"] == "(initial)":
        return {"git commit": "unknown: there is no commit yet"}
    branch = said["branch.head"]
    return {
        "git commit": said["branch.oid"],
        "git branch": "HEAD" if branch == "(detached)" else branch,
        "git dirty": "no" if all(line.startswith("# ") for line in lines) else "yes",
    }
