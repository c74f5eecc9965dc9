"""``finbot runs``: recorded runs, one by one, side by side, over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from pytest_finbot.cli.batches import confirm
from pytest_finbot.cli.moments import moment
from pytest_finbot.cli.naming import (
    MANIFEST_TROUBLE,
    batch_named,
    complete_batch,
    complete_run,
    final_named,
    run_named,
    using_manifest,
)
from pytest_finbot.cli.opening import REGISTRY_OPTION, existing_registry
from pytest_finbot.cli.show import (
    MOST,
    Page,
    json_option,
    number,
    pager_option,
    say_json,
    seconds,
    shown,
    tell_problems,
    when,
)
from pytest_finbot.cli.telling import told
from pytest_finbot.contracts import ErrorCategory, RunStatus, Verdict

if TYPE_CHECKING:
    from pytest_finbot.registry.comparing import SimilarRun
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.index import Index
    from pytest_finbot.registry.queries import RunRow

_HASHED = ("config", "data", "code", "environment")
_RUN = click.argument("run", shell_complete=complete_run)
_IN_BATCH = click.option("--batch", help="RUN is a name in this batch", shell_complete=complete_batch)


@click.group()
def runs() -> None:
    """Recorded runs: list, show, compare, find-hash, similar, history, delete.

    RUN is BATCH/NAME, as in last/sixty_forty, or a NAME with --batch. BATCH is an id, as much
    of its beginning or end as is unique, or the word last.
    """


@contextmanager
def _asked(registry: str) -> Iterator[tuple[FilesRegistry, Index]]:
    """The registry and its index; errors are told."""
    with told():
        from pytest_finbot.registry.index import Index

        opened = existing_registry(registry)
        with Index.of(opened) as index:
            yield opened, index


@runs.command("list")
@REGISTRY_OPTION
@click.option("--batch", help="only those of this batch", shell_complete=complete_batch)
@click.option("--strategy", help="only those of this strategy")
@click.option("--engine", help="only those of this engine")
@click.option(
    "--status", type=click.Choice([str(word) for word in RunStatus]), help="only those that ended so"
)
@click.option(
    "--category", type=click.Choice([str(word) for word in ErrorCategory]), help="only errors of this"
)
@click.option(
    "--verdict", type=click.Choice([str(word) for word in Verdict]), help="only those that came to this"
)
@click.option("--tag", help="only those that have this tag")
@click.option("--name", metavar="GLOB", help="only those of this name; * and ? stand for any text")
@click.option(
    "--since", callback=moment, metavar="TIME", help="begun then or later: 2026-11-01 (UTC), 7d, 12h"
)
@click.option("--until", callback=moment, metavar="TIME", help="begun before then")
@click.option("--limit", type=click.IntRange(0, MOST), default=50, show_default=True, help="at most so many")
@click.option("--offset", type=click.IntRange(0, MOST), default=0, help="after so many newer ones")
@json_option
@pager_option
def list_(
    registry: str,
    batch: str | None,
    strategy: str | None,
    engine: str | None,
    status: str | None,
    category: str | None,
    verdict: str | None,
    tag: str | None,
    name: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    offset: int,
    as_json: bool,
    no_pager: bool,
) -> None:
    """Runs by their final records, newest first. The exit status is 1 where there are none."""
    from pytest_finbot.registry.queries import RunFilter

    with _asked(registry) as (opened, index):
        wanted = RunFilter(
            name=name,
            batch=None if batch is None else batch_named(opened, batch),
            strategy=strategy,
            engine=engine,
            status=None if status is None else RunStatus(status),
            category=None if category is None else ErrorCategory(category),
            verdict=verdict,
            tag=tag,
            since=since,
            until=until,
        )
        rows = index.runs(wanted, limit, offset)
        total = index.count_runs(wanted)
        problems = index.problems()
    if as_json:
        found = [dataclasses.asdict(row) for row in rows]
        say_json({"runs": found, "total": total, "limit": limit, "offset": offset, "problems": problems})
    elif rows:
        page = Page(pager=not no_pager)
        _table(page, rows)
        if len(rows) < total:
            rest = offset + len(rows)
            more = f"; older ones: --offset {rest}" if rest < total else ""
            page.line(f"{len(rows):,} of {total:,} runs{more}")
        page.show()
    else:
        click.echo(f"no run matches in {registry}" if not total else f"only {total:,} runs match", err=True)
    tell_problems(problems)
    raise SystemExit(0 if rows else 1)


def _table(page: Page, rows: Sequence[RunRow], first: Sequence[tuple[str, Sequence[str]]] = ()) -> None:
    """Runs as a table, behind columns of ``first`` (title and cells)."""
    page.table(
        (
            *(title for title, _ in first),
            *("RUN", "STATUS", "ERROR", "VERDICT", "BEGAN (UTC)", "TIME>"),
            *("FINAL NAV>", "RETURN>", "SHARPE>", "DRAWDOWN>"),
        ),
        [
            (
                *(cells[position] for _, cells in first),
                *(
                    row.run_id,
                    row.status,
                    row.category,
                    row.verdict,
                    when(row.started_at),
                    seconds(row.seconds),
                ),
                *(number(row.final_nav, ",.2f"), number(row.total_return, "+.2%")),
                *(number(row.sharpe, ".2f"), number(row.max_drawdown, ".2%")),
            )
            for position, row in enumerate(rows)
        ],
        optional=("BEGAN (UTC)", "TIME", "SHARPE", "DRAWDOWN", "VERDICT", "RETURN"),
    )


@runs.command()
@REGISTRY_OPTION
@_IN_BATCH
@json_option
@pager_option
@_RUN
def show(registry: str, batch: str | None, as_json: bool, no_pager: bool, run: str) -> None:
    """One run: error, metrics, checks, phases, what it depends on, attempts, output, series."""
    from pytest_finbot.cli.run_facts import run_facts

    with told():
        opened = existing_registry(registry)
        facts = run_facts(opened, *run_named(opened, run, batch))
    if as_json:
        say_json(facts)
    else:
        from pytest_finbot.cli.run_page import tell_run

        tell_run(facts, Page(pager=not no_pager))
    tell_problems(facts["problems"])


@runs.command()
@REGISTRY_OPTION
@_IN_BATCH
@json_option
@pager_option
@click.argument("runs_", metavar="RUN RUN...", nargs=-1, required=True, shell_complete=complete_run)
def compare(registry: str, batch: str | None, as_json: bool, no_pager: bool, runs_: tuple[str, ...]) -> None:
    """Runs side by side: every metric; of params, settings and fingerprint what differs."""
    from pytest_finbot.cli.run_page import comparison_document, tell_comparison

    if len(runs_) < 2:
        raise click.UsageError("name two runs or more to compare")
    with _asked(registry) as (opened, index):
        from pytest_finbot.registry import ExperimentRegistry

        named = [final_named(opened, index, run, batch) for run in runs_]
        if len(set(named)) < len(named):
            raise click.UsageError("the same run is named twice; name different ones")
        with ExperimentRegistry(opened.root) as experiments:
            try:
                frame = experiments.compare(named)
            except MANIFEST_TROUBLE:
                _blame(opened, index, named)
                raise
            document = comparison_document(frame)
        problems = index.problems()
    if as_json:
        say_json({**document, "problems": problems})
    else:
        tell_comparison(document, Page(pager=not no_pager))
    tell_problems(problems)


def _blame(registry: FilesRegistry, index: Index, named: Sequence[str]) -> None:
    """Raise RegistryError by the batch whose manifest cannot be used."""
    from pytest_finbot.registry.comparing import settings_of

    for run in named:
        record = index.record(run)
        with using_manifest(record["batch_id"]):
            settings_of(record, registry.manifest(record["batch_id"]))


@runs.command("find-hash")
@REGISTRY_OPTION
@click.option("--limit", type=click.IntRange(0, MOST), default=50, show_default=True, help="at most so many")
@json_option
@pager_option
@click.argument("digest")
def find_hash(registry: str, limit: int, as_json: bool, no_pager: bool, digest: str) -> None:
    """Runs with this hash of configuration, data, code, environment or series, newest first.

    The first 6 of its hexadecimal digits or more will do. Equal results have equal series.
    """
    with _asked(registry) as (_, index):
        rows = index.by_hash(digest, limit)
        problems = index.problems()
    matched = [_matched(row, digest.lower()) for row in rows]
    if as_json:
        found = [{**dataclasses.asdict(row), "matched": of} for row, of in zip(rows, matched, strict=True)]
        say_json({"runs": found, "problems": problems})
    elif rows:
        page = Page(pager=not no_pager)
        _table(page, rows, [("HASH OF", [", ".join(of) for of in matched])])
        page.show()
    else:
        click.echo(f"no run in {registry} has a hash that begins with {shown(digest)}", err=True)
    tell_problems(problems)
    raise SystemExit(0 if rows else 1)


def _matched(row: RunRow, digest: str) -> list[str]:
    hashes = {**{part: getattr(row, f"{part}_hash") for part in _HASHED}, "series": row.series}
    return [part for part, value in hashes.items() if value is not None and value.startswith(digest)]


@runs.command()
@REGISTRY_OPTION
@_IN_BATCH
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.01,
    show_default=True,
    help="how much each of total return, CAGR, drawdown (fractions) and Sharpe ratio may differ",
)
@click.option("--limit", type=click.IntRange(0, MOST), default=50, show_default=True, help="at most so many")
@json_option
@pager_option
@_RUN
def similar(
    registry: str,
    batch: str | None,
    tolerance: float,
    limit: int,
    as_json: bool,
    no_pager: bool,
    run: str,
) -> None:
    """Runs whose return, CAGR, Sharpe ratio and drawdown are like those of RUN, the nearest first."""
    with _asked(registry) as (opened, index):
        from pytest_finbot.registry import ExperimentRegistry

        reference = final_named(opened, index, run, batch)
        with ExperimentRegistry(opened.root) as experiments:
            found: Sequence[SimilarRun] = experiments.find_similar(reference, tolerance)[:limit]
        problems = index.problems()
    if as_json:
        say_json({"reference": reference, "runs": list(map(dataclasses.asdict, found)), "problems": problems})
    elif found:
        page = Page(pager=not no_pager)
        _table(page, [each.run for each in found], [("APART>", [f"{each.distance:.3g}" for each in found])])
        page.show()
    else:
        click.echo(f"no other run is within {tolerance:g} of {shown(reference)}", err=True)
    tell_problems(problems)
    raise SystemExit(0 if found else 1)


@runs.command()
@REGISTRY_OPTION
@click.option("--metric", default="final_nav", show_default=True, help="which number of the run")
@click.option("--batch-name", metavar="NAME", help="only in batches of this name")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST),
    default=50,
    show_default=True,
    help="the newest so many records",
)
@json_option
@pager_option
@click.argument("name")
def history(
    registry: str,
    metric: str,
    batch_name: str | None,
    limit: int,
    as_json: bool,
    no_pager: bool,
    name: str,
) -> None:
    """A metric of the run NAME over time: its moves, their commits, and the cause of each."""
    from pytest_finbot.cli.run_history import Historian
    from pytest_finbot.cli.run_page import history_document, tell_history

    with _asked(registry) as (opened, index):
        rows = index.history(name, batch_name)
        historian = Historian(opened, index, metric)
        tracks = historian.tracks(rows, limit)
        problems = (*index.problems(), *historian.problems)
        if rows and not any(track.known for track in tracks):
            _no_such_metric(metric, name, {other for track in tracks for other in track.others})
    if as_json:
        say_json({**history_document(name, metric, tracks), "problems": problems})
    elif tracks:
        tell_history(name, metric, tracks, Page(pager=not no_pager))
    else:
        within = "" if batch_name is None else f" in batches named {shown(batch_name)}"
        click.echo(f"no run is called {shown(name)}{within} in {registry}", err=True)
    tell_problems(problems)
    raise SystemExit(0 if rows else 1)


def _no_such_metric(metric: str, name: str, others: set[str]) -> None:
    from pytest_finbot.errors import RegistryError, did_you_mean

    if metric not in others:
        has = f"; it has {', '.join(sorted(others))}" if others else "; it has none at all"
        raise RegistryError(f"run {name!r} has no metric {metric!r}{did_you_mean(metric, others) or has}")


@runs.command()
@REGISTRY_OPTION
@_IN_BATCH
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@_RUN
def delete(registry: str, batch: str | None, yes: bool, run: str) -> None:
    """Delete a run: it is listed and counted no longer. Refused while its batch is running."""
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry import ExperimentRegistry
    from pytest_finbot.registry.liveness import is_alive

    with told():
        opened = existing_registry(registry)
        batch_id, name = run_named(opened, run, batch)
        if is_alive(opened.batch_folder(batch_id)):
            raise RegistryError(
                f"somebody is at work on {batch_id}; end it first: finbot batches cancel {batch_id}"
            )
        with ExperimentRegistry(opened.root) as experiments:
            found: Any = experiments.load(f"{batch_id}/{name}")
            confirm(f"Delete run {shown(name)} ({found.status}) of {batch_id} for good?", yes=yes)
            experiments.delete(f"{batch_id}/{name}")
    click.echo(f"deleted {batch_id}/{shown(name)}")
