"""What a record keeps of an engine's own words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_MOST: Final = 4_000
"""Characters of JSON that one entry may take."""
LEFT_OUT: Final = "left_out"


def native_notes(native: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of ``EngineResult.native`` that are short and plain JSON; ``left_out`` names the others."""
    notes: dict[str, Any] = {}
    left_out = []
    for key, value in native.items():
        try:
            text = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            left_out.append(str(key))
            continue
        if not isinstance(key, str) or len(text) > _MOST:
            left_out.append(str(key))
        else:
            notes[key] = json.loads(text)
    if left_out:
        notes[LEFT_OUT] = sorted(left_out)
    return notes
