"""What a run records of the code it depends on."""

import importlib.metadata

from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.pipeline.fingerprints import code_of, environment_of


def test_the_code_of_a_built_in_run_is_known_in_full():
    code = code_of(("pytest_finbot.engines.portfolio", "pytest_finbot.strategies.sma_crossover"))
    assert code["hash"] == sha256_of_json(code["modules"])
    assert code["scope"] == "import closure"
    assert code["dynamic"] == []
    assert "pytest_finbot.strategies.momentum_rotation" not in code["modules"]
    # What makes the compared numbers of a result counts for any engine.
    assert {"pytest_finbot.valuation.metrics", "pytest_finbot.valuation.books"} <= set(code["modules"])


def test_what_is_not_followed_is_said_and_what_is_installed_has_a_version(tmp_path, monkeypatch):
    (tmp_path / "rules_of_a_user.py").write_text("import yaml\nfrom importlib import import_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    code = code_of(("rules_of_a_user",))
    assert code["scope"] == "import closure; dynamic imports in rules_of_a_user are not followed"
    assert code["dynamic"] == ["rules_of_a_user"]
    assert environment_of(tuple(code["distributions"]))["PyYAML"] == importlib.metadata.version("PyYAML")
