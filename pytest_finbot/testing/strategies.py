"""Strategies that a user's mistake would look like."""

from __future__ import annotations

from typing import Final, NoReturn

from pytest_finbot.contracts import MarketData, RunSpec

MESSAGE: Final = "this strategy raises on purpose"


class RaisedOnPurposeError(Exception):
    """What :func:`raises` raises."""


def raises(spec: RunSpec, market: MarketData) -> NoReturn:
    """A function strategy with a mistake in it."""
    raise RaisedOnPurposeError(MESSAGE)
