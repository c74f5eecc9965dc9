"""``finbot batches``: what was run, what became of it; cancel, go on with, delete."""

from __future__ import annotations

import dataclasses
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finbot.cli.moments import moment
from pytest_finbot.cli.naming import batch_named, complete_batch
from pytest_finbot.cli.opening import REGISTRY_OPTION, existing_registry
from pytest_finbot.cli.pytest_call import PASS_ON, become_pytest
from pytest_finbot.cli.show import (
    MOST,
    Page,
    counts,
    first_line,
    json_option,
    pager_option,
    say_json,
    seconds,
    short_commit,
    shown,
    tell_problems,
    when,
)
from pytest_finbot.cli.telling import told
from pytest_finbot.contracts import BatchStatus, Verdict

if TYPE_CHECKING:
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.queries import BatchRow, Statistics

_NAMED = 50
"""Failed and not-run items that are named each; JSON has all of them."""
_BATCH = click.argument("batch", shell_complete=complete_batch)


@click.group()
def batches() -> None:
    """Recorded batches: list, show, stats, cancel, retry, resume, delete.

    BATCH is an id, as much of its beginning or end as is unique, or the word last.
    """


@batches.command("list")
@REGISTRY_OPTION
@click.option(
    "--status", type=click.Choice([str(word) for word in BatchStatus]), help="only those that are so"
)
@click.option("--name", metavar="GLOB", help="only those of this name; * and ? stand for any text")
@click.option(
    "--since", callback=moment, metavar="TIME", help="created then or later: 2026-11-01 (UTC), 7d, 12h"
)
@click.option("--until", callback=moment, metavar="TIME", help="created before then")
@click.option("--limit", type=click.IntRange(0, MOST), default=50, show_default=True, help="at most so many")
@click.option("--offset", type=click.IntRange(0, MOST), default=0, help="after so many newer ones")
@json_option
@pager_option
def list_(
    registry: str,
    status: str | None,
    name: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    offset: int,
    as_json: bool,
    no_pager: bool,
) -> None:
    """Batches, newest first. The exit status is 1 where there are none."""
    from pytest_finbot.registry.queries import BatchFilter

    wanted = BatchFilter(None if status is None else BatchStatus(status), name, since, until)
    with told():
        from pytest_finbot.registry.index import Index

        with Index.of(existing_registry(registry)) as index:
            rows = index.batches(wanted, limit, offset)
            total = index.count_batches(wanted)
            problems = index.problems()
    if as_json:
        say_json(
            {
                "batches": [dataclasses.asdict(row) for row in rows],
                "total": total,
                "limit": limit,
                "offset": offset,
                "problems": problems,
            }
        )
    elif rows:
        _page_of(rows, total, offset, pager=not no_pager)
    else:
        click.echo(
            f"no batch matches in {registry}" if not total else f"only {total:,} batches match", err=True
        )
    tell_problems(problems)
    raise SystemExit(0 if rows else 1)


def _page_of(rows: list[BatchRow], total: int, offset: int, *, pager: bool) -> None:
    page = Page(pager=pager)
    page.table(
        (
            *("BATCH", "NAME", "STATUS", "CREATED (UTC)"),
            *("RUNS>", "OK>", "FAILED>", "NOT RUN>", "RUN TIME>", "COMMIT"),
        ),
        [
            (
                *(row.batch_id, _name(row), _status(row), when(row.created_at)),
                *(f"{number:,}" for number in (row.expected, row.success, row.failed, row.not_run)),
                *(seconds(row.run_seconds), short_commit(row.commit)),
            )
            for row in rows
        ],
        # The id has the time that it was created.
        optional=("CREATED (UTC)", "COMMIT", "RUN TIME", "OK"),
    )
    if len(rows) < total:
        rest = offset + len(rows)
        more = f"; older ones: --offset {rest}" if rest < total else ""
        page.line(f"{len(rows):,} of {total:,} batches{more}")
    page.show()


def _name(row: BatchRow) -> str:
    """Its name; of a shard, which one: its counts are not those of the batch."""
    return f"{row.name} (shard {row.shard})" if row.shard else row.name


def _status(row: BatchRow) -> str:
    """Its status; with how many runs were left without their checks, where it is gated."""
    unproven = row.verdicts.get(Verdict.SKIPPED, 0)
    return f"{row.status}, {unproven:,} not proven" if unproven else row.status


@batches.command()
@REGISTRY_OPTION
@json_option
@pager_option
@_BATCH
def show(registry: str, as_json: bool, no_pager: bool, batch: str) -> None:
    """One batch: counts, errors, what was not run, sessions, where it came from, how to go on."""
    from pytest_finbot.cli.batch_facts import batch_facts

    with told():
        opened = existing_registry(registry)
        facts = batch_facts(opened, batch_named(opened, batch))
    if as_json:
        say_json(facts)
    else:
        _tell(facts, Page(pager=not no_pager))
    tell_problems(facts["problems"])


