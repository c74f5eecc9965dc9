"""What a strategy is to the rest of the house."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from pytest_finbot.contracts import FloatArray, MarketData, RunSpec, TargetWeights

if TYPE_CHECKING:
    import pandas as pd

Decisions: TypeAlias = "TargetWeights | pd.DataFrame | FloatArray"
"""What a strategy may return; :func:`pytest_finbot.strategies.decisions.as_target_weights` reads it."""


class Strategy(Protocol):
    """A function from prices to wishes. It may use what was known at the close it decides on."""

    def __call__(self, spec: RunSpec, market: MarketData, /) -> Decisions:
        """Target weights, fractions of NAV, of the N symbols of ``market`` at K of its T sessions.

        One of: ``TargetWeights``; a DataFrame (index: the K sessions, rising; columns: the
        symbols in any order); an array [T, N] in which a row of NaN is a session without a
        decision.
        """
        ...
