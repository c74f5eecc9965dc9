"""SIGTERM, as CI and batch systems send it, ends the session as Ctrl-C does: with what is recorded."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pytest_finbot.session.controller import Controller


class Termination:
    """Stands for the default action of SIGTERM in the session's own process."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    @classmethod
    def install(cls, controller: Controller) -> Termination | None:
        """``None`` where somebody else handles the signal already, or this is not the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return None
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return None
        made = cls(controller)
        signal.signal(signal.SIGTERM, made._end)
        return made

    def remove(self) -> None:
        if signal.getsignal(signal.SIGTERM) == self._end:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _end(self, number: int, frame: FrameType | None) -> NoReturn:
        self._controller.cancelled = "terminated (SIGTERM)"
        raise KeyboardInterrupt
