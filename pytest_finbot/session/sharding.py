"""``--finbot-shard 2/8``: this session runs its share of every batch file's runs.

Runs of other shares are not deselected: this session knows nothing of them, and says so. Which of
them moved, and whether they were run at all, is known when the reports of all shards are put together
(``finbot ci combine``).
"""

from __future__ import annotations

import dataclasses
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_finbot.config.sharing import Share, cost, plan_hash, share_of_each
from pytest_finbot.errors import RegistryError
from pytest_finbot.reports.report import ShardFacts
from pytest_finbot.session.discovery import absolute, leave_out, split_node_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finbot.config.expand import Batch
    from pytest_finbot.contracts import RunSpec
    from pytest_finbot.registry.protocol import Registry
    from pytest_finbot.session.slicing import Slicing

OPTION: Final = "--finbot-shard"
_SLICE: Final = re.compile(r"\.\d{4}-\d\d-\d\d_\d{4}-\d\d-\d\d\Z")
"""How the id of a slice ends."""


def shared_out(
    batch: Batch, cut: Batch, asked: tuple[int, int], slicing: Slicing | None, *, only_target: bool
) -> Batch:
    """``cut`` with the runs of the share ``asked`` for (its number, of how many), and no others.

    ``cut`` is ``batch`` as this session runs it: in slices, where these were asked for. Whole runs are
    shared out, so that all slices of a run are in one share, whatever day is aimed at.
    """
    index, count = asked
    numbers = share_of_each(batch.runs, [_cost(spec, slicing) for spec in batch.runs], count)
    number_of = {spec.name: number for spec, number in zip(batch.runs, numbers, strict=True)}
    own: list[RunSpec] = []
    sizes = [0] * count
    for spec in cut.runs:
        number = number_of[_whole(spec)] if slicing is not None else number_of[spec.name]
        sizes[number - 1] += 1
        if number == index:
            own.append(spec)
    others = tuple(name for name, number in number_of.items() if number != index)
    told = None
    if slicing is not None:
        target = slicing.target if only_target else None
        told = {**slicing.to_json(), "target": None if target is None else target.isoformat()}
    share = Share(index, count, plan_hash(batch, numbers, count, told), tuple(sizes), others)
    return dataclasses.replace(
        cut,
        runs=tuple(own),
        run_count=len(own),
        # A baseline of a run in another share is not one whose run is gone.
        left_out=(*cut.left_out, *others),
        share=share,
    )


def _whole(spec: RunSpec) -> str:
    return spec.name if spec.part is None else spec.part.of


def _cost(spec: RunSpec, slicing: Slicing | None) -> int:
    """What a run costs with all its slices: each is executed from the run's own start."""
    if slicing is None:
        return cost(spec)
    own_from = None if spec.part is None else spec.part.own_from
    start = max(own_from or spec.start_date, slicing.first or date.min)
    days = (min(spec.end_date, slicing.last or date.max) - start).days + 1
    pieces = 0 if days < 1 else 1 if slicing.days is None else -(-days // slicing.days)
    return pieces * cost(spec)


def shard_facts(share: Share | None) -> ShardFacts | None:
    """What a report says of this session's share."""
    return None if share is None else ShardFacts(share.count, share.plan, (share.index,), share.runs)


def option_of(shard: Any) -> list[str]:
    """The command line's words for what a manifest keeps of a share; none where there is none."""
    if not isinstance(shard, dict):
        return []
    return [f"{OPTION}={shard.get('index')}/{shard.get('count')}"]


def require_same_shard(registry: Registry, batch_id: str, share: Share | None) -> None:
    """Raise RegistryError where ``batch_id`` is another share: its runs are others."""
    known = option_of(registry.manifest(batch_id).get("shard"))
    if known == option_of(None if share is None else share.to_json()):
        return
    if not known:
        raise RegistryError(f"batch {batch_id} is no shard; to go on with it, leave out {OPTION}")
    raise RegistryError(
        f"batch {batch_id} is shard {known[0].partition('=')[2]}; to go on with it, give {known[0]}, or name "
        "the batch of the shard that is meant"
    )


def leave_out_others(config: pytest.Config, batches: Sequence[Batch]) -> list[str]:
    """Let pytest not collect runs of other shares that are asked for by node id, and return these.

    Raises ``pytest.exit.Exception`` where nothing else is asked for: without an argument pytest would
    collect all that there is.
    """
    shared = {batch.path: batch for batch in batches if batch.share is not None}
    gone = []
    for argument in config.args:
        batch = shared.get(absolute(split_node_id(argument), config))
        run = argument.partition("::")[2]
        if batch is not None and batch.share is not None and run and _elsewhere(run, batch, batch.share):
            gone.append(f"{batch.path}::{run}")
    if gone:
        leave_out(config, gone)
        if not config.args:
            words = next(iter(shared.values())).share
            assert words is not None, "shared out above"
            pytest.exit(
                f"finbot: no run that is asked for is in shard {words.index}/{words.count}; nothing was run",
                returncode=int(pytest.ExitCode.NO_TESTS_COLLECTED),
            )
    return gone


def _elsewhere(run: str, batch: Batch, share: Share) -> bool:
    """Whether a run, or a slice of it, is in another share."""
    if run in {spec.name for spec in batch.runs}:
        return False
    return run in share.others or _SLICE.sub("", run) in share.others


def only_empty_shares(config: pytest.Config, batches: Sequence[Batch]) -> bool:
    """Whether pytest was asked for nothing but batch files none of whose runs is for this session."""
    empty = {batch.path for batch in batches if batch.share is not None and batch.share.empty}
    asked: set[Path] = {absolute(split_node_id(argument), config) for argument in config.args}
    return bool(asked) and asked <= empty