def _tell(facts: dict[str, Any], page: Page) -> None:
    page.line(f"{facts['batch_id']}  {shown(facts['name'] or 'name unknown')}", style="bold")
    alive = {True: "somebody is at work on it", False: "nobody is at work on it", None: None}[facts["alive"]]
    numbers = ("expected", "success", "failed", "not_run", "deselected")
    page.fields(
        [
            ("status", facts["status"]),
            ("because", facts["cancel_reason"]),
            ("now", alive if facts["status"] in ("running", "pending") or facts["alive"] else None),
            ("description", facts["description"]),
            ("shard", _shard(facts["shard"], facts["plan"]) if facts["shard"] else None),
            ("created", f"{when(facts['created_at'])} UTC"),
            ("runs", ", ".join(f"{facts[key]:,} {key.replace('_', ' ')}" for key in numbers)),
            ("errors", counts(facts["error_categories"]) if facts["failed"] else None),
            ("verdicts", counts(facts["verdicts"]) if facts["verdicts"] else None),
        ]
    )
    if facts["failed_runs"]:
        page.heading("failed")
        page.table(
            ("RUN", "CATEGORY", "PHASE", "ATTEMPT>", "MESSAGE"),
            [
                (run["name"], run["category"], run["phase"], run["attempt"], _message(run))
                for run in facts["failed_runs"][:_NAMED]
            ],
        )
        _more(
            page, len(facts["failed_runs"]), f"finbot runs list --batch {facts['batch_id']} --status failed"
        )
    if facts["not_run_names"]:
        page.heading("not run")
        unfinished = set(facts["unfinished_names"])
        for name in facts["not_run_names"][:_NAMED]:
            begun = " (started, and left no record)" if name in unfinished else ""
            page.line(f"  {shown(name)}{begun}")
        _more(page, len(facts["not_run_names"]), f"finbot batches show {facts['batch_id']} --json")
    page.heading("sessions")
    page.table(
        ("BEGAN (UTC)", "ENDED (UTC)", "RUNS>", "SEGMENT"),
        [
            (when(each["began"]), when(each["ended"]), each["runs"], each["segment"])
            for each in facts["sessions"]
        ],
    )
    # A session that was asked to end says so in its own segment: told once is enough.
    asked = [cancel for cancel in facts["cancels"] if not cancel["segment"].startswith("main-")]
    for cancel in asked or facts["cancels"]:
        how = "at once" if cancel["at_once"] else "after the runs under way"
        page.line(f"  cancelled {when(cancel['at'])} UTC, {how}: {shown(cancel['reason'])}")
    if facts["provenance"]:
        page.heading("where it came from")
        page.fields((shown(name), value) for name, value in facts["provenance"].items())
    page.heading("files")
    page.fields((name.replace("_", " "), value) for name, value in facts["files"].items())
    if facts["resume"] is not None:
        page.heading("to go on with it")
        page.line(f"  {shown(facts['resume'])}")
    page.show()


def _shard(shard: dict[str, Any], plan: Any) -> str:
    """Which share of the batch file's runs it is; shards of one plan are one batch."""
    return f"{shard.get('index')}/{shard.get('count')} of plan {str(plan)[:12]}; it is not the whole batch"


def _message(run: dict[str, Any]) -> str:
    return first_line(f"{run['type']}: {run['message']}" if run["type"] else run["message"])


def _more(page: Page, total: int, command: str) -> None:
    if total > _NAMED:
        page.line(f"  and {total - _NAMED:,} more: {command}")


@batches.command()
@REGISTRY_OPTION
@click.option(
    "--since",
    callback=moment,
    metavar="TIME",
    help="only batches created then or later: 2026-11-01 (UTC), 7d, 12h",
)
@json_option
@pager_option
def stats(registry: str, since: datetime | None, as_json: bool, no_pager: bool) -> None:
    """All batches together: counts, errors, verdicts, time."""
    with told():
        from pytest_finbot.registry.index import Index

        with Index.of(existing_registry(registry)) as index:
            found = index.statistics(since)
            problems = index.problems()
    if as_json:
        say_json({**dataclasses.asdict(found), "problems": problems})
    else:
        _tell_statistics(found, Page(pager=not no_pager))
    tell_problems(problems)
    raise SystemExit(0 if found.batches else 1)


def _tell_statistics(found: Statistics, page: Page) -> None:
    rate = "unknown: nothing was expected" if found.success_rate is None else f"{found.success_rate:.1%}"
    page.fields(
        [
            ("batches", f"{found.batches:,} ({counts(found.batches_by_status)})"),
            ("created", f"{when(found.first)} to {when(found.last)} UTC" if found.first else None),
            (
                "runs",
                f"{found.runs:,} recorded: {found.success:,} succeeded, {found.failed:,} failed; "
                f"{found.not_run:,} not run",
            ),
            ("success rate", rate),
            ("errors", counts(found.error_categories)),
            ("verdicts", counts(found.verdicts)),
            ("run time", seconds(found.run_seconds)),
        ]
    )
    page.show()


# -------------------------------------------------------------------------------- acting


