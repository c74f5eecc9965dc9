"""What the layers above the batch file know to be wrong with a run before it is run."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from pytest_finbot.config.expand import Batch
from pytest_finbot.contracts import RunSpec
from pytest_finbot.engines.resolve import engine_problem, engine_problems, uses_strategies
from pytest_finbot.strategies.inspect import inspect_params
from pytest_finbot.strategies.resolve import is_callable_path

_WEEKDAYS = "weekdays"
"""The plain calendar: Monday to Friday, no holidays. Not of the library."""
_USUAL_CALENDARS = frozenset(
    ("24/5", "24/7", "XAMS", "XETR", "XHKG", "XLON", "XNAS", "XNYS", "XPAR", "XTKS", _WEEKDAYS)
)
"""Known without asking: the library that knows them all takes half a second and 60 MB to load."""
KeyPath = tuple[str | int, ...]


def inspect_run(spec: RunSpec) -> Iterator[tuple[KeyPath, str]]:
    """Problems of the run's engine, strategy and parameters, each with its key.

    Of a user's own ``pkg.module:callable`` only the form, and that its package is there, is
    looked at: importing it is left to the process that runs it.
    """
    problem = engine_problem(spec.engine)
    if problem is not None:
        yield ("engine",), problem
        return
    if uses_strategies(spec.engine):
        yield from inspect_params(spec)
    yield from engine_problems(spec)
    problem = _calendar_problem(spec.data.calendar)
    if problem is not None:
        yield ("data", "calendar"), problem
    for key, name in (("engine", spec.engine), ("strategy", spec.strategy)):
        if is_callable_path(name):
            package = name.partition(":")[0].partition(".")[0]
            if not _is_importable(package):
                yield (
                    (key,),
                    f"{name!r}: there is no module {package!r} beside the batch file, in pytest's "
                    "root folder or among the installed packages",
                )


@functools.lru_cache(maxsize=256)
def _calendar_problem(name: str | None) -> str | None:
    if name is None or name in _USUAL_CALENDARS:
        return None
    from pytest_finbot.market.calendars import known_calendar, near_calendar

    if known_calendar(name):
        return None
    return (
        f"unknown calendar {name!r}{near_calendar(name)} "
        f"(an exchange_calendars name or {_WEEKDAYS} is expected)"
    )


def modules_beside(batch: Batch) -> dict[str, Path]:
    """Top-level modules of the batch's runs that lie beside its file, and where."""
    names = {name for spec in batch.runs for name in (spec.engine, spec.strategy) if is_callable_path(name)}
    packages = {name.partition(":")[0].partition(".")[0] for name in names}
    folder = batch.path.parent
    return {
        package: place
        for package in sorted(packages)
        for place in (folder / package, folder / f"{package}.py")
        if place.exists()
    }


@functools.lru_cache(maxsize=1024)
def _is_importable(package: str) -> bool:
    # find_spec of a name without dots imports nothing.
    return package in sys.modules or importlib.util.find_spec(package) is not None
