"""Commands that are a call of pytest."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

PASS_ON = {"ignore_unknown_options": True}
"""Settings of commands that hand on pytest's options."""


def become_pytest(options: Sequence[str], folder: Path | None = None) -> NoReturn:
    """Replace this process with ``pytest`` and its ``options``, in ``folder`` if one is given.

    A process of pytest's own: what it loads, it loads first, and signals and the exit status
    are its.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if folder is not None:
        os.chdir(folder)
    # -P keeps the current folder off sys.path, as it is for the command `pytest`.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "pytest", *options])  # noqa: S606
