"""Marks, flows, corporate actions and multipliers of one run: what it gives, or its defaults do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from pytest_finbot.config.actions import ACTION_KEYS
from pytest_finbot.config.level import Level
from pytest_finbot.config.problems import Findings, Place
from pytest_finbot.contracts import ActionSpec, Flow, MarkSpec
from pytest_finbot.errors import did_you_mean

KEYS: Final = ACTION_KEYS | {"marks"}

Window = tuple[date, date]

_ADJUSTED: Final = (
    "adjusted prices contain their dividends and splits already; use field: close, or leave them out"
)


class ActionMerger:
    """Gives a run's ``marks``, ``flows``, ``actions`` and ``multipliers``, as RunSpec has them.

    What ``defaults`` say of days outside a run's window or of symbols it does not trade is left
    out; what a run itself says of them is a mistake. A symbol's history of dividends and splits may
    be longer than the window, as long as some of it is in it.
    """

    def __init__(self, defaults: Level, findings: Findings) -> None:
        self._defaults = defaults
        self._findings = findings
        self._given = {name: value for name, value in defaults.values.items() if name in KEYS}
        self._usual: dict[str, Any] = {
            "marks": MarkSpec(**self._given.get("marks", {})),
            "flows": (),
            "actions": ActionSpec(),
            "multipliers": {},
        }
        self._declared = not self._given.keys() <= {"marks"}

    def of(
        self, run: Level, window: Window | None, symbols: tuple[str, ...] | None, field: str
    ) -> dict[str, Any]:
        """``window`` and ``symbols`` are ``None`` where the run has none that are right."""
        if not self._declared and KEYS.isdisjoint(run.values):
            return self._usual
        values = {**self._given, **run.values}
        found = dict(self._usual)
        if "marks" in run.values:
            found["marks"] = MarkSpec(**{**self._given.get("marks", {}), **run.values["marks"]})
        if "flows" in values:
            found["flows"] = tuple(self._flows(run, values["flows"], window))
        self._tell_contradictions(run, values, field)
        told = {
            name: self._of_symbols(run, name, values.get(name, "none"), symbols, window)
            for name in ("dividends", "splits")
        }
        if told != {"dividends": "none", "splits": "none"}:
            found["actions"] = ActionSpec(**told, booking=values.get("dividend_booking", "cash"))
        if "multipliers" in values:
            found["multipliers"] = self._multipliers(run, values["multipliers"], symbols)
        return found

    def _giver(self, run: Level, key: str) -> Level | None:
        """The run, or its part, that gives the key; ``None`` where defaults do, or nobody."""
        return next((level for level in run.chain() if key in level.values), None)

    def _place(self, run: Level, place: Place) -> Place:
        return (self._giver(run, str(place[0])) or self._defaults).at(place)

    def _tell_contradictions(self, run: Level, values: Mapping[str, Any], field: str) -> None:
        if field == "adj_close":
            for name in ("dividends", "splits"):
                if values.get(name, "none") != "none":
                    self._findings.add(self._place(run, (name,)), _ADJUSTED)
        booking = self._giver(run, "dividend_booking")
        if values.get("dividends", "none") != "none" or "dividend_booking" not in values:
            return
        # A run that takes back the dividends of its defaults need not take back their booking.
        takers = [*run.chain(), self._defaults]
        paid = self._giver(run, "dividends")
        if paid is None or takers.index(booking or self._defaults) <= takers.index(paid):
            message = "books nothing, as no dividends are given; give dividends, or leave it out"
            self._findings.add(self._place(run, ("dividend_booking",)), message)

    def _flows(self, run: Level, flows: tuple[Flow, ...], window: Window | None) -> Iterator[Flow]:
        giver = self._giver(run, "flows")
        whole = run.whole or window
        if window is None or whole is None:
            return
        for flow in flows:
            if window[0] <= flow.date <= window[1]:
                yield flow
            elif giver is not None and not whole[0] <= flow.date <= whole[1]:
                days = [entry["date"] for entry in giver.raw["flows"]]
                place = giver.at(("flows", days.index(flow.date.isoformat()), "date"))
                message = f"{flow.date} is outside the run's window, {whole[0]} to {whole[1]}"
                self._findings.add(place, message)

    def _of_symbols(
        self, run: Level, name: str, said: Any, symbols: tuple[str, ...] | None, window: Window | None
    ) -> Any:
        if isinstance(said, str):
            return said
        traded = self._traded(run, name, [one.symbol for one in said], symbols)
        giver = self._giver(run, name)
        days = run.whole or window
        if giver is not None and days is not None:
            for symbol in dict.fromkeys(one.symbol for one in said if one.symbol in traded):
                if not any(days[0] <= one.ex_date <= days[1] for one in said if one.symbol == symbol):
                    message = f"none of them is in the run's window, {days[0]} to {days[1]}"
                    self._findings.add(giver.at((name, symbol)), message)
        # A day outside the window touches nothing, and would make two hashes of one result.
        kept = tuple(
            one
            for one in said
            if one.symbol in traded and (window is None or window[0] <= one.ex_date <= window[1])
        )
        return kept or "none"

    def _multipliers(
        self, run: Level, said: Mapping[str, float], symbols: tuple[str, ...] | None
    ) -> dict[str, float]:
        traded = self._traded(run, "multipliers", said, symbols)
        # 1 is what is not named.
        return {symbol: said[symbol] for symbol in sorted(said) if symbol in traded and said[symbol] != 1}

    def _traded(self, run: Level, name: str, given: Any, symbols: tuple[str, ...] | None) -> frozenset[str]:
        """Which of the ``given`` symbols the run trades; tells of others, if it names them itself."""
        if symbols is None:
            return frozenset()
        traded = frozenset(given) & frozenset(symbols)
        giver = self._giver(run, name)
        if giver is not None:
            for symbol in sorted(set(giver.raw[name]) - traded):
                message = f"the run does not trade it{did_you_mean(symbol, symbols)}"
                self._findings.add(giver.at((name, symbol)), message)
        return traded
