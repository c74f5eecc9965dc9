"""How long to wait before asking a forge again, by what its headers say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

UNSAID: Final = 60.0
"""Seconds: what GitHub asks for where a secondary rate limit names no time."""


def asked_to_wait(status: int, headers: Mapping[str, str], said: str, now: float) -> float | None:
    """Seconds that a refusal asks to wait, None where it is no rate limit.

    GitHub answers 403 as well as 429: with ``retry-after``, or with ``x-ratelimit-remaining: 0`` and
    the Unix time ``x-ratelimit-reset``. A 403 without these is a refusal for good.
    """
    if status not in (403, 429):
        return None
    if "retry-after" in headers:
        return _retry_after(headers["retry-after"], now)
    reset = headers.get("x-ratelimit-reset", headers.get("ratelimit-reset", ""))
    if headers.get("x-ratelimit-remaining", headers.get("ratelimit-remaining", "")).strip() == "0":
        # One second more: the clocks of two machines are never one.
        return max(float(reset) - now, 0.0) + 1.0 if _digits(reset) else UNSAID
    return UNSAID if status == 429 or "secondary rate limit" in said.lower() else None


def pause_before(attempt: int, headers: Mapping[str, str], now: float) -> float:
    """Seconds before the attempt after ``attempt`` (1-based) that met a server in trouble."""
    if "retry-after" in headers:
        return _retry_after(headers["retry-after"], now)
    return float(2 ** (attempt - 1))


def _retry_after(value: str, now: float) -> float:
    """Seconds, or a date of HTTP; at least one second."""
    from email.utils import parsedate_to_datetime

    value = value.strip()
    if _digits(value):
        return max(float(value), 1.0)
    try:
        return max(parsedate_to_datetime(value).timestamp() - now, 1.0)
    except (ValueError, OverflowError):
        return UNSAID


def _digits(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 12
