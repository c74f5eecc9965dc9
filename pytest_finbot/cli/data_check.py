"""``finbot data check``: every check of prices, without a backtest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from pytest_finbot.cli.opening import REGISTRY_OPTION
from pytest_finbot.cli.show import NOTHING, Page, json_option, pager_option, say_json, shown
from pytest_finbot.cli.telling import short, told

if TYPE_CHECKING:
    from pytest_finbot.contracts import DataFinding, MarketData, MissingPrices, RunSpec
    from pytest_finbot.errors import DataError
    from pytest_finbot.market.findings.of_files import PriceFile
    from pytest_finbot.market.findings.stated import StatedActions
    from pytest_finbot.market.prices import PriceTable
    from pytest_finbot.market.store import PriceStore

_BATCH_FILES: Final = (".yaml", ".yml", ".json")
_DAY: Final = click.DateTime(["%Y-%m-%d"])
_RUNS: Final = 3
"""Runs that a source names on its line; JSON has all of them."""


@dataclass(frozen=True)
class _Checked:
    """One source of prices, in one window, and what was found.

    ``sessions`` is ``None`` where they could not be counted: the source could not be read, or its
    window is refused. ``runs`` are those of the batch that use just this, and ``take_none`` says
    that they leave out dividends that their files state.
    """

    source: str
    field: str
    calendar: str | None
    missing: str
    symbols: tuple[str, ...]
    start: str
    end: str
    sessions: int | None
    findings: tuple[DataFinding, ...]
    actions: tuple[StatedActions, ...] = ()
    filled: MissingPrices | None = None
    runs: tuple[str, ...] = ()
    take_none: bool = False

    def count(self, severity: str) -> int:
        """Findings of that severity."""
        return sum(one.severity == severity for one in self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            **{
                name: value
                for name, value in vars(self).items()
                if name not in ("findings", "actions", "filled")
            },
            "errors": self.count("error"),
            "odd": self.count("odd"),
            "findings": [dataclasses.asdict(one) for one in self.findings],
            "actions": [dataclasses.asdict(one) for one in self.actions],
            "filled": None if self.filled is None else dataclasses.asdict(self.filled),
        }


@click.command()
@REGISTRY_OPTION
@click.option(
    "--field",
    type=click.Choice(["close", "adj_close"]),
    help="only that of a price file; of bars all there are",
)
@click.option(
    "--calendar", metavar="NAME", help="sessions of a price file: XNYS, 24/7, weekdays …; else its own"
)
@click.option("--symbols", metavar="A,B", help="only these of a price file or folder")
@click.option("--from", "start", type=_DAY, metavar="DAY", help="first day of a price file that is looked at")
@click.option("--to", "end", type=_DAY, metavar="DAY", help="last day of a price file that is looked at")
@json_option
@pager_option
@click.argument("file", type=click.Path(path_type=Path))
def check(
    registry: str,
    field: Literal["close", "adj_close"] | None,
    calendar: str | None,
    symbols: str | None,
    start: datetime | None,
    end: datetime | None,
    as_json: bool,
    no_pager: bool,
    file: Path,
) -> None:
    """Check the prices of FILE without running anything: a batch file, a price file or a folder.

    Of a batch file, each set of prices that its runs load is checked once, as they load it. Of a
    price file or folder every symbol is, over its whole range unless said otherwise; symbols that
    list late or delist are then no error, for that is for a run's own window to say.

    Errors make prices unfit to trade on, and are refused by a run. What is odd is reported, and
    stops nothing. The exit status is 0 without errors, 1 with some, 4 where FILE cannot be used.
    """
    is_batch = file.suffix.lower() in _BATCH_FILES and not file.is_dir()
    given = {"--field": field, "--calendar": calendar, "--symbols": symbols, "--from": start, "--to": end}
    if is_batch:
        for option, value in given.items():
            if value is not None:
                raise click.UsageError(f"{option} is for price files; the runs of a batch file say their own")
    if start is not None and end is not None and end < start:
        raise click.UsageError(f"--to {end.date()} is before --from {start.date()}")
    _require_calendar(calendar)
    with told():
        if is_batch:
            checked = list(_batch(file, registry))
        else:
            asked = _Asked(calendar, start.date() if start else None, end.date() if end else None)
            checked = list(_prices(file, _names(symbols), field, asked))
    if as_json:
        _say(file, checked)
    else:
        _tell(checked, pager=not no_pager)
    raise SystemExit(1 if any(one.count("error") for one in checked) else 0)


def _names(symbols: str | None) -> tuple[str, ...] | None:
    if symbols is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in symbols.split(",") if name.strip()))
    if not names:
        raise click.UsageError("--symbols names none; expected A,B")
    return names


def _require_calendar(name: str | None) -> None:
    from pytest_finbot.errors import did_you_mean
    from pytest_finbot.market.calendars import calendar_names, known_calendar

    if name is not None and not known_calendar(name):
        near = did_you_mean(name.upper(), calendar_names())
        raise click.UsageError(f"--calendar {name}: there is no such calendar{near}")


# ---------------------------------------------------------------------------------- price files


@dataclass(frozen=True)
class _Asked:
    """The window that was asked for; ``None``: all there is."""

    calendar: str | None
    start: date | None
    end: date | None


def _prices(
    file: Path, symbols: tuple[str, ...] | None, field: Literal["close", "adj_close"] | None, asked: _Asked
) -> Iterator[_Checked]:
    from pytest_finbot.errors import DataError
    from pytest_finbot.market.findings.of_files import price_files, tables_of

    for one in price_files(file, symbols):
        # Of a folder, the files that can be read are checked whatever is wrong with another.
        try:
            content = one.read()
        except DataError as error:
            yield _unreadable(one, field, asked, error)
            continue
        of_wide = symbols if not file.is_dir() else None
        for table in tables_of(one, content, of_wide, field):
            yield _of_table(table, asked)


def _unreadable(file: PriceFile, field: str | None, asked: _Asked, error: DataError) -> _Checked:
    return _Checked(
        short(file.path.absolute()),
        field or "close",
        asked.calendar,
        "error",
        (),
        str(asked.start or ""),
        str(asked.end or ""),
        None,
        (_refusal("unreadable", error),),
    )


def _refusal(kind: str, error: Exception) -> DataFinding:
    from pytest_finbot.contracts import DataFinding

    return DataFinding(kind, "error", str(error))


def _of_table(table: PriceTable, asked: _Asked) -> _Checked:
    from pytest_finbot.market.findings.dates import whole_range
    from pytest_finbot.market.findings.stated import stated_actions
    from pytest_finbot.market.quality import findings_of, window_of

    first, last = whole_range(table)
    start, end = asked.start or first, asked.end or last
    window = window_of(table, table.symbols, start, end)
    findings = findings_of(window, asked.calendar, opens=False)
    if asked.start is None and asked.end is None:
        findings = _without_listings(findings)
    return _Checked(
        short(Path(table.source)),
        table.field,
        asked.calendar,
        "error",
        table.symbols,
        str(start),
        str(end),
        len(window.sessions),
        findings,
        stated_actions(window, findings),
    )


def _without_listings(findings: Sequence[DataFinding]) -> tuple[DataFinding, ...]:
    """The same, with symbols that list late or delist as odd."""
    listings = ("lists_late", "delists")
    told = [dataclasses.replace(one, severity="odd") if one.kind in listings else one for one in findings]
    return tuple(sorted(told, key=lambda one: one.severity != "error"))


# --------------------------------------------------------------------------------- batch files


def _batch(file: Path, registry: str) -> Iterator[_Checked]:
    """What each set of prices of the batch is; snapshots that runs replay are those of ``registry``."""
    from pytest_finbot.config.expand import load_batch
    from pytest_finbot.market.store import PriceStore
    from pytest_finbot.market.table_file import require_exists
    from pytest_finbot.registry.snapshots import snapshots_folder
    from pytest_finbot.session.collecting import import_from
    from pytest_finbot.session.inspect import inspect_run
    from pytest_finbot.strategies.factors import panel_factors

    import_from([file.absolute().parent, Path.cwd()])
    alike: dict[object, list[RunSpec]] = {}
    snapshots = snapshots_folder(Path(registry))
    # By all that matters to prices, and nothing else.
    for spec in load_batch(file, inspect=inspect_run, snapshots=snapshots).runs:
        factors = panel_factors(spec)
        limited = spec.data.missing == "forward_fill"
        loaded = (
            spec.data if limited else dataclasses.replace(spec.data, missing_limit=0),
            spec.symbols,
            spec.start_date,
            spec.end_date,
            spec.fill == "next_open",
            (spec.actions.dividends, spec.actions.splits),
            # Of a part, what is declared for days outside of it is another part's.
            spec.part is not None,
            factors,
            spec.factors_path if factors else None,
        )
        alike.setdefault(loaded, []).append(spec)
        if spec.data.snapshot is None:
            require_exists(Path(spec.data.path), f"data.path of run {spec.name}")
    store = PriceStore()
    for runs in alike.values():
        yield _of_runs(runs, store)


def _of_runs(runs: Sequence[RunSpec], store: PriceStore) -> _Checked:
    """The prices that all of ``runs`` load, loaded as they do."""
    from pytest_finbot.errors import DataError, ParameterError
    from pytest_finbot.market.actions import ActionsError
    from pytest_finbot.market.findings.stated import stated_actions
    from pytest_finbot.market.quality import UnfitPricesError
    from pytest_finbot.strategies.factors import panel_factors

    spec = runs[0]
    actions: tuple[StatedActions, ...] = ()
    market: MarketData | None = None
    try:
        market = store.load(spec, panel_factors(spec))
        findings = market.odd
        actions = stated_actions(store.window(spec), findings)
    except (UnfitPricesError, ActionsError) as refusal:
        findings = refusal.findings
    except DataError as error:
        findings = (_refusal("unreadable", error),)
    except ParameterError as error:
        findings = (_refusal("setting", error),)
    source = short(Path(spec.data.path)) if spec.data.snapshot is None else f"snapshot {spec.data.snapshot}"
    return _Checked(
        source,
        spec.data.field,
        spec.data.calendar,
        spec.data.missing,
        spec.symbols,
        str(spec.start_date),
        str(spec.end_date),
        None if market is None else len(market.sessions),
        findings,
        actions,
        None if market is None else market.missing,
        tuple(run.name for run in runs),
        spec.data.field == "close" and spec.actions.dividends == "none",
    )


# -------------------------------------------------------------------------------------- telling


def _say(file: Path, checked: Sequence[_Checked]) -> None:
    say_json(
        {
            "file": short(file.absolute()),
            "errors": sum(one.count("error") for one in checked),
            "odd": sum(one.count("odd") for one in checked),
            "sources": [one.as_json() for one in checked],
        }
    )


def _tell(checked: Sequence[_Checked], *, pager: bool) -> None:
    page = Page(pager=pager)
    of_batch = any(one.runs for one in checked)
    columns = ("prices", "field", "calendar", "from", "to", "sessions>", "symbols>", "errors>", "odd>")
    page.table(
        (*columns, "runs") if of_batch else columns,
        [
            (
                one.source,
                one.field,
                one.calendar or NOTHING,
                one.start,
                one.end,
                None if one.sessions is None else f"{one.sessions:,}",
                f"{len(one.symbols):,}" if one.symbols else None,
                f"{one.count('error'):,}",
                f"{one.count('odd'):,}",
                *([_named(one.runs)] if of_batch else []),
            )
            for one in checked
        ],
        optional=("calendar", "symbols", "runs"),
    )
    for one in checked:
        lines = list(_lines(one))
        if lines:
            page.heading(f"{shown(one.source)}, {one.field}, {one.start} to {one.end}")
            for line, style in lines:
                page.line(f"  {shown(line)}", style)
    if of_batch:
        _tell_once(page, checked)
    page.line()
    errors, odd = (sum(one.count(severity) for one in checked) for severity in ("error", "odd"))
    page.line(f"{errors:,} errors, {odd:,} odd", "red" if errors else "green")
    page.show()


_NO_CALENDAR: Final = "without a calendar it is not known whether sessions are missing"


def _named(runs: Sequence[str]) -> str:
    return ", ".join(runs[:_RUNS]) + (f" and {len(runs) - _RUNS:,} more" if len(runs) > _RUNS else "")


def _tell_once(page: Page, checked: Sequence[_Checked]) -> None:
    """What is the same for many windows of a batch: of each symbol, by the longest of them."""
    left_out: dict[tuple[str, str], StatedActions] = {}
    for one in checked:
        for action in one.actions if one.take_none else ():
            if action.kind == "dividends" and action.number and action.contained != "all":
                place = (one.source, action.symbol)
                if place not in left_out or left_out[place].number < action.number:
                    left_out[place] = action
    if left_out:
        page.heading("stated dividends that runs do not take")
        for (source, _), action in sorted(left_out.items()):
            page.line(f"  {shown(source)}: {shown(action.message)}")
    unknown = [name for one in checked if one.calendar is None for name in one.runs]
    if unknown:
        page.line()
        page.line(f"{_NO_CALENDAR}: {shown(_named(unknown))}")


def _lines(checked: _Checked) -> Iterator[tuple[str, str | None]]:
    """What there is to say of one window; of a batch's nothing where nothing was found."""
    from pytest_finbot.market.table_file import some

    if checked.runs:
        missing = checked.filled
        if not checked.findings and (missing is None or not (missing.filled or missing.dropped)):
            return
        yield f"used by {_named(checked.runs)} for {some(checked.symbols)}", None
    elif checked.calendar is None:
        yield _NO_CALENDAR, None
    for one in checked.findings:
        first, *rest = one.message.splitlines()
        yield f"{one.severity} {one.kind}: {first}", "red" if one.severity == "error" else "yellow"
        for line in rest:
            yield f"    {line.strip()}", None
    filled = checked.filled
    if filled is not None and (filled.filled or filled.dropped):
        prices = sum(filled.filled.values())
        what = f"{prices:,} prices filled in" if prices else f"{len(filled.dropped):,} sessions left out"
        ahead = ", looking ahead" if filled.look_ahead else ""
        yield f"data.missing: {filled.policy}{ahead}: {what}, the first on {filled.first}", None
    for action in () if checked.runs else checked.actions:
        yield action.message, None
