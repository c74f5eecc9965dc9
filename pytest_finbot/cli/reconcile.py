"""``finbot reconcile``: whether the books of recorded runs add up, figure by figure."""

from __future__ import annotations

import json
import math
import textwrap
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pytest_finbot.cli.naming import batch_named, complete_batch, using_manifest
from pytest_finbot.cli.opening import REGISTRY_OPTION, existing_registry
from pytest_finbot.cli.show import json_option, pager_option, tell_problems
from pytest_finbot.cli.telling import told

if TYPE_CHECKING:
    from pytest_finbot.cli.reconcile_runs import Judged, Reconciler
    from pytest_finbot.registry.files import FilesRegistry

RELATIVE: Final = 1e-9
_BATCH_FILES: Final = (".yaml", ".yml", ".json")


def _amount(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not math.isfinite(value) or value < 0:
        raise click.BadParameter(f"{value} is no amount; expected a number of zero or more", ctx, param)
    return value


@click.command()
@REGISTRY_OPTION
@click.option(
    "--date",
    "on",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="D",
    help="only that session, with its figures: 2022-12-28",
)
@click.option("--run", metavar="NAME", help="only that run")
@click.option(
    "--threshold",
    type=float,
    default=0.0,
    show_default=True,
    callback=_amount,
    metavar="X",
    help="what a residual may be at least, in currency",
)
@click.option(
    "--relative",
    type=float,
    default=RELATIVE,
    show_default=True,
    callback=_amount,
    metavar="R",
    help="what it may be besides, as a fraction of the larger of |NAV| and capital",
)
@json_option
@pager_option
@click.argument("batch", metavar="BATCH|FILE", shell_complete=complete_batch)
def reconcile(
    registry: str,
    on: datetime | None,
    run: str | None,
    threshold: float,
    relative: float,
    as_json: bool,
    no_pager: bool,
    batch: str,
) -> None:
    """Reconcile what was recorded of a batch: every figure against what it follows from.

    BATCH is an id, as much of its beginning or end as is unique, or the word last; FILE is a batch
    file, of which the latest batch is taken. For every run and session: NAV against cash and
    market values and against NAV reckoned anew, equity and derived cash, quantities, daily and
    cumulative P&L, realised and unrealised. A residual is a break beyond X + R * max(|NAV|,
    capital), and a cent for each fill where the engine books in cents.

    The exit status is 1 where there is a break, where a run has no series or no record, or where
    what is there is not what was recorded.
    """
    with told():
        from pytest_finbot.cli.reconcile_runs import Reconciler

        opened = existing_registry(registry)
        batch_id = batch_meant(opened, batch)
        session = None if on is None else on.date()
        reconciler = Reconciler(opened, batch_id, absolute=threshold, relative=relative, session=session)
        about = {
            "batch_id": batch_id,
            "date": None if session is None else session.isoformat(),
            "threshold": threshold,
            "relative": relative,
        }
        tell = _as_json if as_json else _as_text
        counts = tell(reconciler, run, about, pager=not no_pager)
    tell_problems(reconciler.problems)
    looked_at = counts["clean"] + counts["broken"] + counts["altered"]
    if not looked_at and not counts["unknown"]:
        what = "it expects no run" if session is None else f"no run has a session on {session}"
        click.echo(f"finbot: nothing to reconcile in {batch_id}: {what}", err=True)
    good = looked_at == counts["clean"] > 0 and not counts["unknown"] and not reconciler.problems
    raise SystemExit(0 if good else 1)


def _as_json(reconciler: Reconciler, run: str | None, about: dict[str, Any], *, pager: bool) -> Counter[str]:
    """One document, laid out as :func:`say_json` does, and written a run at a time: all of a large
    batch is more than memory is for."""
    counts: Counter[str] = Counter()
    head = json.dumps(about, allow_nan=False, indent=2)
    lead = head.removesuffix("\n}") + ',\n  "runs": ['
    for judged in _each(reconciler, run, counts):
        told_of = json.dumps(judged.to_json(), allow_nan=False, indent=2)
        click.echo(f"{lead}\n{textwrap.indent(told_of, '    ')}", nl=False)
        lead = ","
    end = "\n  ]," if counts else f"{lead}],"
    tail = {
        "counts": {
            state: counts[state] for state in ("clean", "broken", "altered", "unknown", "other_dates")
        },
        "problems": reconciler.problems,
    }
    click.echo(end + json.dumps(tail, allow_nan=False, indent=2)[1:])
    return counts


def _as_text(reconciler: Reconciler, run: str | None, about: dict[str, Any], *, pager: bool) -> Counter[str]:
    from pytest_finbot.cli.reconcile_page import Report

    counts: Counter[str] = Counter()
    report = Report()
    for judged in _each(reconciler, run, counts):
        report.add(judged)
    told_of = {
        "clean": "clean",
        "broken": "with breaks",
        "altered": "not as recorded",
        "unknown": "not looked at",
        "other_dates": "of other dates",
    }
    words = ", ".join(f"{counts[state]:,} {said}" for state, said in told_of.items() if counts[state])
    on = f" on {about['date']}" if about["date"] else ""
    report.show(f"{about['batch_id']}{on}: {words or 'no runs'}", pager=pager)
    return counts


def _each(reconciler: Reconciler, run: str | None, counts: Counter[str]) -> Iterator[Judged]:
    """The runs, counted by state. What stops the reading is a problem: what was read is told."""
    from pytest_finbot.errors import RegistryError

    runs = reconciler.runs(run)
    while True:
        try:
            judged: Judged | None = next(runs, None)
        except RegistryError as error:
            if not counts:
                raise  # nothing was said yet: an error like any other
            reconciler.problems.append(f"not all runs could be read: {error}")
            return
        if judged is None:
            return
        counts[judged.state] += 1
        yield judged


def batch_meant(registry: FilesRegistry, text: str) -> str:
    """The batch named by ``text``, as :func:`batch_named` has it, or the latest of a batch file.

    Raises RegistryError where there is none, more than one is meant, or a manifest that cannot be
    read may be that of the latest.
    """
    from pytest_finbot.errors import RegistryError

    path = Path(text)
    if path.suffix.lower() not in _BATCH_FILES:
        return batch_named(registry, text)
    meant = {str(path.absolute()), str(path.resolve())}
    latest: tuple[str, str, str] | None = None
    for batch_id in registry.batch_ids():  # newest first, to the second
        second = batch_id.rpartition("-")[0]
        if latest is not None and second != latest[0]:
            break
        try:
            with using_manifest(batch_id):
                manifest = registry.manifest(batch_id)
        except RegistryError as error:
            # It may be the one: an older batch in its place would be an answer about something else.
            raise RegistryError(
                f"the latest batch of {text} is unknown: {error}; see finbot registry verify, or name the "
                f"batch that is meant by its id (finbot batches list), as in finbot reconcile {batch_id}"
            ) from error
        if manifest.get("file") in meant:
            found = (second, str(manifest.get("created_at", "")), batch_id)
            latest = found if latest is None else max(latest, found)
    if latest is None:
        there = "" if path.is_file() else ", and there is no such file"
        raise RegistryError(f"no batch of {text} is recorded in {registry.root}{there}")
    return latest[2]
