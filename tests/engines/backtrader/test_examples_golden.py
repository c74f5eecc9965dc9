"""The golden example: what another project published of its runs comes out of ours."""

import json
import shutil
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine("backtrader")

GOLDEN = Path(__file__).parents[3] / "examples" / "golden"
PUBLISHED = json.loads((GOLDEN / "published.json").read_text(encoding="utf-8"))
LIMITS = PUBLISHED["limits"]
FIGURES = [
    (name, metric, value)
    for name, run in PUBLISHED["runs"].items()
    for metric, value in run["metrics"].items()
]
REJECTED = {"gs01_raw": 0, "gs01_adjusted": 0, "gs02_raw": 6, "gs02_adjusted": 9}


@pytest.fixture(scope="module")
def records(nursery, tmp_path_factory):
    """Records of the example's runs by name, from a real pytest on a copy of its folder."""
    folder = tmp_path_factory.mktemp("golden") / "golden"
    shutil.copytree(GOLDEN, folder, ignore=shutil.ignore_patterns("output", ".finbot", "__pycache__"))
    options = ["-q", "-p", "no:cacheprovider", "--finbot-batch", "finbot_golden.yaml"]
    done = nursery.run([sys.executable, "-m", "pytest", *options], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((folder / "output" / "golden" / "batch_summary.json").read_text(encoding="utf-8"))
    return {record["name"]: record for record in summary["runs"]}


@pytest.mark.parametrize(("name", "metric", "published"), FIGURES, ids=[f"{n}-{m}" for n, m, _ in FIGURES])
def test_every_published_figure_is_met(records, name, metric, published):
    limit = LIMITS[metric]
    allowed = limit["rtol"] * abs(published) if "rtol" in limit else limit["atol"]
    assert abs(records[name]["metrics"][metric] - published) <= allowed


def test_the_limits_are_those_of_the_preset_parity():
    from pytest_finbot.tolerances import PRESETS

    metrics = PRESETS["parity"].metrics
    for metric, limit in LIMITS.items():
        assert {key: getattr(metrics[metric], key) for key in limit} == limit


@pytest.mark.parametrize("name", [*PUBLISHED["runs"]])
def test_the_final_value_is_the_published_one_to_the_cent(records, name):
    published = PUBLISHED["runs"][name]["metrics"]["final_nav"]
    assert round(records[name]["metrics"]["final_nav"], 2) == published


@pytest.mark.parametrize(("name", "count"), REJECTED.items())
def test_the_record_says_what_backtrader_rejected(records, name, count):
    record = records[name]
    [check] = [check for check in record["checks"] if check["name"] == "rejected_orders"]
    assert record["rejected_orders"] == check["value"] == count
    assert record["native"]["orders"].get("Margin", 0) == count
    if count:
        assert (
            check["message"]
            == f"{count} orders were rejected: {count} x margin: cash did not pay for it at its fill"
        )
        assert check["message"] in record["warnings"]


def test_raw_and_adjusted_prices_are_told_apart(records):
    for strategy in ("gs01", "gs02"):
        raw, adjusted = (
            records[f"{strategy}_{field}"]["fingerprint"]["data"] for field in ("raw", "adjusted")
        )
        assert (raw["field"], adjusted["field"]) == ("close", "adj_close")
        assert raw["hash"] != adjusted["hash"]


def test_its_prices_are_those_of_the_other_examples():
    for name in ("SPY.parquet", "TLT.parquet"):
        theirs = GOLDEN.parent / "data" / "ohlcv" / name
        assert (GOLDEN / "data" / name).read_bytes() == theirs.read_bytes()
