"""Installed and unused, the plugin brings nothing heavy into a pytest start."""

import subprocess
import sys

HEAVY = ("pandas", "numpy", "pydantic", "jinja2", "pyarrow", "yaml", "exchange_calendars", "rich", "click")

CODE = """
import sys
import pytest

status = pytest.main(["-q", "-p", "no:cacheprovider", "test_nothing.py"])
assert status == 0, status
assert "pytest_finbot.plugin" in sys.modules
print("LOADED", sorted(name for name in {heavy!r} if name in sys.modules))
print("OURS", sorted(name for name in sys.modules if name.startswith("pytest_finbot")))
"""


def test_an_unused_plugin_imports_nothing_heavy(tmp_path):
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(heavy=HEAVY)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "LOADED []" in done.stdout, done.stdout + done.stderr
    ours = done.stdout.rsplit("OURS", 1)[1]
    assert "controller" not in ours, "the batch machinery is loaded only when there is a batch"
    assert "config" not in ours
