"""Who accepts, and why: asked before anything runs, refused where nobody reviews."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_finbot.baselines.facts import Acceptance
from pytest_finbot.baselines.store import says_something
from pytest_finbot.session.provenance import provenance

_NO = ("", "0", "false", "no")


def check_acceptance(config: pytest.Config) -> None:
    """Settle ``--finbot-accept``: never in CI by itself, never without a reason.

    The reason is asked for where there is a terminal to ask on. Raises UsageError.
    """
    option = config.option
    if option.finbot_accept is None:
        if option.finbot_reason is not None:
            raise pytest.UsageError("finbot: --finbot-reason says why, but there is no --finbot-accept")
        return
    if Path(config.invocation_params.dir, option.finbot_accept).is_file():
        raise pytest.UsageError(
            f"finbot: --finbot-accept {option.finbot_accept}: that is a file, and a pattern of run names is "
            "expected; name the file before the option, or write --finbot-accept='*'"
        )
    refuse_in_ci(option.finbot_accept_in_ci, "--finbot-accept-in-ci")
    if option.finbot_reason is None:
        option.finbot_reason = _ask(config)
    if not says_something(option.finbot_reason):
        raise pytest.UsageError(
            "finbot: accepting needs a reason, and it is empty or only dots; add --finbot-reason "
            '"why the results may change"\nnothing was run'
        )


def _ask(config: pytest.Config) -> str | None:
    """What the user types, where there is a terminal to type on. pytest holds stdin until told not to."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    try:
        if sys.stdin is None or not sys.stdin.isatty():
            return None
        return input("Why may these results change? ")
    except EOFError:
        return None
    finally:
        if capture is not None:
            # Back to what pytest_configure finds: stdin held, output free.
            capture.resume_global_capture()
            capture.suspend_global_capture()


def refuse_in_ci(allowed: bool, option: str) -> None:
    """Raise UsageError where the environment says that this is CI, unless ``allowed``."""
    if os.environ.get("CI", "").lower() not in _NO and not allowed:
        raise pytest.UsageError(
            "finbot: results are accepted by people, in review, and this is CI (the environment "
            f"variable CI is set); accept on your machine and commit the baselines, or say {option}"
        )


def acceptance(folder: Path, reason: str, known: Mapping[str, str] | None = None) -> Acceptance:
    """An acceptance now, by the user of this machine, at the revision of ``folder``.

    ``known`` is the provenance of what is accepted, where that was run earlier.
    """
    facts = provenance(folder) if known is None else known
    commit = facts.get("git commit", "unknown")
    if facts.get("git dirty") == "yes":
        commit += " with uncommitted changes"
    return Acceptance(
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        by=_who(folder),
        reason=reason.strip(),
        commit=commit,
    )


def _who(folder: Path) -> str:
    """Name and address as git has them; else the account's name."""
    said = [_git_config(folder, key) for key in ("user.name", "user.email")]
    if said[0]:
        return f"{said[0]} <{said[1]}>" if said[1] else said[0]
    try:
        return os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _git_config(folder: Path, key: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            ["git", "config", key],  # noqa: S607 - the user's own git, wherever it is
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10.0,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
