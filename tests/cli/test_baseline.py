"""``finbot baseline`` and ``finbot fingerprint``: accepted and recorded results, looked at."""

import json
import os
import re
import subprocess
import sys

import pytest

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
        (path / "prices.csv").write_text(PRICES)
        self.write(BATCH)

    def write(self, text):
        (self.path / "finbot.yaml").write_text(text)

    def call(self, *words, ci=False):
        clean = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
        return self.nursery.run(
            [sys.executable, *words], self.path, {**clean, **({"CI": "true"} if ci else {})}
        )

    def finbot(self, *words, ci=False):
        return self.call("-m", "pytest_finbot.cli.main", *words, ci=ci)

    def run(self, *options):
        """Run the batch; its id."""
        done = self.call("-m", "pytest", "-p", "no:cacheprovider", "--finbot-batch", "finbot.yaml", *options)
        found = re.search(r"batch (batch-\S+?),", done.stdout)
        assert found is not None, done.stdout + done.stderr
        return found[1]

    def files(self):
        folder = self.path / "baselines" / "small"
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, nursery):
    """A place where a batch is recorded, and nothing accepted; not to be changed."""
    place = Place(tmp_path_factory.mktemp("recorded"), nursery)
    place.batch_id = place.run()
    return place


@pytest.fixture
def place(tmp_path, recorded):
    """A copy of it, where things may be changed."""
    done = subprocess.run(["cp", "-r", f"{recorded.path}/.", str(tmp_path)], check=True)
    assert done.returncode == 0
    copy = Place(tmp_path, recorded.nursery)
    copy.batch_id = recorded.batch_id
    # The manifest names the folder of the place it was recorded in.
    copy.into = ("--baseline", str(tmp_path / "baselines"))
    return copy


def accept(place, *runs, reason="as it should be", ci=False, more=()):
    return place.finbot(
        "baseline", "accept", place.batch_id, *runs, "--reason", reason, *place.into, *more, ci=ci
    )


def test_a_recorded_batch_is_accepted_without_running_again(place):
    done = accept(place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "accepted equal: new, final NAV 110,000.00",
        "accepted first: new, final NAV 110,000.00",
    ]
    assert set(place.files()) == {"equal.json", "equal.parquet", "first.json", "first.parquet"}
    document = json.loads(place.files()["equal.json"])
    assert document["accepted"]["reason"] == "as it should be"
    place.run()
    assert place.finbot("baseline", "diff", "equal").returncode == 0


def test_accepting_twice_changes_nothing(place):
    accept(place)
    before = place.files()
    done = accept(place, reason="once more")
    assert done.returncode == 0
    assert "unchanged equal: identical" in done.stdout
    assert place.files() == before


def test_only_the_runs_named_are_accepted(place):
    assert accept(place, "first").returncode == 0
    assert set(place.files()) == {"first.json", "first.parquet"}


def test_a_run_that_is_not_there_is_told_with_the_nearest_name(place):
    done = accept(place, "frist")
    assert done.returncode == 4
    assert "has no run 'frist'; did you mean 'first'?" in done.stderr
    assert place.files() == {}


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_empty_reason_is_refused(place, reason):
    done = accept(place, reason=reason)
    assert done.returncode == 4
    assert "accepting needs a reason" in done.stderr
    assert place.files() == {}


def test_ci_is_refused_unless_allowed(place):
    done = accept(place, ci=True)
    assert done.returncode == 4
    assert "this is CI" in done.stderr
    assert place.files() == {}
    assert accept(place, ci=True, more=["--accept-in-ci"]).returncode == 0


def test_a_failed_run_is_refused_and_the_others_accepted(place):
    place.write(BATCH + "  - {id: early, start_date: 2019-01-02}\n")
    place.batch_id = place.run()
    done = accept(place)
    assert done.returncode == 1
    assert "refused early: it failed (data_error" in done.stdout
    assert "early.json" not in place.files()
    assert "equal.json" in place.files()


def test_a_list_tells_every_run_and_every_baseline(place):
    accept(place, "equal")
    place.write(BATCH.replace("id: equal", "id: even"))
    done = place.finbot("baseline", "list")
    assert done.returncode == 1  # `equal` is gone from the batch file
    assert re.search(r"^even +new: nothing accepted$", done.stdout, re.M)
    assert re.search(
        r"^equal +missing from the batch file; final NAV 110,000.00; .*: as it should be$", done.stdout, re.M
    )
    place.write(BATCH)
    assert place.finbot("baseline", "list").returncode == 0


def test_a_list_names_what_cannot_be_read(place):
    accept(place)
    (place.path / "baselines" / "small" / "first.parquet").write_bytes(b"PAR1")
    done = place.finbot("baseline", "list")
    assert done.returncode == 1
    assert re.search(r"^first +unreadable: baseline \S*first.parquet cannot be read", done.stdout, re.M)


