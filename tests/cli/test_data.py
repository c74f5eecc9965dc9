"""``finbot data``: what it says, and how it ends."""

import json
import re

import pytest

from pytest_finbot.registry.files import FilesRegistry


@pytest.fixture
def batch(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    folder.batch("{id: one}", "{id: other, symbols: [BBB]}")
    return folder


@pytest.fixture
def registry_of(batch):
    """The registry that the command made."""
    return lambda: FilesRegistry(batch.path / ".finbot")


def snapshot(ask, *words):
    done = ask("data", "snapshot", "finbot.yaml", "--json", *words)
    return done.document


def test_a_snapshot_tells_what_it_holds_and_that_it_was_there(batch, ask):
    first = ask("data", "snapshot", "finbot.yaml")
    assert first.status == 0
    identity, source, objects = first.out.splitlines()
    assert identity.startswith("snap-")
    assert source == "  prices.csv: 2 symbols: AAA, BBB"
    assert objects.startswith("  2020 to 2020; 2 objects (")
    assert objects.endswith(" bytes), 0 there already")
    again = ask("data", "snapshot", "finbot.yaml")
    assert again.out.splitlines()[0] == f"{identity}: the same data was kept before"
    assert "0 written (0 bytes), 2 there already" in again.out
    told = snapshot(ask)
    assert (told["id"], told["new"], told["objects"], told["written"]) == (identity, False, 2, 0)
    assert {*told["digests"]} == {"one", "other"}
    asked = ask("data", "snapshot", "finbot.yaml", "--json")
    assert asked.out == json.dumps(told, indent=2) + "\n"
    assert told["refused"] == {}


def test_a_run_whose_data_is_refused_is_told_and_the_snapshot_kept(batch, ask):
    batch.write("prices.csv", (batch.path / "prices.csv").read_text().replace("12,21", "12,"))
    done = ask("data", "snapshot", "finbot.yaml")
    assert done.status == 1
    assert done.out.startswith("snap-")
    assert "the data of run one is kept, and not fit to run on: " in done.err
    assert "2020-01-06" in done.err
    told = snapshot(ask)
    assert {*told["refused"]} == {"one", "other"}


def test_what_cannot_be_read_is_told_with_status_4(batch, ask):
    batch.write("prices.csv", "Date,AAA\n2020-01-02,x\n")
    unreadable = ask("data", "snapshot", "finbot.yaml")
    assert unreadable.status == 4
    assert "column 'AAA': 'x'" in unreadable.err
    assert not (batch.path / ".finbot" / "snapshots").exists()
    batch.write("finbot.yaml", "batch_name: small\nruns: []\n")
    assert ask("data", "snapshot", "finbot.yaml").status == 4
    assert ask("data", "snapshot", "nowhere.yaml").status == 4
    assert ask("data", "snapshot").status == 2


def test_differences_between_a_snapshot_a_batch_and_a_file(batch, ask):
    identity = snapshot(ask)["id"]
    kept = f"prices.csv of {identity}"
    for one, other, names in (
        (identity, identity, kept),
        (identity, "finbot.yaml", f"{kept} (A), prices.csv (B)"),
        ("prices.csv", identity, f"prices.csv (A), {kept} (B)"),
        ("finbot.yaml", "prices.csv", "prices.csv"),
    ):
        same = ask("data", "diff", one, other)
        assert (same.status, same.out) == (0, f"{names}: the same, 2 symbols\n")
    changed = (batch.path / "prices.csv").read_text().replace("11,22", "11,2.2") + "2020-01-10,14,23\n"
    batch.write("prices.csv", changed)
    done = ask("data", "diff", identity, "finbot.yaml")
    assert done.status == 1
    assert done.out.splitlines() == [
        f"{kept} (A), prices.csv (B)",
        "  sessions only in B: 1 (2020-01-10): AAA, BBB",
        "  BBB close: correction: 2020-01-07: 22.0 → 2.2 (-90.000%)",
    ]
    by_symbol = ask("data", "diff", identity, "finbot.yaml", "--symbols")
    assert by_symbol.out.splitlines()[-1] == "  BBB: close (correction)"
    asked = ask("data", "diff", identity, "finbot.yaml", "--json")
    document = asked.document
    assert asked.out == json.dumps(document, indent=2) + "\n"
    assert (document["a"], document["b"], document["differs"]) == (identity, "finbot.yaml", True)
    (change,) = document["sources"][0]["changes"]
    assert change["changes"] == [{"session": "2020-01-07", "a": 22.0, "b": 2.2}]


def test_unexplained_changes_are_told_up_to_the_limit(batch, ask):
    text = (batch.path / "prices.csv").read_text()
    batch.write("a.csv", text)
    for was, now in (("10,", "10.5,"), ("12,", "11.7,"), ("13,", "14.9,"), ("14,", "13.2,")):
        text = text.replace(was, now)
    batch.write("b.csv", text)
    lines = ask("data", "diff", "a.csv", "b.csv", "--limit", "2").out.splitlines()
    assert lines[1].startswith(
        "  AAA price: unknown: 4 values changed, first 2020-01-02, largest 2020-01-08: 13.0 → 14.9"
    )
    assert lines[2:] == [
        "    2020-01-02: 10.0 → 10.5 (+5.000%)",
        "    2020-01-06: 12.0 → 11.7 (-2.500%)",
        "    and 2 more; see --limit",
    ]


def test_a_diff_of_what_is_not_there_is_told_with_status_4(batch, ask):
    identity = snapshot(ask)["id"]
    for name, why in (
        ("snap-000000000000", f"no snapshot snap-000000000000 in .*there are {identity}"),
        ("snap-nope", f"no such snapshot in .*'snap-nope' is no id.*there are {identity}"),
        ("price.csv", "no such file or folder .*did you mean 'prices.csv'"),
        ("other.yaml", "other.yaml"),
    ):
        done = ask("data", "diff", identity, name)
        assert done.status == 4
        assert re.search(why, done.err)


def test_prune_says_what_would_go_and_removes_it_when_asked(batch, ask):
    first = snapshot(ask)["id"]
    kept = ask("data", "prune")
    assert (kept.status, kept.out.splitlines()[0]) == (0, f"kept {first}: taken less than 1 day ago")
    would = ask("data", "prune", "--keep-days", "0").out.splitlines()
    assert would[0].startswith(f"would remove {first}, taken 20")
    assert would[0].endswith("for finbot.yaml")
    assert would[1].startswith("would remove 1 snapshot and 2 objects (")
    assert would[2] == "nothing was changed; add --apply to remove it"
    document = ask("data", "prune", "--keep-days", "0", "--apply", "--json").document
    assert ([one["id"] for one in document["removed"]], document["applied"]) == ([first], True)
    assert not list((batch.path / ".finbot" / "snapshots").glob("*.json"))


def test_a_batch_that_replays_a_snapshot_runs_without_its_files_and_keeps_it(batch, ask, registry_of):
    identity = snapshot(ask)["id"]
    digests = snapshot(ask)["digests"]
    (batch.path / "prices.csv").unlink()
    text = (batch.path / "finbot.yaml").read_text()
    batch.write(
        "finbot.yaml", text.replace("{path: prices.csv}", f"{{path: prices.csv, snapshot: {identity}}}")
    )
    assert ask("data", "diff", identity, "finbot.yaml").status == 0
    assert snapshot(ask)["id"] == identity
    done = batch.finbot("run", "finbot.yaml", "-p", "no:cacheprovider")
    assert done.status == 0, done.out
    registry = registry_of()
    (batch_id,) = registry.batch_ids()
    for record in registry.fold(batch_id).records():
        data = record["fingerprint"]["data"]
        assert (data["snapshot"], data["hash"]) == (identity, digests[record["name"]])
    kept = ask("data", "prune", "--keep-days", "0", "--json").document["kept"]
    assert kept == {identity: f"batch {batch_id} names it"}


def test_prune_needs_a_registry(batch, ask):
    assert ask("data", "prune").status == 4
    assert not (batch.path / ".finbot").exists()


def test_the_help_names_every_command(ask):
    told = ask("data", "--help", registry=False).out
    assert all(f"\n  {name} " in told for name in ("check", "diff", "prune", "snapshot"))
