"""The phases of one run, in order: each a name, a handler, and whether later ones need it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_finbot.baselines.coverage import NAME as COVERAGE
from pytest_finbot.baselines.dependencies import dependencies_of_run
from pytest_finbot.baselines.headline import headline
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.slices import slice_of
from pytest_finbot.checks.accounting import cents_needed, check_books
from pytest_finbot.checks.against_market import check_marks_at_market, distant_fills
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.costs import check_costs
from pytest_finbot.checks.declared import beyond_declared, check_declared
from pytest_finbot.checks.identities import residuals
from pytest_finbot.checks.marks import check_marks
from pytest_finbot.checks.orders import check_orders
from pytest_finbot.checks.rejections import check_rejections
from pytest_finbot.contracts import Cause, CheckResult, EngineResult, MarketData, Verdict
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.errors import DataError, EngineError, RegressionError
from pytest_finbot.market.store import load_market
from pytest_finbot.pipeline.data_notes import data_counters, data_notes, data_warnings
from pytest_finbot.pipeline.decided import decided, decision_notes
from pytest_finbot.pipeline.fingerprints import code_of, environment_of
from pytest_finbot.pipeline.given_params import handed_out
from pytest_finbot.pipeline.ladder import difference_split
from pytest_finbot.pipeline.outcome import RunOutcome
from pytest_finbot.pipeline.rerun import check_determinism
from pytest_finbot.strategies.factors import panel_factors
from pytest_finbot.tolerances import tolerances_of
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.costs import analyse_costs
from pytest_finbot.valuation.marks import value_marks
from pytest_finbot.valuation.metrics import compute_metrics
from pytest_finbot.valuation.own_part import own_part
from pytest_finbot.valuation.risk import analyse_risk

Counters = Mapping[str, int]


class PhaseSkipped(Exception):  # noqa: N818 - control flow, not an error
    """Raised by a handler that has nothing to do; the message says why."""


@dataclass(frozen=True, slots=True)
class Phase:
    """``critical``: if it fails, the phases after it are skipped.

    ``foreign``: it runs code that is not ours, on files that are not ours. ``needs``: phases that
    are executed before it wherever it is asked for.
    """

    name: str
    handler: Callable[[RunOutcome], Counters]
    critical: bool
    foreign: bool = False
    needs: tuple[str, ...] = ()


def market_data(run: RunOutcome) -> Counters:
    """Prices of the run's symbols in its window, checked."""
    run.market = load_market(run.spec, panel_factors(run.spec))
    if run.market.digest is not None:
        run.fingerprint["data"] = {"hash": run.market.digest.hash, "field": run.market.field}
        if run.spec.data.snapshot is not None:
            run.fingerprint["data"]["snapshot"] = run.spec.data.snapshot
    run.data_notes = data_notes(run.spec, run.market)
    run.warnings.extend(data_warnings(run.market))
    if run.spec.data.calendar is None:
        run.checks.append(
            CheckResult(
                "calendar",
                Verdict.SKIPPED,
                "no data.calendar is given: sessions are those of the price file, gaps are not seen",
            )
        )
    return data_counters(run.market)


def simulate(run: RunOutcome) -> Counters:
    """The engine's backtest, held to its contract."""
    spec, market = run.spec, _market(run)
    engine = resolve_engine(spec.engine)
    run.fingerprint["engine"] = {"name": engine.name, "version": engine.version()}
    run.fingerprint["code"] = code = code_of(engine.modules(spec))
    imported = environment_of(tuple(code["distributions"]))
    run.fingerprint["environment"] = {**run.fingerprint["environment"], **imported}
    result = engine.run(*handed_out(spec, market))
    check_result(result, spec, market)
    run.result = result
    run.warnings.extend(result.warnings)
    run.warnings.extend(beyond_declared(result, spec, market))
    run.warnings.extend(distant_fills(result, market))
    return {
        "sessions": len(result.sessions),
        "fills": len(result.fills),
        "rejected_orders": len(result.rejected_orders),
    }