def test_one_baseline_is_shown_as_it_was_accepted(place):
    accept(place)
    done = place.finbot("baseline", "show", "equal")
    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads(place.files()["equal.json"])
    missing = place.finbot("baseline", "show", "equl")
    assert missing.returncode == 4
    assert "did you mean 'equal'?" in missing.stderr


def test_removing_takes_both_files_and_only_those(place):
    accept(place)
    done = place.finbot("baseline", "remove", "equal")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "removed baselines/small/equal.json",
        "removed baselines/small/equal.parquet",
    ]
    assert set(place.files()) == {"first.json", "first.parquet"}
    again = place.finbot("baseline", "remove", "equal")
    assert again.returncode == 4
    assert "there is no baseline 'equal'" in again.stderr


def test_a_difference_is_told_from_the_records(place):
    accept(place)
    place.write(BATCH.replace("AAA: 1.0", "AAA: 0.5"))
    place.run()
    done = place.finbot("baseline", "diff", "first")
    assert done.returncode == 1
    assert "moved: final NAV 110,000.00 → 105,000.00 (-5,000.00, -4.55 %, -454.5 bp)" in done.stdout
    assert "why: config changed: params.weights.AAA 1.0 → 0.5" in done.stdout
    older = place.finbot("baseline", "diff", "first", "--batch", place.batch_id)
    assert older.returncode == 0


def test_without_a_record_there_is_no_difference_to_tell(tmp_path, nursery):
    place = Place(tmp_path, nursery)
    done = place.finbot("baseline", "diff", "first")
    assert done.returncode == 4
    assert "there is no registry in .finbot" in done.stderr


def test_a_batch_that_is_not_gated_has_no_baselines_to_list(tmp_path, nursery):
    place = Place(tmp_path, nursery)
    place.write(BATCH.replace("baseline: baselines\n", ""))
    done = place.finbot("baseline", "list")
    assert done.returncode == 4
    assert "has no key baseline: nothing is gated" in done.stderr


# ------------------------------------------------------------------------ fingerprint


def test_a_fingerprint_names_every_part_of_every_run(place):
    done = place.finbot("fingerprint", "finbot.yaml")
    assert done.returncode == 0, done.stderr
    for run in ("equal", "first"):
        assert re.search(
            rf"^{run}\n  config +[0-9a-f]{{16}}\n  data +[0-9a-f]{{16}} \(field close\)\n"
            r"  code +[0-9a-f]{16} \(\d+ modules; import closure\)\n"
            r"  environment +engine portfolio .*pandas ",
            done.stdout,
            re.M,
        )


def test_one_runs_fingerprint_is_told_in_full(place):
    done = place.finbot("fingerprint", "finbot.yaml", "first")
    assert "equal" not in done.stdout.splitlines()
    assert re.search(r"^    params +\{'weights': \{'AAA': 1.0\}\}$", done.stdout, re.M)
    assert re.search(r"^    [0-9a-f]{16} pytest_finbot\.strategies\.fixed_weights$", done.stdout, re.M)
    assert re.search(r"^  data of BBB\n    [0-9a-f]{16} 2020$", done.stdout, re.M)


def test_a_fingerprint_is_the_same_under_another_hash_seed(place, monkeypatch):
    said = set()
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        said.add(place.finbot("fingerprint", "finbot.yaml").stdout)
    assert len(said) == 1


def test_two_recorded_runs_are_told_apart_in_words(place):
    done = place.finbot("fingerprint", "--diff", f"{place.batch_id}/equal", f"{place.batch_id}/first")
    assert done.returncode == 1
    assert done.stdout.startswith("config changed: params.weights")
    same = place.finbot("fingerprint", "--diff", f"{place.batch_id}/equal", f"{place.batch_id}/equal")
    assert same.returncode == 0
    assert "the same config, data, code and environment" in same.stdout


def test_a_recorded_run_is_told_apart_from_its_baseline(tmp_path, nursery):
    place = Place(tmp_path, nursery)
    place.run("--finbot-accept", "--finbot-reason", "first")
    changed = PRICES.replace("2020-01-06,12,21", "2020-01-06,12,21.5")
    (place.path / "prices.csv").write_text(changed)
    batch_id = place.run()
    done = place.finbot("fingerprint", "--diff", f"{batch_id}/first", "baseline")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["data changed: BBB 2020"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give a batch FILE, or --diff A B"),
        (["finbot.yaml", "frist"], "did you mean 'first'?"),
        (["--diff", "nothing", "baseline"], "expected BATCH/RUN"),
        (["--diff", "batch-20200101T000000Z-abcdef/equal", "baseline"], "there is no batch"),
    ],
)
def test_a_wrong_call_is_told(place, words, said):
    done = place.finbot("fingerprint", *words)
    assert done.returncode != 0
    assert said in done.stderr
