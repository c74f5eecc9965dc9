"""``python -m pytest_finbot.session.sender NAME``: sends one message, in a process that can be ended.

NAME is the environment variable with the Apprise URL; the message comes on stdin as JSON. What it says on
stdout is one of a few words of ours: whatever Apprise, its plugins or a traceback would say may hold the URL,
and goes nowhere.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import threading
from typing import Any, Final

SECONDS: Final = 60.0
"""After which it ends by itself, where whoever started it is gone."""

_CODE: Final = re.compile(r"error=([1-5][0-9]{2})\b")


def send(url: str, message: dict[str, str]) -> str:
    """``sent``, or why not, without anything of the ``url``."""
    import logging

    import apprise

    said = io.StringIO()
    handler = logging.StreamHandler(said)
    apprise.logger.addHandler(handler)
    apprise.logger.propagate = False
    asset = apprise.AppriseAsset(
        app_id="pytest-finbot",
        app_desc="pytest-finbot",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    targets = apprise.Apprise(asset=asset)
    if not targets.add(url) or not len(targets):
        return "what it holds is no URL that Apprise knows"
    kinds: dict[str, Any] = {
        "success": apprise.NotifyType.SUCCESS,
        "failure": apprise.NotifyType.FAILURE,
        "warning": apprise.NotifyType.WARNING,
    }
    taken = targets.notify(
        title=message["title"],
        body=message["text"],
        notify_type=kinds[message["kind"]],
        body_format=apprise.NotifyFormat.TEXT,
    )
    if taken:
        return "sent"
    code = _CODE.search(said.getvalue())
    if code is not None:
        return f"the service refused it (HTTP {code[1]})"
    return "the service could not be reached, or did not answer"


def main() -> None:
    """Send what stdin says; one line on what was stdout, and silence on all else."""
    timer = threading.Timer(SECONDS, os._exit, [1])
    timer.daemon = True
    timer.start()
    with os.fdopen(os.dup(1), "w") as answer:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        try:
            words = send(os.environ.get(sys.argv[1], ""), json.load(sys.stdin))
        except BaseException as error:  # noqa: BLE001 - whatever it is, its message may hold the URL
            words = f"Apprise failed ({type(error).__name__})"
        answer.write(words + "\n")
    os._exit(0)  # no thread of a plugin's may keep it


if __name__ == "__main__":
    main()
