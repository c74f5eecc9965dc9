"""One run's verdict: compared with what was accepted, excused where waived, explained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from pytest_finbot import fingerprint
from pytest_finbot.baselines.compare import compare
from pytest_finbot.baselines.facts import Comparison
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.slices import Slice, causes_of_slice, own_sessions
from pytest_finbot.baselines.sources import BaselineSource
from pytest_finbot.baselines.waivers import waive
from pytest_finbot.contracts import CheckSpec, Verdict, Waiver
from pytest_finbot.errors import NotComparableError
from pytest_finbot.tolerances import tolerances_of


@dataclass(frozen=True, slots=True)
class Gate:
    """What every run of a batch is compared with. ``accept`` is a shell pattern of run names."""

    source: BaselineSource
    waivers: tuple[Waiver, ...] = ()
    today: date = date.max
    """Day by which waivers expire; the session's, so that all its processes agree."""
    accept: str | None = None

    def judge(
        self,
        run: str,
        checks: CheckSpec,
        now: RunResult,
        dependencies: Mapping[str, Any],
        *,
        sliced: Slice | None = None,
    ) -> Comparison:
        """Compare ``now`` with the baseline of ``run``; a slice with its part of the whole run's.

        Raises BaselineError where the baseline cannot be read: that is never a verdict.
        """
        own_name = run
        if sliced is not None:
            run = sliced.of
        accepting = self.accept is not None and fnmatchcase(run, self.accept)
        tolerances = tolerances_of(checks)
        try:
            baseline = self.source.find(run)
            if baseline is None and sliced is not None:
                baseline = self.source.find(own_name)
        except NotComparableError as error:
            return Comparison(
                Verdict.NOT_COMPARABLE, checks.preset, reason=str(error), source=self.source.shown
            )
        if baseline is None:
            return Comparison(
                Verdict.NEW,
                checks.preset,
                reason=f"nothing is accepted for it in {self.source.shown}",
                source=self.source.shown,
                accepting=accepting,
            )
        accepted = baseline.result
        if sliced is not None:
            now, accepted = (own_sessions(result, sliced) for result in (now, accepted))

        def why_fewer() -> str | None:
            changed = fingerprint.differences(baseline.fingerprint, dependencies)
            said = [cause.detail for cause in changed if cause.part == "config"]
            return f"the configuration changed: {', '.join(said)}" if said and sliced is None else None

        compared = compare(now, accepted, tolerances, why_fewer=why_fewer)
        compared = waive(compared, run, self.waivers, self.today)
        if compared.verdict in (Verdict.IDENTICAL, Verdict.WITHIN):
            return compared
        causes = fingerprint.explain(
            baseline.fingerprint, dependencies, moved=compared.verdict is not Verdict.NOT_COMPARABLE
        )
        if sliced is not None:
            causes = causes_of_slice(causes, sliced)
        return dataclasses.replace(
            compared,
            causes=causes,
            source=baseline.shown,
            accepted=None if baseline.acceptance is None else dataclasses.asdict(baseline.acceptance),
            accepting=accepting,
        )
