"""What two engines differ by, split as far as the built-in one can show it.

The built-in engine follows the same target weights with the conventions of the one engine, then with
one convention after the other of the other: each rung's NAV less that of the rung before is what that
convention comes to. What the two engines' own results differ by beyond all rungs is their own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np

from pytest_finbot.contracts import (
    Conventions,
    CostBooking,
    CostSpec,
    EngineResult,
    FillTiming,
    FloatArray,
    IntArray,
    MarketData,
    RunSpec,
    TargetWeights,
    Units,
)
from pytest_finbot.engines.execution import Execution
from pytest_finbot.engines.portfolio import simulate
from pytest_finbot.errors import ParameterError

SizedAt = Literal["fill", "decision"]
REJECTIONS: Final = "rejections"


@dataclass(frozen=True, slots=True)
class Manner:
    """How the built-in engine is to trade: an engine's conventions, as far as it can take them on."""

    fill: FillTiming
    sized_at: SizedAt
    cash_buffer: float
    units: Units
    min_trade: float
    costs: CostSpec
    books_its_own_way: bool = dataclasses.field(default=False, compare=False)
    """Whether its costs are booked in a way that the built-in engine does not have."""

    @classmethod
    def of(cls, conventions: Conventions, costs: CostSpec, min_trade: float) -> Manner:
        """Of two that come to the same, one: how nothing is booked as costs, when a close is sized.

        What an engine says of its costs begins with the name of the booking that it has. One that
        books them in another way is taken as ``targeted`` here; see ``books_its_own_way``.
        """
        booking = next((name for name in get_args(CostBooking) if conventions.costs.startswith(name)), None)
        costs = dataclasses.replace(costs, booking=booking or "targeted")
        charged = costs.commission_bps or costs.commission_per_share or costs.slippage_bps
        return cls(
            fill=conventions.fill,
            sized_at="fill" if conventions.fill == "close" else conventions.sized_at,
            cash_buffer=conventions.cash_buffer,
            units=conventions.units,
            min_trade=min_trade,
            costs=costs if charged else CostSpec(),
            books_its_own_way=bool(charged) and booking is None,
        )

    def booking_as(self, other: Manner) -> Manner:
        """Itself, with costs booked as ``other`` does where the built-in engine has no booking like its own:
        what that comes to is the engine's own then, and no step's.
        """
        if not self.books_its_own_way or other.costs == CostSpec():
            return self
        return dataclasses.replace(
            self, costs=dataclasses.replace(self.costs, booking=other.costs.booking), books_its_own_way=False
        )

    def in_words(self, step: str) -> str:
        """What it says of ``step``."""
        if step == "fill timing":
            return self.fill + ("" if self.sized_at == "fill" else ", sized at the decision")
        if step == "cash buffer":
            return f"{self.cash_buffer * 100:g} %"
        if step == "units":
            return self.units + (f", no trade below {self.min_trade:g}" if self.min_trade else "")
        costs = self.costs
        said = [f"commission {costs.commission_bps:g} bp"] if costs.commission_bps else []
        said += [f"{costs.commission_per_share:g} a unit"] if costs.commission_per_share else []
        said += [f"slippage {costs.slippage_bps:g} bp"] if costs.slippage_bps else []
        return f"{', '.join(said)}, {costs.booking}" if said else "none"


STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "fill timing": ("fill", "sized_at"),
    "cash buffer": ("cash_buffer",),
    "units": ("units", "min_trade"),
    "costs": ("costs",),
}
"""What is taken over in one step, in the order in which it is done."""


@dataclass(frozen=True, slots=True)
class Step:
    """One convention taken over: from the reference's to the run's, in words.

    ``final_nav`` is NAV afterwards (currency). ``furthest_bp`` is where NAV is furthest from that of the
    rung before, in basis points of it, on ``furthest_session``; ``None`` where it is nowhere apart.
    """

    step: str
    reference: str
    run: str
    final_nav: float
    furthest_bp: float | None = None
    furthest_session: str | None = None


