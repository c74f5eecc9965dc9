"""The same run again in fresh processes under other hash seeds: does it give the same result?

As a program (``python -m pytest_finbot.pipeline.rerun FOLDER``) it is such a process: it reads
``spec.json`` from the folder and leaves ``result.parquet`` and ``outcome.json`` there.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_finbot.baselines.compare import compare
from pytest_finbot.baselines.facts import Comparison
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.table_file import read_table, write_table
from pytest_finbot.config.manifest import spec_from_json, spec_to_json
from pytest_finbot.contracts import CheckResult, CheckSpec, RunSpec, Verdict
from pytest_finbot.errors import BaselineError
from pytest_finbot.tolerances import tolerances_of

CHECK = "determinism"
_MOST_WORDS = 500


def check_determinism(spec: RunSpec, result: RunResult, times: int) -> CheckResult:
    """Execute ``spec`` ``times`` more, each in a process and under a hash seed of its own.

    All of them and ``result`` must be equal bit for bit. What differs first is in the message.
    """
    with tempfile.TemporaryDirectory(prefix="finbot-rerun-") as folder:
        places = [Path(folder, str(seed)) for seed in range(1, times + 1)]
        processes = [_start(spec, place, seed) for seed, place in enumerate(places, 1)]
        try:
            for process in processes:
                process.wait()
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        for seed, place in enumerate(places, 1):
            again = _outcome(place)
            if isinstance(again, str):
                return CheckResult(CHECK, Verdict.MOVED, f"it fails under hash seed {seed}: {again}")
            compared = compare(again, result, tolerances_of(CheckSpec("exact")))
            if compared.verdict is not Verdict.IDENTICAL:
                return _differs(compared, seed)
    return CheckResult(CHECK, Verdict.IDENTICAL, f"{times} more executions gave the same bits")


def _start(spec: RunSpec, place: Path, seed: int) -> subprocess.Popen[bytes]:
    place.mkdir()
    told = {"spec": spec_to_json(dataclasses.replace(spec, compare_with=None)), "path": sys.path}
    (place / "spec.json").write_text(json.dumps(told, allow_nan=False), encoding="utf-8")
    with (place / "said.txt").open("wb") as said:
        return subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-P", "-m", __name__, str(place)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "PYTHONHASHSEED": str(seed),
                "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            },
        )


def _outcome(place: Path) -> RunResult | str:
    """The result a process left, or why there is none."""
    try:
        told = json.loads((place / "outcome.json").read_bytes())
        if told["error"] is not None:
            return str(told["error"])
        result, _ = read_table(place / "result.parquet")
    except (OSError, ValueError, BaselineError):
        said = (place / "said.txt").read_text(encoding="utf-8", errors="replace").strip()
        return said[-_MOST_WORDS:] or "the process ended and said nothing"
    return dataclasses.replace(result, metrics=told["metrics"], undefined=told["undefined"])


def _differs(compared: Comparison, seed: int) -> CheckResult:
    names = ", ".join(check.name for check in compared.moved_checks)
    asset = compared.positions[0].asset if compared.positions else None
    where = "" if compared.first_session is None else f", first on {compared.first_session}"
    what = "" if asset is None else f" in {asset}"
    return CheckResult(
        CHECK,
        Verdict.MOVED,
        f"the same run in a fresh process under hash seed {seed} differs{where}{what} ({names})",
        session=compared.first_session,
        asset=asset,
    )


def main(folder: str) -> None:
    """Execute the spec in ``folder`` and leave what came of it there."""
    from pytest_finbot.pipeline.execute import execute

    place = Path(folder)
    told = json.loads((place / "spec.json").read_bytes())
    sys.path[:] = told["path"]
    run = execute(spec_from_json(told["spec"]), _no_log)
    outcome: dict[str, Any] = {"error": None, "metrics": dict(run.metrics), "undefined": {}}
    if run.error is not None or run.result is None or run.books is None:
        outcome["error"] = "it gave no result" if run.error is None else run.error.message
    else:
        outcome["undefined"] = dict(run.undefined_metrics)
        result = RunResult.of_engine(run.result, run.books.market_values, run.metrics, run.undefined_metrics)
        (place / "result.parquet").write_bytes(write_table(result, {}))
    # Last: without it there was no end.
    (place / "outcome.json").write_text(json.dumps(outcome, allow_nan=False), encoding="utf-8")


def _no_log(kind: str, payload: Mapping[str, Any], *, flush: bool = True) -> None:
    """What a rerun does is not worth a line of its own."""


if __name__ == "__main__":
    main(sys.argv[1])
