"""Money and corporate actions that a batch file declares, as one level of it gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, GetJsonSchemaHandler, WrapValidator
from pydantic_core import PydanticCustomError

from pytest_finbot.config.fields import IsoDate, Positive, Strict, wrong
from pytest_finbot.config.problems import Place, describe, not_one_of
from pytest_finbot.contracts import Dividend, Flow, Split

WORDS: Final = ("from_prices", "none")
"""What ``dividends`` and ``splits`` may be beside a mapping; ``none`` takes back what defaults say."""

ACTION_KEYS: Final = frozenset({"flows", "dividends", "splits", "dividend_booking", "multipliers"})


def _check_flow(amount: float) -> float:
    if amount == 0:
        raise wrong("0 moves no money; expected a deposit above 0 or a withdrawal below 0")
    return amount


def _check_ratio(ratio: float) -> float:
    if ratio == 1:
        raise wrong("1 splits nothing; expected the units for each before, such as 2 for two for one")
    return ratio


class FlowModel(Strict):
    """A deposit (above 0) or withdrawal (below 0), currency."""

    noun: ClassVar[str] = "a flow"

    date: IsoDate
    amount: Annotated[float, AfterValidator(_check_flow)]


class DividendModel(Strict):
    """Currency a unit, to whoever held it before the ex-date."""

    noun: ClassVar[str] = "a dividend"

    date: IsoDate
    amount: Positive


class SplitModel(Strict):
    """Units from the date on for each before."""

    noun: ClassVar[str] = "a split"

    date: IsoDate
    ratio: Annotated[Positive, AfterValidator(_check_ratio)]


class _WordOr:
    """``from_prices``, ``none``, or for each symbol a list with no date twice.

    Tells editors so, too.
    """

    def __init__(self, keys: str) -> None:
        self._keys = keys

    def read(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if isinstance(value, str):
            if value not in WORDS:
                raise wrong(not_one_of(value, WORDS))
            return value
        if not isinstance(value, dict):
            raise wrong(
                f"expected from_prices, none, or a mapping of symbols to lists of {self._keys}, "
                f"got {describe(value)}"
            )
        found = handler(value)
        faults = tuple(_given_twice(found))
        if faults:
            raise PydanticCustomError("finbot_faults", "{faults}", {"faults": faults})
        return found

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(WORDS)}, handler(core)]}


def _given_twice(by_symbol: Mapping[str, list[Any]]) -> list[tuple[Place, str]]:
    faults: list[tuple[Place, str]] = []
    for symbol, entries in by_symbol.items():
        seen = set()
        for number, entry in enumerate(entries):
            if entry.date in seen:
                faults.append(((symbol, number, "date"), f"{entry.date} is given twice for {symbol}"))
            seen.add(entry.date)
    return faults


_dividends, _splits = _WordOr("date and amount"), _WordOr("date and ratio")
Dividends = Annotated[dict[str, list[DividendModel]], WrapValidator(_dividends.read), _dividends]
Splits = Annotated[dict[str, list[SplitModel]], WrapValidator(_splits.read), _splits]
Multipliers = dict[str, Positive]


def take_actions(given: set[str], said: Mapping[str, Any], values: dict[str, Any]) -> None:
    """Put what one level gives into ``values``, in the nouns' terms and in their order."""
    if "flows" in given:
        flows = [Flow(flow.date, flow.amount) for flow in said["flows"]]
        values["flows"] = tuple(sorted(flows, key=lambda flow: (flow.date, flow.amount)))
    if "dividends" in given:
        values["dividends"] = _in_order(
            said["dividends"], lambda symbol, one: Dividend(symbol, one.date, one.amount)
        )
    if "splits" in given:
        values["splits"] = _in_order(said["splits"], lambda symbol, one: Split(symbol, one.date, one.ratio))
    for name in ("dividend_booking", "multipliers"):
        if name in given:
            values[name] = said[name]


def _in_order(said: str | Mapping[str, list[Any]], noun: Callable[[str, Any], Any]) -> Any:
    if isinstance(said, str):
        return said
    return tuple(
        noun(symbol, one) for symbol in sorted(said) for one in sorted(said[symbol], key=lambda one: one.date)
    )
