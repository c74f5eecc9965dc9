"""``finbot baseline``: look at accepted results, accept recorded ones, remove what is gone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finbot.cli.opening import REGISTRY_OPTION, existing_registry, gated_batch
from pytest_finbot.cli.telling import short, told

if TYPE_CHECKING:
    from pytest_finbot.registry.protocol import Registry

_FILE = click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    default=Path("finbot.yaml"),
    show_default=True,
    help="the batch file whose baselines are meant",
)


@click.group()
def baseline() -> None:
    """Accepted results: list, show, diff, accept, remove."""


@baseline.command("list")
@_FILE
def list_(file: Path) -> None:
    """Every baseline of a batch: since when, by whom, why; those missing or unreadable too."""
    from pytest_finbot.baselines.store import baseline_names, read_baseline
    from pytest_finbot.errors import BaselineError

    with told():
        batch, folder = gated_batch(file)
        known = [spec.name for spec in batch.runs]
        names = baseline_names(folder)
        faults = 0
        for name in dict.fromkeys((*known, *names)):
            try:
                found = read_baseline(folder, name)
            except BaselineError as error:
                faults += 1
                click.echo(f"{name:40} unreadable: {error}")
                continue
            if found is None:
                click.echo(f"{name:40} new: nothing accepted")
                continue
            accepted = found.acceptance
            assert accepted is not None, "a baseline that was read was accepted"
            state = "" if name in known else "missing from the batch file; "
            nav = found.result.nav
            final = f"final NAV {nav[-1]:,.2f}; " if len(nav) else ""
            click.echo(f"{name:40} {state}{final}{accepted.at} {accepted.by}: {accepted.reason}")
        gone = len(set(names) - set(known))
        click.echo(f"{len(names):,} baselines of {len(known):,} runs in {short(folder)}")
    raise SystemExit(1 if faults or gone else 0)


@baseline.command()
@_FILE
@click.argument("run")
def show(file: Path, run: str) -> None:
    """One baseline as it was accepted: metrics, month-end NAVs, what it depended on."""
    from pytest_finbot.baselines.store import read_baseline
    from pytest_finbot.errors import BaselineError, did_you_mean

    with told():
        batch, folder = gated_batch(file)
        found = read_baseline(folder, run)
        if found is None:
            hint = did_you_mean(run, [spec.name for spec in batch.runs])
            raise BaselineError(f"nothing is accepted for run {run!r} in {short(folder)}{hint}")
        # The file itself is made to be read; it is shown once it is known to be whole.
        click.echo((folder / f"{run}.json").read_text(encoding="utf-8"), nl=False)


@baseline.command()
@_FILE
@click.argument("runs", nargs=-1, required=True)
def remove(file: Path, runs: tuple[str, ...]) -> None:
    """Remove baselines on purpose: of runs that left the batch file, or to accept anew."""
    from pytest_finbot.baselines.store import baseline_names, remove_baseline
    from pytest_finbot.errors import BaselineError, did_you_mean

    with told():
        _, folder = gated_batch(file)
        names = baseline_names(folder)
        for run in runs:
            if run not in names:
                raise BaselineError(
                    f"there is no baseline {run!r} in {short(folder)}{did_you_mean(run, names)}"
                )
        for run in runs:
            for path in remove_baseline(folder, run):
                click.echo(f"removed {short(path)}")


@baseline.command()
@REGISTRY_OPTION
@click.option("-r", "--reason", help="why the results may change; asked for on a terminal")
@click.option("--baseline", "target", type=click.Path(path_type=Path), help="folder to write into")
@click.option("--accept-in-ci", is_flag=True, help="allow it where nobody reviews before")
@click.argument("batch_id", metavar="BATCH")
@click.argument("runs", metavar="[RUN]...", nargs=-1)
def accept(
    registry: str,
    reason: str | None,
    target: Path | None,
    accept_in_ci: bool,
    batch_id: str,
    runs: tuple[str, ...],
) -> None:
    """Accept results of the recorded BATCH without running again: what is new or moved."""
    import sys

    import pytest

    from pytest_finbot.baselines.accept import accept_batch
    from pytest_finbot.baselines.store import says_something
    from pytest_finbot.errors import BaselineError
    from pytest_finbot.session.acceptance import acceptance, refuse_in_ci

    try:
        refuse_in_ci(accept_in_ci, "--accept-in-ci")
    except pytest.UsageError as error:
        click.echo(str(error), err=True)
        raise SystemExit(4) from error
    if reason is None and sys.stdin.isatty():
        reason = click.prompt("Why may these results change?", default="", show_default=False)
    refused = 0
    with told():
        if not says_something(reason):
            raise BaselineError('accepting needs a reason; add --reason "why the results may change"')
        opened = existing_registry(registry)
        manifest = opened.manifest(batch_id)
        folder = target / manifest["batch_name"] if target is not None else manifest.get("baseline")
        if folder is None:
            raise BaselineError(
                f"batch {batch_id} was compared with no folder of baselines; say which: --baseline FOLDER"
            )
        who = acceptance(Path.cwd(), reason or "", manifest["provenance"])
        for change in accept_batch(opened, batch_id, Path(folder), who, runs or None):
            refused += change.outcome == "refused"
            click.echo(str(change))
    raise SystemExit(1 if refused else 0)


@baseline.command()
@_FILE
@REGISTRY_OPTION
@click.option("--batch", "batch_id", help="the recorded batch; default: the newest of this name with the run")
@click.option("-v", "--verbose", is_flag=True, help="every check, with its limit")
@click.argument("run")
def diff(file: Path, registry: str, batch_id: str | None, verbose: bool, run: str) -> None:
    """The newest recorded result of RUN against its baseline."""
    import dataclasses

    from pytest_finbot.baselines.judge import Gate
    from pytest_finbot.baselines.sources import BatchSource, FolderSource
    from pytest_finbot.contracts import Verdict
    from pytest_finbot.errors import BaselineError, NotComparableError, did_you_mean
    from pytest_finbot.reports.moved_run import comparison_text

    with told():
        batch, folder = gated_batch(file)
        specs = {spec.name: spec for spec in batch.runs}
        if run not in specs:
            raise BaselineError(f"{file} has no run {run!r}{did_you_mean(run, specs)}")
        opened = existing_registry(registry)
        found = _newest(opened, batch.batch_name, run) if batch_id is None else batch_id
        record = next(opened.fold(found).records([run]), None)
        if record is None:
            raise BaselineError(f"batch {found} recorded no run {run!r}")
        try:
            recorded = BatchSource(opened, found).baseline_of(record)
        except NotComparableError as error:
            raise BaselineError(str(error)) from error
        gate = Gate(FolderSource(folder, short(folder)))
        comparison = gate.judge(run, specs[run].checks, recorded.result, recorded.fingerprint)
        text = comparison_text(
            run,
            comparison.to_json(),
            comparison.checks,
            verbose=verbose or comparison.verdict in (Verdict.IDENTICAL, Verdict.WITHIN),
            where=f"{file}:{specs[run].line}: run {run}",
            recorded_as=record["run_id"],
            accept=f"finbot baseline accept {found} {run} --reason '…'",
        )
        click.echo(text)
        if dataclasses.replace(comparison, informational=False).fails:
            raise SystemExit(1)


def _newest(registry: Registry, batch_name: str, run: str) -> str:
    from pytest_finbot.errors import BaselineError

    for batch_id in registry.batch_ids():
        if registry.manifest(batch_id)["batch_name"] == batch_name and any(
            registry.fold(batch_id).records([run])
        ):
            return batch_id
    raise BaselineError(f"no batch {batch_name!r} in the registry has a record of run {run!r}; run it first")
