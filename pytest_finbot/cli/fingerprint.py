"""``finbot fingerprint``: what a result depends on, and what differs between two."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finbot.cli.opening import REGISTRY_OPTION, existing_registry
from pytest_finbot.cli.telling import told

if TYPE_CHECKING:
    from pytest_finbot.contracts import RunSpec
    from pytest_finbot.registry.protocol import Registry

_SHORT = 16
"""Hex digits of a hash that are shown; no two that a person compares by eye agree in these."""


@click.command()
@click.option("--diff", nargs=2, metavar="A B", help="what differs: each BATCH/RUN, or B the word 'baseline'")
@REGISTRY_OPTION
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.argument("run", required=False)
def fingerprint(diff: tuple[str, str] | None, registry: str, file: Path | None, run: str | None) -> None:
    """Hashes of what the runs of the batch FILE depend on: configuration, data, code, environment.

    Nothing is run. With --diff, what differs between two recorded runs (batch-…/name), or
    between one and its baseline; the exit status is then 1 where something does.
    """
    if (diff is None) == (file is None):
        raise click.UsageError("give a batch FILE, or --diff A B")
    with told():
        if diff is not None:
            _tell_differences(existing_registry(registry), *diff)
        elif file is not None:
            _tell(file, run, Path(registry).absolute() / "snapshots")


def _tell(file: Path, only: str | None, snapshots: Path) -> None:
    from pytest_finbot.config.expand import load_batch
    from pytest_finbot.errors import BaselineError, did_you_mean
    from pytest_finbot.session.collecting import import_from
    from pytest_finbot.session.inspect import inspect_run

    import_from([file.absolute().parent, Path.cwd()])
    batch = load_batch(file, inspect=inspect_run, snapshots=snapshots)
    names = [spec.name for spec in batch.runs]
    if only is not None and only not in names:
        raise BaselineError(f"{file} has no run {only!r}{did_you_mean(only, names)}")
    for spec in batch.runs:
        if only in (None, spec.name):
            _tell_run(spec, in_full=only is not None)


def _tell_run(spec: RunSpec, *, in_full: bool) -> None:
    from pytest_finbot.engines.resolve import resolve_engine
    from pytest_finbot.fingerprint import config_hash
    from pytest_finbot.market.store import load_market
    from pytest_finbot.pipeline.fingerprints import code_of, environment_of
    from pytest_finbot.strategies.factors import panel_factors

    digest = load_market(spec, panel_factors(spec)).digest
    engine = resolve_engine(spec.engine)
    code = code_of(engine.modules(spec))
    click.echo(f"{spec.name}")
    click.echo(f"  config       {config_hash(spec)[:_SHORT]}")
    click.echo(f"  data         {digest.hash[:_SHORT] if digest else 'unknown'} (field {spec.data.field})")
    click.echo(f"  code         {code['hash'][:_SHORT]} ({len(code['modules'])} modules; {code['scope']})")
    calendar = ("exchange-calendars",) if spec.data.calendar is not None else ()
    environment = environment_of((*calendar, *code.get("distributions", ())))
    versions = ", ".join(f"{name} {version}" for name, version in environment.items())
    click.echo(f"  environment  engine {engine.name} {engine.version()}, {versions}")
    if not in_full:
        return
    from pytest_finbot.fingerprint import config_document

    click.echo("  settings")
    for key, value in sorted(config_document(spec).items()):
        click.echo(f"    {key:20} {value}")
    click.echo("  modules")
    for name, digest_of_module in sorted(code["modules"].items()):
        click.echo(f"    {digest_of_module[:_SHORT]:{_SHORT}} {name}")
    for symbol, years in {} if digest is None else digest.parts.items():
        click.echo(f"  data of {symbol}")
        for year, digest_of_year in years.items():
            click.echo(f"    {digest_of_year[:_SHORT]} {year}")


def _tell_differences(registry: Registry, one: str, other: str) -> None:
    from pytest_finbot.fingerprint import differences

    old_name, new_name = one, other
    new, baseline = _dependencies(registry, one)
    if other == "baseline":
        old = _of_baseline(one, baseline)
        old_name, new_name = "its baseline", one
    else:
        old, new = new, _dependencies(registry, other)[0]
    causes = differences(old, new, sides=(old_name, new_name))
    for cause in causes:
        changed = " changed" if cause.part in ("config", "data", "code", "environment") else ""
        click.echo(f"{cause.part}{changed}: {cause.detail}")
    if not causes:
        click.echo(f"{old_name} and {new_name} depend on the same config, data, code and environment")
    raise SystemExit(1 if causes else 0)


def _dependencies(registry: Registry, address: str) -> tuple[Mapping[str, Any], str | None]:
    """The full fingerprint of a recorded run, and the folder of baselines of its batch."""
    from pytest_finbot.baselines.dependencies import dependencies_of_record
    from pytest_finbot.config.manifest import runs_from_json
    from pytest_finbot.errors import RegistryError, did_you_mean

    batch_id, separator, run = address.partition("/")
    if not separator:
        raise RegistryError(f"{address!r} names no recorded run; expected BATCH/RUN")
    manifest = registry.manifest(batch_id)
    specs = {spec.name: spec for spec in runs_from_json(manifest)}
    if run not in specs:
        raise RegistryError(f"batch {batch_id} has no run {run!r}{did_you_mean(run, specs)}")
    record = next(registry.fold(batch_id).records([run]), None)
    if record is None:
        raise RegistryError(f"batch {batch_id} has no record of run {run}")
    return dependencies_of_record(registry.objects, record, specs[run]), manifest.get("baseline")


def _of_baseline(address: str, folder: str | None) -> Mapping[str, Any]:
    from pytest_finbot.baselines.store import read_baseline
    from pytest_finbot.errors import BaselineError

    if folder is None:
        raise BaselineError(f"the batch of {address} was compared with no folder of baselines")
    found = read_baseline(Path(folder), address.partition("/")[2])
    if found is None:
        raise BaselineError(f"nothing is accepted for {address} in {folder}")
    return found.fingerprint