def marks(run: RunOutcome) -> Counters:
    """A price for every position at every session, and what that makes it worth.

    Raises DataError where too many positions have none: what is computed from them would be a guess.
    """
    result = _result(run)
    valued = value_marks(result, _market(run), run.spec.marks)
    if valued.mark is not result.mark:
        result = run.result = dataclasses.replace(result, mark=valued.mark)
    run.books = Books(result)
    run.mark_notes = valued.to_json()
    run.counters = {
        "positions": valued.held,
        "updated": valued.updated,
        "fallen_back": valued.fallback_count,
        "look_ahead": valued.look_ahead_count,
        "skipped": valued.unmarked_count,
    }
    check = check_marks(valued, run.spec.marks)
    run.checks.append(check)
    if check.failed:
        raise DataError(check.message)
    return run.counters


def analytics(run: RunOutcome) -> Counters:
    """Metrics; what is undefined says why."""
    metrics = compute_metrics(*_own(run))
    run.metrics, run.undefined_metrics = metrics.values, metrics.undefined
    made = sum(value is not None for value in metrics.values.values())
    return {"made": made, "skipped": len(metrics.undefined)}


def risk(run: RunOutcome) -> Counters:
    """Facts of the risk report, where one is asked for."""
    if "risk" not in run.spec.reports:
        raise PhaseSkipped("not asked for (reports: [risk])")
    run.risk = analyse_risk(*_own(run))
    return {"drawdowns": len(run.risk.drawdowns)}


def costs(run: RunOutcome) -> Counters:
    """Facts of the transaction cost analysis, where one is asked for."""
    if "tca" not in run.spec.reports:
        raise PhaseSkipped("not asked for (reports: [tca])")
    result, books = _own(run)
    run.costs = analyse_costs(result, books)
    return {"fills": len(result.fills)}


def checks(run: RunOutcome) -> Counters:
    """The books, and what the batch and the market know of them. Then the baseline, where there is one."""
    _prove(run)
    if run.gate is not None or run.reruns:
        _hold(run)
    if run.gate is None:
        _hold_to_last(run)
    return {"checks": len(run.checks)}


def _prove(run: RunOutcome) -> None:
    """Every identity, what was declared, marks at the market's closes, and that every order was executed.

    Raises EngineError.
    """
    result, spec, market, books = _result(run), run.spec, _market(run), _books(run)
    identities = residuals(result, spec.start_capital, books)
    own = check_books(result, spec, books, identities)
    charged, off = check_costs(books, spec, market)
    others = (
        check_declared(result, spec, market),
        check_marks_at_market(result, market, spec.marks),
        charged,
    )
    run.warnings.extend((*off, *decision_notes(result, spec, market)))
    rejections = check_rejections(result, spec.rejected_orders)
    orders = check_orders(books, spec, market, decided(result, spec, market))
    run.checks.extend((*own, rejections, orders, *others))
    if result.rejected_orders:
        run.warnings.append(rejections.message)
    add_up = not any(check.failed for check in own)
    if add_up:
        run.warnings.extend(cents_needed(identities, result))
    broken = [check for check in (*own, *others) if check.failed]
    if not broken:
        if rejections.failed:
            raise EngineError(
                f"engine {spec.engine!r} did not execute every order: {rejections.message}; the first of "
                f"{rejections.asset} on {rejections.session}. Where that is as meant: rejected_orders: allow"
            )
        if orders.failed:
            raise EngineError(f"engine {spec.engine!r} did not execute every order: {orders.message}")
        return
    told = "\n".join(f"{check.name}: {check.message}" for check in broken)
    if not add_up:
        raise EngineError(f"the books of engine {spec.engine!r} do not add up:\n{told}")
    raise EngineError(
        f"the account of engine {spec.engine!r} is not what the batch and the market say:\n{told}"
    )


def _hold_to_last(run: RunOutcome) -> None:
    """Where nothing is accepted: at least no fewer rows than last time, see :class:`EarlierRuns`."""
    if run.previous is None:
        words = "there is no baseline, and no registry with earlier results to count against"
        run.checks.append(CheckResult(COVERAGE, Verdict.SKIPPED, words))
        return
    not_asked = sum(
        phase.status == "skipped" and (phase.reason or "").startswith("not asked for") for phase in run.phases
    )
    tolerances = tolerances_of(run.spec.checks)
    check = run.previous.check(run.spec.name, run.counts, run.fingerprint, tolerances, not_asked=not_asked)
    run.checks.append(check)
    if check.failed:
        raise RegressionError(f"coverage: {check.message}")


