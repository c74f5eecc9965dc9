"""What ``finbot data check`` finds: sources of prices, each in one window, without a backtest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from pytest_finbot.cli.telling import short

if TYPE_CHECKING:
    from pytest_finbot.contracts import DataFinding, MarketData, MissingPrices, RunSpec
    from pytest_finbot.errors import DataError
    from pytest_finbot.market.findings.of_files import PriceFile
    from pytest_finbot.market.findings.stated import StatedActions
    from pytest_finbot.market.prices import PriceTable
    from pytest_finbot.market.store import PriceStore


@dataclass(frozen=True)
class Checked:
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


# ---------------------------------------------------------------------------------- price files


@dataclass(frozen=True)
class Asked:
    """The window that was asked for; ``None``: all there is."""

    calendar: str | None
    start: date | None
    end: date | None


def of_files(
    file: Path, symbols: tuple[str, ...] | None, field: Literal["close", "adj_close"] | None, asked: Asked
) -> Iterator[Checked]:
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
            if not file.is_dir():
                _require_prices(table, asked)
            yield _of_table(table, asked)


def _unreadable(file: PriceFile, field: str | None, asked: Asked, error: DataError) -> Checked:
    return Checked(
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


def _require_prices(table: PriceTable, asked: Asked) -> None:
    """Refuse a window that lies beyond all there is: of a folder only some files may end before it."""
    from pytest_finbot.market.findings.dates import whole_range

    first, last = whole_range(table)
    if asked.start is not None and asked.start > last:
        raise click.UsageError(f"--from {asked.start} is after the last session, {last}")
    if asked.end is not None and asked.end < first:
        raise click.UsageError(f"--to {asked.end} is before the first session, {first}")


def _of_table(table: PriceTable, asked: Asked) -> Checked:
    from pytest_finbot.market.findings.dates import whole_range
    from pytest_finbot.market.findings.stated import stated_actions
    from pytest_finbot.market.quality import findings_of, window_of

    first, last = whole_range(table)
    start, end = asked.start or min(first, asked.end or first), asked.end or max(last, asked.start or last)
    window = window_of(table, table.symbols, start, end)
    findings = findings_of(window, asked.calendar, opens=None)
    if asked.start is None and asked.end is None:
        findings = _without_listings(findings)
    return Checked(
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


def of_batch(file: Path, registry: str) -> Iterator[Checked]:
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


def _of_runs(runs: Sequence[RunSpec], store: PriceStore) -> Checked:
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
    return Checked(
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
