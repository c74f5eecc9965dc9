"""A run's parameters as its engine and strategy get them."""

from __future__ import annotations

from typing import Any, NoReturn

from pytest_finbot.errors import MissingParameterError


class GivenParams(dict[str, Any]):
    """A dict in every way, but ``params["fast_period"]`` says what there is where that is not.

    So a mistake in a batch file is told from one in a strategy's own tables. Mappings inside
    are plain dicts, and ``get``, ``in`` and ``pop`` are those of any dict.
    """

    def __missing__(self, key: Any) -> NoReturn:
        raise MissingParameterError(key, tuple(known for known in self if isinstance(known, str)))
