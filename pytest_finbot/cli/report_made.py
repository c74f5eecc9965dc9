"""What a report is made of when it is asked for later: the records, and what the session knew."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.folding import Excused, RecordsTally, batch_facts, summary_rows
from pytest_finbot.reports.making import ReportMaker
from pytest_finbot.reports.markdown import markdown_report
from pytest_finbot.reports.ranking import Configurations
from pytest_finbot.reports.report import Report, ShardFacts
from pytest_finbot.reports.rows import SummaryRow
from pytest_finbot.reports.session_facts import gate_known_from, kept_session
from pytest_finbot.reports.summary import REPORT, as_json, write_summary

if TYPE_CHECKING:
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.fold import BatchFold
    from pytest_finbot.reports.html.series import SeriesSource

_ERRORS = "backslashreplace"
_MOST_NAMED = 5


@dataclass(slots=True)
class Made:
    """A batch's facts and rows, of which every format is made; the rows pass once."""

    facts: BatchFacts | Callable[[], BatchFacts]
    """Where they are counted from the rows, asked for when these have passed."""
    maker: ReportMaker
    rows: Iterable[SummaryRow]
    series: Callable[[], SeriesSource]
    """Daily series, for what draws them."""
    excused: list[str] = field(default_factory=list)
    """Moves that fail nothing, for the terminal; filled as the rows pass."""
    began: float = field(default_factory=time.perf_counter)

    def report(self) -> Report:
        """The report, where no file needs the rows."""
        for row in self.rows:
            self.maker.add(row)
        seconds = round(time.perf_counter() - self.began, 3)
        facts = self.facts() if callable(self.facts) else self.facts
        return self.maker.report(dataclasses.replace(facts, summing_up=seconds))

    def print(self, name: str, out: IO[str]) -> Report:
        """One format to ``out``; ``json`` is the report itself, as ``batch_report.json`` has it."""
        if name == "csv":
            with tempfile.TemporaryDirectory() as folder:
                report, paths = self._data(Path(folder))
                with paths["csv"].open(encoding="utf-8", newline="") as file:
                    shutil.copyfileobj(file, out)
            return report
        report = self.report()
        out.write(self._document(name, report))
        return report

    def write(self, folder: Path, formats: Sequence[str]) -> tuple[Report, list[Path]]:
        """Write files into ``folder``, each whole or not at all; raises OSError.

        ``json`` are both documents, ``batch_summary.json`` with the records and ``batch_report.json``.
        """
        names = {"text": "batch_summary.txt", "md": "batch_summary.md", "html": "batch_summary.html"}
        documents: dict[str, str] = {}
        # In the folder itself: what is written there is put in its place without being copied.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".batch_summary.") as draft:
            if {"csv", "json"} & set(formats):
                report, paths = self._data(Path(draft))
            else:
                report, paths = self.report(), {}
            for name in dict.fromkeys(formats):
                if name in names:
                    documents[names[name]] = self._document(name, report)
            written = [_put(folder / name, document) for name, document in documents.items()]
            if "csv" in formats:
                written.append(paths["csv"].replace(folder / paths["csv"].name))
            if "json" in formats:
                written += [paths[key].replace(folder / paths[key].name) for key in ("json", "report")]
        return report, written

    def _data(self, folder: Path) -> tuple[Report, dict[str, Path]]:
        """Write CSV and JSON; pages are made where they were asked for."""
        return write_summary(folder, self.facts, self.rows, self.maker, self.began, pages={})

    def _document(self, name: str, report: Report) -> str:
        if name == "md":
            return markdown_report(report)
        if name == "html":
            from pytest_finbot.reports.html import html_report

            return html_report(report, self.series())
        if name == "text":
            from pytest_finbot.reports.terminal import batch_lines, harmless

            lines = batch_lines(report, width=100, shown=self.excused)
            return "".join(f"{harmless(line.text)}\n" for line in lines)
        assert name == "json", f"{REPORT} is what is left"
        return as_json(report.to_json()) + "\n"


def _put(path: Path, document: str) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # No newline is translated: a page names its scripts by the hash of their very bytes.
    draft.write_text(document, encoding="utf-8", errors=_ERRORS, newline="")
    os.replace(draft, path)
    return path


def made_again(registry: FilesRegistry, batch_id: str) -> Made:
    """The report as the session made it, of what is recorded now. Raises RegistryError."""
    manifest = registry.manifest(batch_id)
    fold = registry.fold(batch_id)
    session = kept_session(registry, fold)
    if fold.facts is None:
        session = dataclasses.replace(
            session, gate=gate_known_from(manifest, fold), shard=_shard_of(manifest)
        )
    session = dataclasses.replace(session, problems=(*session.problems, *deleted(fold)))
    tally = RecordsTally()
    missing = () if session.gate is None else session.gate.missing
    excused = Excused()
    return Made(
        lambda: batch_facts(fold, batch_id, manifest, session, tally),
        ReportMaker(Configurations(manifest), session.shard),
        excused.passing(summary_rows(fold, batch_id, missing, tally.add)),
        lambda: _registry_series(registry, fold),
        excused.lines,
    )


def deleted(fold: BatchFold) -> Iterator[str]:
    """A batch without its failed runs is not a green one."""
    names = fold.deleted
    if not names:
        return
    said = "1 run was" if len(names) == 1 else f"{len(names):,} runs were"
    more = ", …" if len(names) > _MOST_NAMED else ""
    yield f"{said} deleted from the record, and counted nowhere: {', '.join(names[:_MOST_NAMED])}{more}"


def _registry_series(registry: FilesRegistry, fold: BatchFold) -> SeriesSource:
    from pytest_finbot.reports.html import RegistrySeries

    return RegistrySeries(registry.objects, fold)


def _shard_of(manifest: Mapping[str, Any]) -> ShardFacts | None:
    """Which share the batch was to be, where no session has told."""
    shard, plan = manifest.get("shard"), manifest.get("plan")
    if not isinstance(shard, dict) or not isinstance(plan, str):
        return None
    return ShardFacts(shard["count"], plan, (shard["index"],), tuple(shard["runs"]))


def made_against(registry: FilesRegistry, batch_id: str, other: str) -> Made:
    """The runs of a batch held against those of ``other``; nothing is executed. Raises RegistryError."""
    from pytest_finbot.cli.report_against import Against

    manifest = registry.manifest(batch_id)
    held = Against(registry, batch_id, other)
    excused = Excused()
    return Made(
        held.facts(manifest),
        # A share is no more of its batch for being like another's.
        ReportMaker(Configurations(manifest), _shard_of(manifest)),
        excused.passing(held.rows()),
        lambda: held,
        excused.lines,
    )
