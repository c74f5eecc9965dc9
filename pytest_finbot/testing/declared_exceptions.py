"""Points of the kit, and points that an engine is known not to keep."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from pytest_finbot.errors import MissingDependencyError, did_you_mean

_POINT: Final = "__finbot_point__"


def point(method: Callable[[Any], None]) -> Callable[[Any], None]:
    """A test of the kit. Where the class declares it in ``exceptions``, it is run and has to fail.

    Its failure is then reported as an expected one, with the class's reason; where it does not
    fail, that is the failure: the exception is stale. An engine that is not installed is no
    exception of any kind.
    """

    @functools.wraps(method)
    def held(self: Any) -> None:
        __tracebackhide__ = True
        reason = self.exceptions.get(method.__name__)
        if reason is None:
            method(self)
            return
        try:
            method(self)
        except MissingDependencyError:
            raise
        except (Exception, pytest.fail.Exception) as broken:  # noqa: BLE001 - an engine may raise anything
            words = str(broken).strip().splitlines()
            pytest.xfail(f"{reason} (it fails with: {words[0] if words else type(broken).__name__})")
        pytest.fail(
            f"{method.__name__} holds, and yet is declared as an exception ({reason!r}): "
            "the exception is stale, take it out",
            pytrace=False,
        )

    setattr(held, _POINT, True)
    return held


def points_of(kind: type) -> tuple[str, ...]:
    """Names of the points that ``kind`` has, in order of their names."""
    return tuple(name for name in sorted(dir(kind)) if getattr(getattr(kind, name, None), _POINT, False))


def check_exceptions(kind: type, exceptions: object) -> None:
    """Raise TypeError unless ``exceptions`` maps names of points to reasons."""
    if not isinstance(exceptions, Mapping):
        raise TypeError(f"{kind.__name__}.exceptions is {exceptions!r}, expected {{name of a point: reason}}")
    known = points_of(kind)
    for name, reason in exceptions.items():
        if name not in known:
            near = did_you_mean(str(name), known)
            raise TypeError(f"{kind.__name__}.exceptions: there is no point {name!r}{near}")
        if not isinstance(reason, str) or not reason.strip():
            raise TypeError(
                f"{kind.__name__}.exceptions[{name!r}] is {reason!r}, expected the reason in words"
            )


def check_points(kind: type) -> None:
    """Raise TypeError where ``kind`` takes away a point or puts a test of its own in the place of one."""
    for base in kind.__mro__[1:]:
        for name in points_of(base):
            if not getattr(getattr(kind, name, None), _POINT, False):
                raise TypeError(
                    f"{kind.__name__}.{name} takes the place of a point of the kit; a point that the engine "
                    "does not keep is declared in `exceptions`, and a test of one's own has another name"
                )
