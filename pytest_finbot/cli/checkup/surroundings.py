"""Git and CI around the session, as far as it can be seen from inside. No secret is ever told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pytest_finbot.cli.checkup.finding import Finding, note, ok, problem
from pytest_finbot.errors import FinbotError

_GIT_SECONDS: Final = 30.0
_NO: Final = ("", "0", "false", "no")
_WRITTEN: Final = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")


def findings(folder: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    yield from _git(folder)
    yield from _workflows(folder)
    yield from _ci(environment)


def _git(folder: Path) -> Iterator[Finding]:
    version = _asked(folder, "--version")
    if version is None:
        yield note(
            "git",
            "is not installed, or does not answer: records do not say their commit, and git:REVISION is "
            "no baseline",
            "install git",
        )
        return
    if _asked(folder, "rev-parse", "--is-inside-work-tree") != "true":
        yield note(
            "git",
            f"{version.removeprefix('git version ')}; {folder} is in no work tree, or in one that git "
            "does not trust (safe.directory)",
            "git init; or git config --global --add safe.directory FOLDER",
        )
        return
    if _asked(folder, "rev-parse", "--is-shallow-repository") == "true":
        yield note(
            "git",
            "a shallow clone: baselines of git:REVISION are found only where the revision was fetched",
            "where they are compared with: git fetch --unshallow; in a workflow: fetch-depth: 0",
        )
        return
    yield ok("git", f"{version.removeprefix('git version ')}, with the whole history")


def _workflows(folder: Path) -> Iterator[Finding]:
    """An action that stands for another: GitHub would look for it, and the job would fail."""
    from pytest_finbot.cli.starter.files import PLACEHOLDER

    root = Path(_asked(folder, "rev-parse", "--show-toplevel") or folder)
    for path in sorted((root / ".github" / "workflows").glob("*.y*ml")):
        try:
            lines = path.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue  # what is no file is no workflow
        for number, line in enumerate(lines, start=1):
            if f"uses: {PLACEHOLDER}@" in line and not line.lstrip().startswith("#"):
                yield note(
                    "workflow",
                    f".github/workflows/{path.name}:{number}: {PLACEHOLDER} stands for another repository",
                    "write its owner, and the release or commit that you use",
                )


def _asked(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", *words],  # noqa: S607 - the user's own git
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _ci(environment: Mapping[str, str]) -> Iterator[Finding]:
    if environment.get("CI", "").lower() in _NO:
        if environment.get("GITHUB_ACTIONS") or environment.get("GITLAB_CI"):
            yield problem(
                "CI", "CI is not set in what looks like CI: results could be accepted here", "set CI=true"
            )
        else:
            yield ok("CI", "no (the variable CI is not set)")
        return
    yield ok("CI", "yes: --finbot-accept is refused here")
    if environment.get("GITHUB_ACTIONS"):
        yield from _github(environment)
    if environment.get("GITLAB_CI"):
        from pytest_finbot.forges.gitlab import TOKENS

        named = [name for name in TOKENS if environment.get(name, "").strip()]
        if named:
            yield ok("GitLab", f"{named[0]} is set: notes can be tried")
        else:
            yield note("GitLab", "no token: no note is written", f"set one of {', '.join(TOKENS)}")


def _github(environment: Mapping[str, str]) -> Iterator[Finding]:
    from pytest_finbot.forges.event import pull_request_of, read_event

    for name in _WRITTEN:
        path = environment.get(name, "")
        try:
            if path:
                with Path(path).open("ab"):
                    pass
        except OSError as error:
            yield problem(
                "GitHub", f"{name}: {path}: {error.strerror}", "the runner's own file must be writable"
            )
    token = bool(environment.get("GITHUB_TOKEN", "").strip())
    try:
        pull = pull_request_of(read_event(environment))
    except FinbotError as error:
        yield problem("GitHub", str(error), "the event is the runner's own file; look at the job's setup")
        return
    if pull is None:
        yield ok("GitHub", "not a pull request: there is nothing to comment on")
    elif pull.reads_only:
        yield note(
            "GitHub",
            f"{pull.reads_only}: the job's token can only read, so there is no comment",
            "the job's summary has the report; the two workflows for forks comment",
        )
    elif token:
        yield ok(
            "GitHub",
            "GITHUB_TOKEN is set; whether it may write is known when it does (pull-requests: write)",
        )
    else:
        yield note(
            "GitHub",
            "GITHUB_TOKEN is not set in this step: no comment from here",
            "the action sets it where it comments; elsewhere: env: {GITHUB_TOKEN: ${{ github.token }}}",
        )
