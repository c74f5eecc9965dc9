"""A program: one run in a process of its own, told by the digests of its result.

``python -m pytest_finbot.testing.fresh FILE`` reads ``sys.path``, spec and prices from the file, and
prints the digests of the result's parts as JSON in its last line.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

from pytest_finbot.testing.executing import run
from pytest_finbot.testing.same import digests


def main(job: str) -> None:
    """Execute what the file says and print the digests."""
    with Path(job).open("rb") as file:
        sys.path[:] = pickle.load(file)  # noqa: S301 - written by the process that started this one
        spec, market = pickle.load(file)  # noqa: S301 - as above
    sys.stdout.write("\n" + json.dumps(digests(run(spec, market))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
