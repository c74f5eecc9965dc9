"""What is installed: versions against what we ask for, extras, ourselves once and loaded by pytest."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest_finbot
from pytest_finbot.cli.checkup.finding import Finding, note, ok, problem

US: Final = "pytest-finbot"

_SHOWN: Final = ("pytest", "pytest-xdist", "numpy", "pandas", "pyarrow")
"""Requirements that are told even where nothing is wrong with them."""
_FOR_US: Final = frozenset({"dev", "test", "bench"})
"""Extras of those who work on the package itself."""
_SECONDS: Final = 60.0


def findings() -> Iterator[Finding]:
    yield ok("python", f"{platform.python_version()} ({sys.executable})")
    yield from _ourselves()
    try:
        required = metadata.requires(US) or []
        extras = metadata.metadata(US).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return  # told by _ourselves
    yield from _requirements(required)
    for extra in sorted(set(extras) - _FOR_US):
        yield _extra(extra, required)
    yield _loaded()


def _ourselves() -> Iterator[Finding]:
    here = Path(pytest_finbot.__file__).resolve().parent
    # One path may be on sys.path twice, and a distribution is found once for each.
    found = {str(one.locate_file("")): one for one in metadata.distributions(name=US)}
    if not found:
        yield problem(
            US,
            f"{pytest_finbot.__version__} in {here}, which nobody installed: pytest does not find the plugin",
            f"pip install {US}",
        )
        return
    if len(found) > 1:
        yield problem(
            US,
            f"installed {len(found)} times: {', '.join(sorted(found))}",
            f"pip uninstall {US}, as often as it finds one; then install it once",
        )
    first = next(iter(found.values()))
    how = "editable, " if _editable(first) else ""
    if first.version != pytest_finbot.__version__:
        yield problem(
            US,
            f"the code in {here} is {pytest_finbot.__version__}, and {first.version} is installed",
            "install it anew, with the command that installed it",
        )
    else:
        yield ok(US, f"{pytest_finbot.__version__} ({how}{here})")


def _editable(distribution: metadata.Distribution) -> bool:
    text = distribution.read_text("direct_url.json")
    try:
        said = json.loads(text) if text else {}
    except ValueError:
        return False
    return isinstance(said, dict) and bool(said.get("dir_info", {}).get("editable"))


# ------------------------------------------------------------------------------- requirements


def _requirements(required: list[str]) -> Iterator[Finding]:
    from packaging.requirements import Requirement

    for line in required:
        one = Requirement(line)
        if "extra" in str(one.marker) or (one.marker is not None and not one.marker.evaluate()):
            continue
        fault = _fault(line)
        if fault is not None:
            yield problem(one.name, fault, f"pip install '{one.name}{one.specifier}'")
        elif one.name in _SHOWN:
            yield ok(one.name, metadata.version(one.name))


def _fault(line: str) -> str | None:
    """What is wrong with the requirement ``line``, if anything."""
    from packaging.requirements import Requirement

    one = Requirement(line)
    try:
        version = metadata.version(one.name)
    except metadata.PackageNotFoundError:
        return f"is not installed; {one.specifier} is needed"
    if not one.specifier.contains(version, prereleases=True):
        return f"{version} is installed; {one.specifier} is needed"
    return None


def _extra(extra: str, required: list[str]) -> Finding:
    from packaging.requirements import Requirement

    about = f"extra {extra}"
    install = f"pip install '{US}[{extra}]'"
    own = [
        line
        for line in required
        if (marker := Requirement(line).marker) is not None
        and marker.evaluate({"extra": extra})
        and not marker.evaluate({"extra": ""})
    ]
    if not own:
        return note(about, f"has nothing for Python {platform.python_version()}")
    told = []
    for line in own:
        name = Requirement(line).name
        fault = _fault(line)
        if fault is None:
            told.append(f"{name} {metadata.version(name)}")
        elif fault.startswith("is not"):
            return note(about, f"absent ({name})", f"only where it is wanted: {install}")
        else:
            return problem(about, f"{name} {fault}", install)
    return ok(about, ", ".join(told))


# ---------------------------------------------------------------------------- pytest's own word


def _loaded() -> Finding:
    """Whether pytest, called here, loads the plugin: ini files and PYTEST_ADDOPTS can switch it off."""
    call = [sys.executable, "-P", "-m", "pytest", "-VV"]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            call, capture_output=True, text=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return problem("plugin", f"pytest -VV: {type(error).__name__}", "call pytest -VV by hand, and look")
    said = done.stdout + done.stderr
    if done.returncode != 0:
        last = (said.strip().splitlines() or ["nothing"])[-1][:200]
        return problem(
            "plugin", f"pytest -VV ends with {done.returncode}: {last}", "pytest cannot start here"
        )
    if re.search(rf"^\s*{US}-\S+ at ", said, re.MULTILINE):
        return ok("plugin", "pytest loads it")
    return problem(
        "plugin",
        "pytest does not load it here",
        "look for PYTEST_DISABLE_PLUGIN_AUTOLOAD, and for -p no:finbot in PYTEST_ADDOPTS and ini files",
    )
