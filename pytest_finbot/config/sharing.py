"""A batch file's runs shared out among machines that do not talk to each other.

Each of them reads the same file and comes to the same shares: what counts is only what stands in the
file and in the options, never a clock, a registry or what the machine is. Runs that need each other
(parts that are put together again, a run and the one it is compared with) stay together.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.contracts import RunSpec
from pytest_finbot.fingerprint import config_hash, sha256_of_json

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch

FIXED_COST: Final = 40_000
"""What a run costs before its first price, in values (calendar days x symbols) of the built-in engine:
10 ms, where ten symbols over thirteen years cost as much again."""
_VERSION: Final = 1
"""Of the way in which runs are shared out: shards of two ways are no whole."""


@dataclass(frozen=True, slots=True)
class Share:
    """Share ``index`` of ``count``, from 1 on. ``runs``: how many runs each of the shares has.

    ``plan`` is the hash of what all shares together run, and of which share runs what; ``others`` are
    the ids, in the batch file, of the runs that are in other shares.
    """

    index: int
    count: int
    plan: str
    runs: tuple[int, ...]
    others: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there are fewer runs than shares, and none for this one."""
        return self.runs[self.index - 1] == 0

    def to_json(self) -> dict[str, Any]:
        """What a batch's manifest keeps of it, beside the plan."""
        return {"index": self.index, "count": self.count, "runs": list(self.runs)}


def cost(spec: RunSpec) -> int:
    """What a run declares to cost: the values that it reads, and what every run costs."""
    days = (spec.end_date - spec.start_date).days + 1
    return FIXED_COST + max(days, 1) * max(len(spec.symbols), 1)


def share_of_each(runs: Sequence[RunSpec], costs: Sequence[int], count: int) -> tuple[int, ...]:
    """The number, from 1 to ``count``, of the share that each run is in.

    The dearest runs first, each to the share that has least so far: no share then costs more than 4/3
    of what the best way of sharing would give it. Equal ones go by name, so that the order of the file
    does not matter either. While there are as many (groups of) runs as shares, none is empty.
    """
    groups = sorted(
        ((sum(costs[place] for place in group), min(runs[place].name for place in group), group))
        for group in groups_of(runs)
    )
    groups.sort(key=lambda group: (-group[0], group[1]))
    loads = [(0, number) for number in range(1, count + 1)]
    numbers = [0] * len(runs)
    for price, _, group in groups:
        load, number = loads[0]
        heapq.heapreplace(loads, (load + price, number))
        for place in group:
            numbers[place] = number
    return tuple(numbers)


def groups_of(runs: Sequence[RunSpec]) -> list[list[int]]:
    """Places of the runs that need each other, group by group, in the order of the file."""
    leader = list(range(len(runs)))

    def lead(place: int) -> int:
        while leader[place] != place:
            leader[place] = place = leader[leader[place]]
        return place

    place_of = {spec.name: place for place, spec in enumerate(runs)}
    wholes: dict[str, int] = {}
    for place, spec in enumerate(runs):
        needed = [] if spec.compare_with is None else [place_of.get(spec.compare_with.run)]
        if spec.part is not None and spec.part.kind != "window":
            needed.append(wholes.setdefault(spec.part.of, place))
        for other in needed:
            if other is not None:
                first, second = sorted((lead(place), lead(other)))
                leader[second] = first
    found: dict[int, list[int]] = {}
    for place in range(len(runs)):
        found.setdefault(lead(place), []).append(place)
    return list(found.values())


def plan_hash(
    batch: Batch, numbers: Sequence[int], count: int, slicing: Mapping[str, Any] | None = None
) -> str:
    """SHA-256 of what all shares run, of what it is held to, and of which share runs what.

    Paths count by their last part: machines have their files in other folders.
    """
    held: dict[int, str] = {}
    """Hashes of checks, by the object: most runs have the batch's own."""
    runs = []
    for spec, number in zip(batch.runs, numbers, strict=True):
        if id(spec.checks) not in held:
            held[id(spec.checks)] = sha256_of_json(dataclasses.asdict(spec.checks))
        runs.append([spec.name, number, config_hash(spec), held[id(spec.checks)], _told(spec)])
    return sha256_of_json(
        {
            "format": "finbot-shards",
            "version": _VERSION,
            "batch_name": batch.batch_name,
            "count": count,
            "slicing": slicing,
            "waivers": [[one.run, one.check, one.expires.isoformat()] for one in batch.waivers],
            "runs": runs,
        }
    )


def _told(spec: RunSpec) -> list[Any]:
    """What else of a run can change its verdict."""
    paths = (spec.data.path, spec.data.open_path, spec.factors_path)
    part, compare = spec.part, spec.compare_with
    return [
        spec.rejected_orders,
        spec.data.snapshot,
        list(spec.data.allow),
        [PurePath(path).name if path else path for path in paths],
        None if part is None else [part.of, part.kind, part.number],
        None if compare is None else [compare.run, dataclasses.asdict(compare.checks)],
    ]
