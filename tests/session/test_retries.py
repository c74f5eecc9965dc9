"""A run tried again: every attempt recorded, the last one counts."""

import pytest

from pytest_finbot.contracts import RetrySpec
from pytest_finbot.session.recording import backoff_seconds

FLAKY = """\
import os
from pathlib import Path

import numpy as np


def flaky(spec, market):
    count = Path(spec.params["count"])
    tried = int(count.read_text()) if count.exists() else 0
    count.write_text(str(tried + 1))
    if tried < spec.params["fails"]:
        {how}
    return np.full(market.close.shape, 0.5)
"""
RUN = """\
- id: flaky
  strategy: ours:flaky
  params: {{count: {path}/count.txt, fails: {fails}}}
  retries: {{attempts: 3, on: [crash, engine], backoff: 0.01}}
- {{id: steady}}
"""


def flaky(project, how, fails):
    project.write("ours.py", FLAKY.format(how=how))
    project.batch(RUN.format(path=project.path, fails=fails))


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("how", ["os._exit(3)", "raise ValueError('not yet')"])
def test_what_passes_on_a_later_attempt_is_a_success_with_all_attempts_kept(project, how, workers):
    flaky(project, how, fails=2)
    project.pytest("-n", workers).assert_outcomes(passed=2)
    attempts = [
        (line["attempt"], line["status"])
        for line in project.recorded()
        if line["kind"] == "run" and line["name"] == "flaky"
    ]
    assert attempts == [(1, "failed"), (2, "failed"), (3, "success")]
    assert project.summary()["runs"][0]["attempt"] == 3


def test_what_fails_every_time_fails_with_its_last_error(project):
    flaky(project, "raise ValueError(f'attempt {tried}')", fails=9)
    result = project.pytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*ValueError: attempt 2*", "*run flaky, attempt 3"])


def test_only_what_is_named_is_tried_again(project):
    flaky(project, "raise MemoryError", fails=1)
    project.pytest().assert_outcomes(passed=1, failed=1)
    assert (project.path / "count.txt").read_text() == "1"


def test_waiting_doubles_and_chance_takes_up_to_half():
    retries = RetrySpec(attempts=5, backoff=2.0, jitter=False)
    assert [backoff_seconds(retries, tries, lambda: 0.3) for tries in (1, 2, 3)] == [2.0, 4.0, 8.0]
    chancy = RetrySpec(attempts=5, backoff=2.0, jitter=True)
    assert [backoff_seconds(chancy, 2, lambda: chance) for chance in (0.0, 1.0)] == [2.0, 4.0]  # noqa: B023
