"""A run's parameters and prices as its engine and strategy get them."""

from __future__ import annotations

import copy
import dataclasses
import random
from typing import Any, NoReturn

import numpy as np

from pytest_finbot.contracts import MarketData, RunSpec
from pytest_finbot.errors import MissingParameterError


def handed_out(spec: RunSpec, market: MarketData) -> tuple[RunSpec, MarketData]:
    """``spec`` and ``market`` for code of others, with the run's seed set.

    Their own copies: what a strategy does to its parameters or prices is no neighbour's matter,
    and the record speaks of the run as it was asked for.
    """
    if spec.seed is not None:
        random.seed(spec.seed)
        np.random.seed(spec.seed)
    theirs = dataclasses.replace(spec, params=GivenParams(copy.deepcopy(spec.params)))
    return theirs, dataclasses.replace(market, factors=dict(market.factors))


class GivenParams(dict[str, Any]):
    """A dict in every way, but ``params["fast_period"]`` says what there is where that is not.

    So a mistake in a batch file is told from one in a strategy's own tables. Mappings inside
    are plain dicts, and ``get``, ``in`` and ``pop`` are those of any dict.
    """

    def __missing__(self, key: Any) -> NoReturn:
        raise MissingParameterError(key, tuple(known for known in self if isinstance(known, str)))
