"""Finding and rendering the templates: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finbot.errors import MissingDependencyError
from pytest_finbot.reports import words

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment

_PACKAGE = Path(__file__).resolve().parents[1]
_DIGEST = 32
"""Bytes in front of compiled code that tell it from what is left of it after a power cut."""


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

    # HTML is escaped by itself. In Markdown that is the `plain` filter's, which every name goes through.
    environment = Environment(
        loader=FileSystemLoader(templates_folder()),
        undefined=StrictUndefined,
        autoescape=_is_html,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        bytecode_cache=_compiled(),
    )
    for name in words.FILTERS:
        environment.filters[name] = getattr(words, name)
    return environment


def _is_html(template: str | None) -> bool:
    return template is not None and template.startswith("html/")


def _compiled() -> BytecodeCache:
    """Compiled templates, kept where Python keeps compiled modules and as it does: to compile one takes
    longer than all else that a small batch's summary needs.
    """
    import jinja2
    from jinja2.bccache import Bucket

    class Compiled(jinja2.BytecodeCache):
        def get_source_checksum(self, source: str) -> str:
            # What another version made of the same template is no use.
            return hashlib.sha256(f"{jinja2.__version__}\n{source}".encode()).hexdigest()

        def get_cache_key(self, name: str, filename: str | None = None) -> str:
            return importlib.util.cache_from_source(filename or name)

        def load_bytecode(self, bucket: Bucket) -> None:
            with suppress(OSError):  # it is not there, then
                whole = Path(bucket.key).read_bytes()
                if hashlib.sha256(whole[_DIGEST:]).digest() == whole[:_DIGEST]:
                    bucket.bytecode_from_string(whole[_DIGEST:])

        def dump_bytecode(self, bucket: Bucket) -> None:
            if sys.dont_write_bytecode:
                return
            path, code = Path(bucket.key), bucket.bytecode_to_string()
            draft = path.with_name(f"{path.name}.{os.getpid()}")
            with suppress(OSError):  # nothing is lost but time
                path.parent.mkdir(exist_ok=True)
                draft.write_bytes(hashlib.sha256(code).digest() + code)
                os.replace(draft, path)

    return Compiled()


def render(template: str, facts: Mapping[str, Any]) -> str:
    """The words of ``template`` for these facts; an unknown name in a template is an error."""
    return _environment().get_template(template).render(facts)


def source_of(template: str) -> str:
    """The text of a file beside the templates, as it is: styles and scripts of pages."""
    environment = _environment()
    assert environment.loader is not None, "made with one"
    return environment.loader.get_source(environment, template)[0]
