"""The README's engine of one's own: its batch runs and its conformance holds, in processes of their own."""

import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 40


def files():
    """The section's files by the names in their first lines."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("\n## Your own engine\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```\w+\n# (\S+)\n(.*?)```", section, re.DOTALL)
    return dict(blocks)


@pytest.fixture
def project(tmp_path, monkeypatch):
    for variable in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "CI"):
        monkeypatch.delenv(variable, raising=False)
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "examples" / "data" / "prices.csv.gz", tmp_path / "data")
    return tmp_path


def pytest_in(nursery, folder, *options):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        "-W",
        "error",
    ]
    done = nursery.run([*command, *options], folder)
    return done.returncode, done.stdout + done.stderr


def test_it_is_short():
    shown = files()
    assert sorted(shown) == ["finbot.yaml", "my_engine.py", "test_my_engine.py"]
    assert len(shown["my_engine.py"].splitlines()) < MOST_LINES


def test_its_batch_runs(nursery, project):
    status, said = pytest_in(nursery, project, "--finbot-batch", "finbot.yaml")
    assert status == 0, said
    assert "own_engine: 2 of 2 runs succeeded: completed" in said


def test_it_conforms_but_for_the_exception_that_it_declares(nursery, project):
    status, said = pytest_in(nursery, project, "-ra", "test_my_engine.py")
    assert status == 0, said
    assert "1 xfailed" in said
    assert "skipped" not in said
    assert re.search(r"XFAIL .*::test_capital_scaling - units are whole, so sizes do not scale", said)


def test_a_mistake_in_it_is_found(nursery, project):
    engine = project / "my_engine.py"
    text = engine.read_text(encoding="utf-8")
    price = "market.close[decisions.fill_rows]"
    assert price in text
    ahead = text.replace(price, "market.close[np.minimum(decisions.fill_rows + 1, len(market.close) - 1)]")
    engine.write_text(ahead, encoding="utf-8")
    status, said = pytest_in(nursery, project, "-ra", "test_my_engine.py")
    assert status == 1, said
    for point in ("test_data_cut", "test_prices_scrambled", "test_fill_timing"):
        assert f"FAILED test_my_engine.py::TestMyEngine::{point}" in said
