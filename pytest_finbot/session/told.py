"""What each test tells of its run: properties in JUnit XML, and what the controller hears under xdist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pytest_finbot.session.progress import VERDICT

if TYPE_CHECKING:
    from pytest_finbot.contracts import RunRecord

_METRICS: Final = ("final_nav", "total_return", "sharpe", "max_drawdown", "trades")
_PREFIX: Final = "finbot."


def told(record: RunRecord) -> Iterator[tuple[str, str | float | int]]:
    """Names, each with a plain scalar that travels between processes; what is not known is left out.

    NAV and its change are currency, ``largest_bp`` basis points of the baseline's NAV, return and drawdown
    fractions.
    """
    yield f"{_PREFIX}run_id", record.run_id
    if record.verdict is not None:
        yield VERDICT, str(record.verdict)
    if record.error is not None:
        yield f"{_PREFIX}category", str(record.error.category)
        yield f"{_PREFIX}phase", record.error.phase
    for name in _METRICS:
        value = record.metrics.get(name)
        if isinstance(value, (int, float)):
            yield f"{_PREFIX}{name}", value
    comparison = record.comparison or {}
    final, largest = comparison.get("final") or {}, comparison.get("largest") or {}
    if final.get("change") is not None:
        yield f"{_PREFIX}final_nav_change", final["change"]
    if largest.get("relative") is not None:
        yield f"{_PREFIX}largest_bp", largest["relative"] * 1e4
        yield f"{_PREFIX}largest_session", largest["session"]
    if comparison.get("first_session"):
        yield f"{_PREFIX}first_session", comparison["first_session"]
