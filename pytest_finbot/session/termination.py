"""SIGTERM, as CI sends it, and SIGHUP, of a closed terminal, end the session as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pytest_finbot.session.controller import Controller


_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Termination:
    """Stands for the default action of these signals in the session's own process."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    @classmethod
    def install(cls, controller: Controller) -> Termination | None:
        """``None`` in a thread, which hears of no signal; what somebody else handles is left to them."""
        if threading.current_thread() is not threading.main_thread():
            return None
        made = cls(controller)
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, made._end)
        return made

    def remove(self) -> None:
        for number in _SIGNALS:
            if signal.getsignal(number) == self._end:
                signal.signal(number, signal.SIG_DFL)

    def _end(self, number: int, frame: FrameType | None) -> NoReturn:
        self._controller.cancelled = f"terminated ({signal.Signals(number).name})"
        raise KeyboardInterrupt
