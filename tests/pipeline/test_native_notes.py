"""What an engine says of itself is recorded where it is plain and short, and named where it is not."""

import math

from pytest_finbot.pipeline.native_notes import native_notes


def test_plain_values_are_kept_and_the_others_named():
    native = {
        "derived": ("fees",),
        "conventions": {"fill": "close"},
        "perf": object(),
        "rate": math.nan,
        "log": "x" * 10_000,
        7: "seven",
    }

    assert native_notes(native) == {
        "derived": ["fees"],
        "conventions": {"fill": "close"},
        "left_out": ["7", "log", "perf", "rate"],
    }
