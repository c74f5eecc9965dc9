"""What a batch file needs of this machine: engines, calendars, files that are whole, baselines git keeps."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_finbot.cli.checkup.finding import Finding, note, ok, problem
from pytest_finbot.cli.checkup.places import why_not_writable
from pytest_finbot.cli.telling import short
from pytest_finbot.errors import BatchFileError, FinbotError

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch

_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_MOST_FILES: Final = 50_000
_GIT_SECONDS: Final = 30.0


def findings(file: Path, registry: Path) -> Iterator[Finding]:
    from pytest_finbot.config.expand import load_batch
    from pytest_finbot.session.collecting import import_from
    from pytest_finbot.session.inspect import inspect_run

    import_from([file.absolute().parent, Path.cwd()])
    try:
        batch = load_batch(file, inspect=inspect_run, snapshots=registry / "snapshots")
    except BatchFileError as error:
        count = len(error.problems)
        yield problem(
            "batch",
            f"{error.problems[0]}" + (f" (and {count - 1} more)" if count > 1 else ""),
            f"finbot validate {file}",
        )
        return
    yield ok("batch", f"{file}: {batch.batch_name}, {len(batch.runs):,} runs")
    yield from _engines(batch)
    yield from _calendars(batch)
    yield from _notifiers(batch)
    output = batch.output_root / batch.batch_name
    why = why_not_writable(output)
    if why is not None:
        yield problem("output", f"{short(output)}: {why}", "make it writable, or name another output_root")
    yield from _pointers(batch)
    yield from _baselines(batch)


def _engines(batch: Batch) -> Iterator[Finding]:
    from pytest_finbot.engines.resolve import BUILT_IN, resolve_engine

    for name in sorted({spec.engine for spec in batch.runs} & BUILT_IN.keys()):
        try:
            yield ok(f"engine {name}", resolve_engine(name).version())
        except FinbotError as error:
            yield problem(f"engine {name}", str(error), f"pip install 'pytest-finbot[{name}]'")


def _calendars(batch: Batch) -> Iterator[Finding]:
    from pytest_finbot.market.calendars import sessions_between

    windows: dict[str, tuple[date, date]] = {}
    for spec in batch.runs:
        if spec.data.calendar is not None:
            first, last = windows.get(spec.data.calendar, (spec.start_date, spec.end_date))
            windows[spec.data.calendar] = min(first, spec.start_date), max(last, spec.end_date)
    for name, (first, last) in sorted(windows.items()):
        about = f"calendar {name}"
        try:
            sessions = sessions_between(name, first, last)
        except FinbotError as error:
            yield problem(about, str(error), "change the window, or update exchange_calendars")
        else:
            yield ok(about, f"{len(sessions):,} sessions from {first} to {last}")
    without = sum(spec.data.calendar is None for spec in batch.runs)
    if without:
        yield note(
            "calendar",
            f"{without:,} of {len(batch.runs):,} runs name none: sessions that are missing are not seen",
            "name one: data: {calendar: XNYS}",
        )


def _notifiers(batch: Batch) -> Iterator[Finding]:
    from pytest_finbot.session.notifying import require_apprise

    if not batch.notify:
        return
    try:
        require_apprise([batch])
    except FinbotError as error:
        yield problem("notify", str(error), "pip install 'pytest-finbot[notify]'")
    for one in batch.notify:
        if os.environ.get(one.url_env):
            yield ok("notify", f"{one.url_env} is set")
        else:
            yield note(
                "notify", f"{one.url_env} is not set: nothing is sent from here", "set it where it should"
            )


# -------------------------------------------------------------------------------------- files


def _pointers(batch: Batch) -> Iterator[Finding]:
    """Files that git LFS has not fetched: three lines of text in place of prices or a baseline."""
    named = {Path(path) for spec in batch.runs for path in (spec.data.path, spec.data.open_path) if path}
    named |= {Path(path) for spec in batch.runs for path in (spec.factors_path, spec.bundle_path) if path}
    if batch.baseline is not None:
        named.add(batch.baseline / batch.batch_name)
    looked, found = 0, []
    for path in _files(named):
        looked += 1
        try:
            with path.open("rb") as file:
                if file.read(len(_POINTER)) == _POINTER:
                    found.append(path)
        except OSError as error:
            yield problem("files", f"{short(path)}: {error.strerror}", "make it readable")
    if found:
        more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
        yield problem(
            "git LFS",
            f"{short(found[0])}{more}: a pointer in place of the file",
            "git lfs pull; in a workflow: actions/checkout with lfs: true",
        )
    else:
        yield ok("files", f"prices and baselines are no pointers of git LFS; looked into {looked:,}")


def _files(named: Iterable[Path]) -> Iterator[Path]:
    left = _MOST_FILES
    for path in sorted(named):
        inside = (one for one in sorted(path.iterdir()) if one.is_file()) if path.is_dir() else (path,)
        for one in inside:
            if left and one.exists():
                left -= 1
                yield one


def _baselines(batch: Batch) -> Iterator[Finding]:
    from pytest_finbot.baselines.store import baseline_names

    if batch.baseline is None:
        yield note(
            "baselines", "the batch file names no folder: nothing is gated", "add: baseline: baselines"
        )
        return
    folder = batch.baseline / batch.batch_name
    try:
        accepted = set(baseline_names(folder))
    except FinbotError as error:
        yield problem("baselines", str(error), "finbot baseline list")
        return
    without = [spec.name for spec in batch.runs if spec.name not in accepted]
    if without:
        yield note(
            "baselines",
            f"{len(without):,} of {len(batch.runs):,} runs have none in {short(folder)}, and fail: "
            f"{', '.join(without[:3])}{', …' if len(without) > 3 else ''}",
            f"pytest --finbot-batch {short(batch.path)} --finbot-accept --finbot-reason '…'",
        )
    else:
        yield ok("baselines", f"every run has one in {short(folder)}")
    yield from _kept_by_git(folder, batch)


def _kept_by_git(folder: Path, batch: Batch) -> Iterator[Finding]:
    """Whether git would keep what is accepted: a line such as ``*.parquet`` leaves half of it away."""
    inside = next(one for one in (folder, *folder.parents) if one.is_dir())
    probes = [str(folder / f"{batch.runs[0].name}.{suffix}") for suffix in ("json", "parquet")]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", "check-ignore", "--no-index", "--verbose", "--", *probes],  # noqa: S607 - the user's own git
            cwd=inside,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return  # whether there is a git is told elsewhere
    # 0: something is ignored, 1: nothing is, 128: no repository. A rule may also be one that keeps ("!").
    rules = [line.partition("\t")[0] for line in done.stdout.splitlines()] if done.returncode == 0 else []
    rules = [rule for rule in rules if not rule.rpartition(":")[2].startswith("!")]
    if rules:
        yield problem(
            "baselines",
            f"git ignores what is accepted in {short(folder)} ({rules[0]})",
            f"take that line away, or add below it: !{short(folder)}/**",
        )
