"""``--finbot-templates``: the user's own words, settled before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finbot.errors import FinbotError
from pytest_finbot.reports.templates import check_templates, use_templates


def take_templates(config: pytest.Config) -> None:
    """Use the templates of the folder that was asked for, until the session ends.

    Raises UsageError for a folder that cannot be used. Workers are told the folder as an absolute path.
    """
    folder = Path(config.invocation_params.dir) / config.option.finbot_templates
    if not hasattr(config, "workerinput"):
        try:
            check_templates(folder)
        except FinbotError as error:
            raise pytest.UsageError(f"finbot: --finbot-templates: {error}\nnothing was run") from error
        config.option.finbot_templates = str(folder)
    use_templates(folder)
    config.add_cleanup(lambda: use_templates(None))
