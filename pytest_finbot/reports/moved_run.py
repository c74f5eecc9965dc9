"""One screen about a run that the gate closed on, for the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_finbot.baselines.facts import with_defaults
from pytest_finbot.contracts import CheckResult, RunRecord, Verdict
from pytest_finbot.reports.rows import causes_in_words
from pytest_finbot.reports.templates import render

MOST_METRICS = 6
MOST_CAUSES = 8
TOLD_OF_NEW = ("final_nav", "total_return", "sharpe", "max_drawdown", "trades")


def moved_run_text(record: RunRecord, *, where: str, batch_file: str, verbose: bool) -> str:
    """Verdict in money and date, position and fill, cause, next command; with ``verbose`` all checks.

    ``where`` is ``file:line`` of the run, ``batch_file`` what commands name.
    """
    assert record.comparison is not None, "a run that moved was compared"
    part = record.part or {}
    file = shlex.quote(batch_file)
    name, look, without = record.name, f"finbot baseline diff {record.name} --file {file} -v", ""
    if part.get("kind") == "slice":
        # What is accepted is the whole run, and no baseline has the name of a slice.
        name, look = str(part["of"]), ""
        without = (
            "whole runs are accepted, not slices: without --finbot-from, --finbot-to, --finbot-chunk-days "
            "and --finbot-target-date,\n             "
        )
    return comparison_text(
        record.name,
        record.comparison,
        record.checks,
        verbose=verbose,
        where=f"{where}: run {record.name}",
        recorded_as=record.run_id,
        look=look,
        gives=record.metrics,
        accept=f"{without}pytest --finbot-batch {file} --finbot-accept '{name}' --finbot-reason '…'",
    )


def comparison_text(
    name: str,
    comparison: Mapping[str, Any],
    checks: Sequence[CheckResult],
    *,
    verbose: bool,
    where: str,
    accept: str,
    look: str = "",
    recorded_as: str = "",
    rerun: bool = True,
    gives: Mapping[str, Any] | None = None,
) -> str:
    """The same words for any comparison (its JSON), whoever made it.

    ``gives`` are the run's metrics, told where there is no baseline to hold them to.
    ``rerun`` says whether ``--finbot-rerun`` can execute it again.
    """
    causes = causes_in_words(comparison)
    # Final NAV is the first thing said of a run that moved.
    metrics = [metric for metric in comparison.get("metrics", ()) if metric["name"] != "final_nav"]
    moved = [check for check in checks if check.verdict in (Verdict.MOVED, Verdict.NOT_COMPARABLE)]
    facts = {
        "name": name,
        "c": with_defaults(comparison),
        "where": where,
        "causes": causes[:MOST_CAUSES],
        "causes_left": max(len(causes) - MOST_CAUSES, 0),
        "metrics": metrics[:MOST_METRICS],
        "metrics_left": max(len(metrics) - MOST_METRICS, 0),
        "moved": moved,
        "coverage": next((c.message for c in moved if c.name == "coverage"), ""),
        "not_deterministic": next((c.message for c in checks if c.name == "determinism" and c.failed), ""),
        "checks": checks if verbose else [],
        "look": look,
        "gives": [(key, gives[key]) for key in TOLD_OF_NEW if gives and gives.get(key) is not None],
        "accept": accept,
        "recorded_as": recorded_as,
        "deterministic": not rerun
        or all(cause["part"] != "not deterministic" for cause in comparison.get("causes", ())),
    }
    return render("moved_run.txt.j2", facts).strip("\n")
