"""Finding and rendering the templates: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finbot.errors import MissingDependencyError
from pytest_finbot.reports import words

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = Path(__file__).resolve().parents[1]


def templates_folder() -> Path:
    """Folder of the shipped templates. Raises MissingDependencyError where an install lacks them."""
    for folder in (_PACKAGE / "templates", _PACKAGE.parent / "templates"):
        if (folder / "batch_summary.md.j2").is_file():
            return folder
    raise MissingDependencyError(
        f"the templates of pytest-finbot are not beside {_PACKAGE}; "
        "reinstall it: pip install --force-reinstall pytest-finbot"
    )


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Markdown, not HTML: escaping is the `plain` filter's, which every name goes through.
    environment = Environment(
        loader=FileSystemLoader(templates_folder()),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in words.FILTERS:
        environment.filters[name] = getattr(words, name)
    return environment


def render(template: str, facts: Mapping[str, Any]) -> str:
    """The words of ``template`` for these facts; an unknown name in a template is an error."""
    return _environment().get_template(template).render(facts)
