"""What a session loads and asks before its first run: every process of every batch pays for it."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import jinja2
import pytest

from pytest_finbot.reports import templates
from pytest_finbot.session.provenance import provenance

SAYS_WHAT_IS_LOADED = """
import gc, os, sys

def pytest_unconfigure(config):
    name = os.environ.get("PYTEST_XDIST_WORKER", "main")
    heavy = {"pandas", "exchange_calendars", "rich"}
    if name != "main":
        heavy |= {"pydantic", "yaml", "jinja2"}
    heavy = sorted(heavy & set(sys.modules))
    with open(f"loaded-{name}", "w") as file:
        file.write(f"{heavy} {gc.isenabled()} {gc.get_freeze_count() > 10_000}")
"""


@pytest.mark.parametrize(("options", "processes"), [(["-n0"], {"main"}), (["-n2"], {"main", "gw0", "gw1"})])
def test_runs_of_our_own_strategies_load_no_pandas(project, options, processes):
    project.write("conftest.py", SAYS_WHAT_IS_LOADED)
    project.gated("- {id: half, params: {weights: {AAA: 0.5}}}\n- {id: all, params: {weights: {BBB: 1.0}}}")
    result = project.pytest_anew(*options)
    assert result.ret == 0
    assert set(project.verdicts().values()) == {"identical"}
    loaded = {path.name.removeprefix("loaded-"): path.read_text() for path in project.path.glob("loaded-*")}
    assert loaded == dict.fromkeys(processes, "[] True True")


# ----------------------------------------------------------------------------- where it comes from


@pytest.fixture
def git(tmp_path, monkeypatch):
    """A repository in the work folder, and ``git(words…)`` to do something in it."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]

    def ask(*words):
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    ask("init", "-q", "-b", "trunk")
    return ask


def told(folder):
    return {name: said for name, said in provenance(folder).items() if name.startswith("git ")}


def test_a_revision_is_told_with_its_branch_and_whether_files_differ_from_it(git, tmp_path):
    assert told(tmp_path) == {"git commit": "unknown: there is no commit yet"}
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    commit = git("rev-parse", "HEAD")
    clean = {"git commit": commit, "git branch": "trunk", "git dirty": "no"}
    (tmp_path / "untracked").write_text("no part of the revision")
    assert told(tmp_path) == clean
    (tmp_path / "file").write_text("2")
    assert told(tmp_path) == {**clean, "git dirty": "yes"}
    git("add", "file")
    assert told(tmp_path) == {**clean, "git dirty": "yes"}
    git("commit", "-q", "-m", "two")
    git("checkout", "-q", commit)
    assert told(tmp_path) == {**clean, "git branch": "HEAD"}


def test_no_revision_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert told(tmp_path)["git commit"].startswith("unknown: fatal: not a git repository")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert told(tmp_path) == {"git commit": "unknown: git is not installed"}


# --------------------------------------------------------------------------------- templates


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder with one template, read by :func:`templates.render` in new processes, as it were."""
    (tmp_path / "batch_summary.md.j2").write_text("{{ name }} v1")
    monkeypatch.setattr(templates, "templates_folder", lambda: tmp_path)

    def render(text=None):
        if text is not None:
            (tmp_path / "batch_summary.md.j2").write_text(text)
        templates._environment.cache_clear()
        return templates.render("batch_summary.md.j2", {"name": "it"})

    yield SimpleNamespace(folder=tmp_path, render=render)
    templates._environment.cache_clear()


def test_a_template_is_compiled_once_for_what_it_says(kept, monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    assert kept.render() == "it v1"
    [file] = (kept.folder / "__pycache__").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", lambda *args, **names: pytest.fail("compiled again"))
        assert kept.render() == "it v1"
    assert kept.render("{{ name }} v2") == "it v2"
    first = file.read_bytes()
    for damage in (b"", first[:20], first[:-9], b"something else"):
        file.write_bytes(damage)
        assert kept.render() == "it v2"
    file.write_bytes(first)
    monkeypatch.setattr(jinja2, "__version__", "0.1")
    assert kept.render() == "it v2"
    assert file.read_bytes() != first, "what another version of Jinja made of it is not taken"


def test_where_nothing_can_be_kept_a_template_is_compiled_every_time(kept, monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert kept.render() == "it v1"
    assert not (kept.folder / "__pycache__").exists()
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    (kept.folder / "__pycache__").write_text("a file is in the way")
    assert kept.render() == "it v1"
