"""BokehJS, taken from the installed package and put into the page: nothing else of Bokeh is loaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pytest_finbot.errors import MissingDependencyError

_FILE: Final = Path("server/static/js/bokeh.min.js")


def check_bokeh() -> None:
    """Raise MissingDependencyError, with the command that installs it, where Bokeh is not there."""
    _path()


def bokeh_js() -> str:
    """The source of BokehJS. Raises as :func:`check_bokeh`, and OSError where it cannot be read."""
    return _path().read_text(encoding="utf-8")


def _path() -> Path:
    spec = find_spec("bokeh")  # which imports nothing: the package takes most of a second
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder, _FILE)
        if path.is_file():
            return path
    raise MissingDependencyError(
        "the HTML report draws its charts with Bokeh, which is not installed here: "
        "pip install 'pytest-finbot[html]'"
    )
