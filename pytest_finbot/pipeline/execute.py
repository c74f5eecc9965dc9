"""One run through its phases. Whatever a run raises becomes part of its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from pytest_finbot.baselines.judge import Gate
from pytest_finbot.baselines.previous import EarlierRuns
from pytest_finbot.contracts import PhaseResult, RunSpec
from pytest_finbot.errors import ParameterError
from pytest_finbot.fingerprint import config_hash
from pytest_finbot.pipeline.failure import Categorize, describe
from pytest_finbot.pipeline.outcome import RunOutcome
from pytest_finbot.pipeline.phases import PHASES, Phase, PhaseSkipped, environment_fingerprint
from pytest_finbot.pipeline.selection import Selection

Bounds = Callable[[], AbstractContextManager[None]]
"""What a phase may take while it lasts."""


class Log(Protocol):
    """Receives ``phase_start`` and ``phase_result`` as they happen.

    A line with ``flush`` must outlive the process from then on: what comes next is somebody
    else's code, which may end it.
    """

    def __call__(self, kind: str, payload: Mapping[str, Any], *, flush: bool = True) -> None: ...


def execute(
    spec: RunSpec,
    log: Log,
    *,
    categorize: Categorize | None = None,
    phases: Sequence[Phase] = PHASES,
    selection: Selection | None = None,
    gate: Gate | None = None,
    previous: EarlierRuns | None = None,
    reruns: int = 0,
    bounds: Bounds = nullcontext,
    contained: bool = False,
) -> RunOutcome:
    """Run ``spec`` through ``phases``, hold it to ``gate``, and return what came of it.

    Where nothing is gated, its rows are counted against those of ``previous``. With a
    ``selection`` the phases that are not in it are skipped, with its reason. With ``reruns`` it
    is executed that often more, in fresh processes, and must give the same. Every handler runs
    within ``bounds()``; what became of it is told outside of them. ``contained``: no Ctrl-C
    reaches this process, so that a KeyboardInterrupt is a failure like any other.

    Nothing a run raises gets out, save KeyboardInterrupt; a failed critical phase makes
    those after it skipped, with that reason.
    """
    run = RunOutcome(spec, gate, reruns, proves=selection is None or selection.proves, previous=previous)
    environment_fingerprint(run)
    stopped_by: str | None = None
    try:
        run.fingerprint["config"] = config_hash(spec)
    except ParameterError as error:  # a spec that came from Python may hold what no batch file can
        run.errors.append(describe(error, "config", categorize))
        stopped_by = "config"
    for phase in phases:
        if selection is not None and phase.name not in selection.names:
            result = PhaseResult(phase.name, "skipped", 0.0, reason=selection.reason)
        elif stopped_by is not None:
            result = PhaseResult(phase.name, "skipped", 0.0, reason=f"phase {stopped_by} failed")
        else:
            log("phase_start", {"run": spec.name, "phase": phase.name}, flush=phase.foreign)
            result = _execute_phase(phase, run, categorize, bounds, contained)
            if result.status == "failed" and phase.critical:
                stopped_by = phase.name
        run.phases.append(result)
        said: dict[str, Any] = {
            "run": spec.name,
            "phase": phase.name,
            "status": result.status,
            "seconds": result.seconds,
        }
        if result.counters:
            said["counters"] = dict(result.counters)
        if result.reason is not None:
            said["reason"] = result.reason
        log("phase_result", said, flush=False)
    return run


def _execute_phase(
    phase: Phase, run: RunOutcome, categorize: Categorize | None, bounds: Bounds, contained: bool
) -> PhaseResult:
    began = time.perf_counter()
    run.counters = {}
    try:
        with bounds():
            counters = phase.handler(run)
    except PhaseSkipped as skipped:
        return PhaseResult(phase.name, "skipped", _since(began), reason=str(skipped))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not contained:
            raise
        info = describe(error, phase.name, categorize)
        run.errors.append(info)
        reason = f"{info.type}: {info.message.splitlines()[0] if info.message else ''}"
        return PhaseResult(phase.name, "failed", _since(began), run.counters, reason[:500])
    return PhaseResult(phase.name, "success", _since(began), counters)


def _since(began: float) -> float:
    """Seconds, to the microsecond."""
    return round(time.perf_counter() - began, 6)
