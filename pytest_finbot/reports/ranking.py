"""Runs that differ in their settings alone, ranked: which configuration of a study did best and worst."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pytest_finbot.reports.report import RankedGroup, RankedRun, Ranking

RANKED_BY: Final = ("sharpe", "total_return", "max_drawdown")
MOST_RANKED: Final = 3
"""Runs at each end of a ranking."""
MOST_GROUPS: Final = 5
FEWEST_RUNS: Final = 3
"""Of two, the changed runs' table or a glance at the list says as much."""
_SAME: Final = ("symbols", "start_date", "end_date", "start_capital", "data", "flows", "part")
"""What runs have in common that are ranked among each other."""
_COMPARED: Final = ("strategy", "engine", "rebalance_freq", "fill", "units", "cash_buffer", "min_trade")
_BY_KEY: Final = ("params", "costs")
"""Settings that are told key by key."""
_MOST_KEYS: Final = 20
"""Of a setting that is a mapping itself (weights by symbol); a larger one is told as a whole."""
_LONGEST: Final = 60


class Configurations:
    """What the runs of a manifest have in common, and in what they differ.

    ``manifest`` is the batch's: ``common`` and what each of ``runs`` has otherwise, so that ten
    thousand runs of one study cost little.
    """

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._common: Mapping[str, Any] = manifest.get("common") or {}
        self._settings: dict[str, dict[str, str]] = {}
        self._groups: dict[str, list[str]] = {}
        self._shown: dict[str, tuple[int, str, str]] = {}
        self.lines: dict[str, int] = {}
        """The line of the batch file of each run."""
        usual = self._flat(self._common)
        for run in manifest.get("runs") or ():
            name = run["name"]
            self.lines[name] = run.get("line") or 0
            self._settings[name] = {**usual, **self._flat(run)} if len(run) > 2 else usual
            same = {key: run[key] for key in _SAME if key in run}
            key = json.dumps(same, sort_keys=True) if same else ""
            if key not in self._groups:
                self._groups[key] = []
                whole = {**self._common, **same}
                self._shown[key] = (
                    len(whole.get("symbols") or ()),
                    str(whole.get("start_date")),
                    str(whole.get("end_date")),
                )
            self._groups[key].append(name)

    def _flat(self, run: Mapping[str, Any]) -> dict[str, str]:
        found = {key: _said(run[key]) for key in _COMPARED if key in run}
        for key in _BY_KEY:
            if isinstance(run.get(key), Mapping):
                found |= _said_by_key(run[key], "" if key == "params" else f"{key}.")
        return found

    def ranked(self, metrics: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[RankedGroup, ...], int]:
        """The largest groups, and how many more there are; ``metrics`` of the runs that succeeded."""
        groups = []
        for key, names in self._groups.items():
            there = [name for name in names if name in metrics]
            differing = self._differing(there)
            if len(there) >= FEWEST_RUNS and differing:
                groups.append((key, there, differing))
        groups.sort(key=lambda group: -len(group[1]))
        return tuple(self._group(*group, metrics) for group in groups[:MOST_GROUPS]), max(
            len(groups) - MOST_GROUPS, 0
        )

    def _differing(self, names: Sequence[str]) -> dict[str, str | None]:
        """Settings that are not the same in all of these runs, with what more than half of them have.

        ``None`` where no value has that many: then every run says its own.
        """
        first = self._settings[names[0]] if names else {}
        found: dict[str, None] = {}
        for name in names[1:]:
            own = self._settings[name]
            if own is not first:
                found |= dict.fromkeys(key for key in (*first, *own) if first.get(key) != own.get(key))
        usual: dict[str, str | None] = {}
        for key in found:
            value, count = Counter(self._settings[name].get(key) for name in names).most_common(1)[0]
            usual[key] = value if count > len(names) / 2 else None
        return usual

    def _group(
        self,
        key: str,
        names: Sequence[str],
        differing: Mapping[str, str | None],
        metrics: Mapping[str, Mapping[str, Any]],
    ) -> RankedGroup:
        return RankedGroup(
            *self._shown[key],
            tuple(self._rankings(names, differing, metrics)),
        )

    def _rankings(
        self,
        names: Sequence[str],
        differing: Mapping[str, str | None],
        metrics: Mapping[str, Mapping[str, Any]],
    ) -> Iterator[Ranking]:
        for metric in RANKED_BY:
            known = [
                (float(value), number, name)
                for number, name in enumerate(names)
                if isinstance(value := metrics[name].get(metric), (int, float))
            ]
            # The larger, the better: drawdowns are negative. Of equals the first of the batch file.
            each = min(MOST_RANKED, len(known) // 2) or len(known)
            best = heapq.nsmallest(each, known, key=lambda one: (-one[0], one[1]))
            worst = heapq.nsmallest(
                min(each, len(known) - len(best)), known, key=lambda one: (one[0], -one[1])
            )
            yield Ranking(
                metric,
                len(names),
                len(names) - len(known),
                tuple(self._run(one, differing) for one in best),
                tuple(self._run(one, differing) for one in worst),
            )

    def _run(self, known: tuple[float, int, str], differing: Mapping[str, str | None]) -> RankedRun:
        value, _, name = known
        own = self._settings[name]
        return RankedRun(
            name,
            value,
            {key: _cut(own[key]) for key, usual in differing.items() if key in own and own[key] != usual},
        )


def _said_by_key(settings: Mapping[str, Any], before: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and 0 < len(value) <= _MOST_KEYS:
            found |= {f"{before}{name}.{key}": _said(one) for key, one in value.items()}
        else:
            found[f"{before}{name}"] = _said(value)
    return found


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    """A setting in words, cut where it is long: only what is shown, never what is compared."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
