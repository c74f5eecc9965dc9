"""A job in a forked child that can be ended: by a deadline, by Ctrl-C, by its own crash."""

from pytest_finbot.pipeline.isolation.channel import Say
from pytest_finbot.pipeline.isolation.child import Child, Ended
from pytest_finbot.pipeline.isolation.limits import current_data, memory_bound, memory_limit_available
from pytest_finbot.pipeline.isolation.output import KEPT_END, KEPT_START, Output
from pytest_finbot.pipeline.isolation.process import available

__all__ = [
    "Child",
    "Ended",
    "KEPT_END",
    "KEPT_START",
    "Output",
    "Say",
    "available",
    "current_data",
    "memory_bound",
    "memory_limit_available",
]
