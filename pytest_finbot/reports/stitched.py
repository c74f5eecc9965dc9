"""What reports know of parts that were put together: slices, out-of-sample parts of a walk-forward."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StitchedPart:
    """One part: its run, its own first and last session (ISO dates), how many, and its metrics."""

    run: str
    first_session: str
    last_session: str
    sessions: int
    metrics: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StitchedFacts:
    """The whole: ``kind`` is ``slice`` or ``out_of_sample``; ``start_nav`` is currency.

    ``metrics`` are those that a NAV alone gives. ``file`` has the NAV by session, relative to the
    batch's folder. Where the parts make no whole, ``why_not`` says why, and the rest is empty.
    """

    of: str
    kind: str
    parts: tuple[StitchedPart, ...]
    first_session: str = ""
    last_session: str = ""
    sessions: int = 0
    start_nav: float | None = None
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    in_sample: tuple[StitchedPart | None, ...] = ()
    """Of a walk-forward, the in-sample part of each of ``parts``; ``None`` where it was not selected
    or gave no result."""
    file: str = ""
    holes: tuple[str, ...] = ()
    """Days between parts that are in none of them: they are left out, as if they had not been."""
    undefined: Mapping[str, str] = dataclasses.field(default_factory=dict)
    why_not: str | None = None
    fault: bool = False
    """Whether that is a fault, and not what was asked for (windows that overlap, an account lost)."""
