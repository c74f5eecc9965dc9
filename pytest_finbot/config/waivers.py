"""Waivers: in the batch file under ``waivers``, or in a file of their own beside it."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, ValidationError

from pytest_finbot.config.fields import IsoDate, Said, Strict, wrong
from pytest_finbot.config.limits import CHECKS_WITH_LIMIT
from pytest_finbot.config.problems import Findings, Place, describe, quoted, told
from pytest_finbot.config.source import Document, read_values
from pytest_finbot.contracts import SERIES_CHECKS, Waiver
from pytest_finbot.errors import BatchFileError, did_you_mean
from pytest_finbot.tolerances import METRIC_UNITS

WAIVABLE: Final = ("sessions", "coverage", *CHECKS_WITH_LIMIT)
"""Checks whose move can be waived: all that compare with a baseline."""


def _check_waivable(check: str) -> str:
    if any(fnmatchcase(name, check) for name in WAIVABLE):
        return check
    if check in METRIC_UNITS:
        near = f"; did you mean 'metrics.{check}'?"
    else:
        near = did_you_mean(check, (*WAIVABLE, "metrics.*"))
    known = ", ".join(("sessions", "coverage", *SERIES_CHECKS))
    what = "matches no check" if any(sign in check for sign in "*?[") else "is no check that can be waived"
    raise wrong(f"{quoted(check)} {what}{near or f'; expected one of {known}, metrics.<name> or a pattern'}")


class WaiverModel(Strict):
    """A move of one check of one run that somebody answers for until a day."""

    noun: ClassVar[str] = "a waiver"

    run: Said
    check: Annotated[Said, AfterValidator(_check_waivable)]
    reason: Said
    reviewer: Said
    expires: IsoDate
    link: str = ""


class WaiversModel(Strict):
    """A file of waivers."""

    noun: ClassVar[str] = "a file of waivers"

    waivers: list[WaiverModel]


def read_waivers(path: Path, shown: str) -> tuple[Waiver, ...]:
    """The waivers in ``path``, a list or a mapping with the key ``waivers``.

    ``shown`` is the file's name in messages. Raises BatchFileError with every problem of the
    file, each with its line.
    """
    document = read_values(path, shown)
    findings = Findings(shown, document.positions)
    is_list = isinstance(document.root, list)
    models: list[WaiverModel] = []
    if not is_list and not isinstance(document.root, dict):
        findings.add((), f"expected a list of waivers, got {describe(document.root)}")
    else:
        try:
            models = WaiversModel.model_validate(
                {"waivers": document.root} if is_list else document.root
            ).waivers
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                message = told(detail, WaiversModel)
                if message is not None:
                    findings.add(detail["loc"][1:] if is_list else detail["loc"], message)
    problems = sorted({*document.problems, *findings.sorted()}, key=lambda found: (found.line, found.key))
    if problems:
        raise BatchFileError(problems)
    return taken(models, document, () if is_list else ("waivers",))


def taken(models: Sequence[WaiverModel], document: Document, place: Place) -> tuple[Waiver, ...]:
    """The waivers of the list at ``place`` of a file, which each then names with its line."""
    return tuple(
        Waiver(
            run=model.run,
            check=model.check,
            reason=model.reason,
            reviewer=model.reviewer,
            expires=model.expires,
            link=model.link,
            file=document.shown,
            line=document.positions.line((*place, number)),
        )
        for number, model in enumerate(models)
    )
