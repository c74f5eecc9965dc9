"""From a name to an engine."""

from types import SimpleNamespace

import pytest

from pytest_finbot.engines.resolve import engine_problem, resolve_engine, uses_strategies
from pytest_finbot.errors import ParameterError


def test_the_built_in_engine_is_found_by_name():
    assert resolve_engine("portfolio").name == "portfolio"
    assert uses_strategies("portfolio")
    assert not uses_strategies("pkg.module:engine")


def test_a_misspelt_engine_names_the_nearest():
    assert "did you mean 'portfolio'" in engine_problem("portfoleo")
    with pytest.raises(ParameterError, match="unknown engine 'portfoleo'"):
        resolve_engine("portfoleo")


def test_a_users_function_is_an_engine(tmp_path, monkeypatch):
    (tmp_path / "engines_of_a_user.py").write_text("def mine(spec, market):\n    return (spec, market)\n")
    monkeypatch.syspath_prepend(tmp_path)
    engine = resolve_engine("engines_of_a_user:mine")
    assert engine.run("spec", "market") == ("spec", "market")
    assert engine.modules(SimpleNamespace(strategy="")) == ("engines_of_a_user",)
    assert engine.modules(SimpleNamespace(strategy="ours.rules:hold")) == ("engines_of_a_user", "ours.rules")


def test_a_run_depends_on_its_own_strategy_and_on_no_other():
    engine = resolve_engine("portfolio")
    assert engine.modules(SimpleNamespace(strategy="sma_crossover")) == (
        "pytest_finbot.engines.portfolio",
        "pytest_finbot.strategies.sma_crossover",
    )


def test_a_users_module_that_cannot_be_imported_says_why():
    with pytest.raises(ParameterError, match="module nowhere_at_all cannot be imported"):
        resolve_engine("nowhere_at_all:engine")
