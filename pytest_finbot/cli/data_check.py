"""``finbot data check``: every check of prices, without a backtest."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import click

from pytest_finbot.cli.checked_page import say, tell
from pytest_finbot.cli.checked_prices import Asked, of_batch, of_files
from pytest_finbot.cli.opening import REGISTRY_OPTION
from pytest_finbot.cli.show import json_option, pager_option
from pytest_finbot.cli.telling import told

_BATCH_FILES: Final = (".yaml", ".yml", ".json")
_DAY: Final = click.DateTime(["%Y-%m-%d"])


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
    stops nothing. The exit status is 0 without errors and 1 with some, of which prices that are there
    and cannot be read are one; 4 where FILE is not there, is neither a batch file nor prices, or is a
    batch file that is wrong.
    """
    from pytest_finbot.market.table_file import require_regular

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
            require_regular(file)
            checked = list(of_batch(file, registry))
        else:
            asked = Asked(calendar, start.date() if start else None, end.date() if end else None)
            checked = list(of_files(file, _names(symbols), field, asked))
    if as_json:
        say(file, checked)
    else:
        tell(checked, pager=not no_pager)
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
