"""The baseline files as of a revision, copied out of git without touching the work tree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from pytest_finbot.errors import BaselineError

_GIT_SECONDS = 120.0
_OF_HOOKS = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
)


def copy_of_revision(revision: str, folder: Path, target: Path) -> str:
    """Write the files that ``folder`` holds at ``revision`` into ``target``; returns the full commit.

    ``folder`` need not exist in the work tree. Raises BaselineError where the revision is
    unknown, the folder is not in a repository, or held nothing then.
    """
    inside = folder
    while not inside.is_dir():
        inside = inside.parent
    top = Path(os.fsdecode(_git(inside, "rev-parse", "--show-toplevel").strip()))
    try:
        path = folder.resolve().relative_to(top.resolve()).as_posix()
    except ValueError as error:
        raise BaselineError(f"baselines at git:{revision}: {folder} is not below {top}") from error
    if not revision:
        raise BaselineError("baselines at git: without a revision; expected git:REVISION, such as git:main")
    commit = (
        _git(inside, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        .decode()
        .strip()
    )
    listed = _git(top, "ls-tree", "-r", "-z", "--full-tree", commit, "--", path)
    entries = [entry for entry in listed.decode("utf-8", "surrogateescape").split("\0") if entry]
    if not entries:
        raise BaselineError(f"baselines at git:{revision} ({commit[:12]}): there is nothing in {path}")
    for entry in entries:
        head, _, name = entry.partition("\t")
        below = Path(name).relative_to(path)
        if len(below.parts) != 1:
            continue
        content = _git(top, "cat-file", "blob", head.split()[2])
        (target / below.name).write_bytes(content)
    return commit


def _environment() -> dict[str, str]:
    """Without what a git hook leaves to those it calls: the repository is the one of the folder."""
    return {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}


def _git(folder: Path, *words: str) -> bytes:
    try:
        return subprocess.run(  # noqa: S603 - fixed words, no shell; a revision cannot be an option
            ["git", *words],  # noqa: S607 - the user's own git, wherever it is
            cwd=folder,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=True,
            env={**_environment(), "GIT_OPTIONAL_LOCKS": "0"},
        ).stdout
    except FileNotFoundError as error:
        raise BaselineError("baselines at a git revision need git, which is not installed") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        why = said[-1] if said else f"git knows no revision {words[-1].removesuffix('^{commit}')!r}"
        raise BaselineError(f"baselines at a git revision, in {folder}: {why}") from error
    except subprocess.TimeoutExpired as error:
        raise BaselineError(f"git did not answer in {_GIT_SECONDS:g} s") from error
