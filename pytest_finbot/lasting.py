"""What is imported lasts as long as the process: no garbage collection needs to look at it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Within, nothing is collected; what is there afterwards never is looked at again.

    pytest collects garbage ten times when a session ends, and Python does while it imports: of a
    session of few runs that was a quarter of all its time. Objects are given back when nobody refers
    to them, as ever; only cycles among those that are there now stay.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
