"""Times as they are given to a command: a day, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"([0-9]{1,6})([hdw])", re.ASCII)


def moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """``2026-11-01``, ``2026-11-01T09:30``, ``7d``: a time with a zone, UTC where none is given.

    Of an option, as its callback. Raises BadParameter for anything else.
    """
    if value is None:
        return None
    text = value.strip()
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        given = datetime.fromisoformat(text)
        return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{value!r} is no time; expected one like 2026-11-01, 2026-11-01T09:30 (UTC), "
            "or how long ago: 12h, 7d, 4w"
        ) from error
