"""What the action's inputs ask for, as the environment has them: ``FINBOT_WORKERS`` and the like."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pytest_finbot.errors import ParameterError, did_you_mean

FAIL_ON: Final = ("any", "regression", "error", "all-failed", "never")
COMMENT: Final = ("always", "on-change", "on-failure", "never")


@dataclass(frozen=True, slots=True)
class RunInputs:
    """Inputs of the step that runs pytest. An empty one was not given."""

    batches: tuple[str, ...]
    """Paths of batch files."""
    workers: str = ""
    baseline: str = ""
    fail_on: str = ""
    shard: str = ""
    """``2/8``: the second of eight."""
    report_name: str = ""
    artifact_name: str = ""
    extra: tuple[str, ...] = ()
    """Further options of pytest's."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> RunInputs:
        """Raises ParameterError, with the input's name, for one that cannot be meant."""

        def given(name: str) -> str:
            return environment.get(f"FINBOT_{name}", "").strip()

        batches = batch_paths(environment)
        if not batches:
            raise ParameterError("input batch is empty; expected the path of a batch file, one a line")
        for name in (*batches, given("EXTRA_ARGS"), given("BASELINE")):
            if "\0" in name:
                raise ParameterError("an input holds a NUL character")
        workers, shard, fail_on = given("WORKERS"), given("SHARD"), given("FAIL_ON")
        if workers not in ("", "auto", "logical") and not workers.isdecimal():
            raise ParameterError(f"input workers: expected a number or 'auto', not {workers!r}")
        for name, said, known in (("fail-on", fail_on, FAIL_ON), ("comment", given("COMMENT"), COMMENT)):
            if said and said not in known:
                raise ParameterError(
                    f"input {name}: {said!r} is none of {', '.join(known)}{did_you_mean(said, known)}"
                )
        if shard:
            read_shard(shard)
        try:
            extra = tuple(shlex.split(given("EXTRA_ARGS")))
        except ValueError as error:
            raise ParameterError(f"input extra-args cannot be split into words: {error}") from None
        return cls(
            batches=batches,
            workers=workers,
            baseline=given("BASELINE"),
            fail_on=fail_on,
            shard=shard,
            report_name=given("REPORT_NAME"),
            artifact_name=given("ARTIFACT_NAME"),
            extra=extra,
        )

    def options(self) -> list[str]:
        """pytest's, in the order in which the last one wins: ``extra`` can be a second thought."""
        options = [f"--finbot-batch={path}" for path in self.batches]
        for name, value in (("baseline", self.baseline), ("fail-on", self.fail_on), ("shard", self.shard)):
            if value:
                options.append(f"--finbot-{name}={value}")
        if self.workers:
            options.append(f"-n{self.workers}")
        return [*options, *self.extra]

    def artifact(self) -> str:
        """The name of the uploaded reports: as given, or told apart by report name and shard."""
        if self.artifact_name:
            return _without_forbidden(self.artifact_name)
        words = ["finbot-report"]
        if self.report_name:
            words.append(self.report_name)
        if self.shard:
            number, of = read_shard(self.shard)
            words.append(f"shard-{number}-of-{of}")
        return _without_forbidden("-".join(words))


def batch_paths(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The batch files that are asked for, whatever else is wrong."""
    lines = environment.get("FINBOT_BATCH", "").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def read_shard(text: str) -> tuple[int, int]:
    """``2/8`` as (2, 8): the second of eight. Raises ParameterError."""
    number, _, of = text.partition("/")
    if number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
        return int(number), int(of)
    raise ParameterError(f"input shard: expected NUMBER/OF as in 2/8, from 1/8 to 8/8, not {text!r}")


_FORBIDDEN: Final = frozenset('":<>|*?\\/')
"""What GitHub takes in no artifact's name; neither control characters."""


def _without_forbidden(name: str) -> str:
    return "".join("-" if char in _FORBIDDEN or not char.isprintable() else char for char in name)[:200]
