"""Runs in readable form: one whole, several side by side, one over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.cli.show import NOTHING, Page, first_line, number, seconds, short_commit, shown, when

if TYPE_CHECKING:
    import pandas as pd

    from pytest_finbot.cli.run_history import Move, Track

_DIGITS: Final = 16
"""Hexadecimal digits of a hash that are shown; ``--json`` has all of them."""
_PARTS: Final = ("metric", "params", "setting", "fingerprint")
_LETTERS: Final = 26


def tell_run(facts: Mapping[str, Any], page: Page) -> None:
    """The document of :func:`~.run_facts.run_facts`, as a page."""
    from pytest_finbot.cli.run_engine import tell_engine
    from pytest_finbot.cli.run_facts import as_expected
    from pytest_finbot.cli.run_prices import tell_part, tell_prices

    record, _ = as_expected(facts["record"])  # what does not fit is among the problems
    get = record.get
    page.line(shown(facts["run_id"]), style="bold")
    if not facts["counts"]:
        page.line("  an earlier attempt: a later one of this run counts", style="yellow")
    window = f"{get('start_date')} to {get('end_date')}" if get("start_date") else None
    page.fields(
        [
            ("status", get("status")),
            ("verdict", get("verdict")),
            ("began", f"{when(get('started_at'))} UTC"),
            ("took", seconds(get("seconds"))),
            ("worker", get("worker")),
            ("attempt", f"{get('attempt')} ({len(facts['attempts'])} recorded)"),
            ("batch", f"{facts['batch_id']} {facts['batch_name'] or ''}".rstrip()),
            ("engine", get("engine")),
            ("strategy", get("strategy")),
            ("window", window),
            ("part", tell_part(get("part") or {})),
            ("bundle", get("bundle")),
            ("seed", get("seed")),
            ("tags", ", ".join(get("tags") or ())),
            (
                "peak memory",
                f"{record['peak_rss'] / 2**20:,.0f} MiB, of its process" if get("peak_rss") else None,
            ),
            ("starts with", _currency((get("books") or {}).get("start_cash"))),
            ("rejected orders", get("rejected_orders") or None),
            ("commit", _commit(facts["provenance"])),
        ]
    )
    _error(record, page)
    if facts["params"]:
        page.heading("params")
        page.fields((shown(name), _plain(value)) for name, value in facts["params"].items())
    _metrics(record, page)
    tell_prices(record, page)
    tell_engine(record, page)
    _checks(record, page)
    _phases(record, page)
    _fingerprint(record, page)
    told = {finding.get("message") for finding in (get("data_notes") or {}).get("odd") or ()}
    for warning in (warning for warning in get("warnings") or () if warning not in told):
        page.line(f"  warning: {shown(warning)}", style="yellow")
    if len(facts["attempts"]) > 1:
        _attempts(facts["attempts"], page)
    _files(facts, record.get("artifacts") or (), page)
    for said in facts["output"]:
        for stream in ("stdout", "stderr"):
            if said[stream]:
                page.heading(f"{stream} of attempt {said['attempt']}")
                page.lines(said[stream])
    page.show()


def _commit(provenance: Mapping[str, Any]) -> str | None:
    commit = provenance.get("git commit")
    changed = commit and provenance.get("git dirty") == "yes"
    return f"{commit}+" if changed else commit


def _currency(value: Any) -> str | None:
    said = number(value, ",.2f")
    return None if said is None else f"{said} in cash"


def _error(record: Mapping[str, Any], page: Page) -> None:
    if record.get("status") != "failed":
        return
    from pytest_finbot.cli.batch_facts import error_of

    error = error_of(record)
    phase = f" in {shown(error['phase'])}" if error["phase"] else ""
    page.heading(f"{shown(error['category'])}{phase}")
    page.lines(f"{error['type']}: {error['message']}" if error["type"] else error["message"] or "no message")
    traceback = (record.get("error") or {}).get("traceback")
    if traceback:
        page.line()
        page.lines(traceback)


def _metrics(record: Mapping[str, Any], page: Page) -> None:
    metrics, undefined = record.get("metrics") or {}, record.get("undefined_metrics") or {}
    if not metrics and not undefined:
        return
    page.heading("metrics")
    page.table(
        ("METRIC", "VALUE>", "EXACTLY>", "UNDEFINED BECAUSE"),
        [
            (name, _spelled(name, metrics.get(name)), _exact(metrics.get(name)), undefined.get(name))
            for name in dict.fromkeys((*metrics, *undefined))
        ],
    )


def _spelled(name: str, value: Any) -> str | None:
    from pytest_finbot.reports.words import metric

    return None if value is None else metric(value, name)


def _exact(value: Any) -> str | None:
    return repr(value) if isinstance(value, float) else None


def _checks(record: Mapping[str, Any], page: Page) -> None:
    checks = record.get("checks") or ()
    comparison = record.get("comparison") or {}
    if not checks and not comparison:
        return
    page.heading("checks")
    if checks:
        page.table(
            ("CHECK", "VERDICT", "VALUE>", "LIMIT>", "SESSION", "ASSET", "MESSAGE"),
            [
                (
                    *(check.get("name"), check.get("verdict"), _figure(check.get("value"))),
                    *(_figure(check.get("limit")), check.get("session"), check.get("asset")),
                    first_line(check.get("message") or ""),
                )
                for check in checks
            ],
        )
    from pytest_finbot.reports.rows import causes_in_words

    for cause in causes_in_words(comparison):
        page.line(f"  {shown(cause)}")


def _phases(record: Mapping[str, Any], page: Page) -> None:
    phases = record.get("phases") or ()
    if not phases:
        return
    page.heading("phases")
    page.table(
        ("PHASE", "STATUS", "TIME>", "COUNTED", "REASON"),
        [
            (
                *(phase.get("name"), phase.get("status"), seconds(phase.get("seconds"))),
                _counted(phase.get("counters")),
                first_line(phase.get("reason") or ""),
            )
            for phase in phases
        ],
    )


def _counted(counters: object) -> str:
    if not isinstance(counters, Mapping):
        return "" if counters is None else shown(counters)
    return ", ".join(f"{number(times, ',')} {shown(of)}" for of, times in counters.items())


def _fingerprint(record: Mapping[str, Any], page: Page) -> None:
    fingerprint = record.get("fingerprint") or {}
    if not fingerprint:
        return
    page.heading("depends on")
    pairs: list[tuple[str, object]] = []
    for part, value in fingerprint.items():
        if isinstance(value, Mapping):
            said = [
                _short(name, each)
                for name, each in value.items()
                if isinstance(each, str | int | float) and each != ""
            ]
            pairs.append((shown(part), ", ".join(said)))
        else:
            pairs.append((shown(part), None if value is None else str(value)[:_DIGITS]))
    page.fields(pairs)


def _short(name: str, value: object) -> str:
    return str(value)[:_DIGITS] if name == "hash" else f"{name} {value}"


def _attempts(attempts: Sequence[Mapping[str, Any]], page: Page) -> None:
    page.heading("attempts")
    page.table(
        ("ATTEMPT>", "STATUS", "BEGAN (UTC)", "TIME>", "WORKER", "ERROR", "MESSAGE"),
        [
            (
                *(each["attempt"], each["status"], when(each["started_at"]), seconds(each["seconds"])),
                each["worker"],
                each["error"]["category"] if each["error"] else None,
                first_line(each["error"]["message"]) if each["error"] else None,
            )
            for each in attempts
        ],
    )


def _files(facts: Mapping[str, Any], artifacts: Sequence[str], page: Page) -> None:
    pairs = []
    for key, kept in facts["tables"].items():
        if kept is None:
            continue
        where = "in the record itself" if kept["in_record"] else kept["file"]
        pairs.append((key, where if kept["exists"] else f"{where} (missing)"))
    if pairs or artifacts:
        page.heading("series and files")
        page.fields([*pairs, ("artifacts", ", ".join(artifacts))])


def _figure(value: Any) -> str | None:
    return None if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# ---------------------------------------------------------------------------- side by side


def comparison_document(frame: pd.DataFrame) -> dict[str, Any]:
    """The frame of ``ExperimentRegistry.compare`` as JSON: part, name, then a value a run."""
    from pytest_finbot.registry.values import to_json

    named = {str(run): str(run) for run in frame.columns}
    document: dict[str, Any] = {"runs": list(named)}
    for part in _PARTS:
        document[part] = {}
    for (part, name), row in zip(frame.index, frame.itertuples(index=False, name=None), strict=True):
        values = {run: to_json(value, f"{part} {name}") for run, value in zip(named, row, strict=True)}
        document[str(part)][str(name)] = values
    document["undefined"] = frame.attrs["undefined"]
    return document


def tell_comparison(document: Mapping[str, Any], page: Page) -> None:
    """Runs as columns A, B, C …; a metric's difference where there are two."""
    runs: list[str] = document["runs"]
    titles = [_letter(position) for position in range(len(runs))]
    page.fields((title, shown(run)) for title, run in zip(titles, runs, strict=True))
    two = len(runs) == 2
    page.heading("metrics")
    if document["metric"]:
        page.table(
            ("METRIC", *(f"{title}>" for title in titles), *(["B - A>"] if two else [])),
            [
                (
                    name,
                    *(_value(document, name, run, values[run]) for run in runs),
                    *([_difference(*(values[run] for run in runs))] if two else []),
                )
                for name, values in document["metric"].items()
            ],
        )
    else:
        page.line("  none of them has any")
    for part, title in (("params", "params"), ("setting", "settings"), ("fingerprint", "fingerprint parts")):
        page.heading(f"{title} that differ")
        if document[part]:
            page.table(
                (part.upper(), *titles),
                [
                    (name, *(_cell(name, values[run]) for run in runs))
                    for name, values in document[part].items()
                ],
            )
        else:
            page.line("  none")
    page.show()


