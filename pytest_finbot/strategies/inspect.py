"""What is wrong with a run's strategy and its parameters, found before anything runs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_finbot.contracts import RunSpec
from pytest_finbot.errors import FinbotError, did_you_mean
from pytest_finbot.strategies.factors import known_price_factors, panel_factors
from pytest_finbot.strategies.params import ParamProblem, inspect_with
from pytest_finbot.strategies.resolve import BUILT_IN, params_class, strategy_problem

if TYPE_CHECKING:
    from pytest_finbot.market.snapshots.reading import Snapshot

_COMPUTED: Final = "computed from prices are"


def inspect_params(spec: RunSpec) -> list[ParamProblem]:
    """Every problem of the run's strategy, parameters and factors, each with its key's path.

    The parameters of a user's own strategy are its own matter; only the form of its name is
    looked at, and nothing of it is imported.
    """
    problem = strategy_problem(spec.strategy)
    if problem is not None:
        return [(("strategy",), problem)]
    found: list[ParamProblem] = []
    if spec.strategy in BUILT_IN:
        found.extend(inspect_with(params_class(spec.strategy), spec)[1])
    found.extend(_factor_problems(spec))
    return found


def _factor_problems(spec: RunSpec) -> Iterator[ParamProblem]:
    """Factors of the bundle, whatever strategy reads it, that nothing brings."""
    wanted = panel_factors(spec)
    if not wanted:
        return
    if spec.factors_path is None:
        computed = known_price_factors()
        for name in wanted:
            yield (
                ("bundle_path",),
                f"factor {name!r} is not computed from prices, and no factors_path brings it"
                f"{did_you_mean(name, computed)} ({_COMPUTED}: {', '.join(computed)})",
            )
        return
    if spec.data.snapshot is not None:
        yield from _recorded_problems(spec, spec.data.snapshot, spec.factors_path, wanted)
        return
    try:
        stamp = Path(spec.factors_path).stat()
        brought = _names_in_panel(spec.factors_path, stamp.st_mtime_ns, stamp.st_size)
    except OSError as error:
        yield ("factors_path",), f"{spec.factors_path} cannot be read: {error.strerror}"
    except FinbotError as error:
        yield ("factors_path",), str(error)
    else:
        yield from _not_brought(wanted, brought, spec.factors_path)


def _recorded_problems(
    spec: RunSpec, snapshot: str, path: str, wanted: Sequence[str]
) -> Iterator[ParamProblem]:
    """As of a file, for a panel that a snapshot holds; the file itself need not be there."""
    try:
        stamp = (Path(spec.data.snapshots) / f"{snapshot}.json").stat()
    except OSError:
        return  # told where the batch file names it, and when the run loads its data
    try:
        opened = _opened(spec.data.snapshots, snapshot, stamp.st_mtime_ns, stamp.st_size)
    except FinbotError as error:
        yield ("data", "snapshot"), str(error)
        return
    try:
        panel = opened.panel(opened.named(path, "factors"))
    except FinbotError as error:
        yield ("factors_path",), str(error)
    else:
        yield from _not_brought(wanted, panel.names, panel.source)


def _not_brought(wanted: Sequence[str], brought: Sequence[str], source: str) -> Iterator[ParamProblem]:
    computed = known_price_factors()
    for name in wanted:
        if name not in brought:
            yield (
                ("bundle_path",),
                f"factor {name!r} is not in {source}{did_you_mean(name, (*brought, *computed))} "
                f"(it holds: {', '.join(brought) or 'none'}; {_COMPUTED}: {', '.join(computed)})",
            )


@functools.lru_cache(maxsize=8)
def _opened(folder: str, snapshot: str, modified: int, size: int) -> Snapshot:
    """A snapshot, its manifest read once for all runs that replay it as it is now."""
    from pytest_finbot.market.snapshots.reading import open_snapshot

    return open_snapshot(Path(folder), snapshot)


@functools.lru_cache(maxsize=64)
def _names_in_panel(path: str, modified: int, size: int) -> tuple[str, ...]:
    """Factors in the panel at ``path``, read once for all runs that name it as it is now."""
    from pytest_finbot.market.factor_panel import panel_factor_names

    return panel_factor_names(Path(path))
