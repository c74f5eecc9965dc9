"""The finbot command: pytest's call in other words, and a check that runs nothing."""

import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def finbot(nursery):
    def call(*words, cwd):
        return nursery.run([sys.executable, "-m", "pytest_finbot.cli.main", *words], cwd)

    return call


def test_a_sound_file_is_called_sound_and_nothing_is_run(finbot, tmp_path):
    done = finbot("validate", str(EXAMPLES / "finbot.yaml"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "batch example, 26 runs, no problems" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_every_file_is_checked_and_every_mistake_told(finbot, tmp_path):
    (tmp_path / "one.yaml").write_text("batch_name: one\nruns: []\n")
    (tmp_path / "two.yaml").write_text("batch_name: two two\nrunz: []\n")
    done = finbot("validate", "one.yaml", "two.yaml", "three.yaml", cwd=tmp_path)
    assert done.returncode == 4
    for said in ("one.yaml:2: runs: no runs", "two.yaml:2: runz: unknown key", "three.yaml: file not found"):
        assert said in done.stderr


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
def test_run_ends_with_pytests_status_and_passes_its_options_on(finbot, tmp_path, workers):
    (tmp_path / "prices.csv").write_text("Date,A\n2020-01-02,1\n2020-01-03,2\n")
    (tmp_path / "finbot.yaml").write_text(
        "batch_name: small\n"
        "defaults: {data: {path: prices.csv}, symbols: [A], start_date: 2020-01-02, end_date: 2020-01-03}\n"
        "runs:\n"
        "  - {id: good, strategy: fixed_weights}\n"
        "  - {id: bad, strategy: 'json:at_all'}\n"
    )
    done = finbot("run", "finbot.yaml", *workers, "-k", "good", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 runs succeeded" in done.stdout
    assert "warning" not in done.stdout
    done = finbot("run", *workers, "finbot.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "parameter_error in simulate: strategy 'json:at_all': module json has no" in done.stdout
