"""Long the symbols that a bundle of factors ranks best, short those it ranks worst."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import FactorBundle, FloatArray, IntArray, MarketData, RunSpec, TargetWeights
from pytest_finbot.errors import ParameterError
from pytest_finbot.strategies.cross_section import standardized, winsorized
from pytest_finbot.strategies.factors import is_price_factor, known_price_factors, price_factor
from pytest_finbot.strategies.params import ParamProblem, Params, flag, number, read_params
from pytest_finbot.strategies.schedule import decision_rows

_ROUNDING = 1e-9
"""Added before a part of a count is rounded down: 0.29 of 100 names is 29, not 28."""


@dataclass(frozen=True, slots=True)
class MultifactorLongShortParams(Params):
    """``quantile``: part of the ranked names on each side; ``long_only``: no short side."""

    quantile: float = number(0.2, above=0.0, most=1.0)
    long_only: bool = flag(False)

    @classmethod
    def run_problems(cls, spec: RunSpec) -> Iterator[ParamProblem]:
        if spec.bundle is None:
            yield ("bundle_path",), f"strategy {spec.strategy} needs a bundle of factors, and none is given"
        elif spec.bundle.neutralize_by is not None:
            yield (
                ("bundle_path",),
                f"options.neutralize_by is {spec.bundle.neutralize_by!r}, and strategy {spec.strategy} "
                "does not neutralize; expected null",
            )
        if len(spec.symbols) < 2:
            yield ("symbols",), f"strategy {spec.strategy} ranks symbols and needs at least 2 of them"

    def problems(self, spec: RunSpec) -> Iterator[ParamProblem]:
        if self.quantile > 0.5 and not self.long_only:
            yield (
                ("params", "quantile"),
                f"must be at most 0.5 unless long_only is true, not {self.quantile:g}: the sides overlap",
            )


def multifactor_long_short(spec: RunSpec, market: MarketData) -> TargetWeights:
    """Equal weights in the top ``quantile`` of the ranking, and short in the bottom one.

    A name's score is the sum over the bundle's factors of direction x weight x its value in
    the cross-section, winsorized and standardized where the bundle asks for it. A symbol for
    which any factor is not known is left out of that session's ranking; with fewer than two
    left nothing is decided. A side has the ``quantile`` of the ranked names, rounded down,
    but at least one and at most half of them (``long_only``: at most all). Of equals, the one
    earlier in ``symbols`` ranks higher. The absolute weights add up to
    ``spec.max_gross_exposure`` (1 where it is not given), half on each side, all of it long
    if ``long_only``. Decides at the rows of ``spec.rebalance_freq``.
    """
    params = read_params(MultifactorLongShortParams, spec)
    if spec.bundle is None:
        raise ParameterError(f"strategy {spec.strategy} needs a bundle of factors, and none is given")
    rows = decision_rows(market.sessions, spec.rebalance_freq)
    scores = bundle_scores(spec.bundle, market, rows)
    ranked = (~np.isnan(scores)).sum(axis=1)
    decided = ranked >= 2
    rows, scores, ranked = rows[decided], scores[decided], ranked[decided, None]

    place = np.empty(scores.shape, np.int64)
    best_first = np.argsort(-scores, axis=1, kind="stable")  # what is not ranked comes last
    np.put_along_axis(place, best_first, np.arange(scores.shape[1])[None], axis=1)
    side = np.maximum(np.floor(params.quantile * ranked + _ROUNDING).astype(np.int64), 1)
    gross = 1.0 if spec.max_gross_exposure is None else spec.max_gross_exposure
    if params.long_only:
        return TargetWeights(rows, np.where(place < side, gross / side, 0.0))
    each = 0.5 * gross / side
    short = (place >= ranked - side) & (place < ranked)
    return TargetWeights(rows, np.where(place < side, each, np.where(short, -each, 0.0)))


def bundle_scores(bundle: FactorBundle, market: MarketData, rows: IntArray) -> FloatArray:
    """Scores [K, N] of the symbols at ``rows``; NaN where any factor is not known.

    Raises ParameterError for a factor that is neither computed from prices nor in the market data.
    """
    scores = np.zeros((len(rows), len(market.symbols)))
    for factor in bundle.factors:
        values = _values(factor.name, market, rows)
        if bundle.winsorize:
            values = winsorized(values, *bundle.winsorize_limits)
        if bundle.zscore:
            values = standardized(values)
        scores += factor.direction * factor.weight * values
    return scores


def _values(name: str, market: MarketData, rows: IntArray) -> FloatArray:
    if is_price_factor(name):
        return price_factor(name, market.close, rows)
    if name not in market.factors:
        raise ParameterError(
            f"factor {name!r} of the bundle is neither computed from prices "
            f"(those are {', '.join(known_price_factors())}) nor in the factors that were loaded"
        )
    values: FloatArray = market.factors[name][rows]
    return values
