"""``finbot watch``: a batch as it runs, from any terminal that sees the registry."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Final

import click

from pytest_finbot.cli.naming import LAST, batch_named, complete_batch
from pytest_finbot.cli.opening import REGISTRY_OPTION, existing_registry
from pytest_finbot.cli.show import (
    cell,
    first_line,
    json_option,
    live_console,
    say_json,
    seconds,
    shown,
    table,
    tell_problems,
)
from pytest_finbot.cli.telling import told
from pytest_finbot.contracts import BatchStatus

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pytest_finbot.cli.progress import Progress, Snapshot
    from pytest_finbot.registry.files import FilesRegistry

_UNDER_WAY: Final = 10
"""Runs under way that are named each."""
_INTERRUPTED: Final = 130


@click.command()
@REGISTRY_OPTION
@click.option("--once", is_flag=True, help="tell how far it is now, and end")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="time between two looks",
)
@json_option
@click.argument("batch", required=False, shell_complete=complete_batch)
def watch(registry: str, once: bool, every: float, as_json: bool, batch: str | None) -> None:
    """Follow BATCH until it ends: the newest running one by default, else the last.

    Only reads; the batch does not notice. The exit status is 0 if the batch is completed, 1
    otherwise. With --json, one document at the end; with --once --json, one of now.
    """
    with told():
        from pytest_finbot.cli.progress import Progress

        opened = existing_registry(registry)
        batch_id = _running(opened) if batch is None else batch_named(opened, batch)
        progress = Progress(opened, batch_id)
        name = _name(opened, batch_id)
        try:
            if once:
                snapshot = progress.look()
            elif as_json:
                snapshot = _silently(progress, every)
            elif sys.stdout.isatty():
                snapshot = _live(progress, name, every)
            else:
                snapshot = _plainly(progress, name, every)
        except KeyboardInterrupt:
            raise SystemExit(_INTERRUPTED) from None
    if as_json:
        say_json(_document(snapshot, name))
    elif once:
        for line in _lines(snapshot, name):
            click.echo(line)
    tell_problems(snapshot.problems)
    raise SystemExit(0 if snapshot.status is BatchStatus.COMPLETED else 1)


def _running(registry: FilesRegistry) -> str:
    """The newest batch that somebody is at work on, else the newest."""
    from pytest_finbot.registry.index import Index
    from pytest_finbot.registry.queries import BatchFilter

    with Index.of(registry) as index:
        rows = index.batches(BatchFilter(status=BatchStatus.RUNNING), 1)
    return rows[0].batch_id if rows else batch_named(registry, LAST)


def _name(registry: FilesRegistry, batch_id: str) -> str:
    from pytest_finbot.cli.naming import using_manifest
    from pytest_finbot.errors import RegistryError

    try:
        with using_manifest(batch_id):
            return str(registry.manifest(batch_id).get("batch_name"))
    except RegistryError as error:
        tell_problems([str(error)])
        return "name unknown"


def _silently(progress: Progress, every: float) -> Snapshot:
    while not (snapshot := progress.look()).over:
        progress.wait(every)
    return snapshot


# ---------------------------------------------------------------------------- plain lines


def _plainly(progress: Progress, name: str, every: float) -> Snapshot:
    """A line whenever a count or the status changed, and one for each run that failed."""
    told_of: object = None
    failures: set[tuple[str, str, str]] = set()
    while True:
        snapshot = progress.look()
        state = (snapshot.status, snapshot.recorded, snapshot.failed, snapshot.expected, snapshot.over)
        if state != told_of:
            click.echo(_line(snapshot, name))
            told_of = state
        for failure in snapshot.last_failures:
            if failure not in failures:
                failures.add(failure)
                click.echo(_failure(failure))
        sys.stdout.flush()
        if snapshot.over:
            for left in snapshot.left:
                click.echo(f"  started, and left no record: {shown(left)}")
            return snapshot
        progress.wait(every)


def _line(snapshot: Snapshot, name: str) -> str:
    parts = [
        f"{snapshot.recorded:,} of {snapshot.expected:,} done",
        f"{snapshot.failed:,} failed",
        *([f"{snapshot.not_run:,} not run"] if snapshot.over else []),
        *([] if snapshot.rate is None else [f"{snapshot.rate:.3g} runs/s"]),
        *([] if snapshot.seconds_left is None else [f"about {seconds(snapshot.seconds_left)} left"]),
    ]
    because = f" ({shown(snapshot.cancel_reason)})" if snapshot.cancel_reason else ""
    clock = snapshot.at[11:19]
    return f"{clock} UTC {shown(name)} {snapshot.batch_id} {snapshot.status}{because}: {', '.join(parts)}"


def _failure(failure: tuple[str, str, str]) -> str:
    name, category, message = failure
    return f"  failed: {shown(name)}: {shown(category)}: {first_line(message)}"


def _lines(snapshot: Snapshot, name: str) -> list[str]:
    under_way = [f"  under way: {shown(run)} for {seconds(since)}" for run, since in snapshot.under_way]
    left = [f"  started, and left no record: {shown(run)}" for run in snapshot.left]
    return [_line(snapshot, name), *under_way, *left, *map(_failure, snapshot.last_failures)]


def _document(snapshot: Snapshot, name: str) -> dict[str, object]:
    under_way = [{"name": run, "seconds": round(since, 3)} for run, since in snapshot.under_way]
    failures = [
        {"name": run, "category": category, "message": message}
        for run, category, message in snapshot.last_failures
    ]
    return {
        **dataclasses.asdict(snapshot),
        "name": name,
        "under_way": under_way,
        "last_failures": failures,
    }


# ---------------------------------------------------------------------------- on a terminal


def _live(progress: Progress, name: str, every: float) -> Snapshot:
    from rich.live import Live

    console = live_console()
    snapshot = progress.look()
    with Live(_picture(snapshot, name), console=console, auto_refresh=False) as live:
        while not snapshot.over:
            progress.wait(every)
            snapshot = progress.look()
            live.update(_picture(snapshot, name), refresh=True)
    return snapshot


def _picture(snapshot: Snapshot, name: str) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Text.assemble((shown(name), "bold"), f"  {snapshot.batch_id}  ", cell(snapshot.status))
    if snapshot.cancel_reason:
        head.append(f"  {shown(snapshot.cancel_reason)}")
    done = [
        f"{snapshot.recorded:,} of {snapshot.expected:,} done",
        f"{snapshot.success:,} succeeded",
        f"{snapshot.failed:,} failed",
        f"{snapshot.not_run:,} not run",
    ]
    if snapshot.rate is not None:
        done.append(f"{snapshot.rate:.3g} runs/s")
    if snapshot.seconds_left is not None and not snapshot.over:
        done.append(f"about {seconds(snapshot.seconds_left)} left")
    line = Table.grid(expand=True)  # a bar by itself does not end its line
    line.add_row(ProgressBar(total=max(snapshot.expected, 1), completed=snapshot.recorded))
    parts: list[RenderableType] = [head, line, Text(", ".join(done))]
    if snapshot.under_way:
        some = [(run, seconds(since)) for run, since in snapshot.under_way[:_UNDER_WAY]]
        parts += [Text(), table(("UNDER WAY", "FOR>"), some)]
        if len(snapshot.under_way) > _UNDER_WAY:
            parts.append(Text(f"and {len(snapshot.under_way) - _UNDER_WAY:,} more"))
    if snapshot.left:
        parts += [
            Text(),
            table(("STARTED, AND LEFT NO RECORD",), [(run,) for run in snapshot.left[:_UNDER_WAY]]),
        ]
    if snapshot.last_failures:
        rows = [(run, category, first_line(message)) for run, category, message in snapshot.last_failures]
        parts += [Text(), table(("FAILED LAST", "CATEGORY", "MESSAGE"), rows)]
    return Group(*parts)
