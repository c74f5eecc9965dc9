"""What a child process costs a job: called inline, sent to a child used again, to a new fork each time."""

from __future__ import annotations

import statistics
import sys
import time

import pandas as pd

from pytest_finbot.pipeline.isolation import Child

JOB = b'{"run": "trivial"}'
CALLS = 200
FORKS = 20
ROUNDS = 15


def work(job: bytes, say: object) -> bytes:
    return job


def unheard(message: bytes) -> None:
    raise AssertionError("a trivial job says nothing")


def main() -> int:
    prices = pd.DataFrame({"close": range(1_000_000)})  # memory that a fork has to map
    reused, inline, forked = Child(work), [], []
    again: list[float] = []
    for number in range(ROUNDS + 1):
        marks = [time.perf_counter()]
        for _ in range(CALLS):
            work(JOB, unheard)
        marks.append(time.perf_counter())
        for _ in range(CALLS):
            reused.run(JOB, said=unheard, timeout=60)
        marks.append(time.perf_counter())
        for _ in range(FORKS):
            new = Child(work)
            new.run(JOB, said=unheard, timeout=60)
            new.close()
        marks.append(time.perf_counter())
        if number:  # the first warms up
            inline.append((marks[1] - marks[0]) / CALLS)
            again.append((marks[2] - marks[1]) / CALLS)
            forked.append((marks[3] - marks[2]) / FORKS)
    reused.close()
    del prices
    inline_ms, again_ms, forked_ms = (1000 * statistics.median(each) for each in (inline, again, forked))
    ratio = statistics.median(new / old for new, old in zip(forked, again, strict=True))
    print(f"inline        {inline_ms:9.4f} ms a job")
    print(f"reused child  {again_ms:9.4f} ms a job")
    print(
        f"new fork each {forked_ms:9.4f} ms a job, {ratio:.0f} x the reused child (median of {ROUNDS} pairs)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
