"""What a GitHub workflow was started by, from the file that GITHUB_EVENT_PATH names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_finbot.errors import ForgeError
from pytest_finbot.forges.github import checked_repository
from pytest_finbot.forges.said import one_line

LARGEST_EVENT: Final = 32 * 2**20
"""Bytes."""
_SHA: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PullRequestRef:
    """``reads_only``: why the job's own token cannot comment there, by GitHub's rules; else empty."""

    number: int
    reads_only: str = ""


@dataclass(frozen=True, slots=True)
class ForkRun:
    """The run of an unprivileged workflow that a ``workflow_run`` event tells of.

    All of it is GitHub's own word but ``branch``, which the fork named.
    """

    repository: str
    head_repository: str
    branch: str
    sha: str
    url: str


def read_event(environment: Mapping[str, str]) -> dict[str, Any]:
    """The event; empty where the environment names none. Raises ForgeError where it cannot be read."""
    path = environment.get("GITHUB_EVENT_PATH", "")
    if not path:
        return {}
    try:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST_EVENT + 1)
        if len(raw) > LARGEST_EVENT:
            raise ForgeError(f"GITHUB_EVENT_PATH: {path} is larger than {LARGEST_EVENT:,} bytes")
        document = json.loads(raw.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ForgeError(f"GITHUB_EVENT_PATH: {path} cannot be read: {one_line(str(error))}") from error
    if not isinstance(document, dict):
        raise ForgeError(f"GITHUB_EVENT_PATH: {path} is no event: expected a JSON object")
    return document


def pull_request_of(event: Mapping[str, Any]) -> PullRequestRef | None:
    """The pull request of a ``pull_request`` or ``pull_request_target`` event, ``None`` of another."""
    pull = event.get("pull_request")
    number = pull.get("number") if isinstance(pull, dict) else None
    if not isinstance(pull, dict) or type(number) is not int:
        return None
    head, base = _name(pull, "head"), _name(pull, "base")
    sender = event.get("sender")
    if isinstance(sender, dict) and sender.get("login") == "dependabot[bot]":
        return PullRequestRef(number, "the run was started by Dependabot")
    if head != base or head is None:
        return PullRequestRef(number, f"the pull request comes from {head or 'a fork that is deleted'}")
    return PullRequestRef(number)


def _name(pull: Mapping[str, Any], side: str) -> str | None:
    end = pull.get(side)
    repository = end.get("repo") if isinstance(end, dict) else None
    name = repository.get("full_name") if isinstance(repository, dict) else None
    return one_line(name) if isinstance(name, str) else None


def fork_run_of(event: Mapping[str, Any], environment: Mapping[str, str]) -> ForkRun:
    """What a ``workflow_run`` event is about. Raises ForgeError for another event.

    Only the runs of ``pull_request`` events will do: that of a ``pull_request_target`` event has the
    base's commit for its own.
    """
    run = event.get("workflow_run")
    if not isinstance(run, dict):
        raise ForgeError("this is no workflow_run event; see examples/workflows/fork-publish.yml")
    if run.get("event") != "pull_request":
        raise ForgeError(
            f"the run was started by {one_line(str(run.get('event')))}; only pull_request is published"
        )
    ours = checked_repository(environment.get("GITHUB_REPOSITORY", ""), "GITHUB_REPOSITORY")
    there = run.get("repository")
    if not isinstance(there, dict) or there.get("full_name") != ours:
        raise ForgeError(f"the run is of another repository than {ours}")
    head = run.get("head_repository")
    name = head.get("full_name") if isinstance(head, dict) else None
    sha, branch, url = run.get("head_sha"), run.get("head_branch"), run.get("html_url")
    if not isinstance(sha, str) or not _SHA.fullmatch(sha):
        raise ForgeError("the event names no commit (workflow_run.head_sha)")
    if not isinstance(branch, str) or not branch:
        raise ForgeError("the event names no branch (workflow_run.head_branch)")
    return ForkRun(
        repository=ours,
        head_repository=checked_repository(name, "workflow_run.head_repository"),
        branch=branch,
        sha=sha,
        url=url if isinstance(url, str) else "",
    )
