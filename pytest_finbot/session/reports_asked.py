"""What ``--finbot-report`` may ask for, settled before anything runs."""

from __future__ import annotations

import pytest

from pytest_finbot.errors import MissingDependencyError
from pytest_finbot.reports.html.bokeh import check_bokeh


def check_reports(config: pytest.Config) -> None:
    """Raise UsageError where a report is asked for that could not be made here."""
    if "html" in config.option.finbot_report:
        try:
            check_bokeh()
        except MissingDependencyError as error:
            raise pytest.UsageError(f"finbot: --finbot-report html: {error}\nnothing was run") from error
