"""Baselines as of a revision, out of real repositories, without touching the work tree."""

import os
import subprocess
from pathlib import Path

import pytest

from pytest_finbot.baselines.revision import copy_of_revision
from pytest_finbot.baselines.sources import FolderSource
from pytest_finbot.baselines.store import write_baseline
from pytest_finbot.errors import BaselineError


class Repository:
    def __init__(self, path):
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words):
        who = {
            f"GIT_{role}_{part}": "ada@example.org"
            for role in ("AUTHOR", "COMMITTER")
            for part in ("NAME", "EMAIL")
        }
        done = subprocess.run(
            ["git", *words],
            cwd=self.path,
            capture_output=True,
            text=True,
            check=True,
            env={
                **os.environ,
                **who,
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_OPTIONAL_LOCKS": "0",
                "GIT_CONFIG_SYSTEM": os.devnull,
            },
        )
        return done.stdout.strip()

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "accepted")
        return self.git("rev-parse", "HEAD")

    def state(self):
        """Everything of the work tree and of git that a look at it must not change."""
        files = {
            path.relative_to(self.path): (path.stat().st_mtime_ns, path.read_bytes())
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and ".git/objects" not in path.as_posix()
        }
        return self.git("status", "--porcelain"), files


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    return Repository(tmp_path / "project")


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    return folder


def final_nav(folder, run="held"):
    return FolderSource(folder, "git:x").find(run).result.nav[-1]


def accept(book, folder, seed, run="held"):
    write_baseline(folder, book.baseline(book(seed=seed), run))
    return book(seed=seed).nav[-1]


def test_the_old_content_is_found_while_the_work_tree_has_newer(book, repository, target):
    folder = repository.path / "baselines" / "small"
    old = accept(book, folder, 1)
    first = repository.commit()
    accept(book, folder, 2)
    repository.commit()
    new = accept(book, folder, 3)
    (folder / "other.json").write_text("not committed")
    before = repository.state()
    assert copy_of_revision("HEAD~1", folder, target) == first
    assert final_nav(target) == old
    assert sorted(path.name for path in target.iterdir()) == ["held.json", "held.parquet"]
    assert repository.state() == before
    assert final_nav(folder) == new


@pytest.mark.parametrize("spelled", ["main", "feature/roll-dates", "v1.2", "v1.2^{commit}", "HEAD", "short"])
def test_any_name_of_a_commit_will_do(book, repository, target, spelled):
    folder = repository.path / "baselines"
    nav = accept(book, folder, 1)
    commit = repository.commit()
    repository.git("branch", "feature/roll-dates")
    repository.git("tag", "--annotate", "v1.2", "--message", "released")
    assert copy_of_revision(commit[:9] if spelled == "short" else spelled, folder, target) == commit
    assert final_nav(target) == nav


def test_a_folder_that_is_gone_from_the_work_tree_is_found_where_it_was(book, repository, target):
    folder = repository.path / "deep" / "er" / "baselines" / "small"
    nav = accept(book, folder, 1)
    repository.commit()
    repository.git("rm", "-r", "--quiet", "deep")
    assert not folder.parent.parent.exists()
    copy_of_revision("HEAD", folder, target)
    assert final_nav(target) == nav


def test_a_project_in_a_folder_of_the_repository_finds_its_own(book, repository, target, monkeypatch):
    nav = accept(book, repository.path / "quant" / "ü b" / "baselines", 1)
    accept(book, repository.path / "baselines", 2)
    repository.commit()
    monkeypatch.chdir(repository.path / "quant" / "ü b")
    copy_of_revision("HEAD", Path("baselines"), target)
    assert final_nav(target) == nav


def test_baselines_at_the_top_and_folders_within_are_kept_apart(book, repository, target):
    nav = accept(book, repository.path, 1)
    accept(book, repository.path / "inner", 2)
    (repository.path / "[a-z]*").mkdir()
    repository.commit()
    copy_of_revision("HEAD", repository.path, target)
    assert final_nav(target) == nav
    assert sorted(path.name for path in target.iterdir()) == ["held.json", "held.parquet"]


def test_a_folder_named_like_a_pattern_is_that_folder(book, repository, target):
    accept(book, repository.path / "ab", 1, "one")
    accept(book, repository.path / "[a]b", 2, "two")
    repository.commit()
    copy_of_revision("HEAD", repository.path / "[a]b", target)
    assert FolderSource(target, "x").names() == ("two",)


def test_a_link_to_the_folder_is_followed(book, repository, target, tmp_path):
    nav = accept(book, repository.path / "baselines", 1)
    repository.commit()
    (tmp_path / "link").symlink_to(repository.path)
    copy_of_revision("HEAD", tmp_path / "link" / "baselines", target)
    assert final_nav(target) == nav


@pytest.mark.parametrize(
    "revision",
    ["nowhere", "--help", "-p", "--all", "", "HEAD~9", "HEAD:baselines", "main..main", "f" * 40, "a b"],
)
def test_what_is_no_revision_is_told_and_never_an_option(book, repository, target, revision):
    accept(book, repository.path / "baselines", 1)
    repository.commit()
    before = repository.state()
    with pytest.raises(BaselineError, match="git") as caught:
        copy_of_revision(revision, repository.path / "baselines", target)
    assert revision in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(target.iterdir()) == []
    assert repository.state() == before


def test_a_folder_that_was_not_there_then_is_told(book, repository, target):
    commit = repository.commit()
    accept(book, repository.path / "baselines" / "small", 1)
    repository.commit()
    with pytest.raises(BaselineError) as caught:
        copy_of_revision("HEAD~1", repository.path / "baselines" / "small", target)
    assert str(caught.value) == (
        f"baselines at git:HEAD~1 ({commit[:12]}): there is nothing in baselines/small"
    )


def test_a_repository_without_a_commit_has_no_revision(book, repository, target):
    accept(book, repository.path / "baselines", 1)
    with pytest.raises(BaselineError, match="HEAD"):
        copy_of_revision("HEAD", repository.path / "baselines", target)


def test_outside_of_a_repository_is_told(book, target, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    accept(book, tmp_path / "baselines", 1)
    with pytest.raises(BaselineError, match=r"not a git repository") as caught:
        copy_of_revision("HEAD", tmp_path / "baselines", target)
    assert str(tmp_path / "baselines") in str(caught.value)


def test_without_git_is_told(book, repository, target, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BaselineError, match="need git, which is not installed"):
        copy_of_revision("HEAD", repository.path, target)


def test_inside_a_git_hook_the_repository_is_still_that_of_the_folder(
    book, repository, target, tmp_path, monkeypatch
):
    nav = accept(book, repository.path / "baselines", 1)
    repository.commit()
    other = Repository(tmp_path / "other")
    other.commit()
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git" / "index"))
    copy_of_revision("HEAD", repository.path / "baselines", target)
    assert final_nav(target) == nav
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    copy_of_revision("HEAD", repository.path / "baselines", target)
    assert final_nav(target) == nav