@batches.command()
@REGISTRY_OPTION
@click.option("--now", is_flag=True, help="end runs under way too, where they are executed in a child")
@click.option("--reason", default="finbot batches cancel", help="why; kept with the batch")
@_BATCH
def cancel(registry: str, now: bool, reason: str, batch: str) -> None:
    """Cancel a running batch, from any terminal that sees the registry.

    What is recorded stays. Runs under way end by themselves; with --now those that are
    executed in a child (isolation: process, a timeout or a memory limit) are ended.
    """
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry.liveness import is_alive

    with told():
        from pytest_finbot.session.cancelling import request_cancel

        opened = existing_registry(registry)
        batch_id = batch_named(opened, batch)
        alive = is_alive(opened.batch_folder(batch_id))
        fold = opened.fold(batch_id, writer_alive=alive)
        done = f"{fold.recorded:,} of {fold.expected_count:,} runs are recorded"
        if alive is False:
            raise RegistryError(
                f"nobody is at work on {batch_id}, it is {fold.status}: {done}; there is nothing to cancel"
            )
        if fold.ended or fold.status is BatchStatus.COMPLETED or (alive is None and fold.cancel_reason):
            raise RegistryError(f"{batch_id} has ended, it is {fold.status}: {done}")
        request_cancel(opened, batch_id, reason, at_once=now)
    how = "runs under way are ended" if now else "runs under way end by themselves"
    if alive is None:
        how = "whether anybody is at work on it cannot be told here"
    click.echo(f"{batch_id} is cancelled ({done}); {how}; see finbot watch {batch_id}")


@batches.command()
@REGISTRY_OPTION
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@_BATCH
def delete(registry: str, yes: bool, batch: str) -> None:
    """Delete a batch and its records for good. Series stay until the registry is pruned."""
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry import BatchRegistry
    from pytest_finbot.registry.liveness import is_alive

    with told():
        opened = existing_registry(registry)
        batch_id = batch_named(opened, batch)
        if is_alive(opened.batch_folder(batch_id)):
            raise RegistryError(
                f"somebody is at work on {batch_id}; end it first: finbot batches cancel {batch_id}"
            )
        fold = opened.fold(batch_id)
        confirm(f"Delete {batch_id} ({fold.status}, {fold.recorded:,} recorded runs) for good?", yes=yes)
        with BatchRegistry(opened.root) as batches_:
            batches_.delete(batch_id)
    click.echo(f"deleted {batch_id}")


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if the user says so. Raises click.UsageError where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to be asked; add --yes to delete it")
    click.confirm(question, abort=True)


_OTHER_FILE = click.option(
    "--file", type=click.Path(path_type=Path), help="where the batch file is now, if it was moved"
)
_WORKERS = click.option("-n", "--workers", metavar="N", help="worker processes: a number, or 'auto'")
_OPTIONS = click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)


@batches.command(context_settings=PASS_ON)
@REGISTRY_OPTION
@_OTHER_FILE
@_WORKERS
@_BATCH
@_OPTIONS
def retry(
    registry: str, file: Path | None, workers: str | None, batch: str, pytest_options: tuple[str, ...]
) -> None:
    """Run the failed runs of BATCH again, as part of it; further options are pytest's."""
    with told():
        options, folder = _again(existing_registry(registry), batch, file, workers)
    become_pytest([*options, "--finbot-retry-failed", *pytest_options], folder)


@batches.command(context_settings=PASS_ON)
@REGISTRY_OPTION
@_OTHER_FILE
@_WORKERS
@_BATCH
@_OPTIONS
def resume(
    registry: str, file: Path | None, workers: str | None, batch: str, pytest_options: tuple[str, ...]
) -> None:
    """Go on with BATCH: run what has no valid record; further options are pytest's."""
    with told():
        options, folder = _again(existing_registry(registry), batch, file, workers)
    become_pytest([*options, *pytest_options], folder)


def _again(
    registry: FilesRegistry, batch: str, given: Path | None, workers: str | None
) -> tuple[list[str], Path]:
    """Options of pytest that go on with a batch, and the folder it was run in."""
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.session.sharding import option_of
    from pytest_finbot.session.slicing import options_of

    batch_id = batch_named(registry, batch)
    manifest = registry.manifest(batch_id)
    known, root = manifest.get("file"), manifest.get("root")
    if given is None and not isinstance(known, str):
        raise RegistryError(f"{batch_id} was recorded without a batch file; nothing can run it again")
    file = Path(str(known)) if given is None else given.absolute()
    if not file.is_file():
        hint = "; say where it is now: --file FILE" if given is None else ""
        raise RegistryError(f"the batch file of {batch_id} is gone: there is no {file}{hint}")
    folder = Path(str(root)) if isinstance(root, str) and Path(root).is_dir() else file.parent
    options = ["--finbot-batch", str(file), "--finbot-registry", str(registry.root)]
    options += ["--finbot-resume", batch_id, *options_of(manifest.get("slicing"))]
    options += option_of(manifest.get("shard"))
    return [*options, *([] if workers is None else ["-n", workers])], folder
