"""``finbot registry``: is it whole, two into one, what may go, and out of it."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finbot.cli.moments import moment
from pytest_finbot.cli.naming import batch_named, complete_batch
from pytest_finbot.cli.opening import REGISTRY_OPTION
from pytest_finbot.cli.telling import told

if TYPE_CHECKING:
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.upkeep.prune import PrunePlan

_JSON = click.option("--json", "as_json", is_flag=True, help="as JSON on standard output")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _age(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    """A length of time: ``36h``, ``90d``, ``12w``."""
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})([hdw])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no age; expected a number and h, d or w: 36h, 90d, 12w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.group("registry")
def registry_group() -> None:
    """Upkeep of the registry: verify, merge, prune, export."""


@registry_group.command()
@REGISTRY_OPTION
@_JSON
def verify(registry: str, as_json: bool) -> None:
    """Whether every record is readable, every reference there, every content hash right.

    Snapshots of data are looked at, too: manifests, and all objects that they name.
    The exit status is 0 where no fault was found (notes are no faults), 1 where one was, 4
    where there is no registry.
    """
    from pytest_finbot.registry.upkeep.verify import verify as verify_registry

    with told():
        looked = verify_registry(_existing(registry))
        if as_json:
            # Written as it is found: there may be as many findings as lines.
            click.echo('{"findings":[', nl=False)
        for number, finding in enumerate(looked):
            if as_json:
                click.echo(("," if number else "") + "\n" + _dump(dataclasses.asdict(finding)), nl=False)
            else:
                click.echo(str(finding))
        names = ("batches", "records", "objects", "notes", "faults", "unreferenced", "unreferenced_bytes")
        counts = {name: getattr(looked, name) for name in names}
        data = looked.snapshots
        counts["snapshots"] = data.count
        counts["snapshot_objects"] = data.objects
        counts["snapshot_unreferenced"] = data.unreferenced
        counts["snapshot_unreferenced_bytes"] = data.unreferenced_bytes
    if as_json:
        click.echo("\n]," + _dump(counts)[1:])
    else:
        words = [f"{counts[name]:,} {name}" for name in names[:5]]
        if data.count or data.objects:
            words.insert(3, f"{data.count:,} snapshots with {data.objects:,} objects")
        click.echo(", ".join(words))
    raise SystemExit(1 if looked.faults else 0)


@registry_group.command()
@REGISTRY_OPTION
@click.option(
    "--allow-damaged",
    is_flag=True,
    help="copy what is damaged as it is, but no damaged snapshot; the exit status is 1",
)
@_JSON
@click.argument("others", metavar="OTHER...", nargs=-1, required=True, type=click.Path(path_type=Path))
def merge(registry: str, allow_damaged: bool, as_json: bool, others: tuple[Path, ...]) -> None:
    """Copy what the registries OTHER have into this one, which is made if it does not exist.

    A batch that both have is made whole; where they say different things of it, nothing is
    merged at all, nor where a line, manifest, object or snapshot of data is damaged that would be
    copied. Repeating a merge does nothing, or finishes one that was killed.
    """
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.upkeep.merge import existing_source
    from pytest_finbot.registry.upkeep.merge import merge as merge_registries

    with told():
        sources = [existing_source(other) for other in others]
        report = merge_registries(FilesRegistry(Path(registry)), sources, allow_damaged=allow_damaged)
    if as_json:
        click.echo(_dump(dataclasses.asdict(report)))
        raise SystemExit(1 if report.damaged or report.left_out else 0)
    for damage in report.damaged:
        click.echo(f"copied though damaged: {damage}")
    for damage in report.left_out:
        click.echo(f"not copied: {damage}")
    for running in report.running:
        click.echo(f"running: {running}; it was merged as it is now, merge again when it is over")
    click.echo(
        f"{report.batches:,} new batches, {report.segments:,} new segments, {report.grown:,} grown, "
        f"{report.objects:,} new objects, {report.mended:,} mended, {report.logs:,} logs, "
        f"{report.snapshots:,} new snapshots, {report.snapshots_grown:,} tied to more runs, "
        f"{report.snapshot_objects:,} new objects of snapshots, {report.snapshot_objects_mended:,} mended"
    )
    raise SystemExit(1 if report.damaged or report.left_out else 0)


@registry_group.command()
@REGISTRY_OPTION
@click.option(
    "--keep-last", type=click.IntRange(min=0), metavar="N", help="the newest N batches of each name stay"
)
@click.option("--older-than", callback=_age, metavar="AGE", help="younger batches stay: 36h, 90d, 12w")
@click.option(
    "--keep-accepted/--no-keep-accepted",
    default=True,
    show_default=True,
    help="batches stay that accepted results came from",
)
@click.option("--apply", is_flag=True, help="remove it; without, it is only said what would go")
@_JSON
def prune(
    registry: str,
    keep_last: int | None,
    older_than: timedelta | None,
    keep_accepted: bool,
    apply: bool,
    as_json: bool,
) -> None:
    """Remove old batches and what only they referred to. Only says what would go, without --apply.

    A batch goes that both --keep-last and --older-than let go, if both are given. Running
    batches stay, and those that others were or are to be compared with.
    """
    from pytest_finbot.cli.accepted_batches import accepted_batches
    from pytest_finbot.registry.upkeep.prune import prune as prune_registry

    if keep_last is None and older_than is None:
        raise click.UsageError("say what may go: --keep-last N, --older-than AGE, or both")
    with told():
        opened = _existing(registry)
        keep = accepted_batches(opened) if keep_accepted else {}
        plan = prune_registry(opened, keep_last=keep_last, older_than=older_than, keep=keep, apply=apply)
    if as_json:
        document = dataclasses.asdict(plan)
        document["removed"] = [{**one, "last": one["last"].isoformat()} for one in document["removed"]]
        click.echo(_dump({**document, "bytes": plan.bytes}))
    else:
        _tell_plan(plan)


def _tell_plan(plan: PrunePlan) -> None:
    verb = "removed" if plan.applied else "would remove"
    for removal in plan.removed:
        last = f"last at work {removal.last:%Y-%m-%d}"
        click.echo(f"{verb} {removal.batch_id} {removal.name}: {removal.bytes:,} bytes, {last}")
    for leftover in plan.leftovers:
        click.echo(f"{verb} {leftover}: left by a process that was killed")
    for kept in plan.kept:
        click.echo(f"kept {kept.batch_id} {kept.name}: {kept.why}")
    for why, count in plan.not_chosen.items():
        click.echo(f"kept {count:,} batches: {why}")
    if plan.not_swept is not None:
        click.echo(f"no object is removed now: {plan.not_swept}")
    total = sum(removal.bytes for removal in plan.removed)
    objects = f"{plan.objects:,} objects ({plan.object_bytes:,} bytes)"
    if plan.not_swept is not None and not plan.applied:
        objects = f"0 objects; {objects} that nothing refers to stay"
    click.echo(f"{verb} {len(plan.removed):,} batches ({total:,} bytes), {objects}")
    if not plan.applied:
        click.echo("nothing was changed; add --apply to remove it")


@registry_group.command()
@REGISTRY_OPTION
@click.option("--format", "kind", type=click.Choice(["csv", "parquet", "jsonl"]), required=True)
@click.option("--to", type=click.Path(path_type=Path), help="file to write; default: standard output")
@click.option("--force", is_flag=True, help="replace the file where it exists")
@click.option("--batch", shell_complete=complete_batch, help="only this batch: its id, a part of it, or last")
@click.option("--name", help="only runs of this name; * and ? stand for any text")
@click.option("--status", type=click.Choice(["success", "failed"]), help="only runs that ended so")
@click.option(
    "--since", callback=moment, metavar="WHEN", help="only runs that began then or later: 7d, a time"
)
@click.option("--until", callback=moment, metavar="WHEN", help="only runs that began before")
def export(
    registry: str,
    kind: Any,
    to: Path | None,
    force: bool,
    batch: str | None,
    name: str | None,
    status: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Final records as a table, a row a run: csv, parquet, or whole records as jsonl.

    The exit status is 1 where a batch could not be read or holds lines that cannot; what can
    be read is written.
    """
    from pytest_finbot.contracts import RunStatus
    from pytest_finbot.registry.queries import RunFilter
    from pytest_finbot.registry.upkeep.export import export as export_runs

    if kind == "parquet" and to is None:
        raise click.UsageError("parquet is no text: name a file with --to FILE")
    with told():
        opened = _existing(registry)
        only = RunFilter(
            name=name,
            batch=None if batch is None else batch_named(opened, batch),
            status=None if status is None else RunStatus(status),
            since=since,
            until=until,
        )
        exported = export_runs(opened, kind, to or sys.stdout.buffer, only=only, overwrite=force)
    for problem in exported.problems:
        click.echo(f"finbot: {problem}", err=True)
    click.echo(f"{exported.runs:,} runs written to {to or 'standard output'}", err=True)
    raise SystemExit(1 if exported.problems else 0)


def _existing(folder: str) -> FilesRegistry:
    """The registry in ``folder``; looking makes none. Raises RegistryError."""
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry.upkeep.merge import existing_source

    try:
        return existing_source(Path(folder))
    except RegistryError as error:
        if (Path(folder) / "registry.json").exists():
            raise
        raise RegistryError(f"{error}; say where: --registry FOLDER") from error


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
