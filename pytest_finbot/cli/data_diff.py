"""``finbot data diff``: what changed between two sets of data, and what may be the reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finbot.cli.opening import REGISTRY_OPTION
from pytest_finbot.cli.show import counted, say_json
from pytest_finbot.cli.telling import told

if TYPE_CHECKING:
    from pytest_finbot.market.snapshots.comparing import DataDifference, OnlySessions, SourceDifference
    from pytest_finbot.market.snapshots.sources import Source

_BATCH_FILES = (".yaml", ".yml", ".json")
_RANGES = 5
_SYMBOLS = 8


@click.command()
@REGISTRY_OPTION
@click.option("--json", "as_json", is_flag=True, help="as JSON on standard output")
@click.option("--symbols", is_flag=True, help="a line a symbol: which fields changed, and why")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="changes without an explanation that are told one by one, of each symbol and field",
)
@click.argument("a")
@click.argument("b")
def diff(registry: str, as_json: bool, symbols: bool, limit: int, a: str, b: str) -> None:
    """Which symbols, fields and days differ between A and B, and by how much.

    Each is the id of a snapshot, a batch file (the data of its runs), or a price file or folder.
    A split, a dividend, a correction, rounding, rebasing, exchanged symbols and values a day off
    are told by name where they explain every change of a symbol's field. The exit status is 0
    where nothing differs, 1 where something does.
    """
    from pytest_finbot.market.snapshots.comparing import compare

    with told():
        found = compare(_data_of(a, registry), _data_of(b, registry), limit=limit)
    if as_json:
        say_json({"a": a, "b": b, "differs": found.differs, **dataclasses.asdict(found)})
    else:
        _tell(found, (a, b), symbols, limit)
    raise SystemExit(1 if found.differs else 0)


def _data_of(name: str, registry: str) -> tuple[Source, ...]:
    """The data that ``name`` means. Raises DataError or BatchFileError where it cannot be read."""
    from pytest_finbot.cli.data_uses import uses_of
    from pytest_finbot.market.snapshots.gather import gather, source_of_path
    from pytest_finbot.market.snapshots.manifest import is_snapshot_id
    from pytest_finbot.market.snapshots.reading import open_snapshot
    from pytest_finbot.registry.snapshots import snapshots_folder

    path = Path(name)
    # What looks like a snapshot's id and is no file is a wrong id, not a file that is missing.
    if is_snapshot_id(name) or (name.startswith("snap-") and not path.exists()):
        snapshot = open_snapshot(snapshots_folder(Path(registry)), name)
        return tuple(snapshot.source_data(source) for source in snapshot.document["sources"])
    if path.suffix.lower() in _BATCH_FILES and not path.is_dir():
        return gather(path.absolute().parent, uses_of(path, registry))
    return (source_of_path(path),)


def _tell(found: DataDifference, asked: tuple[str, str], by_symbol: bool, limit: int) -> None:
    for side, names, of in zip("AB", (found.only_in_a, found.only_in_b), asked, strict=True):
        for name in names:
            click.echo(f"{_named(name, of)}: only in {side}")
    for source in found.sources:
        one, other = _named(source.a, asked[0]), _named(source.b, asked[1])
        name = one if one == other else f"{one} (A), {other} (B)"
        if not source.differs:
            click.echo(f"{name}: the same, {counted(source.symbols, 'symbol')}")
            continue
        click.echo(name)
        _tell_what_only_one_has(source)
        if by_symbol:
            _tell_symbols(source)
        else:
            _tell_changes(source, limit)


def _named(path: str, of: str) -> str:
    """A source by its path, and by the snapshot that holds it: files of that path may be others."""
    from pytest_finbot.market.snapshots.manifest import is_snapshot_id

    return f"{path} of {of}" if is_snapshot_id(of) else path


def _tell_what_only_one_has(source: SourceDifference) -> None:
    from pytest_finbot.market.table_file import some

    for side, symbols, fields in (
        ("A", source.symbols_only_in_a, source.fields_only_in_a),
        ("B", source.symbols_only_in_b, source.fields_only_in_b),
    ):
        if symbols:
            click.echo(f"  symbols only in {side}: {some(symbols, _SYMBOLS)}")
        for field, of in fields.items():
            click.echo(f"  field only in {side}: {field}, of {some(of, _SYMBOLS)}")
    for only in source.sessions:
        click.echo(f"  sessions only in {only.side}: {_ranges(only)}: {some(only.symbols, _SYMBOLS)}")


def _ranges(only: OnlySessions) -> str:
    from pytest_finbot.market.table_file import some

    ranges = (first if first == last else f"{first} to {last}" for first, last in only.ranges)
    return f"{only.count:,} ({some(ranges, _RANGES)})"


def _tell_symbols(source: SourceDifference) -> None:
    fields: dict[str, list[str]] = {}
    for change in source.changes:
        fields.setdefault(change.symbol, []).append(f"{change.field} ({_spelled(change.cause)})")
    for symbol, told_fields in fields.items():
        click.echo(f"  {symbol}: {', '.join(told_fields)}")


def _tell_changes(source: SourceDifference, limit: int) -> None:
    for change in source.changes:
        click.echo(f"  {change.symbol} {change.field}: {_spelled(change.cause)}: {change.message}")
        if change.cause != "unknown":
            continue
        for one in change.changes:
            click.echo(f"    {one}")
        if change.cells > limit:
            click.echo(f"    and {change.cells - len(change.changes):,} more; see --limit")


def _spelled(cause: str) -> str:
    return cause.replace("_", " ")
