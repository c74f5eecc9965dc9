"""A run that replays a snapshot gets what it got of the files, or is told that it cannot."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from pytest_finbot.contracts import ActionSpec, MarketData
from pytest_finbot.errors import DataError, ParameterError
from pytest_finbot.market.snapshots.objects import object_hash, object_path, read_object, to_parquet
from pytest_finbot.market.snapshots.reading import open_snapshot
from pytest_finbot.market.snapshots.sources import SymbolData, years_of
from pytest_finbot.market.store import PriceStore
from pytest_finbot.registry.snapshots import take_snapshot

EXAMPLES = Path(__file__).parents[2] / "examples"
DAYS = pd.bdate_range("2019-12-23", "2020-01-17").strftime("%Y-%m-%d")


@pytest.fixture
def keep(tmp_path):
    """``keep((spec, factors), …)``: the same runs, replaying a snapshot of their data."""

    def take(*uses, batch="finbot.yaml"):
        taken = take_snapshot(tmp_path / ".finbot", tmp_path / batch, uses)
        snapshots = str(Path(taken.manifest).parent)
        return [
            dataclasses.replace(
                spec, data=dataclasses.replace(spec.data, snapshot=taken.id, snapshots=snapshots)
            )
            for spec, _ in uses
        ]

    return take


def same(one: MarketData, other: MarketData) -> None:
    """Equal to the last bit, but for where it came from."""
    assert one.digest == other.digest
    for field in dataclasses.fields(MarketData):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), field.name
        elif field.name == "factors":
            assert {k: v.tobytes() for k, v in a.items()} == {k: v.tobytes() for k, v in b.items()}
        elif field.name != "source":
            assert a == b, field.name


def frame(**columns):
    return pd.DataFrame(columns, index=pd.Index(DAYS, name="Date"))


def prices(seed=1):
    return np.round(50 + np.cumsum(np.random.default_rng(seed).normal(size=len(DAYS))), 3)


def bars(seed=1):
    close = prices(seed)
    day = np.arange(len(close))
    return frame(
        Open=close - 0.1,
        High=close + 1,
        Low=close - 1,
        Close=close,
        **{"Adj Close": np.where(day < 12, close * (1.0 - 0.2 / close[11]), close)},
        Volume=day,
        Currency="USD",
        Dividends=np.where(day == 12, 0.2, 0.0),
        **{"Stock Splits": 0.0},
    )


# ------------------------------------------------------------------------------------ replay


def test_the_runs_of_the_examples_are_replayed_bit_for_bit(tmp_path):
    from pytest_finbot.config.expand import load_batch
    from pytest_finbot.strategies.factors import panel_factors

    specs = load_batch(EXAMPLES / "finbot.yaml").runs
    taken = take_snapshot(
        tmp_path / ".finbot", EXAMPLES / "finbot.yaml", [(spec, panel_factors(spec)) for spec in specs]
    )
    store, snapshots = PriceStore(), str(Path(taken.manifest).parent)
    for spec in specs:
        data = dataclasses.replace(spec.data, snapshot=taken.id, snapshots=snapshots)
        of_files = store.load(spec, panel_factors(spec))
        replayed = store.load(dataclasses.replace(spec, data=data), panel_factors(spec))
        same(of_files, replayed)
        assert of_files.digest.hash == taken.digests[spec.name]
        assert taken.id in replayed.source
        assert taken.id not in of_files.source
    # Files of the prices and two of bars, and the manifest, whatever the number of runs.
    assert store.files_read == 4


def test_the_files_are_not_needed_any_more(wide, a_run, keep, store):
    closes, opens = wide(), wide(name="opens.csv")
    spec = a_run(closes, open_path=opens, fill="next_open")
    before = PriceStore().load(spec)
    (replaying,) = keep((spec, ()))
    closes.write_text("Date,AAPL,KO\n2020-01-06,1,1\n")
    opens.unlink()
    same(before, store.load(replaying))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("field", ["close", "adj_close"])
def test_bars_with_their_dividends_are_replayed(tmp_path, a_run, keep, store, field, suffix):
    folder = tmp_path / "bars"
    folder.mkdir()
    for seed, symbol in enumerate(("AAPL", "KO")):
        table = bars(seed)
        if suffix == ".csv":
            table.to_csv(folder / f"{symbol}.csv")
        else:
            table.index = pd.DatetimeIndex(table.index).tz_localize("America/New_York")
            table.to_parquet(folder / f"{symbol}_history_1d.parquet")
    actions = ActionSpec(dividends="from_prices") if field == "close" else ActionSpec()
    spec = a_run(folder, field=field, actions=actions, fill="next_open")
    alone = a_run(
        folder / ("KO" + suffix if suffix == ".csv" else "KO_history_1d.parquet"), "KO", field=field
    )
    before = [PriceStore().load(spec), PriceStore().load(alone)]
    replaying = keep((spec, ()), (alone, ()))
    shutil.rmtree(folder)
    for was, again in zip(before, replaying, strict=True):
        same(was, store.load(again))
    assert before[0].dividends is None or before[0].dividends.any()


def test_runs_with_different_symbols_of_one_folder_get_their_own(tmp_path, a_run, keep, store):
    (tmp_path / "bars").mkdir()
    for seed, symbol in enumerate(("AAPL", "KO", "XOM")):
        bars(seed).to_csv(tmp_path / "bars" / f"{symbol}.csv")
    specs = [a_run(tmp_path / "bars", symbols) for symbols in ("AAPL KO", "KO XOM", "XOM")]
    before = [PriceStore().load(spec) for spec in specs]
    replaying = keep(*((spec, ()) for spec in specs))
    shutil.rmtree(tmp_path / "bars")
    for was, again in zip(before, replaying, strict=True):
        same(was, store.load(again))


def test_runs_with_different_panels_get_their_own(tmp_path, wide, a_run, keep, store):
    specs = []
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "value.csv"
        frame(AAPL=prices(len(specs)), KO=prices(9)).to_csv(path)
        specs.append(a_run(wide(), factors_path=str(path)))
    for spec, again in zip(specs, keep(*((spec, ["value"]) for spec in specs)), strict=True):
        same(PriceStore().load(spec, ["value"]), store.load(again, ["value"]))


@pytest.mark.parametrize("form", ["long", "stacked", "folder", "wide"])
def test_factors_of_a_panel_are_replayed(tmp_path, wide, a_run, keep, store, form):
    values = frame(AAPL=prices(3), KO=[-0.0, np.nan, *prices(4)[2:]], OTHER=prices(5))
    path, names = tmp_path / "panel.csv", ("value", "size")
    if form == "folder":
        path = tmp_path / "panel"
        path.mkdir()
        values.to_csv(path / "value.csv")
        values.iloc[3:].to_csv(path / "size.csv")  # not at the same sessions
    elif form == "wide":
        path, names = tmp_path / "value.csv", ("value",)
        values.to_csv(path)
    else:
        long = values.stack().rename("value").rename_axis(["date", "symbol"]).reset_index()
        long["size"] = long["value"] * 2
        if form == "stacked":
            long = long.rename(columns={"value": "level"}).melt(["date", "symbol"], var_name="factor")
            names = ("level", "size")
        long.to_csv(path, index=False)
    spec = a_run(wide(), factors_path=str(path))
    before = PriceStore().load(spec, names)
    (replaying,) = keep((spec, names))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    same(before, store.load(replaying, names))
    with pytest.raises(DataError, match=r"neither computed from prices nor in the panel: 'siz'|'valu'"):
        store.load(replaying, ("valu" if form == "wide" else "siz",))


def test_holes_are_filled_and_sessions_dropped_as_with_the_files(wide, a_run, keep, store):
    path = wide({("2020-01-08", "KO"): None})
    specs = [a_run(path), a_run(path)]
    specs = [
        dataclasses.replace(spec, name=policy, data=dataclasses.replace(spec.data, missing=policy))
        for spec, policy in zip(specs, ("forward_fill", "drop"), strict=True)
    ]
    for spec, replaying in zip(specs, keep(*((spec, ()) for spec in specs)), strict=True):
        same(PriceStore().load(spec), store.load(replaying))


def test_a_run_of_some_of_the_symbols_gets_those(wide, a_run, keep, store):
    both, one = a_run(wide()), a_run(wide(), "KO")
    replaying = keep((both, ()), (one, ()))
    same(PriceStore().load(one), store.load(replaying[1]))
    other = dataclasses.replace(replaying[0], symbols=("AAPL", "KOO"))
    with pytest.raises(DataError, match=r"(?s)prices.csv \(snapshot snap-.*'KOO'; did you mean 'KO'\?"):
        store.load(other)


def test_a_snapshot_is_read_once_for_all_runs(wide, a_run, keep, store):
    replaying = keep((a_run(wide()), ()))[0]
    first = store.load(replaying)
    assert all(
        store.load(dataclasses.replace(replaying, name=f"run {number}")) is first for number in range(50)
    )
    assert store.files_read == 1


# ------------------------------------------------------------------------------- which source


def pointed(spec, path, **more):
    return dataclasses.replace(spec, data=dataclasses.replace(spec.data, path=path, **more))


def test_the_source_whose_path_ends_most_like_the_one_given_is_meant(tmp_path, a_run, keep, store):
    specs = []
    for seed, folder in enumerate(("eu/data", "us/data")):
        (tmp_path / folder).mkdir(parents=True)
        frame(AAPL=prices(seed), KO=prices(seed + 5)).to_csv(tmp_path / folder / "prices.csv")
        specs.append(a_run(tmp_path / folder / "prices.csv"))
    replaying = keep(*((spec, ()) for spec in specs))
    for spec, again in zip(specs, replaying, strict=True):
        same(PriceStore().load(spec), store.load(again))
        moved = pointed(again, "/elsewhere/" + "/".join(Path(spec.data.path).parts[-3:]))
        same(PriceStore().load(spec), store.load(moved))
    there = r"eu/data/prices.csv, us/data/prices.csv"
    for path, why in (
        ("/other/data/prices.csv", "may mean more than one"),
        ("/other/data/price.csv", "has no prices of .*did you mean 'prices.csv'"),
        ("", "which of its prices is meant"),
    ):
        with pytest.raises(DataError, match=f"{why}.*{there}"):
            store.load(pointed(replaying[0], path))
    with pytest.raises(DataError, match=r"has no opens of .*it has no opens"):
        store.load(pointed(replaying[0], specs[0].data.path, open_path="/opens.csv"))


def test_the_only_source_need_not_be_named(wide, a_run, keep, store):
    spec = a_run(wide())
    (replaying,) = keep((spec, ()))
    same(PriceStore().load(spec), store.load(pointed(replaying, "")))


def test_opens_apart_from_bars_are_refused_as_with_files(tmp_path, a_run, keep, store):
    (tmp_path / "bars").mkdir()
    bars().to_csv(tmp_path / "bars" / "KO.csv")
    (replaying,) = keep((a_run(tmp_path / "bars", "KO"), ()))
    with pytest.raises(ParameterError, match="opens come with the closes of bars"):
        store.load(pointed(replaying, replaying.data.path, open_path="opens.csv"))


# ------------------------------------------------------------------------------------ damage


@pytest.fixture
def kept(wide, a_run, keep):
    return keep((a_run(wide()), ()))[0]


def objects(spec):
    return sorted(Path(spec.data.snapshots).glob("objects/*/*.parquet"))


def manifest(spec):
    return Path(spec.data.snapshots) / f"{spec.data.snapshot}.json"


def test_a_missing_object_is_named_with_its_symbol_and_year(kept, store):
    path = objects(kept)[0]
    path.unlink()
    with pytest.raises(DataError, match=rf"(AAPL|KO), 2020: object {path} is missing"):
        store.load(kept)


@pytest.mark.parametrize("damage", ["torn", "garbled", "another", "empty"])
def test_a_damaged_object_is_never_taken_for_data(kept, store, damage):
    one, other = objects(kept)
    content = one.read_bytes()
    one.write_bytes(
        {
            "torn": content[: len(content) // 2],
            "garbled": content[:40] + bytes(b ^ 255 for b in content[40:60]) + content[60:],
            "another": other.read_bytes(),
            "empty": b"",
        }[damage]
    )
    with pytest.raises(DataError, match=f"object {one} (cannot be read|does not hold)"):
        store.load(kept)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda text: text.replace("prices.csv", "prizes.csv"), "its checksum does not fit"),
        (lambda text: text.replace('"version":1', '"version":2'), "reads up to 1; upgrade"),
        (lambda text: text.replace("finbot-snapshot", "something"), "lacks the format"),
        (lambda text: text[:100], "is not a snapshot's manifest"),
        (lambda text: text.replace('"date":0', '"date":NaN'), "NaN is not JSON"),
    ],
)
def test_an_edited_manifest_is_noticed(kept, store, edit, told):
    manifest(kept).write_text(edit(manifest(kept).read_text()))
    with pytest.raises(DataError, match=f"{manifest(kept)}.*{told}"):
        store.load(kept)


def test_a_manifest_under_anothers_name_is_refused(kept, store):
    other = manifest(kept).with_name("snap-000000000000.json")
    manifest(kept).rename(other)
    renamed = pointed(kept, kept.data.path, snapshot="snap-000000000000")
    with pytest.raises(DataError, match="is not the manifest of snap-000000000000"):
        store.load(renamed)


def test_a_manifest_may_be_laid_out_anew(kept, store):
    before = store.load(kept)
    manifest(kept).write_text(json.dumps(json.loads(manifest(kept).read_text()), indent=2))
    same(before, PriceStore().load(kept))


def test_a_snapshot_that_is_not_there_is_told_with_the_nearest(kept, store):
    near = kept.data.snapshot[:-1] + ("0" if kept.data.snapshot[-1] != "0" else "1")
    with pytest.raises(DataError, match=f"no snapshot {near}.*did you mean '{kept.data.snapshot}'"):
        store.load(pointed(kept, "", snapshot=near))
    with pytest.raises(DataError, match=f"'yesterday' is no id of a snap.*there are {kept.data.snapshot}"):
        store.load(pointed(kept, "", snapshot="yesterday"))


# ----------------------------------------------------------------------------------- objects

ANY_BITS = some.integers(0, 2**64 - 1).map(lambda bits: np.array(bits, np.uint64).view(np.float64).item())


@settings(deadline=None, max_examples=60)
@given(
    values=arrays(
        np.float64, some.integers(1, 40), elements=some.one_of(ANY_BITS, some.sampled_from([0.0, -0.0]))
    ),
    texts=some.booleans(),
    start=some.integers(-30_000, 40_000),
)
def test_any_values_come_back_as_they_were_but_for_the_bits_of_nan(tmp_path_factory, values, texts, start):
    sessions = (start + np.arange(len(values)) * 9).astype("datetime64[D]")
    columns = {"session": values, "Adj Close": values[::-1].copy()}
    if texts:
        columns["note"] = np.array([None, "é", ""] * len(values), dtype=object)[: len(values)]
    folder = tmp_path_factory.mktemp("objects")
    years = years_of(SymbolData(sessions, columns))
    assert sum(len(rows.sessions) for rows in years.values()) == len(values)
    for rows in years.values():
        digest = object_hash(rows)
        path = object_path(folder, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_parquet(rows))
        again = read_object(folder, digest, "test")
        assert np.array_equal(again.sessions, rows.sessions)
        assert list(again.columns) == list(rows.columns)
        for name, column in rows.columns.items():
            if column.dtype == object:
                assert again.columns[name].tolist() == column.tolist()
            else:
                whole = np.where(np.isnan(column), np.nan, column)
                assert again.columns[name].tobytes() == whole.tobytes()


def test_what_differs_in_anything_has_another_name():
    day = np.array(["2020-01-06"], "datetime64[D]")
    value = np.array([1.0])
    different = [
        SymbolData(day, {"price": value}),
        SymbolData(day, {"Close": value}),
        SymbolData(day + np.timedelta64(1, "D"), {"price": value}),
        SymbolData(day, {"price": np.nextafter(value, 2)}),
        SymbolData(day, {"price": np.array([0.0])}),
        SymbolData(day, {"price": np.array([-0.0])}),
        SymbolData(day, {"price": np.array(["1.0"], dtype=object)}),
        SymbolData(day, {"price": value, "Close": value}),
    ]
    assert len({object_hash(data) for data in different}) == len(different)


def test_a_column_of_text_is_kept_and_refused_where_a_number_is_needed(tmp_path, a_run, keep, store):
    (tmp_path / "bars").mkdir()
    table = bars()
    table["Open"] = table["Open"].astype(object)
    table.iloc[10, 0] = "n.a."
    table.to_csv(tmp_path / "bars" / "KO.csv")
    spec = a_run(tmp_path / "bars", "KO")
    (replaying,) = keep((spec, ()))
    with pytest.raises(DataError) as of_file:
        PriceStore().load(spec)
    with pytest.raises(DataError) as replayed:
        store.load(replaying)
    assert "'n.a.'" in str(of_file.value)
    assert "'n.a.'" in str(replayed.value)


def test_nothing_is_written_where_a_snapshot_is_read(kept, store):
    folder = Path(kept.data.snapshots)
    before = {path: os.stat(path).st_mtime_ns for path in folder.rglob("*")}
    store.load(kept)
    assert {path: os.stat(path).st_mtime_ns for path in folder.rglob("*")} == before
    assert open_snapshot(folder, kept.data.snapshot).paths == ("prices.csv",)
