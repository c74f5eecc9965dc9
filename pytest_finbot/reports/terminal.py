"""A report for a terminal: a few lines and a table of what moved and failed, as wide as there is room.

Nothing that somebody named or an engine said moves a cursor, hides, changes a colour or is taken for a
command by the runner of a CI service that reads the output: see :func:`harmless`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_finbot.reports.compared import compared_lines
from pytest_finbot.reports.words import NOTHING, only_bp, signed

if TYPE_CHECKING:
    from pytest_finbot.reports.facts import BatchFacts, GateFacts
    from pytest_finbot.reports.report import Report, RunFacts, ShardFacts

MOST_ROWS: Final = 20
"""Runs in the table; the summary has all."""
_FAILED_ROWS: Final = 5
"""Rows that runs that failed by themselves have in any case, however many moved."""
NARROWEST: Final = 40
_LEAST_NAME: Final = 16
_GAP: Final = "  "
_COLUMNS: Final = ("RUN", "WHAT", "NAV CHANGE", "FURTHEST", "SINCE")


class Line(NamedTuple):
    """A line of text; ``style`` is empty or a word that pytest and click know (``red``, ``bold``)."""

    text: str
    style: str = ""


def harmless(text: object) -> str:
    """``text`` as one line that is shown as it is, and does nothing.

    Control, bidirectional and other invisible characters are spelled out (``\\x1b``). GitHub's runner
    takes ``::command::`` at the beginning of a line and ``##[command]`` anywhere for an order to itself.
    """
    said = str(text)
    if not said.isprintable():
        said = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in said
        )
    if "##[" in said:
        said = said.replace("##[", "#\\x23[")
    start = said.lstrip()
    return said if not start.startswith("::") else f"{said[: len(said) - len(start)]}\\x3a{start[1:]}"


def harmless_text(text: str) -> str:
    """The same for a text of several lines; tabs stay."""
    return "\n".join("\t".join(map(_inner, line.split("\t"))) for line in harmless_lines(text))


def harmless_lines(text: str) -> list[str]:
    """The lines of ``text``; none of them begins with what a runner takes for a command."""
    lines = []
    for line in text.split("\n"):
        start = line.lstrip()
        if start.startswith("::"):
            line = f"{line[: len(line) - len(start)]}\\x3a{start[1:]}"
        lines.append(line)
    return lines


def _inner(text: str) -> str:
    return text if text.isprintable() and "##[" not in text else harmless(f".{text}")[1:]


def batch_lines(
    report: Report,
    *,
    width: int,
    shown: Sequence[str] = (),
    summary: str = "the summary",
) -> Iterator[Line]:
    """What a batch came to: counts, the gate, what moved and failed, how to accept it.

    ``width`` is the terminal's in columns. ``shown`` tells of runs that moved and fail nothing; ``summary``
    is where the rest is.
    """
    facts = report.batch
    yield Line(f"{facts.batch_name}: {_came_to(facts)}", "" if report.green else "red")
    if report.shards is not None:
        for line in _shard_lines(report.shards):
            yield Line(f"  {line}")
    for problem in facts.problems:
        yield Line(f"  problem: {problem}", "red")
    for note in facts.notes:
        yield Line(f"  note: {note}")
    yield Line(f"  {facts.gate_words}")
    if facts.gate is not None:
        yield from map(Line, shown)
        yield from _gate_lines(facts.gate, part=report.shards is not None)
    yield from map(Line, compared_lines(facts.compared))
    yield from table(report, width=width, summary=summary)
    accept = how_to_accept(report)
    if accept is not None:
        yield Line(f"  {accept}")
    if facts.passes() and not facts.passes("any"):
        yield Line(f"  not green, and excused by --finbot-fail-on {facts.fail_on}", "red")


def _came_to(facts: BatchFacts) -> str:
    if facts.empty_share:
        return "nothing to run"
    counts = [f"{facts.success} of {facts.expected} runs succeeded"]
    if facts.failed:
        categories = ", ".join(f"{n} {name}" for name, n in sorted(facts.error_categories.items()))
        counts.append(f"{facts.failed} failed ({categories})")
    if facts.not_run:
        counts.append(f"{facts.not_run} not run")
    if facts.deselected:
        counts.append(f"{facts.deselected} deselected")
    return f"{', '.join(counts)}: {facts.status}"


def _shard_lines(shards: ShardFacts) -> Iterator[str]:
    """What this share is, and that it is not the whole."""
    total = sum(shards.runs)
    own = sum(shards.runs[number - 1] for number in shards.present)
    runs = f"{own:,} of the batch's {total:,} run{'' if total == 1 else 's'}"
    if not own:
        runs = f"none of the batch's {total:,} runs, which are fewer than the shards"
    yield f"shard {shards.present[0]}/{shards.count}: {runs}"
    if rest := len(shards.missing):
        yield (
            f"not the whole: the reports of {rest:,} other shard{'' if rest == 1 else 's'} are needed for a "
            "verdict on the batch (finbot ci combine)"
        )


def _gate_lines(gate: GateFacts, *, part: bool) -> Iterator[Line]:
    """``part``: of a batch of which others may use the waivers that this one does not."""
    for run in gate.missing:
        yield Line(
            f"  missing: {run} has a baseline in {gate.source} and is not in the batch file; "
            f"put it back, or: finbot baseline remove {run}"
            if not gate.source.startswith("batch:")
            else f"  missing: {run} is in {gate.source}, and not here",
            "red",
        )
    for waiver in gate.waivers:
        if waiver.state == "expired" or (waiver.state == "unused" and not part):
            why = "expired" if waiver.state == "expired" else "matches nothing that moved"
            yield Line(
                f"  waiver {why}: {waiver.run} {waiver.check}, until {waiver.expires}, by {waiver.reviewer} "
                f"({waiver.where})"
            )
    for line in (*gate.accepted, *gate.refused):
        yield Line(f"  {line}")
    if gate.unchanged:
        yield Line(f"  unchanged: {gate.unchanged:,} baselines stay as they are")


# ------------------------------------------------------------------------------------- the table


def table(report: Report, *, width: int, summary: str) -> Iterator[Line]:
    """Runs that keep the gate shut: those that moved, the furthest first, then those that failed."""
    moved = [run for run in report.changed if run.fails]
    # What is only a baseline is told by the gate's lines.
    failed = sorted(
        (run for run in report.failed if run.status != "missing"), key=lambda run: run.status == "not_run"
    )
    room = max(MOST_ROWS - len(moved), _FAILED_ROWS)
    failed_rows = failed[:room]
    moved_rows = moved[: MOST_ROWS - len(failed_rows)]
    if not moved_rows and not failed_rows:
        return
    width = max(width, NARROWEST)
    yield from _rows(moved_rows, failed_rows, width)
    left = [
        (len(moved) - len(moved_rows) + report.changed_not_listed, "that moved"),
        (len(failed) - len(failed_rows) + report.failed_not_listed, "that failed or were not run"),
    ]
    more = [f"{count:,} more {what}" for count, what in left if count > 0]
    if more:
        yield Line(f"  and {', '.join(more)}: see {summary}")


def _rows(moved: Sequence[RunFacts], failed: Sequence[RunFacts], width: int) -> Iterator[Line]:
    from rich.cells import cell_len

    cells = [_COLUMNS, *map(_moved, moved)] if moved else []
    columns = len(_COLUMNS)
    others = [max((cell_len(row[n]) for row in cells), default=0) for n in range(1, columns)]
    names = [harmless(run.run) for run in (*moved, *failed)]
    longest = max(map(cell_len, (*names, _COLUMNS[0])))
    while others and _taken(others) + _LEAST_NAME > width:
        others.pop()  # what is furthest to the right is told least
    name_width = max(min(longest, width - _taken(others)), min(longest, _LEAST_NAME))
    if failed:
        name_width = min(name_width, max(width // 2, _LEAST_NAME))
    for number, row in enumerate(cells):
        line = f"  {_fitted(row[0], name_width)}" + "".join(
            _GAP + (_fitted(text, size) if n == 0 else _fitted(text, size, right=n == 1))
            for n, (text, size) in enumerate(zip(row[1:], others, strict=False))
        )
        yield Line(line.rstrip(), "red" if number else "bold")
    for run in failed:
        room = width - len(_GAP) * 2 - name_width
        yield Line(
            f"  {_fitted(harmless(run.run), name_width)}{_GAP}{_fitted(harmless(_why(run)), room).rstrip()}",
            "red",
        )


def _taken(others: Sequence[int]) -> int:
    """Columns that are not the name's."""
    return len(_GAP) + sum(size + len(_GAP) for size in others)