def _hold(run: RunOutcome) -> None:
    """The result held to itself, executed again, and to what was accepted; raises RegressionError."""
    result = RunResult.of_engine(_result(run), _books(run).market_values, run.metrics, run.undefined_metrics)
    again = check_determinism(run.spec, result, run.reruns) if run.reruns else None
    if again is not None:
        run.checks.append(again)
    if run.gate is not None:
        digest = _market(run).digest
        comparison = run.gate.judge(
            run.spec.name,
            run.spec.checks,
            result,
            dependencies_of_run(run.spec, run.fingerprint, None if digest is None else digest.parts),
            sliced=slice_of(run.spec),
        )
        if again is not None and again.failed:
            # Whatever else differs: where one run gives two results, that explains it first.
            causes = (Cause("not deterministic", again.message), *comparison.causes)
            comparison = dataclasses.replace(comparison, causes=causes, accepting=False)
        elif again is not None:
            comparison = dataclasses.replace(
                comparison, causes=tuple(_reproducible(cause, run.reruns) for cause in comparison.causes)
            )
        run.comparison = comparison
        run.checks.extend(comparison.checks)
    if again is not None and again.failed:
        raise RegressionError(f"not deterministic: {again.message}")
    if run.comparison is not None and run.comparison.fails:
        raise RegressionError(headline(run.comparison))


def ladder(run: RunOutcome) -> Counters:
    """What the run and its reference differ by, split, where it is compared with another run."""
    compare = run.spec.compare_with
    if compare is None:
        raise PhaseSkipped("not asked for (compare_with)")
    if run.errors:
        raise PhaseSkipped("the run failed, and is not compared")
    run.ladder = difference_split(run.spec, _market(run), _result(run), compare)
    if "why_not" in run.ladder:
        raise PhaseSkipped(f"cannot be split: {run.ladder['why_not']}")
    return {"steps": len(run.ladder["steps"])}


def _reproducible(cause: Cause, times: int) -> Cause:
    """``cause``, unless it says what fresh executions have just disproved."""
    if cause.part != "not deterministic":
        return cause
    return Cause(
        "unknown",
        f"no recorded part differs, and {times} fresh executions agree with this one: "
        "it reads something that is not recorded (a file, a variable of the environment)",
    )


PHASES = (
    Phase("market_data", market_data, critical=True, foreign=True),
    Phase("simulate", simulate, critical=True, foreign=True, needs=("market_data",)),
    Phase("marks", marks, critical=True, needs=("simulate",)),
    Phase("analytics", analytics, critical=False, needs=("marks",)),
    Phase("risk", risk, critical=False, needs=("marks",)),
    Phase("costs", costs, critical=False, needs=("marks",)),
    Phase("checks", checks, critical=False, needs=("marks", "analytics")),
    Phase("ladder", ladder, critical=False, foreign=True, needs=("marks",)),
)


def environment_fingerprint(run: RunOutcome) -> None:
    """Versions under which the run is executed."""
    calendar = ("exchange-calendars",) if run.spec.data.calendar is not None else ()
    run.fingerprint["environment"] = environment_of(calendar)


def _market(run: RunOutcome) -> MarketData:
    assert run.market is not None, "market_data is critical and comes first"
    return run.market


def _own(run: RunOutcome) -> tuple[EngineResult, Books]:
    """The result and its books on the sessions that count, where the run began before them."""
    part = run.spec.part
    if part is None or part.own_from is None:
        return _result(run), _books(run)
    own = own_part(_result(run), part.own_from)
    return own, Books(own)


def _result(run: RunOutcome) -> EngineResult:
    assert run.result is not None, "simulate is critical and comes first"
    return run.result


def _books(run: RunOutcome) -> Books:
    assert run.books is not None, "marks is critical and comes first"
    return run.books
