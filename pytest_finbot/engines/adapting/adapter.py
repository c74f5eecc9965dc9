"""The base of an adapter: what its engine can express, and how it says what it cannot."""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_finbot.contracts import Conventions, EngineResult, FillTiming, MarketData, RunSpec, Units
from pytest_finbot.errors import MissingDependencyError, ParameterError
from pytest_finbot.strategies.resolve import import_callable, is_callable_path, strategy_module

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an engine can be told with the keys of a run.

    ``fills`` and ``units`` are the values of these keys that it has a way of its own for;
    ``costs`` the keys of ``costs`` that it charges. ``from_cash``: it sizes orders before costs, or can
    be told to; ``booking: targeted`` is what a run has that says nothing. ``one_symbol``: it trades one
    at a time.
    ``events``: keys among ``flows``, ``dividends``, ``splits``, ``multipliers`` that it books.
    """

    fills: tuple[FillTiming, ...]
    units: tuple[Units, ...]
    costs: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    from_cash: bool = True
    one_symbol: bool = False


class Adapter:
    """One third-party engine behind the contract. Nothing of it is imported before :meth:`run`.

    A subclass names ``name`` (as in a batch file, and of the extra that installs it), ``module``
    (what it imports), ``distribution`` (what is installed), ``abilities``, and says how a run is
    executed by default in :meth:`conventions`.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    distribution: ClassVar[str]
    abilities: ClassVar[Abilities]

    def conventions(self, spec: RunSpec) -> Conventions:
        """How the orders of ``spec`` are executed, with every default of the engine's made explicit."""
        raise NotImplementedError

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        """The backtest of ``spec`` on ``market``."""
        raise NotImplementedError

    def imported(self) -> Any:
        """The engine's own package, imported by a plain statement, so that the fingerprint sees which."""
        raise NotImplementedError

    def version(self) -> str:
        """Version of the installed engine; raises MissingDependencyError where there is none."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            raise self._not_installed() from None

    def modules(self, spec: RunSpec) -> tuple[str, ...]:
        return (type(self).__module__, strategy_module(spec.strategy))

    def library(self) -> Any:
        """The engine's own package. Raises MissingDependencyError where it, or a part of it, is not there."""
        try:
            return self.imported()
        except ModuleNotFoundError as error:
            if error.name == self.module.partition(".")[0]:
                raise self._not_installed() from None
            raise MissingDependencyError(
                f"engine {self.name!r}: {self.module} is installed, but what it imports is not: {error}"
            ) from error

    def problems(self, spec: RunSpec) -> Iterator[tuple[KeyPath, str]]:
        """What ``spec`` asks for and this engine cannot express, each with its key; imports nothing."""
        able = self.abilities
        if spec.fill not in able.fills:
            yield ("fill",), self._cannot(f"fill: {spec.fill}", able.fills)
        if spec.units not in able.units:
            yield ("units",), self._cannot(f"units: {spec.units}", able.units)
        for key in ("commission_bps", "commission_per_share", "slippage_bps"):
            if getattr(spec.costs, key) and key not in able.costs:
                yield ("costs", key), self._cannot(f"costs.{key}", sorted(able.costs))
        if spec.costs.booking == "from_cash" and not able.from_cash:
            yield ("costs", "booking"), self._cannot("costs.booking: from_cash", ())
        if spec.min_trade:
            yield ("min_trade",), self._cannot("min_trade", ())
        given = {
            "flows": bool(spec.flows),
            "dividends": spec.actions.dividends != "none",
            "splits": spec.actions.splits != "none",
            "multipliers": any(value != 1.0 for value in spec.multipliers.values()),
        }
        for key, is_given in given.items():
            if is_given and key not in able.events:
                booked = " and ".join(sorted(able.events))
                yield (key,), self._cannot(key, ()) + (f"; it books {booked}" if booked else "")
        if able.one_symbol and len(spec.symbols) > 1:
            yield (
                ("symbols",),
                f"engine {self.name!r} trades one symbol, and the run has {len(spec.symbols)}; "
                "make it one run a symbol (see matrix)",
            )

    def own_strategy(self, spec: RunSpec) -> type[Any] | None:
        """The class that ``spec.strategy`` names, written for this engine; ``None`` for target weights.

        A strategy that is a class is the engine's own kind, built with the run's params; a function
        is one that returns target weights. Raises ParameterError where it cannot be imported.
        """
        if not is_callable_path(spec.strategy):
            return None
        found = import_callable("strategy", spec.strategy)
        return found if inspect.isclass(found) else None

    def not_its_kind(self, spec: RunSpec, expected: str) -> ParameterError:
        """For a class that this engine cannot run; ``expected`` says which it can."""
        return ParameterError(
            f"strategy {spec.strategy!r} is a class that engine {self.name!r} cannot run; expected "
            f"{expected}, or a function that returns target weights"
        )

    def _cannot(self, what: str, expected: Any) -> str:
        words = " or ".join(str(one) for one in expected)
        return f"engine {self.name!r} has no {what}" + (f"; expected {words}" if words else "")

    def _not_installed(self) -> MissingDependencyError:
        return MissingDependencyError(
            f"engine {self.name!r} needs {self.distribution}, which is not installed here: "
            f"pip install 'pytest-finbot[{self.name}]'"
        )
