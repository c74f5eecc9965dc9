"""What ``--finbot-phase`` and ``--finbot-profile`` may ask for, settled before anything runs."""

from __future__ import annotations

import pytest

from pytest_finbot.errors import MissingDependencyError, ParameterError
from pytest_finbot.pipeline.profiling import check_profiler
from pytest_finbot.pipeline.selection import PROOF, select


def check_phases(config: pytest.Config) -> None:
    """Raise UsageError for a phase there is none of, and for options that need one left out."""
    option = config.option
    try:
        selection = select(option.finbot_phase)
    except ParameterError as error:
        raise pytest.UsageError(f"finbot: {error}\nnothing was run") from error
    if selection is None or selection.proves:
        return
    named = " ".join(f"--finbot-phase {name}" for name in option.finbot_phase)
    for asked, words in (
        (option.finbot_accept is not None, "--finbot-accept: what was not checked cannot be accepted"),
        (option.finbot_rerun > 0, "--finbot-rerun: results are held to each other in that phase"),
    ):
        if asked:
            raise pytest.UsageError(
                f"finbot: {named} leaves out the phase {PROOF}, and there is {words}; "
                f"add --finbot-phase {PROOF}, or leave one of them away\nnothing was run"
            )


def check_profile(config: pytest.Config) -> None:
    """Raise UsageError where the profiler is not installed."""
    try:
        check_profiler(config.option.finbot_profile)
    except MissingDependencyError as error:
        raise pytest.UsageError(f"finbot: {error}\nnothing was run") from error
