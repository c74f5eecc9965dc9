"""Which phases of a run are executed: those that were named, and all that they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_finbot.errors import ParameterError, did_you_mean
from pytest_finbot.pipeline.phases import PHASES, Phase
from pytest_finbot.registry.left_out import reason_of

PROOF = "checks"
"""The phase without which a record proves nothing."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Phases to execute; every other one is skipped with :attr:`reason`."""

    names: frozenset[str]
    reason: str

    @property
    def proves(self) -> bool:
        """Whether the books are checked and the result is compared."""
        return PROOF in self.names


def select(asked: Sequence[str], phases: Sequence[Phase] = PHASES) -> Selection | None:
    """The phases ``asked`` for with all their prerequisites; ``None``, which is all, where none is named.

    Raises ParameterError for a phase there is none of, with the nearest name.
    """
    if not asked:
        return None
    known = {phase.name: phase for phase in phases}
    names: set[str] = set()
    waiting = list(dict.fromkeys(asked))
    reason = reason_of(waiting)
    while waiting:
        name = waiting.pop()
        if name not in known:
            raise ParameterError(
                f"--finbot-phase {name}: there is no such phase{did_you_mean(name, known)}; "
                f"expected one of {', '.join(known)}"
            )
        if name not in names:
            names.add(name)
            waiting += known[name].needs
    return Selection(frozenset(names), reason)
