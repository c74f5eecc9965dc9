"""Whether a result still has as many rows as before: what quietly became less is lost.

A run that covers fewer sessions, holds fewer positions, or makes fewer fills, metrics or reports
than it did may look as good as ever. Less is told with its numbers, and fails unless there is a
reason that somebody wrote down: another configuration, a waiver, an accepted result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from pytest_finbot.baselines.results import RunResult
from pytest_finbot.contracts import CheckResult, Verdict
from pytest_finbot.tolerances import Tolerances

NAME: Final = "coverage"
OUTPUTS: Final = ("sessions", "positions", "fills", "metrics", "analytics")
"""What is counted: sessions, positions held (one a session and asset), fills, metrics that have a
value, and analytics made (metrics, risk, costs)."""

_HELD_BY: Final = {"positions": "quantity", "fills": "fills"}
"""Outputs whose number is a matter of the numbers, and the check that holds them to those."""


def counts_of(result: RunResult) -> dict[str, int]:
    """Rows of each output of ``result``, as far as it knows them."""
    counts = {"sessions": len(result.sessions)}
    if result.quantity is not None:
        counts["positions"] = int(np.count_nonzero(result.quantity))
    if result.fills is not None:
        counts["fills"] = len(result.fills)
    counts["metrics"] = sum(value is not None for value in result.metrics.values())
    return counts


def check_coverage(
    now: Mapping[str, int],
    before: Mapping[str, int],
    *,
    of: str,
    tolerances: Tolerances | None = None,
    reason: str | None = None,
) -> CheckResult:
    """Compare row counts with those of ``of``; outputs that only one side counted are left out.

    Fewer is moved; within where ``reason`` says why, or where ``tolerances`` leave it to the run
    how many positions or fills it has. ``value`` is how many rows are gone of the output that lost
    the largest part.
    """
    if tolerances is not None and tolerances.spec.limits.get(NAME, ...) is None:
        return CheckResult(NAME, Verdict.SKIPPED, f"switched off (checks.{NAME})")
    known = [name for name in OUTPUTS if name in now and name in before]
    if not known:
        return CheckResult(NAME, Verdict.SKIPPED, f"no rows of {of} are counted")
    fewer = [name for name in known if now[name] < before[name]]
    if not fewer:
        same = all(now[name] == before[name] for name in known)
        return CheckResult(NAME, Verdict.IDENTICAL if same else Verdict.WITHIN)
    worst = max(fewer, key=lambda name: (before[name] - now[name]) / before[name])
    words = ", ".join(f"{before[name]:,} → {now[name]:,} {name}" for name in fewer)
    message = f"fewer than in {of}: {words}"
    lost = float(before[worst] - now[worst])
    held = [name for name in fewer if _is_held(name, tolerances)]
    if not held:
        return CheckResult(NAME, Verdict.WITHIN, f"{message}; the preset holds nothing to that", lost, 0.0)
    if reason is not None:
        return CheckResult(NAME, Verdict.WITHIN, f"{message}, because {reason}", lost, 0.0)
    return CheckResult(NAME, Verdict.MOVED, message, lost, 0.0)


def _is_held(name: str, tolerances: Tolerances | None) -> bool:
    check = _HELD_BY.get(name)
    return check is None or tolerances is None or tolerances.of_series(check) is not None
