"""Imports that leave random numbers alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever is imported inside, random numbers go on as if it had not been.

    Packages draw some when they are imported, which happens once in a process: what a strategy draws
    afterwards would depend on whether its run is the first one there. Variables of the environment
    that a package sets for the libraries below it stay: those libraries read them later.
    """
    import numpy as np

    drawn, drawn_by_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(drawn)
        np.random.set_state(drawn_by_numpy)
