"""The files that ``finbot init`` writes: first all of them are planned, then those that are not there yet."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pytest_finbot
from pytest_finbot.cli.starter.prices import SAMPLE, own_prices, sample

BATCH: Final = "finbot.yaml"
STRATEGIES: Final = "starter_strategies.py"
SCHEMA: Final = ".finbot.schema.json"
WORKFLOW: Final = ".github/workflows/finbot.yml"
IGNORED: Final = (".finbot/", "output/", "__pycache__/")
PLACEHOLDER: Final = "OWNER/pytest-finbot"

_REPOSITORY: Final = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")

Action = Literal["write", "append", "keep", "cannot"]


@dataclass(frozen=True)
class Planned:
    """One file. ``content`` is what would be written, or appended; ``words`` what it is, or why not."""

    path: Path
    shown: str
    action: Action
    words: str
    content: bytes = b""


@dataclass(frozen=True)
class Plan:
    """All files in the order in which they are written: the batch file after what it names."""

    folder: Path
    files: tuple[Planned, ...]
    notes: tuple[str, ...] = ()
    """What the user should know or do about them."""

    @property
    def impossible(self) -> tuple[Planned, ...]:
        return tuple(one for one in self.files if one.action == "cannot")

    @property
    def to_do(self) -> tuple[Planned, ...]:
        return tuple(one for one in self.files if one.action in ("write", "append"))


def plan(folder: Path, action: str | None = None) -> Plan:
    """What would be written into ``folder``, an absolute path; nothing is written yet.

    ``action`` is the GitHub Action as ``owner/repository@ref``; ``None``: that of this package.
    """
    from pytest_finbot.cli.schema import schema_text
    from pytest_finbot.reports.templates import render, templates_folder

    shipped = templates_folder() / "starter"
    top = _top(folder)
    notes: list[str] = []
    files: list[Planned] = []

    def new(name: str, words: str, content: str | bytes, base: Path = folder) -> None:
        files.append(_new(base / name, _shown(base / name, folder), words, content))

    if os.path.lexists(folder / BATCH):
        files.append(Planned(folder / BATCH, BATCH, "keep", "is there already"))
        if not os.path.lexists(folder / STRATEGIES):
            notes.append(f"{BATCH} is there already: no starter batch, strategy or prices are written")
    else:
        prices, why = own_prices(folder)
        if why:
            notes.append(f"{why}; the starter runs on a sample of prices")
        if prices is None:
            content = (shipped / "sample_prices.csv").read_bytes()
            prices = sample(content)
            new(SAMPLE, "a sample of prices, to be replaced by yours", content)
            if files[-1].action == "keep" and not _holds(folder / SAMPLE, content.decode()):
                notes.append(
                    f"{SAMPLE} is there already, and {BATCH} expects the sample in it: change one of them"
                )
            new("data/sample_prices.md", "where the sample comes from", _about(content))
        strategies = render("starter/strategies.py.j2", {})
        new(STRATEGIES, "a strategy of your own", strategies)
        if files[-1].action == "keep" and not _holds(folder / STRATEGIES, strategies):
            notes.append(
                f"{STRATEGIES} is there already, and {BATCH} names strongest in it: change one of them"
            )
        is_sample = prices.path == SAMPLE
        words = f"three runs on {'the sample' if is_sample else prices.path}"
        facts = {
            "prices": prices,
            "sample": is_sample,
            "description": f"A starter, {prices.start} to {prices.end}",
        }
        new(BATCH, words, render("starter/finbot.yaml.j2", facts))
    schema = schema_text()
    new(SCHEMA, "what editors know of the batch file", schema)
    if files[-1].action == "keep" and not _holds(folder / SCHEMA, schema):
        notes.append(f"{SCHEMA} is of another version; renew it with: finbot schema > {SCHEMA}")
    new("baselines/README.md", "accepted results will lie here", (shipped / "baselines.md").read_bytes())
    below = folder.relative_to(top).as_posix()
    uses = action or _own_action()
    workflow = {"uses": uses, "batch": BATCH, "working_directory": "" if below == "." else below}
    new(WORKFLOW, "runs the batch on every pull request", render("starter/finbot.yml.j2", workflow), top)
    if files[-1].action == "write" and uses.startswith(f"{PLACEHOLDER}@"):
        notes.append(
            f"{files[-1].shown}: replace {uses} by the repository and release of the action that you use"
        )
    files.append(_ignore(folder / ".gitignore"))
    if not (top / ".git").exists():
        notes.append("this folder is in no git repository yet: git init")
    return Plan(folder, tuple(files), tuple(notes))


def write(planned: Plan) -> Iterator[Planned]:
    """Write what there is to write, and give each file as it is written.

    Raises OSError; FileExistsError for one that somebody else has written meanwhile.
    """
    planned.folder.mkdir(parents=True, exist_ok=True)
    for one in planned.to_do:
        one.path.parent.mkdir(parents=True, exist_ok=True)
        # "x": what appeared since it was looked for is not overwritten either.
        with one.path.open("ab" if one.action == "append" else "xb") as file:
            file.write(one.content)
        yield one


# ----------------------------------------------------------------------------------- each file


def _new(path: Path, shown: str, words: str, content: str | bytes) -> Planned:
    if os.path.lexists(path):  # a dangling link, too
        return Planned(path, shown, "keep", "is there already")
    blocked = next(
        (parent for parent in path.parents if os.path.lexists(parent) and not parent.is_dir()), None
    )
    if blocked is not None:
        return Planned(path, shown, "cannot", f"{blocked} is not a folder")
    return Planned(path, shown, "write", words, content.encode() if isinstance(content, str) else content)


def _ignore(path: Path) -> Planned:
    """Entries for what is not to be committed; lines that are there stay as they are."""
    if not os.path.lexists(path):
        text = "".join(f"{entry}\n" for entry in IGNORED)
        return _new(path, path.name, f"{len(IGNORED)} lines: {' '.join(IGNORED)}", text)
    if path.is_symlink() or not path.is_file():
        words = f"is no plain file; add these lines by hand where they belong: {' '.join(IGNORED)}"
        return Planned(path, path.name, "keep", words)
    before = path.read_bytes()
    there = {line.strip().strip(b"/") for line in before.splitlines()}
    missing = [entry for entry in IGNORED if entry.strip("/").encode() not in there]
    if not missing:
        return Planned(path, path.name, "keep", "has all it needs")
    end = b"\r\n" if b"\r\n" in before else b"\n"
    lead = b"" if not before or before.endswith((b"\n", b"\r")) else end
    lines = b"".join(entry.encode() + end for entry in missing)
    return Planned(path, path.name, "append", f"{len(missing)} lines: {' '.join(missing)}", lead + lines)


def _about(prices: bytes) -> str:
    from pytest_finbot.reports.templates import render, templates_folder

    lines = prices.decode().split()
    licence = (templates_folder() / "starter" / "LICENSE-skfolio.txt").read_text("utf-8")
    facts = {
        "sessions": len(lines) - 1,
        "first": lines[1].partition(",")[0],
        "last": lines[-1].partition(",")[0],
        "licence": "\n".join(f"    {line}".rstrip() for line in licence.strip().splitlines()),
    }
    return render("starter/sample_prices.md.j2", facts)


def _holds(path: Path, content: str) -> bool:
    try:
        return path.read_bytes().replace(b"\r\n", b"\n") == content.encode()
    except OSError:
        return False


def _top(folder: Path) -> Path:
    """The git repository's top folder; ``folder`` itself where it is in none."""
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)


def _shown(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _own_action() -> str:
    """The repository that this package says it comes from, at its own version; else a placeholder."""
    return f"{_repository(_urls()) or PLACEHOLDER}@v{pytest_finbot.__version__}"


def _urls() -> Sequence[str]:
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        said = metadata("pytest-finbot")
    except PackageNotFoundError:  # run from a folder that nobody installed
        return ()
    urls = [entry.partition(",")[2].strip() for entry in said.get_all("Project-URL") or ()]
    return [*urls, *(said.get_all("Home-page") or ())]


def _repository(urls: Sequence[str]) -> str | None:
    return next((match[1] for url in urls if (match := _REPOSITORY.fullmatch(url))), None)
