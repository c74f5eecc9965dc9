"""The panel of factors of runs that replay a snapshot: its file need not be there any more."""

from __future__ import annotations

import pytest

from pytest_finbot.config.expand import load_batch
from pytest_finbot.errors import BatchFileError
from pytest_finbot.market.store import PriceStore
from pytest_finbot.registry.snapshots import snapshots_folder, take_snapshot
from pytest_finbot.session.inspect import inspect_run
from pytest_finbot.strategies.factors import panel_factors

DAYS = ("2020-01-02", "2020-01-03", "2020-01-06")
BATCH = """\
batch_name: small
defaults:
  data: {DATA}
  strategy: multifactor_long_short
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-01-06
  bundle_path: bundle.yaml
runs:
"""
FILES = "path: prices.csv"


@pytest.fixture
def place(folder):
    folder.write("prices.csv", "Date,AAA,BBB\n" + "".join(f"{day},10,20\n" for day in DAYS))
    rows = (f"{day},{symbol},{value}\n" for day in DAYS for symbol, value in (("AAA", 1), ("BBB", 2)))
    folder.write("data/factors.csv", "date,symbol,quality\n" + "".join(rows))
    folder.write("bundle.yaml", "factors:\n- {name: quality, weight: 1.0}\n")
    return folder


@pytest.fixture
def load(place):
    """Load the batch with these runs; snapshots are those of the registry in the folder."""

    def load(*runs, data=FILES, inspect=inspect_run):
        lines = "".join(f"  - {{id: r{number}{keys}}}\n" for number, keys in enumerate(runs))
        file = place.write("finbot.yaml", BATCH.replace("DATA", data) + lines)
        return load_batch(file, inspect=inspect, snapshots=snapshots_folder(place.path / ".finbot")).runs

    return load


@pytest.fixture
def take(place):
    def take(runs):
        uses = [(run, panel_factors(run)) for run in runs]
        return take_snapshot(place.path / ".finbot", place.path / "finbot.yaml", uses)

    return take


@pytest.fixture
def gone(place, load, take):
    """A snapshot of a run's data, of which no file is there any more."""
    taken = take(load(""))
    (place.path / "prices.csv").unlink()
    (place.path / "data" / "factors.csv").unlink()
    return taken


def problems(load, *runs, **options):
    with pytest.raises(BatchFileError) as caught:
        load(*runs, **options)
    return [(problem.line, problem.key, problem.message) for problem in caught.value.problems]


def test_the_factors_of_a_snapshot_are_the_files_whatever_the_batch_file_calls_them(load, take, gone):
    named = ", factors_path: data/factors.csv"
    runs = (
        *load("", named, data=f"snapshot: {gone.id}"),
        *load("", named, data=f"path: prices.csv, snapshot: {gone.id}"),
        *load(f"{named}, data: {{snapshot: {gone.id}}}"),
    )
    store = PriceStore()
    for run in runs:
        market = store.load(run, panel_factors(run))
        assert market.digest.hash == gone.digests["r0"]
        assert market.factors["quality"].tolist() == [[1, 2]] * 3
    assert [run.factors_path == "" for run in runs] == [True, False, True, False, False]
    assert take(runs[:4]).id == gone.id  # a source that is meant by several paths, and by none


def test_a_panel_that_is_absent_is_told_of_each_run_that_reads_files(load, gone):
    named = f", factors_path: data/factors.csv, data: {{snapshot: {gone.id}}}"
    found = problems(load, named, ", factors_path: data/factors.csv", data="field: close")
    assert [(line, key) for line, key, _ in found] == [
        (11, "runs[1].data.path"),
        (11, "runs[1].factors_path"),
    ]
    assert found[1][2].startswith("file not found: 'data/factors.csv'")


def test_an_absent_panel_of_the_defaults_is_told_once_and_only_where_files_are_read(place, load, gone):
    place.write("prices.csv", "Date,AAA,BBB\n")
    data = f"{FILES}}}\n  factors_path: gone.csv\n  costs: {{commission_bps: 1"
    replayed = f", data: {{snapshot: {gone.id}}}, factors_path: data/factors.csv"
    assert len(load(replayed, replayed, data=data)) == 2
    assert [(line, key) for line, key, _ in problems(load, replayed, "", "", data=data)] == [
        (4, "defaults.factors_path")
    ]
    # Nobody uses it, and no run replays: it is a mistake all the same.
    own = ", factors_path: null, bundle_path: null, strategy: fixed_weights"
    assert (4, "defaults.factors_path") in [(line, key) for line, key, _ in problems(load, own, data=data)]


def test_what_the_snapshot_lacks_is_told_before_anything_runs(place, load, take, gone):
    data = f"snapshot: {gone.id}"
    place.write("bundle.yaml", "factors:\n- {name: qualty, weight: 1.0}\n")
    [(line, key, message)] = problems(load, "", data=data)
    assert (line, key) == (8, "defaults.bundle_path")
    assert message.startswith(
        f"factor 'qualty' is not in data/factors.csv (snapshot {gone.id}); did you mean 'quality'? "
        "(it holds: quality; computed from prices are: "
    )
    place.write("bundle.yaml", "factors:\n- {name: quality, weight: 1.0}\n")
    [(_, key, message)] = problems(load, ", factors_path: other.csv", data=data)
    assert key == "runs[0].factors_path"
    assert message.startswith(f"snapshot {gone.id} has no factors of ")
    assert message.endswith("(it has data/factors.csv)")


def test_a_snapshot_of_prices_alone_brings_no_factor(place, load, take):
    [run] = load(", bundle_path: null, strategy: fixed_weights")
    identity = take([run]).id
    [(_, key, message)] = problems(load, "", data=f"snapshot: {identity}")
    assert (key.rpartition(".")[2], message) == ("factors_path", f"snapshot {identity} has no factors")


def test_a_snapshot_that_cannot_be_opened_is_told_once_and_by_its_own_key(place, load, gone):
    path = snapshots_folder(place.path / ".finbot") / f"{gone.id}.json"
    path.write_bytes(path.read_bytes().replace(b'"close"', b'"Close"'))
    [(line, key, message)] = problems(load, "", "", data=f"snapshot: {gone.id}")
    assert (line, key) == (3, "defaults.data.snapshot")
    assert message.startswith(f"{path} is not as it was written")
    path.unlink()
    [(line, key, message)] = problems(load, "", "", data=f"snapshot: {gone.id}")
    assert (line, key) == (3, "defaults.data.snapshot")
    assert message.startswith(f"there is no snapshot '{gone.id}'")
