"""How the kit executes a run: as a session does, in this process or in a fresh one."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

from pytest_finbot.checks.contract import check_result
from pytest_finbot.contracts import EngineResult, MarketData, RunSpec
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.pipeline.given_params import handed_out

_PROGRAM = "pytest_finbot.testing.fresh"
_MOST_WORDS = 2_000


def run(spec: RunSpec, market: MarketData) -> EngineResult:
    """The result of ``spec`` on ``market``, which has passed ``check_result``.

    The engine is found by its name and gets copies of its own, as in a session.
    """
    engine = resolve_engine(spec.engine)
    result = engine.run(*handed_out(spec, market))
    check_result(result, spec, market)
    return result


def in_fresh_processes(spec: RunSpec, market: MarketData, seeds: tuple[int, ...]) -> list[dict[str, str]]:
    """Digests of the same run in one fresh process each, under these PYTHONHASHSEEDs.

    They find modules where this process does. Raises AssertionError where one gives no digests, with
    what it said.
    """
    with tempfile.TemporaryDirectory(prefix="finbot-conformance-") as folder:
        job = Path(folder, "job.pickle")
        job.write_bytes(pickle.dumps(sys.path) + pickle.dumps((spec, market)))
        processes = [_start(job, seed) for seed in seeds]
        try:
            said = [process.communicate() for process in processes]
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
    found = []
    for seed, process, (out, err) in zip(seeds, processes, said, strict=True):
        if process.returncode:
            raise AssertionError(f"under PYTHONHASHSEED={seed} a fresh process fails:\n{err[-_MOST_WORDS:]}")
        found.append(json.loads(out.splitlines()[-1]))
    return found


def _start(job: Path, seed: int) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own module, no shell
        [sys.executable, "-P", "-m", _PROGRAM, str(job)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONHASHSEED": str(seed),
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        },
    )
