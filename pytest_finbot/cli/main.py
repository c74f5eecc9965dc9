"""The ``finbot`` command. Thin: pytest does the work."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

import pytest_finbot
from pytest_finbot.cli.baseline import baseline
from pytest_finbot.cli.fingerprint import fingerprint
from pytest_finbot.cli.prove import gate_test

_PASS_ON = {"ignore_unknown_options": True}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(pytest_finbot.__version__, prog_name="pytest-finbot")
def main() -> None:
    """Regression testing of trading backtests.

    The exit status is pytest's: 0 every run succeeded, 1 some failed or left no record,
    2 interrupted, 3 internal error, 4 the call or the batch file is wrong, 5 no run selected.
    """


@main.command(context_settings=_PASS_ON)
@click.option("-n", "--workers", metavar="N", help="worker processes: a number, or 'auto'")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)
def run(file: Path, workers: str | None, pytest_options: tuple[str, ...]) -> None:
    """Run the batch FILE; further options are pytest's.

    The same as: pytest --finbot-batch FILE [-n N] [options]
    """
    distribution = [] if workers is None else ["-n", workers]
    # A process of pytest's own, in place of this one: what it loads, it loads first, and
    # signals and the exit status are its. -P keeps the current folder off sys.path, as it is
    # for the command `pytest`.
    command = [sys.executable, "-P", "-m", "pytest", "--finbot-batch", str(file), *distribution]
    os.execv(sys.executable, [*command, *pytest_options])  # noqa: S606


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def validate(files: tuple[Path, ...]) -> None:
    """Check batch FILES without running anything: every mistake, with its line and key."""
    from pytest_finbot.config.expand import load_batch
    from pytest_finbot.errors import BatchFileError
    from pytest_finbot.session.collecting import import_from
    from pytest_finbot.session.inspect import inspect_run

    import_from([*(file.absolute().parent for file in files), Path.cwd()])
    wrong = False
    for file in files:
        try:
            batch = load_batch(file, inspect=inspect_run)
        except BatchFileError as error:
            wrong = True
            for problem in error.problems:
                click.echo(str(problem), err=True)
        else:
            click.echo(f"{file}: batch {batch.batch_name}, {len(batch.runs):,} runs, no problems")
    raise SystemExit(4 if wrong else 0)


main.add_command(baseline)
main.add_command(fingerprint)
main.add_command(gate_test)

if __name__ == "__main__":
    main()