@dataclass(frozen=True, slots=True)
class Ladder:
    """NAV at the end with all of the reference's conventions (currency), then step by step.

    ``same`` are steps in which the two do not differ. ``rejected`` counts the orders of the last step.
    """

    final_nav: float
    steps: tuple[Step, ...]
    same: tuple[str, ...]
    rejected: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, a key a field."""
        plain = dataclasses.asdict(self)
        return {**plain, "steps": list(plain["steps"]), "same": list(self.same)}


def ladder(
    spec: RunSpec,
    market: MarketData,
    targets: TargetWeights,
    reference: Manner,
    own: Manner,
    result: EngineResult,
) -> Ladder:
    """From ``reference`` to ``own``, and last to what ``result``, the run's own, did not execute.

    ``targets`` are what the run's strategy wants before its cash buffer. Raises ParameterError where
    the built-in engine cannot take on a convention with these prices.
    """
    reference, own = reference.booking_as(own), own.booking_as(reference)
    navs = [_nav(spec, market, targets, reference)]
    manner, steps, same = reference, [], []
    for step, fields in STEPS.items():
        then = dataclasses.replace(manner, **{field: getattr(own, field) for field in fields})
        if then == manner:
            same.append(step)
            continue
        navs.append(_nav(spec, market, targets, then))
        words = manner.in_words(step), then.in_words(step)
        steps.append(_step(spec, market, step, words, navs))
        manner = then
    executed, rejected = executed_part(result, own.fill, targets.rows)
    if executed is None:
        same.append(REJECTIONS)
    else:
        navs.append(_nav(spec, market, targets, own, executed))
        count = rejected["orders"]
        words = "all executed", f"{count:,} order{'' if count == 1 else 's'} not executed, or in part"
        steps.append(_step(spec, market, REJECTIONS, words, navs))
    return Ladder(float(navs[0][-1]), tuple(steps), tuple(same), rejected)


def _nav(
    spec: RunSpec,
    market: MarketData,
    targets: TargetWeights,
    manner: Manner,
    executed: FloatArray | None = None,
) -> FloatArray:
    traded = dataclasses.replace(
        spec,
        fill=manner.fill,
        cash_buffer=manner.cash_buffer,
        units=manner.units,
        min_trade=manner.min_trade,
        costs=manner.costs,
    )
    nav = simulate(traded, market, targets, Execution(manner.sized_at, executed)).nav
    if not np.isfinite(nav).all():
        raise ParameterError("the NAV of the built-in engine is no finite number")
    return nav


def _step(
    spec: RunSpec, market: MarketData, step: str, words: tuple[str, str], navs: Sequence[FloatArray]
) -> Step:
    before, after = navs[-2:]
    own_from = None if spec.part is None else spec.part.own_from
    first = 0 if own_from is None else int(np.searchsorted(market.sessions, np.datetime64(own_from, "D")))
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (after - before) / np.abs(before)
    apart = np.where(np.isfinite(apart), apart, 0.0)[first:]
    row = int(np.abs(apart).argmax()) if len(apart) else 0
    if not len(apart) or not apart[row]:
        return Step(step, *words, float(after[-1]))
    return Step(step, *words, float(after[-1]), float(apart[row]) * 1e4, str(market.sessions[first + row]))


def executed_part(
    result: EngineResult, fill: FillTiming, rows: IntArray
) -> tuple[FloatArray | None, dict[str, int]]:
    """The fraction of each order [K, N] that ``result`` executed, for decisions of ``rows`` [K].

    ``None`` where no order was rejected that is one of a decision. An order that is rejected in a
    session belongs to the decision that is filled there, or to the last one before. Of one that was
    executed in part, what was filled in its session counts. ``orders``, and of them ``unplaced``, which
    belong to no decision, are counted.
    """
    counted = {"orders": len(result.rejected_orders), "unplaced": 0}
    if not result.rejected_orders:
        return None, counted
    fill_rows = rows if fill == "close" else rows + 1
    missing = np.zeros((len(rows), len(result.assets)))
    for order in result.rejected_orders:
        k = int(np.searchsorted(fill_rows, order.session))
        if k == len(rows) or fill_rows[k] != order.session:
            k = int(np.searchsorted(rows, order.session, "right")) - 1
        if k < 0:
            counted["unplaced"] += 1
        else:
            missing[k, order.asset] += order.quantity
    filled = np.zeros(missing.shape)
    fills = result.fills
    k_of = np.searchsorted(fill_rows, fills.session)
    placed = k_of < len(rows)
    placed[placed] = fill_rows[k_of[placed]] == fills.session[placed]
    np.add.at(filled, (k_of[placed], fills.asset[placed]), fills.quantity[placed])
    rejected = missing != 0.0
    if not rejected.any():
        return None, counted
    in_part = rejected & (filled * missing > 0.0)
    executed = np.where(rejected, 0.0, 1.0)
    executed[in_part] = filled[in_part] / (filled[in_part] + missing[in_part])
    return executed, counted


# -------------------------------------------------------------------- conventions that are told


def conventions_told(native: Mapping[str, Any]) -> Conventions | None:
    """What a result says of how its orders were executed; ``None`` where it says nothing that holds."""
    told = native.get("conventions")
    names = [field.name for field in dataclasses.fields(Conventions)]
    if not isinstance(told, Mapping) or not told.keys() <= set(names):
        return None
    if any(told.get(key) not in choices for key, choices in _CHOICES.items()):
        return None
    if not isinstance(told.get("costs"), str) or not all(_plain_number(told, key) for key in _NUMBERS):
        return None
    return Conventions(**{**told, "notes": tuple(_words(told.get("notes")))})


_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "fill": get_args(FillTiming),
    "sized_at": get_args(SizedAt),
    "units": get_args(Units),
}
_NUMBERS: Final = ("cash_buffer", "cent")


def _plain_number(told: Mapping[str, Any], key: str) -> bool:
    value = told.get(key, 0.0)
    return isinstance(value, int | float) and 0.0 <= value < 1.0


def _words(notes: Any) -> Iterator[str]:
    yield from (str(note) for note in notes) if isinstance(notes, list | tuple) else ()
