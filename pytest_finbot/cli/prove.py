"""``finbot gate-test``: proof that the gate of a batch can fail."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finbot.cli.opening import gated_batch
from pytest_finbot.cli.telling import short, told

if TYPE_CHECKING:
    from pytest_finbot.baselines.prove import Proof, SmallestMove


@click.command("gate-test")
@click.option(
    "--widest",
    default="10%",
    show_default=True,
    metavar="LIMIT",
    help="a move of NAV that must be caught: 10%, 25bp or a fraction",
)
@click.option(
    "--allow-informational", is_flag=True, help="runs that are compared and fail nothing may be among them"
)
@click.option("-v", "--verbose", is_flag=True, help="every perturbation, and what was said of it")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("runs", nargs=-1)
def gate_test(
    file: Path, runs: tuple[str, ...], widest: str, allow_informational: bool, verbose: bool
) -> None:
    """Prove that the gate of the batch FILE can fail, for all its runs or those named.

    The accepted result of each run is made wrong on purpose, and the comparison, with the
    run's own limits, must say so and name the day. Nothing is run and nothing is written.

    The exit status is 0 where all was caught; 1 where something passed, a run has no usable
    baseline, or is informational, so that what is caught fails nothing; 4 where the call or
    the batch file is wrong.
    """
    from datetime import UTC, datetime

    from pytest_finbot.baselines.prove import prove
    from pytest_finbot.baselines.store import read_baseline
    from pytest_finbot.errors import BaselineError, did_you_mean

    proofs: list[Proof] = []
    missing = 0
    with told():
        bound = _widest(widest)
        batch, folder = gated_batch(file)
        specs = {spec.name: spec for spec in batch.runs}
        for run in runs:
            if run not in specs:
                raise BaselineError(f"{file} has no run {run!r}{did_you_mean(run, specs)}")
        today = datetime.now(UTC).date()
        for run in dict.fromkeys(runs or specs):
            spec = specs[run]
            try:
                accepted = read_baseline(folder, run, f"{short(folder)}/{run}.json")
            except BaselineError as error:
                missing += 1
                click.echo(f"{run:40} cannot be proven: {error}")
                continue
            if accepted is None:
                missing += 1
                click.echo(f"{run:40} cannot be proven: nothing is accepted for it in {short(folder)}")
                continue
            proof = prove(
                run,
                accepted.result,
                spec.checks,
                spec.start_capital,
                waivers=batch.waivers,
                today=today,
                widest=bound,
            )
            proofs.append(proof)
            click.echo(f"{run:40} {_line(proof)}")
            if verbose:
                for trial in proof.trials:
                    click.echo(f"    {trial.outcome:24} {trial.what}: {trial.words}")
    _details(proofs)
    toothless = [proof.run for proof in proofs if proof.informational and not allow_informational]
    for run in toothless:
        click.echo(
            f"FAILED {run}: informational: whatever moves, its gate cannot fail; "
            "give it informational: false, or say --allow-informational"
        )
    failed = {proof.run for proof in proofs if proof.fails} | set(toothless)
    _summary(proofs, missing, len(failed))
    raise SystemExit(1 if missing or failed else 0)


def _widest(text: str) -> float:
    """``--widest`` as a fraction, read as limits of the batch file are."""
    from pytest_finbot.config.limits import LimitError, read_limit
    from pytest_finbot.errors import BaselineError

    try:
        value: float | str = float(text)
    except ValueError:
        value = text
    try:
        limit = read_limit("nav", value)
    except LimitError as error:
        raise BaselineError(f"--widest {text}: {error}") from error
    assert limit is not None, "only false is no limit"
    return limit.rtol


def _line(proof: Proof) -> str:
    from pytest_finbot.baselines.prove import Outcome

    parts = [f"{'FAILS: ' if proof.fails else ''}{proof.caught} of {proof.tried} caught"]
    if proof.smallest is not None:
        found = "none" if math.isinf(proof.smallest.fraction) else _size(proof.smallest)
        parts.append(f"smallest NAV move caught {found}")
        if proof.smallest.one_session is None:
            parts.append("no session by itself is held, only the metrics of NAV")
    waived = proof.count(Outcome.WAIVED)
    if waived:
        parts.append(f"{waived} of them are waived and would fail nothing")
    not_held = dict.fromkeys(
        trial.check or trial.what for trial in proof.trials if trial.outcome is Outcome.NOT_HELD
    )
    if not_held:
        metrics = [name for name in not_held if name.startswith("metrics.")]
        names = [name for name in not_held if name not in metrics]
        if metrics:
            names.append(f"{len(metrics)} metrics")
        parts.append(f"not held: {', '.join(names)}")
    if proof.informational:
        parts.append("informational: what is caught fails nothing")
    return "; ".join(parts)


def _details(proofs: list[Proof]) -> None:
    """Waivers, then failures, each on a line of its own."""
    from pytest_finbot.baselines.prove import Outcome

    for proof in proofs:
        excuses = dict.fromkeys(trial.words for trial in proof.trials if trial.outcome is Outcome.WAIVED)
        for words in excuses:
            click.echo(f"waived: {proof.run}: {words}")
    for proof in proofs:
        for trial in proof.trials:
            if trial.outcome.fails:
                click.echo(f"FAILED {proof.run}: {trial.outcome}: {trial.what}: {trial.words}")
        if proof.smallest is None:
            click.echo(f"FAILED {proof.run}: its baseline has no NAV that could move")
        elif proof.too_wide:
            boundless = math.isinf(proof.smallest.fraction)
            what = "no move of NAV is caught, of whatever size"
            if not boundless:
                what = f"no move of NAV below {_size(proof.smallest)} is caught"
            click.echo(f"FAILED {proof.run}: {what}; {_bp(proof.widest)} must be (--widest)")


def _summary(proofs: list[Proof], missing: int, failed: int) -> None:
    from pytest_finbot.baselines.prove import Outcome

    counts = {outcome: sum(proof.count(outcome) for proof in proofs) for outcome in Outcome}
    parts = [f"{sum(proof.caught for proof in proofs):,} perturbations caught"]
    parts += [f"{counts[outcome]:,} {outcome}" for outcome in Outcome if outcome.fails and counts[outcome]]
    if counts[Outcome.NOT_HELD]:
        parts.append(f"{counts[Outcome.NOT_HELD]:,} not held to a limit")
    states = [f"{len(proofs) - failed:,} of {len(proofs) + missing:,} runs proven"]
    if failed:
        states.append(f"{failed:,} failed")
    if missing:
        states.append(f"{missing:,} without a usable baseline")
    click.echo(f"{', '.join(states)}: {', '.join(parts)}")


def _size(move: SmallestMove) -> str:
    money = f"{move.money:,.2f}" if move.money >= 0.01 else f"{move.money:.2g}"
    return f"{_bp(move.fraction)}, {money} on {move.session}"


def _bp(fraction: float) -> str:
    bp = fraction * 1e4
    return f"{bp:,.1f} bp" if bp >= 1 else f"{bp:.2g} bp"
