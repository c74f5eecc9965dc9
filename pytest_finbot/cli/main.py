"""The ``finbot`` command. Thin: pytest and the registry do the work."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

import pytest_finbot
from pytest_finbot.cli.lazy import LazyGroup
from pytest_finbot.cli.opening import REGISTRY_OPTION
from pytest_finbot.cli.pytest_call import PASS_ON, become_pytest

_ELSEWHERE: Final = {
    "baseline": "pytest_finbot.cli.baseline:baseline",
    "batches": "pytest_finbot.cli.batches:batches",
    "ci": "pytest_finbot.cli.ci.group:ci",
    "data": "pytest_finbot.cli.data:data",
    "doctor": "pytest_finbot.cli.doctor:doctor",
    "fingerprint": "pytest_finbot.cli.fingerprint:fingerprint",
    "gate-test": "pytest_finbot.cli.prove:gate_test",
    "init": "pytest_finbot.cli.init:init",
    "reconcile": "pytest_finbot.cli.reconcile:reconcile",
    "registry": "pytest_finbot.cli.registry:registry_group",
    "report": "pytest_finbot.cli.report:report",
    "runs": "pytest_finbot.cli.runs:runs",
    "schema": "pytest_finbot.cli.schema:schema",
    "watch": "pytest_finbot.cli.watch:watch",
}
"""Commands by module and attribute."""


@click.group(cls=LazyGroup, elsewhere=_ELSEWHERE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(pytest_finbot.__version__, prog_name="pytest-finbot")
def main() -> None:
    """Regression testing of trading backtests.

    The exit status of run, retry and resume is pytest's: 0 every run succeeded, 1 some failed
    or left no record, 2 interrupted, 3 internal error, 4 the call or the batch file is wrong,
    5 no run selected. Of every other command: 0 found or done, 1 nothing found or something
    at fault, 2 the call is wrong, 4 it cannot be done, with the reason.
    """


@main.command(context_settings=PASS_ON)
@click.option("-n", "--workers", metavar="N", help="worker processes: a number, or 'auto'")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)
def run(file: Path, workers: str | None, pytest_options: tuple[str, ...]) -> None:
    """Run the batch FILE; further options are pytest's.

    The same as: pytest --finbot-batch FILE [-n N] [options]
    """
    distribution = [] if workers is None else ["-n", workers]
    become_pytest(["--finbot-batch", str(file), *distribution, *pytest_options])


@main.command()
@REGISTRY_OPTION
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def validate(registry: str, files: tuple[Path, ...]) -> None:
    """Check batch FILES without running anything: every mistake, with its line and key."""
    from pytest_finbot.config.expand import load_batch
    from pytest_finbot.errors import BatchFileError
    from pytest_finbot.session.collecting import import_from
    from pytest_finbot.session.inspect import inspect_run

    import_from([*(file.absolute().parent for file in files), Path.cwd()])
    wrong = False
    for file in files:
        try:
            batch = load_batch(file, inspect=inspect_run, snapshots=Path(registry).absolute() / "snapshots")
        except BatchFileError as error:
            wrong = True
            for problem in error.problems:
                click.echo(str(problem), err=True)
        else:
            click.echo(f"{file}: batch {batch.batch_name}, {len(batch.runs):,} runs, no problems")
            for note in batch.notes:
                click.echo(f"  note: {note}")
    raise SystemExit(4 if wrong else 0)


if __name__ == "__main__":
    main()
