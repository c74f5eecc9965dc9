"""What the page lets a browser do, and how text of ours gets into it without becoming anything else."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable
from typing import Any

from pytest_finbot.errors import ReportError

_NO_MARKUP = {number: f"\\u{number:04x}" for number in (*map(ord, "<>&"), 0x2028, 0x2029)}


def script_text(source: str, name: str) -> str:
    """``source`` as a browser reads it within ``<script>``. Raises ReportError where that would end it."""
    text = source.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")
    folded = text.lower()
    if "</script" in folded or "<!--" in folded:
        raise ReportError(f"{name} cannot stand in a page: it holds </script or <!--")
    return text


def json_text(value: Any) -> str:
    """Strict JSON for ``<script type="application/json">``: no ``<``, ``>`` or ``&`` is left in it."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_NO_MARKUP)


def new_nonce() -> str:
    """Text that styles are let by, and that nothing in the page can know beforehand."""
    return secrets.token_hex(16)


def policy(scripts: Iterable[str], nonce: str) -> str:
    """Only these scripts run; nothing is loaded, sent, framed or navigated to by what is no link.

    Styles of Bokeh carry the nonce (``first.js`` gives it to them); no style attribute is let.
    """
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'nonce-{nonce}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
