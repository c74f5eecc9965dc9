"""Finding and rendering the templates: beside the package in a checkout, inside it in a wheel.

Templates of the user's own (``--finbot-templates``) come before the shipped ones of the same name. They
are code of the repository like its strategies, and run as such: nothing keeps them from anything.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finbot.errors import MissingDependencyError, ReportError, did_you_mean
from pytest_finbot.reports import words

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment

_PACKAGE = Path(__file__).resolve().parents[1]
_own: Path | None = None
"""The user's templates, see :func:`use_templates`."""
_PAGE = "batch_"
"""What the templates of the batch's page are called."""
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


def use_templates(folder: Path | None) -> None:
    """From now on templates of ``folder`` come first; with ``None``, the shipped ones alone."""
    global _own
    _own = folder
    _environment.cache_clear()


def check_templates(folder: Path) -> None:
    """Compile every template in ``folder``, before anything needs one.

    Raises ReportError for a folder or file that cannot be read, a file with no template's name (pieces
    of one's own begin with an underscore), bad syntax, an unknown filter or test, a name that the
    batch's page does not know.
    """
    from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError, meta

    if not folder.is_dir():
        raise ReportError(f"{folder} is no folder; expected one with templates")
    names = [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
    ]
    known = replaceable()
    if not names:
        raise ReportError(f"{folder} has no template; expected one or more of {', '.join(known)}")
    environment = _made(folder)
    loader = environment.loader
    assert loader is not None, "made with one"
    for name in names:
        where = folder / name
        if name not in known and not where.name.startswith("_"):
            raise ReportError(
                f"{where} replaces no template{did_you_mean(name, known)}; expected one of "
                f"{', '.join(known)}, or a name that begins with _ for a piece of your own"
            )
        try:
            source = environment.parse(loader.get_source(environment, name)[0])
            for other in meta.find_referenced_templates(source):
                if other is not None:
                    environment.get_template(other)
            environment.get_template(name)
            if name.startswith(_PAGE):
                _check_names(where, meta.find_undeclared_variables(source))
        except TemplateSyntaxError as error:
            raise ReportError(f"{error.filename or where}:{error.lineno}: {error.message}") from error
        except TemplateNotFound as error:
            raise ReportError(
                f"{where}: there is no template {error.name!r}{did_you_mean(str(error.name), known)}"
            ) from error
        except (TemplateError, OSError, UnicodeDecodeError) as error:
            raise ReportError(f"{where} cannot be read: {error}") from error


def replaceable() -> tuple[str, ...]:
    """Names of the templates that a folder of one's own may replace."""
    shipped = templates_folder()
    names = (path.relative_to(shipped).as_posix() for path in shipped.rglob("*.j2"))
    return tuple(sorted(name for name in names if not name.startswith("starter/")))


def _check_names(where: Path, used: set[str]) -> None:
    from pytest_finbot.reports.markdown.page import KNOWN

    for name in sorted(used - KNOWN):
        raise ReportError(
            f"{where}: no page knows {name!r}{did_you_mean(name, KNOWN)}; expected {', '.join(sorted(KNOWN))}"
        )


@functools.cache
def _environment() -> Environment:
    return _made(_own)


def _made(own: Path | None) -> Environment:
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

    shipped = FileSystemLoader(templates_folder())
    # HTML is escaped by itself. In Markdown that is the `plain` filter's, which every name goes through.
    environment = Environment(
        loader=shipped
        if own is None
        else ChoiceLoader([FileSystemLoader(own), shipped, PrefixLoader({"shipped": shipped})]),
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
    return template is not None and template.startswith(("html/", "shipped/html/"))


def _compiled() -> BytecodeCache:
    """Compiled templates, kept where Python keeps compiled modules and as it does: to compile one takes
    longer than all else that a small batch's summary needs.
    """
    import jinja2
    from jinja2.bccache import Bucket

    shipped = templates_folder()

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
            if sys.dont_write_bytecode or not Path(bucket.key).is_relative_to(shipped):
                return  # nobody asked for files among theirs
            path, code = Path(bucket.key), bucket.bytecode_to_string()
            draft = path.with_name(f"{path.name}.{os.getpid()}")
            with suppress(OSError):  # nothing is lost but time
                path.parent.mkdir(exist_ok=True)
                draft.write_bytes(hashlib.sha256(code).digest() + code)
                os.replace(draft, path)

    return Compiled()


def render(template: str, facts: Mapping[str, Any]) -> str:
    """The words of ``template`` for these facts.

    An unknown name in a template is an error. Raises ReportError, naming file and line, for what cannot
    be rendered: a template of the user's own, or a report that a stranger sent.
    """
    from jinja2 import TemplateError

    try:
        return _environment().get_template(template).render(facts)
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ReportError(f"{_place(error)}: {type(error).__name__}: {error}") from error
    except (RecursionError, OSError) as error:
        raise ReportError(f"{template} cannot be rendered: {error}") from error


def _place(error: BaseException) -> str:
    """The innermost line of a template that ``error`` comes from."""
    lines = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.endswith(".j2")
    ]
    return f"{lines[-1][0]}:{lines[-1][1]}" if lines else "a template"


def source_of(template: str) -> str:
    """The text of a file beside the templates, as it is: styles and scripts of pages."""
    environment = _environment()
    assert environment.loader is not None, "made with one"
    return environment.loader.get_source(environment, template)[0]