def _letter(position: int) -> str:
    """A … Z, AA, AB …"""
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, _LETTERS)
        letters = chr(ord("A") + rest) + letters
    return letters


def _value(document: Mapping[str, Any], name: str, run: str, value: Any) -> str | None:
    if value is None:
        reason = document["undefined"].get(run, {}).get(name)
        return None if reason is None else f"undefined: {reason}"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _difference(one: Any, other: Any) -> str | None:
    if isinstance(one, int | float) and isinstance(other, int | float):
        try:
            return "0" if one == other else number(other - one, "+.6g")
        except OverflowError:  # of a float and a whole number that none can be
            return None
    return None


def _cell(name: str, value: Any) -> str | None:
    if value is None:
        return None
    text = _plain(value)
    return text[:_DIGITS] if _is_hash(text) else text


def _is_hash(text: str) -> bool:
    return len(text) == 64 and all(char in "0123456789abcdef" for char in text)


# -------------------------------------------------------------------------------- over time


def history_document(name: str, metric: str, tracks: Iterable[Track]) -> dict[str, Any]:
    """Every value and every move, a history for each name of a batch."""
    return {
        "name": name,
        "metric": metric,
        "histories": [
            {
                "batch_name": track.batch_name,
                "earlier": track.earlier,
                "times": track.times,
                "values": track.values,
                "moves": [
                    {
                        **dataclasses.asdict(move),
                        "causes": [{"part": part, "detail": detail} for part, detail in move.causes],
                    }
                    for move in track.moves
                ],
            }
            for track in tracks
        ],
    }


