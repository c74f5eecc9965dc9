"""What other plugins and conftest files may say. Declared here, all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_finbot.contracts import ErrorCategory


@pytest.hookspec(firstresult=True)
def pytest_finbot_categorize_error(error: BaseException, phase: str) -> ErrorCategory | None:
    """Category of an exception that a run raised in ``phase`` (``simulate``, ``market_data`` …).

    Called in the process that executes the run, before it is recorded. Return ``None`` to
    leave the decision to others. Example, in a ``conftest.py``::

        def pytest_finbot_categorize_error(error, phase):
            if isinstance(error, MyFeedError):
                return ErrorCategory.DATA
    """
