"""nautilus_trader where it is not, or cannot be: what to do is told."""

import importlib.metadata
import sys

import pytest

from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.errors import MissingDependencyError


def without_nautilus(monkeypatch, version=None):
    def version_of(name):
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", version_of)


def test_where_it_is_not_installed_the_extra_is_named(monkeypatch):
    without_nautilus(monkeypatch)
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0))
    with pytest.raises(MissingDependencyError, match=r"pip install 'pytest-finbot\[nautilus\]'"):
        resolve_engine("nautilus").version()


def test_a_python_that_cannot_have_it_is_named(monkeypatch):
    without_nautilus(monkeypatch)
    monkeypatch.setattr(sys, "version_info", (3, 11, 9, "final", 0))
    words = (
        r"needs nautilus_trader 1\.231 or newer, which has no release for Python 3\.11; use 3\.12 or newer"
    )
    with pytest.raises(MissingDependencyError, match=words):
        resolve_engine("nautilus").version()


def test_a_release_that_is_too_old_is_named(monkeypatch):
    without_nautilus(monkeypatch, "1.221.0")
    with pytest.raises(MissingDependencyError, match=r"1\.231 or newer, and 1\.221\.0 is installed"):
        resolve_engine("nautilus").version()
