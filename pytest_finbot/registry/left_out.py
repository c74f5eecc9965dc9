"""Phases that a recorded run was not asked for, by the reason its record gives for skipping them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_REASON: Final = "not asked for (--finbot-phase "


def reason_of(asked: Iterable[str]) -> str:
    """Why a phase is skipped where only the phases ``asked`` for, and what they need, are executed."""
    return f"{_REASON}{', '.join(asked)})"


def left_out(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the phases of ``record`` (JSON) that ``--finbot-phase`` left out, in their order.

    A record without its ``checks`` proves nothing; one without any phase is not the whole result.
    """
    return tuple(
        str(phase.get("name"))
        for phase in record.get("phases") or ()
        if phase.get("status") == "skipped" and (phase.get("reason") or "").startswith(_REASON)
    )
