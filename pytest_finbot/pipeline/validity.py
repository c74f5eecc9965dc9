"""Whether a recorded result would come out again: the same configuration, data, code, environment.

What cannot be told is not the same. A result is taken for valid only where every part of its
fingerprint is known on both sides and equal, and what it recorded is still there, unharmed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_finbot.baselines.coverage import NAME as COVERAGE
from pytest_finbot.baselines.dependencies import dependencies_of_record, dependencies_of_run
from pytest_finbot.baselines.facts import Comparison
from pytest_finbot.baselines.headline import headline
from pytest_finbot.baselines.judge import Gate
from pytest_finbot.baselines.kept import keep_comparison
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.slices import slice_of
from pytest_finbot.contracts import SERIES_CHECKS, ErrorCategory, RunRecord, RunSpec, RunStatus
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.errors import FinbotError, RegistryError, RegressionError
from pytest_finbot.fingerprint import config_hash, differences
from pytest_finbot.market.store import load_market
from pytest_finbot.pipeline.failure import describe
from pytest_finbot.pipeline.fingerprints import code_of, environment_of
from pytest_finbot.registry.left_out import left_out
from pytest_finbot.registry.protocol import Objects
from pytest_finbot.registry.records import record_from_json
from pytest_finbot.strategies.factors import panel_factors

_SIDES = ("the recorded run", "this run")


def why_again(
    spec: RunSpec, record: Mapping[str, Any], recorded: RunSpec | None, objects: Objects
) -> str | None:
    """Why ``spec`` must be executed although there is ``record``; ``None`` where the record is valid.

    ``recorded`` is what the record is the result of, for the words. In words a person can use:
    ``failed before (timeout)``, ``config changed: params.fast 50 → 49``, ``data changed: KO 2018``.
    """
    if record.get("status") != RunStatus.SUCCESS:
        return f"failed before ({(record.get('error') or {}).get('category') or ErrorCategory.UNKNOWN})"
    if left_out(record):
        return "phases were left out before"
    try:
        now = _dependencies(spec)
    except FinbotError as error:
        return f"unknown: what it depends on cannot be told: {_first_line(str(error))}"
    if recorded is None:
        return "unknown: what it was the result of is not recorded"
    changed = differences(dependencies_of_record(objects, record, recorded), now, sides=_SIDES)
    if changed:
        return "; ".join(f"{_PARTS.get(cause.part, cause.part)}: {cause.detail}" for cause in changed)
    unseen = now["code"].get("dynamic")
    if unseen:
        return f"unknown: code that {', '.join(unseen)} may import cannot be followed"
    try:
        RunResult.of_record(objects, record)
    except RegistryError as error:
        return f"its recorded result cannot be read: {_first_line(str(error))}"
    return None


def judged_again(
    spec: RunSpec, record: Mapping[str, Any], gate: Gate | None, objects: Objects
) -> RunRecord | None:
    """``record``, valid, held to ``gate`` as it is today; ``None`` where that says what is recorded.

    Nothing is executed. Raises BaselineError where the baseline cannot be read.
    """
    before = record_from_json(record)
    comparison = None
    if gate is not None:
        comparison = gate.judge(
            spec.name,
            spec.checks,
            RunResult.of_record(objects, record),
            _dependencies(spec),
            sliced=slice_of(spec),
        )
    said = keep_comparison(objects, comparison)
    if said == before.comparison and (comparison is None or comparison.verdict is before.verdict):
        return None
    return _with(before, comparison, said)


def _with(record: RunRecord, comparison: Comparison | None, said: dict[str, Any] | None) -> RunRecord:
    error = None
    if comparison is not None and comparison.fails:
        error = describe(RegressionError(headline(comparison)), "checks")
    return dataclasses.replace(
        record,
        status=RunStatus.SUCCESS if error is None else RunStatus.FAILED,
        error=error,
        checks=(
            *(check for check in record.checks if not compares(check.name)),
            *(comparison.checks if comparison is not None else ()),
        ),
        verdict=None if comparison is None else comparison.verdict,
        comparison=said,
        compared_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def compares(check: str) -> bool:
    """Whether a check is one of the comparison's: the books' have names of their own."""
    return check in ("sessions", COVERAGE, "metrics", *SERIES_CHECKS) or check.startswith("metrics.")


def _dependencies(spec: RunSpec) -> dict[str, Any]:
    """The fingerprint that executing ``spec`` here and now would have, without executing it."""
    calendar = ("exchange-calendars",) if spec.data.calendar is not None else ()
    engine = resolve_engine(spec.engine)
    code = code_of(engine.modules(spec))
    market = load_market(spec, panel_factors(spec))
    fingerprint: dict[str, Any] = {
        "config": config_hash(spec),
        "engine": {"name": engine.name, "version": engine.version()},
        "code": code,
        "environment": {**environment_of(calendar), **environment_of(tuple(code["distributions"]))},
    }
    if market.digest is None:
        return dependencies_of_run(spec, fingerprint, None)
    fingerprint["data"] = {"hash": market.digest.hash, "field": market.field}
    return dependencies_of_run(spec, fingerprint, market.digest.parts)


def other_files(spec: RunSpec, recorded: RunSpec | None) -> str | None:
    """Why what ``recorded`` left beside its result is not all that ``spec`` asks for; ``None``: it is."""
    for key in ("outputs", "reports"):
        if recorded is not None and getattr(spec, key) != getattr(recorded, key):
            return f"its {key} are asked for otherwise"
    # What it is split by was worked out where it ran.
    asked = spec.compare_with
    if recorded is not None and asked is not None:
        from pytest_finbot.config.comparing import same_reference  # with pydantic, which workers do without

        if not same_reference(asked, recorded.compare_with):
            return "its compare_with is another reference"
    return None


def missing_files(folder: Path, record: Mapping[str, Any]) -> str | None:
    """Why ``folder`` does not hold what ``record`` says it left there; ``None`` where it does."""
    gone = [name for name in record.get("artifacts") or () if not (folder / name).exists()]
    return None if not gone else f"its file {gone[0]} is gone from {folder.name}"


_PARTS = {part: f"{part} changed" for part in ("config", "data", "code", "environment")}


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
