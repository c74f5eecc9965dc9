"""From a name in a batch file to a strategy that runs."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

from pytest_finbot.errors import MissingDependencyError, ParameterError
from pytest_finbot.strategies.resolve import (
    BUILT_IN,
    import_callable,
    is_callable_path,
    params_class,
    resolve_strategy,
    strategy_module,
    strategy_problem,
    target_weights,
)


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """A user's module beside the batch file; forgotten again after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        written.append(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_built_in_name_leads_to_its_function_module_and_parameters(name):
    strategy = resolve_strategy(name)
    assert strategy.__name__ == name
    assert strategy.__module__ == strategy_module(name)
    assert params_class(name).__module__ == strategy_module(name)


def test_resolving_one_strategy_imports_no_other_and_no_pandas():
    code = (
        "import sys; from pytest_finbot.strategies.resolve import resolve_strategy, BUILT_IN;"
        "loaded = lambda: sorted(n for n, (m, _) in BUILT_IN.items() if m in sys.modules);"
        "assert loaded() == [], loaded(); resolve_strategy('risk_parity');"
        "assert loaded() == ['risk_parity'], loaded(); assert 'pandas' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(filter(None, sys.path))}
    )


def test_an_unknown_name_is_told_the_nearest_and_all_known():
    with pytest.raises(ParameterError) as error:
        resolve_strategy("sma_crosover")
    assert str(error.value) == (
        "unknown strategy 'sma_crosover'; did you mean 'sma_crossover'? (known: dual_momentum, "
        "fixed_weights, momentum_rotation, multifactor_long_short, risk_parity, sma_crossover, or your own "
        "as pkg.module:callable)"
    )


@pytest.mark.parametrize("name", ["a:b", "pkg.mod:make", "a.b.c:Class.method", "größe:f", "_a:_b"])
def test_forms_of_a_users_own(name):
    assert is_callable_path(name)
    assert strategy_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "a", "a:", ":b", "a:b:c", "a.:b", ".a:b", "a b:c", "1a:b", "a/b:c", "a/b.py:c", "a:b\n"]
)
def test_forms_that_are_not(name):
    assert not is_callable_path(name)


def test_a_users_strategy_is_called_with_run_and_market(write_module, a_spec, a_market):
    write_module(
        "own_bold",
        "import numpy as np\n"
        "class Kinds:\n"
        "    @staticmethod\n"
        "    def last(s, m):\n"
        "        weights = np.full(m.close.shape, np.nan)\n"
        "        weights[-1] = s.params['share']\n"
        "        return weights\n",
    )
    spec = a_spec("AB", "own_bold:Kinds.last", params={"share": 0.4})
    targets = target_weights(spec, a_market(np.ones((3, 2))))
    assert targets.rows.tolist() == [2]
    assert targets.weights.tolist() == [[0.4, 0.4]]
    assert strategy_module(spec.strategy) == "own_bold"


def test_what_a_users_strategy_raises_passes_through_untouched(write_module, a_spec, a_market):
    write_module("own_broken", "def run(spec, market):\n    return 1 / 0\n")
    with pytest.raises(ZeroDivisionError) as error:
        target_weights(a_spec("AB", "own_broken:run"), a_market(np.ones((3, 2))))
    assert error.value.__cause__ is None
    assert error.traceback[-1].name == "run"


def test_a_module_that_is_not_there_is_told_with_where_to_look(write_module):
    with pytest.raises(ParameterError) as error:
        resolve_strategy("nowhere_to_be.found:run")
    assert str(error.value) == (
        "strategy 'nowhere_to_be.found:run': module nowhere_to_be.found cannot be imported: No module named "
        "'nowhere_to_be' (is the folder that holds it on sys.path?)"
    )
    assert isinstance(error.value.__cause__, ModuleNotFoundError)


def test_what_a_module_needs_and_is_not_installed_is_a_matter_of_the_environment(write_module):
    write_module("own_needy", "import a_library_not_installed\n")
    with pytest.raises(
        MissingDependencyError,
        match="own_needy cannot be imported: No module named 'a_library_not_installed'; is it installed",
    ):
        resolve_strategy("own_needy:run")


def test_a_module_that_does_not_compile_is_told_with_its_line(write_module):
    write_module("own_typo", "def run(spec, market)\n    return 1\n")
    with pytest.raises(ParameterError, match=r"module own_typo cannot be imported: .*own_typo\.py, line 1"):
        resolve_strategy("own_typo:run")


def test_an_error_at_a_modules_own_top_level_keeps_its_own_type(write_module):
    write_module("own_top", "LIMIT = {}['limit']\n")
    with pytest.raises(KeyError, match="limit"):
        resolve_strategy("own_top:run")


def test_an_attribute_that_is_not_there_is_told_the_nearest(write_module):
    write_module("own_names", "def momentum(spec, market): ...\nlookback = 5\n")
    with pytest.raises(
        ParameterError, match=r"module own_names has no 'momentun'; did you mean 'momentum'\?"
    ):
        resolve_strategy("own_names:momentun")
    with pytest.raises(ParameterError, match="expected a function, but 'lookback' is of type int"):
        resolve_strategy("own_names:lookback")


def test_the_same_import_serves_other_kinds_of_names():
    assert import_callable("engine", "math:sqrt")(4.0) == 2.0
    with pytest.raises(ParameterError, match=r"^engine 'math:squrt': module math has no 'squrt'"):
        import_callable("engine", "math:squrt")


def test_a_class_is_no_function_that_returns_weights(write_module, a_spec, a_market):
    write_module("of_another_kind", "class Native:\n    def __init__(self, days=1): pass\n")
    with pytest.raises(
        ParameterError, match=r"'of_another_kind:Native' is a class, which engine 'portfolio'"
    ):
        target_weights(a_spec("AB", "of_another_kind:Native"), a_market(np.ones((3, 2))))
