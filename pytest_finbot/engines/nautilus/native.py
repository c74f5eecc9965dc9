"""A strategy of nautilus_trader's own kind, built with a run's params."""

from __future__ import annotations

import inspect
import json
import types
import typing
from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from pytest_finbot.contracts import RunSpec
from pytest_finbot.engines.nautilus.bars import Feed
from pytest_finbot.errors import ParameterError, did_you_mean


def build(kind: type[Any], spec: RunSpec, feed: Feed) -> Any:
    """An instance of ``kind`` as nautilus' users build it: with its config, made of ``spec.params``.

    The config is of the class that the parameter ``config`` of ``kind`` is annotated with, read as
    nautilus reads one from JSON: ids, bar types and decimals are texts. ``instrument_id(s)`` and
    ``bar_type(s)`` that the config asks for and ``params`` do not have are those of the run. A class
    without such a parameter gets ``params`` as keyword arguments. Raises ParameterError where
    ``params`` do not fit.
    """
    params = dict(spec.params)
    config = config_class(kind)
    if config is None:
        _require_fit(kind, spec, params)
        return kind(**params)
    fields = list(config.__struct_fields__)
    own = [name for name in fields if name not in StrategyConfig.__struct_fields__]
    for key in params:
        if key not in fields:
            raise ParameterError(
                f"strategy {spec.strategy!r}: {config.__name__} has no field {key!r}"
                f"{did_you_mean(key, fields)} (known: {', '.join([*own, 'and those of StrategyConfig'])})"
            )
    params = {**_of_run(config, spec, feed, params), **params}
    try:
        made = config.parse(json.dumps(params))
    except (TypeError, ValueError) as error:  # msgspec's are ValueErrors
        raise ParameterError(
            f"strategy {spec.strategy!r}: params make no {config.__name__}: {error}; instruments are named "
            f"as {feed.instruments[0].id}, bar types as {feed.bar_types[0]}"
        ) from error
    return kind(made)


def config_class(kind: type[Any]) -> type[Any] | None:
    """The class of config that ``kind`` is built with; ``None`` where it has no parameter of that name."""
    if kind.__init__ is Strategy.__init__:
        plain: type[Any] = StrategyConfig
        return plain
    parameter = inspect.signature(kind.__init__).parameters.get("config")
    if parameter is None:
        return None
    try:
        hint = typing.get_type_hints(kind.__init__).get("config")
    except (NameError, TypeError):  # an annotation of names that are not there when it is run
        hint = None
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) or typing.get_origin(hint) else (hint,)
    for each in kinds:
        if inspect.isclass(each) and issubclass(each, StrategyConfig):
            return each
    raise ParameterError(
        f"strategy {kind.__module__}:{kind.__qualname__} takes a config, and nothing says of which class; "
        "expected its parameter annotated with a subclass of nautilus_trader.config.StrategyConfig"
    )


def _of_run(config: type[Any], spec: RunSpec, feed: Feed, params: dict[str, Any]) -> dict[str, Any]:
    """Fields of ``config`` that name the run's instruments and bars, where it asks for them in vain."""
    identities = [str(each.id) for each in feed.instruments]
    bar_types = [str(each) for each in feed.bar_types]
    own: dict[str, Any] = {"instrument_ids": identities, "bar_types": bar_types}
    one = {"instrument_id": identities, "bar_type": bar_types}
    missing = {
        name
        for name, field in inspect.signature(config).parameters.items()
        if field.default is inspect.Parameter.empty and name not in params
    }
    for key in sorted(missing & one.keys()):
        if len(spec.symbols) > 1:
            raise ParameterError(
                f"strategy {spec.strategy!r} trades one instrument, and the run has {len(spec.symbols)} "
                f"symbols; expected params.{key}, as {one[key][0]}, or one run a symbol (see matrix)"
            )
        own[key] = one[key][0]
    return {key: value for key, value in own.items() if key in missing}


def _require_fit(kind: type[Any], spec: RunSpec, params: dict[str, Any]) -> None:
    """Raise ParameterError where ``params`` are not what ``kind`` takes."""
    try:
        inspect.signature(kind).bind(**params)
    except TypeError as error:
        raise ParameterError(
            f"strategy {spec.strategy!r}: params do not fit {kind.__name__}: {error}"
        ) from None
