"""``finbot data prune``: remove the snapshots that nothing refers to."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from pytest_finbot.cli.opening import REGISTRY_OPTION, existing_registry
from pytest_finbot.cli.show import counted, say_json
from pytest_finbot.cli.telling import told

if TYPE_CHECKING:
    from pytest_finbot.registry.upkeep.prune_snapshots import SnapshotPrune


@click.command()
@REGISTRY_OPTION
@click.option(
    "--keep-days",
    type=click.IntRange(min=0, max=100_000),
    default=1,
    show_default=True,
    metavar="N",
    help="what was taken in the last N days stays",
)
@click.option("--apply", is_flag=True, help="remove it; without, it is only said what would go")
@click.option("--json", "as_json", is_flag=True, help="as JSON on standard output")
def prune(registry: str, keep_days: int, apply: bool, as_json: bool) -> None:
    """Remove snapshots that no batch of the registry refers to. Only says which, without --apply.

    A snapshot stays that a batch names, or that holds the data of a recorded run. Where a batch
    or a snapshot cannot be read whole, nothing is removed and the exit status is 4.
    """
    from pytest_finbot.registry.upkeep.prune_snapshots import prune_snapshots

    with told():
        plan = prune_snapshots(existing_registry(registry), keep=timedelta(days=keep_days), apply=apply)
    if as_json:
        say_json(dataclasses.asdict(plan))
    else:
        _tell(plan)


def _tell(plan: SnapshotPrune) -> None:
    verb = "removed" if plan.applied else "would remove"
    for removal in plan.removed:
        click.echo(f"{verb} {removal.id}, taken {removal.created_at[:10]} for {', '.join(removal.batches)}")
    for identity, why in plan.kept.items():
        click.echo(f"kept {identity}: {why}")
    if plan.leftovers:
        drafts = counted(plan.leftovers, "draft")
        by = "a process that was" if plan.leftovers == 1 else "processes that were"
        click.echo(f"{verb} {drafts} left by {by} killed")
    snapshots, objects = counted(len(plan.removed), "snapshot"), counted(plan.objects, "object")
    click.echo(f"{verb} {snapshots} and {objects} ({plan.object_bytes:,} bytes)")
    if not plan.applied:
        click.echo("nothing was changed; add --apply to remove it")
