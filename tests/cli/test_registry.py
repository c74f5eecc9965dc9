"""``finbot registry``: a recorded batch looked after, with exit statuses and JSON."""

import csv
import io
import json
import re
import shutil
import sys

import pytest
from click.testing import CliRunner

from pytest_finbot.cli.registry import registry_group

PRICES = "Date,AAA,BBB\n2020-01-02,10,20\n2020-01-03,11,19\n2020-01-06,12,21\n2020-01-07,11,22\n"
BATCH = """\
batch_name: small
baseline: baselines
defaults:
  data: {path: prices.csv}
  strategy: fixed_weights
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-01-07
runs:
  - {id: equal}
  - {id: first, params: {weights: {AAA: 1.0}}}
"""


class Place:
    """A folder with a batch file, and the commands typed in it."""

    def __init__(self, path, nursery):
        self.path = path
        self.nursery = nursery

    def call(self, *words):
        done = CliRunner().invoke(registry_group, [*words], catch_exceptions=False)
        return done.exit_code, done.stdout, done.stderr

    def pytest(self, *options):
        """Run the batch; its id."""
        words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--finbot-batch", "finbot.yaml"]
        done = self.nursery.run([*words, *options], self.path)
        found = re.search(r"batch (batch-\S+?),", done.stdout)
        assert found is not None, done.stdout + done.stderr
        return found[1]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, nursery):
    """A batch recorded and accepted, then one that moved; not to be changed."""
    place = Place(tmp_path_factory.mktemp("recorded"), nursery)
    (place.path / "prices.csv").write_text(PRICES)
    (place.path / "finbot.yaml").write_text(BATCH)
    accept = ("--finbot-accept=*", "--finbot-reason=first", "--finbot-accept-in-ci")
    place.accepted = place.pytest(*accept)
    (place.path / "finbot.yaml").write_text(
        BATCH.replace("AAA: 1.0", "AAA: 0.5").replace("- {id: equal}\n  ", "")
    )
    place.moved = place.pytest()
    return place


