"""What the installed, unused plugin adds to the start of an empty pytest."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from measuring import Figure, paired, pytest_in, report

ROUNDS = 25


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        with_plugin, without, ratio = paired(
            lambda: pytest_in(folder), lambda: pytest_in(folder, "-p", "no:finbot"), ROUNDS
        )
    note = f"{with_plugin * 1000:.0f} ms against {without * 1000:.0f} ms, {ROUNDS} pairs"
    return report([Figure("start of pytest, installed and unused / -p no:finbot", ratio, 1.05, note=note)])


if __name__ == "__main__":
    sys.exit(main())