def tell_history(name: str, metric: str, tracks: Sequence[Track], page: Page) -> None:
    """A sparkline, then a line a move."""
    from pytest_finbot.reports.sparkline import sparkline

    for position, track in enumerate(tracks):
        if position:
            page.line()
        page.line(f"{shown(metric)} of {shown(name)} in {shown(track.batch_name)}", style="bold")
        known = track.known
        numbers = track.numbers
        if len(numbers) == len(known):  # of texts there is nothing to draw
            page.line(f"  {sparkline([None if isinstance(v, str) else v for v in track.values])}")
        if numbers and len(numbers) == len(known):
            ends = (("min", min(numbers)), ("max", max(numbers)), ("last", numbers[-1]))
            page.line("  " + ", ".join(f"{what} {_spelled(metric, value)}" for what, value in ends))
        without = len(track.values) - len(known)
        page.line(
            f"  {len(track.values):,} records, {when(track.times[0])} to {when(track.times[-1])} UTC"
            + (f"; {without:,} without a value" if without else "")
        )
        if track.earlier:
            page.line(f"  {track.earlier:,} earlier records not shown")
        page.table(
            ("BEGAN (UTC)", "VALUE>", "CHANGE>", "COMMIT", "THEN UNCHANGED>", "CAUSE"),
            [_move_row(metric, move, first=not track.earlier) for move in track.moves],
        )
    page.show()


def _move_row(metric: str, move: Move, *, first: bool) -> tuple[object, ...]:
    begins = "first" if first else NOTHING
    causes = "; ".join(f"{part}: {detail}" for part, detail in move.causes)
    return (
        when(move.at),
        _spelled(metric, move.value),
        begins if move.first else _moved(move.change, move.fraction),
        shown(short_commit(move.commit)),
        f"{move.unchanged:,}" if move.unchanged else NOTHING,
        None if move.first else causes,
    )


def _moved(change: float | None, fraction: float | None) -> str:
    if change is None:
        return "another text"
    return f"{change:+.6g}" if fraction is None else f"{change:+.6g} ({fraction * 1e4:+,.4g} bp)"