@pytest.fixture
def place(recorded, tmp_path, monkeypatch):
    """A copy, with the current folder in it."""
    shutil.copytree(recorded.path, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return Place(tmp_path / "place", recorded.nursery)


def test_what_pytest_recorded_is_whole(place):
    status, out, _ = place.call("verify")
    assert (status, out) == (0, re.match(r"2 batches, 3 records, \d+ objects, 0 notes, 0 faults\n", out)[0])
    status, out, _ = place.call("verify", "--json")
    document = json.loads(out)
    assert (status, document["faults"], document["records"], document["findings"]) == (0, 0, 3, [])


def test_a_fault_has_exit_status_1_and_a_file(place):
    [path, *_] = sorted((place.path / ".finbot").glob("series/*/*.parquet"))
    path.write_bytes(b"")
    status, out, _ = place.call("verify")
    assert status == 1
    assert f"fault: {path.relative_to(place.path / '.finbot')}: the object is damaged" in out
    status, out, _ = place.call("verify", "--json")
    assert (status, json.loads(out)["findings"][0]["level"]) == (1, "fault")


@pytest.mark.parametrize("words", [["verify"], ["prune", "--keep-last=1"], ["export", "--format=csv"]])
def test_no_registry_has_exit_status_4_and_none_is_made(place, words):
    (place.path / "empty").mkdir()
    status, out, err = place.call(*words, "--registry", "empty")
    assert (status, out) == (4, "")
    assert "finbot: there is no registry in empty" in err
    assert list((place.path / "empty").iterdir()) == []


def test_merge_makes_a_registry_and_does_nothing_the_second_time(place):
    status, out, _ = place.call("merge", "--registry", "all", ".finbot")
    assert (status, out.split(",")[0]) == (0, "2 new batches")
    status, out, _ = place.call("merge", "--registry", "all", ".finbot", "--json")
    assert json.loads(out) == {
        **dict.fromkeys(("batches", "segments", "grown", "objects", "mended", "logs"), 0),
        **dict.fromkeys(("snapshots", "snapshots_grown", "snapshot_objects", "snapshot_objects_mended"), 0),
        "running": [],
        "damaged": [],
        "left_out": [],
    }
    assert place.call("verify", "--registry", "all")[0] == 0
    status, _, err = place.call("merge", "--registry", "new", "nowhere")
    assert (status, "there is no registry in nowhere" in err) == (4, True)
    assert not (place.path / "new").exists()


def test_prune_says_what_would_go_and_keeps_what_was_accepted(place, recorded):
    status, out, _ = place.call("prune", "--older-than", "0h")
    assert status == 0
    assert f"would remove {recorded.moved} small" in out
    assert re.search(
        rf"kept {recorded.accepted} small: accepted: .*baselines/small/\w+\.json has its result", out
    )
    assert "nothing was changed; add --apply" in out
    assert len(json.loads(place.call("verify", "--json")[1])["findings"]) == 0
    status, out, _ = place.call("prune", "--older-than", "0h", "--apply", "--json")
    document = json.loads(out)
    assert (status, [one["batch_id"] for one in document["removed"]]) == (0, [recorded.moved])
    # Objects that are younger than an hour stay, whoever referred to them.
    assert place.call("verify")[1].splitlines()[-1].startswith("1 batches, 2 records")
    status, out, _ = place.call("prune", "--keep-last", "0", "--no-keep-accepted", "--apply")
    assert f"removed {recorded.accepted}" in out
    assert place.call("verify")[1].splitlines()[-1].startswith("0 batches, 0 records")


def test_where_a_baseline_cannot_be_read_or_is_elsewhere_batches_are_kept(place, recorded):
    baselines = recorded.path / "baselines" / "small"  # manifests name it by its whole path
    whole = (baselines / "equal.json").read_text()
    try:
        (baselines / "equal.json").write_text(whole.replace("0", "1"))
        _, out, _ = place.call("prune", "--keep-last", "0")
        assert len(re.findall("kept batch-.*: whether a baseline came from it cannot be told: ", out)) == 2
    finally:
        (baselines / "equal.json").write_text(whole)
    recorded.path.rename(recorded.path.with_name("elsewhere"))
    try:
        _, out, _ = place.call("prune", "--keep-last", "0")
        assert len(re.findall("kept batch-.*: its baselines in .* are not on this machine", out)) == 2
    finally:
        recorded.path.with_name("elsewhere").rename(recorded.path)


def test_an_age_and_a_criterion_are_needed(place):
    status, _, err = place.call("prune")
    assert (status, "--keep-last N, --older-than AGE" in err) == (2, True)
    status, _, err = place.call("prune", "--older-than", "90")
    assert (status, "'90' is no age; expected a number and h, d or w" in err) == (2, True)


def test_export_to_standard_output_and_to_a_file(place, recorded):
    status, out, err = place.call("export", "--format", "csv", "--batch", recorded.accepted)
    found = list(csv.DictReader(io.StringIO(out)))
    assert (status, [row["name"] for row in found]) == (0, ["equal", "first"])
    assert float(found[0]["metric.final_nav"]) > 0
    assert "2 runs written to standard output" in err
    assert place.call("export", "--format", "jsonl", "--to", "runs.jsonl", "--status", "success")[0] == 0
    assert json.loads((place.path / "runs.jsonl").read_text().splitlines()[0])["status"] == "success"
    status, _, err = place.call("export", "--format", "jsonl", "--to", "runs.jsonl")
    assert (status, "--force" in err) == (4, True)
    assert place.call("export", "--format", "parquet", "--to", "runs.parquet", "--name", "f*")[0] == 0
    assert place.call("export", "--format", "parquet")[0] == 2


def test_a_damaged_batch_is_told_by_export_and_has_exit_status_1(place, recorded):
    [path] = (place.path / ".finbot").glob(f"batches/*/*/{recorded.moved}/manifest.json")
    path.write_text("{")
    status, out, err = place.call("export", "--format", "jsonl")
    assert (status, len(out.splitlines())) == (1, 2)
    assert f"finbot: batch {recorded.moved}: " in err


def test_export_names_batches_and_times_as_other_commands_do(place, recorded):
    def names(*words):
        status, out, err = place.call("export", "--format", "jsonl", *words)
        assert status == 0, err
        return [json.loads(line)["name"] for line in out.splitlines()]

    assert names("--batch", recorded.accepted[-6:]) == ["equal", "first"]
    assert names("--batch", "last") == names("--batch", recorded.moved)
    assert len(names("--since", "7d")) == len(names("--until", "2999-01-01T09:30+02:00")) == 3
    assert names("--until", "7d") == names("--since", "2999-01-01") == []
    status, _, err = place.call("export", "--format", "csv", "--since", "noon")
    assert (status, "'noon' is no time; expected one like" in err) == (2, True)
    status, _, err = place.call("export", "--format", "csv", "--batch", "zzz")
    assert (status, "is, begins or ends with 'zzz'" in err) == (4, True)


def test_a_damaged_source_is_not_merged_unless_asked_for(place):
    path = min((place.path / ".finbot").glob("series/*/*"))
    path.write_bytes(path.read_bytes()[:-9])
    status, _, err = place.call("merge", "--registry", "all", ".finbot")
    assert (status, f"object {path} does not hold" in err, "--allow-damaged" in err) == (4, True, True)
    assert not list((place.path / "all").glob("*/*/*"))
    status, out, _ = place.call("merge", "--registry", "all", ".finbot", "--allow-damaged")
    assert (status, f"copied though damaged: object {path}" in out) == (1, True)
    assert "2 new batches" in out


def test_the_batch_that_a_run_was_compared_with_is_kept_though_nothing_moved(place, recorded):
    newest = place.pytest("--finbot-baseline", f"batch:{recorded.moved}")
    status, out, _ = place.call("prune", "--keep-last", "1", "--no-keep-accepted", "--apply")
    assert (status, f"removed {recorded.accepted} small" in out) == (0, True)
    assert f"kept {recorded.moved} small: batch {newest} was compared with it" in out
    assert place.call("verify")[0] == 0
