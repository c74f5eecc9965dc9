"""Reports and series that are made up, for pages that are looked at."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from typing import Any

import numpy as np

from pytest_finbot.baselines.results import FillTable, RunResult
from pytest_finbot.contracts import FloatArray
from pytest_finbot.errors import RegistryError
from pytest_finbot.reports.html import Sides
from pytest_finbot.reports.report import Report, RunFacts
from tests.reports.test_report import FINE, moved, report_of
from tests.reports.test_summary import a_record

ASSETS = ("AAPL", "CVX", "HD", "JNJ", "JPM", "KO", "MSFT", "PG", "WMT", "XOM")


def result(
    sessions: int = 3_300, factor: float = 1.0, assets: tuple[str, ...] = ASSETS, start: str = "2010-01-04"
) -> RunResult:
    """Thirteen years, by default, of ten shares that wander; ``factor`` times the positions."""
    days = np.datetime64(start, "D") + np.arange(sessions)
    draw = np.random.default_rng(7)
    values = factor * 1e4 * np.cumprod(1 + draw.normal(3e-4, 0.01, (sessions, len(assets))), axis=0)
    cash = np.full(sessions, 1e5 - factor * 1e4 * len(assets))
    traded = np.arange(0, sessions, 21)
    fills = FillTable(
        days[traded],
        traded % len(assets),
        np.full(len(traded), factor),
        np.full(len(traded), 50.0),
        np.full(len(traded), 0.1),
    )
    return RunResult(days, cash + values.sum(axis=1), assets, cash, values / 50.0, values, fills, metrics={})


class Made:
    """The same series for every run; ``unreadable`` names those whose are damaged."""

    def __init__(self, sessions: int = 3_300, assets: tuple[str, ...] = ASSETS, unreadable: Any = ()) -> None:
        self._both = Sides(result(sessions, 0.5, assets), result(sessions, 1.0, assets))
        self._unreadable = unreadable

    def sides(self, run: RunFacts) -> Sides:
        if run.run in self._unreadable:
            raise RegistryError(f"object {run.run} is missing")
        return self._both

    def nav(self, run: RunFacts) -> FloatArray:
        if run.run in self._unreadable:
            raise RegistryError(f"object {run.run} is missing")
        assert self._both.now is not None
        return self._both.now.nav


def a_report(runs: int = 3, changed: int = 1, failed: int = 0) -> Report:
    """``runs`` in all; the changed ones are called ``moved_0`` …, the failed ``failed_0`` …"""
    error = {
        "category": "engine_error",
        "phase": "simulate",
        "message": "no\nprice",
        "traceback": "Traceback",
    }
    metrics = {"final_nav": 123456.789, "sharpe": 0.8123, "max_drawdown": -0.3, "trades": 120}
    records = [
        *(moved(f"moved_{n}", 50.0 - n) for n in range(changed)),
        *(a_record(f"failed_{n}", "failed", error=error) for n in range(failed)),
        *(
            a_record(f"run_{n}", verdict="identical", metrics={**metrics, "sharpe": n / 100})
            for n in range(runs - changed - failed)
        ),
    ]
    gate = dataclasses.replace(FINE.gate, verdicts={"identical": runs - changed - failed, "moved": changed})
    facts = dataclasses.replace(
        FINE,
        status="partial",
        expected=runs,
        recorded=runs,
        success=runs - changed - failed,
        failed=changed + failed,
        error_categories={"regression": changed, "engine_error": failed},
        gate=gate,
    )
    return report_of(*records, facts=facts)


class Parsed(HTMLParser):
    """A page as a browser's parser sees it: its elements, their attributes, what scripts and styles hold."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.data = ""
        self.text = ""
        self._inside: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag in ("script", "style"):
            self._inside = "data" if ("type", "application/json") in attrs else tag
            if self._inside == "script":
                self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "data":
            self.data += data
        elif self._inside is None:
            self.text += data
