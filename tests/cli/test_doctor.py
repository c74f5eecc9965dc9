"""``finbot doctor`` where something is wrong: it is found by trying, and it says what to do."""

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata

import pytest

import pytest_finbot
from pytest_finbot.cli.checkup import installed, places
from pytest_finbot.cli.checkup.finding import ok

BATCH = """\
batch_name: small
baseline: baselines
defaults:
  data: {path: prices.csv, calendar: XNYS}
  strategy: fixed_weights
  symbols: [AAA]
  start_date: 2020-01-02
  end_date: 2020-01-09
runs:
  - {id: a}
"""
PRICES = (
    "Date,AAA\n2020-01-02,10\n2020-01-03,11\n2020-01-06,12\n2020-01-07,11\n2020-01-08,13\n2020-01-09,14\n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's repository, outside CI, with the caches of this test."""
    for name in list(os.environ):
        if name == "CI" or name.startswith(("GITHUB_", "GITLAB_", "CI_", "FINBOT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FINBOT_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "project"
    path.mkdir()
    (path / "prices.csv").write_text(PRICES)
    (path / "finbot.yaml").write_text(BATCH)
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def found(folder, ask, monkeypatch):
    """What it finds here, by what it is about; nothing of what is installed, which takes a second."""
    monkeypatch.setattr(installed, "findings", lambda: iter((ok("python", "as it is"),)))

    def found(*words, status=0, registry=".finbot"):
        asked = ask("doctor", "--json", "--registry", registry, *words, registry=False)
        assert asked.status == status, asked.out + asked.err
        assert asked.document["ok"] is (status == 0)
        by_name = {}
        for one in asked.document["findings"]:
            by_name.setdefault(one["about"], []).append((one["state"], one["words"], one["todo"]))
        return by_name

    return found


def test_where_nothing_is_wrong_there_is_no_problem(found):
    findings = found()
    assert not [one for told in findings.values() for one in told if one[0] == "problem"]
    assert findings["calendar XNYS"] == [("ok", "6 sessions from 2020-01-02 to 2020-01-09", "")]
    [(state, words, todo)] = findings["baselines"]
    assert (state, todo.split()[0]) == ("note", "pytest")
    assert words.startswith("1 of 1 runs have none in baselines/small")
    assert findings["CI"][0][0] == "ok"


def test_it_leaves_nothing_behind(found, folder):
    before = sorted(folder.rglob("*"))
    found()
    assert sorted(folder.rglob("*")) == before


def test_the_whole_of_it_is_told_in_words(folder, ask):
    asked = ask("doctor", registry=False)
    assert "plugin: pytest loads it" in asked.out
    assert f"ok       numpy: {metadata.version('numpy')}" in asked.out
    assert asked.out.strip().splitlines()[-1].endswith(" ok")
    assert asked.status == (" 0 problems" not in f" {asked.out.strip().splitlines()[-1]}")


def test_a_wrong_batch_file_is_told_by_its_first_mistake(found, folder):
    (folder / "finbot.yaml").write_text(BATCH.replace("fixed_weights", "fixed_weight"))
    [(state, words, todo)] = found(status=1)["batch"]
    assert state == "problem"
    assert words.startswith("finbot.yaml:5: ")
    assert todo == "finbot validate finbot.yaml"


def test_a_window_beyond_what_the_calendar_knows(found, folder):
    (folder / "finbot.yaml").write_text(BATCH.replace("start_date: 2020", "start_date: 1650"))
    [(state, words, _)] = found(status=1)["calendar XNYS"]
    assert state == "problem"
    assert "1650-01-02" in words


def test_pointers_of_git_lfs_in_place_of_prices(found, folder):
    (folder / "prices.csv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    [(state, words, todo)] = found(status=1)["git LFS"]
    assert (state, words) == ("problem", "prices.csv: a pointer in place of the file")
    assert todo.startswith("git lfs pull")


@pytest.mark.parametrize(("rules", "problem"), [("*.parquet\n", True), ("*.parquet\n!baselines/**\n", False)])
def test_baselines_that_git_would_leave_away(found, folder, rules, problem):
    (folder / ".gitignore").write_text(rules)
    told = found(status=int(problem))["baselines"]
    assert [words for state, words, _ in told if state == "problem"] == (
        ["git ignores what is accepted in baselines/small (.gitignore:1:*.parquet)"] if problem else []
    )


def test_a_registry_that_cannot_be_there(found, folder):
    (folder / "taken").write_text("a file")
    [(state, words, todo)] = found(status=1, registry="taken")["registry"]
    assert state == "problem"
    assert "is no folder" in words
    assert "--finbot-registry" in todo


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def refused(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(places.tempfile, "TemporaryDirectory", refused)
    assert places.why_not_writable(tmp_path / "registry") == "Permission denied"


def test_a_shallow_clone_is_told(found, folder, tmp_path):
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for n in range(2):
        subprocess.run(
            ["git", *author, "commit", "-q", "--allow-empty", "-m", str(n)], cwd=folder, check=True
        )
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", folder.as_uri(), str(clone)], check=True)
    for name in ("finbot.yaml", "prices.csv"):
        shutil.copy(folder / name, clone)
    [(state, words, todo)] = found(str(clone / "finbot.yaml"))["git"]
    assert state == "note"
    assert words.startswith("a shallow clone")
    assert "fetch-depth: 0" in todo
    assert found()["git"][0][0] == "ok"


def pull_request(head):
    def end(name):
        return {"repo": {"full_name": name}}

    return {"pull_request": {"number": 7, "head": end(head), "base": end("team/strategies")}}


@pytest.mark.parametrize(
    ("head", "state", "words"),
    [
        ("stranger/strategies", "note", "the pull request comes from stranger/strategies"),
        ("team/strategies", "ok", "GITHUB_TOKEN is set"),
    ],
)
def test_what_a_job_on_github_may_do_as_far_as_it_can_be_seen(
    found, tmp_path, monkeypatch, head, state, words
):
    event = tmp_path / "event.json"
    event.write_text(json.dumps(pull_request(head)))
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_never-shown")
    findings = found()
    assert "ghs_never" not in json.dumps(findings)
    [told] = findings["GitHub"]
    assert told[0] == state
    assert told[1].startswith(words)
    assert findings["CI"] == [("ok", "yes: --finbot-accept is refused here", "")]


def test_an_action_that_stands_for_another(found, folder, ask):
    assert "workflow" not in found()
    assert ask("init", registry=False).status == 0
    [(state, words, todo)] = found()["workflow"]
    assert state == "note"
    path, number, said = words.split(":", 2)
    line = (folder / path).read_text().splitlines()[int(number) - 1]
    assert line.strip().startswith("- uses: OWNER/pytest-finbot@")
    assert said == " OWNER/pytest-finbot stands for another repository"
    assert todo == "write its owner, and the release or commit that you use"
    (folder / path).write_text((folder / path).read_text().replace("OWNER/", "us/"))
    (folder / ".github/workflows/odd.yml").mkdir()
    assert "workflow" not in found()


def test_a_notifier_whose_library_is_missing(found, folder, monkeypatch):
    (folder / "finbot.yaml").write_text("notify: [{url_env: TEAM}]\n" + BATCH)
    assert found()["notify"][0][0] == "note"
    monkeypatch.setenv("TEAM", "json://never-shown")
    monkeypatch.setitem(sys.modules, "apprise", None)
    told = found(status=1)["notify"]
    assert [state for state, _, _ in told] == ["problem", "ok"]
    assert "never-shown" not in json.dumps(told)


# --------------------------------------------------------------------------------- installed


class Distribution:
    def __init__(self, place, version=pytest_finbot.__version__):
        self.place, self.version = place, version

    def locate_file(self, name):
        return self.place

    def read_text(self, name):
        return None


def test_ourselves_twice_or_of_another_version(monkeypatch):
    twice = [Distribution("/one"), Distribution("/two"), Distribution("/two")]
    monkeypatch.setattr(metadata, "distributions", lambda name: iter(twice))
    first = next(installed._ourselves())
    assert (first.state, first.words) == ("problem", "installed 2 times: /one, /two")
    monkeypatch.setattr(metadata, "distributions", lambda name: iter([Distribution("/one", "0.0.9")]))
    [one] = installed._ourselves()
    assert one.state == "problem"
    assert one.words.endswith("and 0.0.9 is installed")
    monkeypatch.setattr(metadata, "distributions", lambda name: iter(()))
    [one] = installed._ourselves()
    assert one.state == "problem"


def test_requirements_and_extras_are_held_against_what_is_installed():
    required = ["numpy>=1", "pandas>=999", "surely-not-there>=2", 'bt>=1; extra == "bt"']
    told = {one.about: one for one in installed._requirements(required)}
    assert (told["numpy"].state, told["numpy"].words) == ("ok", metadata.version("numpy"))
    assert told["pandas"].todo == "pip install 'pandas>=999'"
    assert told["surely-not-there"].words == "is not installed; >=2 is needed"
    assert told.keys() == {"numpy", "pandas", "surely-not-there"}
    extras = ['numpy>=1; extra == "a"', 'numpy>=999; extra == "b"', 'surely-not-there; extra == "c"']
    states = [installed._extra(name, extras).state for name in "abcd"]
    assert states == ["ok", "problem", "note", "note"]


@pytest.mark.parametrize("off", ["PYTEST_ADDOPTS=-p no:finbot", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1"])
def test_a_plugin_that_is_switched_off(folder, monkeypatch, off):
    monkeypatch.setenv(*off.split("=", 1))
    assert installed._loaded().state == "problem"
