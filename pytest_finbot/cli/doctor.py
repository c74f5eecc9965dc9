"""``finbot doctor``: whether everything is there that a session needs, found out by trying it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pytest_finbot.cli.opening import REGISTRY_OPTION

if TYPE_CHECKING:
    from pytest_finbot.cli.checkup.finding import Finding

_USUAL: Final = Path("finbot.yaml")


@click.command()
@REGISTRY_OPTION
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def doctor(registry: str, as_json: bool, file: Path | None) -> None:
    """Look for what could keep the batch FILE (default: finbot.yaml, if it is there) from running here.

    Versions and extras, the plugin, registry and disk, templates, calendars, engines, baselines, git and
    CI. Each is tried, and each finding says what to do. Exit status 0 without a problem, 1 with one.
    """
    found = list(_findings(Path(registry).absolute(), file))
    counts = Counter(one.state for one in found)
    if as_json:
        import json

        document = {
            "ok": not counts["problem"],
            "problems": counts["problem"],
            "notes": counts["note"],
            "findings": [dataclasses.asdict(one) for one in found],
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for one in found:
            click.echo(f"{one.state:<8} {one.about}: {one.words}")
            if one.todo:
                click.echo(f"{'':<8}   -> {one.todo}")
        told = [
            f"{counts[state]} {state}{'' if counts[state] == 1 else 's'}" for state in ("problem", "note")
        ]
        click.echo(f"\n{', '.join(told)}, {counts['ok']} ok")
    raise SystemExit(1 if counts["problem"] else 0)


def _findings(registry: Path, file: Path | None) -> Iterator[Finding]:
    from pytest_finbot.cli.checkup import batch, installed, places, surroundings
    from pytest_finbot.cli.checkup.finding import note

    yield from installed.findings()
    yield from places.findings(registry)
    named = file or (_USUAL if _USUAL.exists() else None)
    if named is None:
        yield note(
            "batch", f"there is no {_USUAL} here", "finbot init writes one; or name it: finbot doctor FILE"
        )
    else:
        yield from batch.findings(named, registry)
    yield from surroundings.findings(Path.cwd() if named is None else _folder_of(named))


def _folder_of(file: Path) -> Path:
    folder = file.absolute().parent
    return folder if folder.is_dir() else Path.cwd()