def _moved(run: RunFacts) -> tuple[str, str, str, str, str]:
    comparison = run.comparison
    largest = None if comparison is None else comparison.largest
    final = None if comparison is None else comparison.final
    furthest = NOTHING
    if largest is not None and largest.relative is not None:
        furthest = f"{only_bp(largest.relative)} on {largest.session}"
    first = None if comparison is None else comparison.first_session
    return (
        harmless(run.run),
        "not deterministic"
        if run.not_deterministic
        else harmless((run.verdict or run.status).replace("_", " ")),
        NOTHING if final is None else signed(final.change),
        harmless(furthest),
        harmless(first or NOTHING),
    )


def _why(run: RunFacts) -> str:
    """What a run failed of, as its first line says."""
    if run.status == "not_run":
        return "not run: it left no record"
    first = run.error.strip().partition("\n")[0]
    where = f" in {run.phase}" if run.phase else ""
    return f"{run.category or run.status}{where}: {first}" if first else f"{run.category}{where}"


def _fitted(text: str, width: int, *, right: bool = False) -> str:
    """``text`` in exactly ``width`` columns; too long, it loses its middle: names differ at both ends."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) > width:
        end = max((width - 1) // 3, 0)
        tail = text[-end:] if end else ""
        while cell_len(tail) > end:
            tail = tail[1:]
        text = f"{set_cell_size(text, max(width - 1 - cell_len(tail), 0))}…{tail}"
    space = " " * (width - cell_len(text))
    return f"{space}{text}" if right else f"{text}{space}"


def how_to_accept(report: Report) -> str | None:
    """The next command, where something moved that can be accepted into a folder."""
    gate = report.batch.gate
    if gate is None or gate.source.startswith(("batch:", "git:")) or not report.batch.file:
        return None
    runs = [run.run for run in report.changed if run.fails and run.acceptable]
    if not runs:
        return None
    one = len(runs) == 1 and not report.changed_not_listed
    which = runs[0] if one else "GLOB"
    what = "accept it:" if one else "accept what is meant:"
    pattern = f"'{which}'" if re.fullmatch(r"[A-Za-z0-9_.-]+", which) else shlex.quote(which)
    return (
        f"{what} pytest --finbot-batch {shlex.quote(report.batch.file)} --finbot-accept {pattern} "
        "--finbot-reason '…'"
    )
