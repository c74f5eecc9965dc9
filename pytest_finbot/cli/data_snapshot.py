"""``finbot data snapshot``: keep the data that a batch uses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finbot.cli.opening import REGISTRY_OPTION
from pytest_finbot.cli.show import counted, say_json
from pytest_finbot.cli.telling import told

if TYPE_CHECKING:
    from pytest_finbot.registry.snapshots import TakenSnapshot

_SYMBOLS = 12


@click.command()
@REGISTRY_OPTION
@click.option("--json", "as_json", is_flag=True, help="as JSON on standard output")
@click.argument("file", type=click.Path(path_type=Path))
def snapshot(registry: str, as_json: bool, file: Path) -> None:
    """Keep the data that the runs of the batch FILE use, as it is now, beside the registry.

    Of each symbol all that its files have, under an id that the values make: the same data is
    kept once. A run replays it with the key data: {snapshot: ID}. The exit status is 0, or 1 where
    the data of a run is kept and not fit to run on; 4 where a file cannot be read.
    """
    from pytest_finbot.cli.data_uses import uses_of
    from pytest_finbot.registry.snapshots import take_snapshot

    with told():
        taken = take_snapshot(Path(registry), file, uses_of(file, registry))
    if as_json:
        say_json(dataclasses.asdict(taken))
    else:
        _tell(taken)
    raise SystemExit(1 if taken.refused else 0)


def _tell(taken: TakenSnapshot) -> None:
    from pytest_finbot.market.table_file import some

    click.echo(taken.id + ("" if taken.new else ": the same data was kept before"))
    for source, symbols in taken.sources.items():
        click.echo(f"  {source}: {counted(len(symbols), 'symbol')}: {some(symbols, _SYMBOLS)}")
    years = f"{taken.years[0]} to {taken.years[-1]}"
    there = taken.objects - taken.written
    click.echo(
        f"  {years}; {counted(taken.objects, 'object')} ({taken.bytes:,} bytes): {taken.written:,} written "
        f"({taken.bytes_written:,} bytes), {there:,} there already"
    )
    for run, why in taken.refused.items():
        click.echo(f"finbot: the data of run {run} is kept, and not fit to run on: {why}", err=True)
