"""How a built-in strategy declares its parameters, and how a run's are read against that.

Each strategy's module has a frozen dataclass on top of :class:`Params`: its fields are the keys,
their defaults the defaults, and :func:`whole`, :func:`number` … say what is accepted. The same
declaration serves the inspection before anything runs and the strategy itself.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pytest_finbot.contracts import RunSpec
from pytest_finbot.errors import ParameterError, did_you_mean

KeyPath = tuple[str | int, ...]
ParamProblem = tuple[KeyPath, str]
"""Path of the offending key within the run (``("params", "fast")``), and what is wrong."""

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Params:
    """Base of every built-in strategy's parameters."""

    @classmethod
    def run_problems(cls, spec: RunSpec) -> Iterator[ParamProblem]:
        """What of the run itself, apart from its parameters, does not suit the strategy."""
        yield from ()

    def problems(self, spec: RunSpec) -> Iterator[ParamProblem]:
        """What is wrong with these values together; each by itself is sound."""
        yield from ()


P = TypeVar("P", bound=Params)


@dataclass(frozen=True, slots=True)
class _Accepted:
    """``read`` gives the value to use, or ``None`` where it is not what was ``expected``.

    ``unfit`` says what is wrong with a value that could be read, in this run, or ``None``.
    """

    expected: str
    read: Callable[[object], Any]
    unfit: Callable[[Any, RunSpec], str | None]


def _never(value: Any, spec: RunSpec) -> str | None:
    return None


def _declare(
    expected: str,
    read: Callable[[object], Any],
    default: Any,
    unfit: Callable[[Any, RunSpec], str | None] = _never,
) -> Any:
    return dataclasses.field(default=default, metadata={"accepted": _Accepted(expected, read, unfit)})


def whole(default: int, *, least: int, unfit: Callable[[int, RunSpec], str | None] = _never) -> Any:
    """A whole number of at least ``least``; ``50.0`` counts, since its fingerprint is that of ``50``."""

    def read(value: object) -> int | None:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return value if type(value) is int and value >= least else None

    return _declare(f"a whole number of at least {least}", read, default, unfit)


def number(default: float, *, above: float, most: float) -> Any:
    """A number above ``above`` and at most ``most``."""

    def read(value: Any) -> float | None:
        return float(value) if is_number(value) and above < value <= most else None

    return _declare(f"a number above {above:g} and at most {most:g}", read, default)


def flag(default: bool) -> Any:
    """True or false."""
    return _declare("true or false", lambda value: value if isinstance(value, bool) else None, default)


def symbol() -> Any:
    """The name of one of the run's symbols; required."""

    def read(value: object) -> str | None:
        return value if isinstance(value, str) else None

    return _declare("the name of a symbol", read, dataclasses.MISSING, symbol_problem)


def optional_mapping() -> Any:
    """A mapping, or nothing."""
    return _declare("a mapping", lambda value: value if isinstance(value, Mapping) else None, None)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite int or float, and not a bool."""
    # A comparison, not math.isfinite: that cannot take an int beyond the range of floats.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def shown(value: object) -> str:
    """``value`` as a batch file would spell it, cut where it is long."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


def inspect_with(kind: type[P], spec: RunSpec) -> tuple[P | None, list[ParamProblem]]:
    """The run's parameters as a ``kind``, and every problem found; no value where one cannot be built."""
    declared = {field.name: field for field in dataclasses.fields(kind)}
    found: list[ParamProblem] = [
        (("params", key), f"unknown key {key!r} of strategy {spec.strategy}{_nearest(key, declared)}")
        for key in spec.params
        if key not in declared
    ]
    values: dict[str, Any] = {}
    for name, field in declared.items():
        accepted: _Accepted = field.metadata["accepted"]
        given = spec.params.get(name, field.default)
        if given is dataclasses.MISSING:
            found.append(
                (("params",), f"strategy {spec.strategy} needs the key {name!r}: {accepted.expected}")
            )
        elif given is field.default:  # null, where that is the default, would not read
            values[name] = given
        else:
            value = accepted.read(given)
            if value is not None:
                values[name] = value
            else:
                found.append((("params", name), f"must be {accepted.expected}, not {shown(given)}"))
        if name in values:
            unfit = accepted.unfit(values[name], spec)
            if unfit is not None:
                found.append((("params", name), unfit))
    found.extend(kind.run_problems(spec))
    if len(values) < len(declared):
        return None, found
    params = kind(**values)
    found.extend(params.problems(spec))
    return params, found


def read_params(kind: type[P], spec: RunSpec) -> P:
    """The run's parameters as a ``kind``. Raises ParameterError naming every problem found."""
    params, found = inspect_with(kind, spec)
    if params is None or found:
        raise ParameterError(
            "\n".join(
                f"strategy {spec.strategy}: {'.'.join(str(step) for step in path)}: {message}"
                for path, message in found
            )
        )
    return params


def symbol_problem(name: object, spec: RunSpec) -> str | None:
    """What is wrong with ``name`` as a symbol of the run, or ``None``."""
    if name in spec.symbols:
        return None
    return f"{name!r} is not a symbol of the run{_nearest(str(name), spec.symbols)}"


def _nearest(word: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    return did_you_mean(word, known) or f" (known: {_listed(tuple(known))})"


def _listed(names: tuple[str, ...], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
