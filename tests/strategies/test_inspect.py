"""Mistakes in a run's strategy, found before anything runs."""

import sys
from types import ModuleType

import pytest

from pytest_finbot.contracts import Factor, FactorBundle
from pytest_finbot.errors import DataError
from pytest_finbot.strategies.inspect import inspect_params

NAN = float("nan")
SYMBOLS = ("AAPL", "MSFT", "SPY", "TLT")
PRICES_ONLY = FactorBundle(factors=(Factor("rv_20", 1.0, -1), Factor("momentum_126d", 1.0)))
LEARNED = FactorBundle(factors=(Factor("rv_20", 1.0), Factor("ml_alpha", 1.0)))


@pytest.fixture
def problems(a_spec):
    """Problems of a run as {dotted path: message}."""

    def inspect(strategy, params=None, symbols=SYMBOLS, **changes):
        found = inspect_params(a_spec(symbols, strategy, params=params or {}, **changes))
        assert len({path for path, _ in found}) == len(found)
        return {".".join(str(step) for step in path): message for path, message in found}

    return inspect


@pytest.fixture
def panel(tmp_path, monkeypatch):
    """A factor panel that holds ``ml_alpha``; its reader counts how often it is asked."""
    path = tmp_path / "factors.csv"
    path.write_text("date,symbol,ml_alpha\n")
    asked = []

    def panel_factor_names(path):
        asked.append(path)
        if "broken" in str(path):
            raise DataError(f"{path}: expected a column 'date'")
        return ("ml_alpha",)

    module = ModuleType("pytest_finbot.market.factor_panel")
    module.panel_factor_names = panel_factor_names
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return path, asked


@pytest.mark.parametrize(
    ("strategy", "params", "changes"),
    [
        ("fixed_weights", {}, {}),
        ("fixed_weights", {"weights": None}, {}),
        ("fixed_weights", {"weights": {"AAPL": 1, "TLT": -0.25}}, {}),
        ("sma_crossover", {}, {}),
        ("sma_crossover", {"fast": 20.0, "slow": 100}, {}),
        ("momentum_rotation", {"top": 4, "lookback": 21, "absolute": True}, {}),
        ("dual_momentum", {"safe": "TLT"}, {}),
        ("risk_parity", {"lookback": 2}, {}),
        ("multifactor_long_short", {"quantile": 0.5}, {"bundle": PRICES_ONLY}),
        ("multifactor_long_short", {"quantile": 1, "long_only": True}, {"bundle": PRICES_ONLY}),
        ("my.own:strategy", {"anything": object()}, {}),
    ],
)
def test_sound_runs_have_no_problems(problems, strategy, params, changes):
    assert problems(strategy, params, **changes) == {}


def test_a_misspelt_key_is_told_the_nearest(problems):
    assert problems("sma_crossover", {"fats": 20}) == {
        "params.fats": "unknown key 'fats' of strategy sma_crossover; did you mean 'fast'?"
    }
    assert problems("sma_crossover", {"wings": 2}) == {
        "params.wings": "unknown key 'wings' of strategy sma_crossover (known: fast, slow)"
    }


@pytest.mark.parametrize("value", ["50", 50.5, True, None, NAN, float("inf"), 0, -3, [50], {}])
def test_a_window_is_a_whole_number_of_sessions(problems, value):
    found = problems("sma_crossover", {"fast": value})
    assert list(found) == ["params.fast"]
    assert found["params.fast"].startswith("must be a whole number of at least 1, not ")


def test_values_are_shown_as_a_batch_file_spells_them(problems):
    assert problems("sma_crossover", {"fast": None})["params.fast"].endswith("not null")
    assert problems("sma_crossover", {"fast": True})["params.fast"].endswith("not true")
    assert problems("sma_crossover", {"fast": "x" * 500})["params.fast"].endswith("…")


def test_fast_must_be_below_slow_and_the_key_that_was_given_is_named(problems):
    assert problems("sma_crossover", {"fast": 200}) == {
        "params.fast": "fast must be below slow, got fast 200 and slow 200"
    }
    assert list(problems("sma_crossover", {"slow": 20})) == ["params.slow"]
    assert list(problems("sma_crossover", {"fast": 1, "slow": 1})) == ["params.slow"]  # alone too short


def test_all_problems_are_told_at_once(problems):
    found = problems("dual_momentum", {"safe": "TLTT", "lookback": "long", "loopback": 5})
    assert list(found) == ["params.loopback", "params.safe", "params.lookback"]
    assert list(problems("momentum_rotation", {"top": 9, "lookback": 0})) == ["params.top", "params.lookback"]
    assert problems("multifactor_long_short", {"quantile": 0}).keys() == {"params.quantile", "bundle_path"}


def test_weights_must_name_symbols_of_the_run_and_be_numbers(problems):
    weights = {"AAPL": "a lot", "MSTF": 0.5, "TLT": NAN, "SPY": True}
    assert problems("fixed_weights", {"weights": weights}) == {
        "params.weights.AAPL": "must be a finite number (a fraction of NAV), not 'a lot'",
        "params.weights.MSTF": "'MSTF' is not a symbol of the run; did you mean 'MSFT'?",
        "params.weights.TLT": "must be a finite number (a fraction of NAV), not nan",
        "params.weights.SPY": "must be a finite number (a fraction of NAV), not true",
    }
    assert problems("fixed_weights", {"weights": {600519: 1}}) == {
        "params.weights.600519": "600519 is not a symbol of the run (known: AAPL, MSFT, SPY, TLT)"
    }
    assert "finite number" in problems("fixed_weights", {"weights": {"AAPL": 10**400}})["params.weights.AAPL"]


def test_weights_are_a_mapping_that_names_something(problems):
    assert problems("fixed_weights", {"weights": [0.5, 0.5]}) == {
        "params.weights": "must be a mapping, not [0.5, 0.5]"
    }
    assert "names no symbol" in problems("fixed_weights", {"weights": {}})["params.weights"]


def test_no_more_can_be_held_than_there_are(problems):
    assert (
        problems("momentum_rotation", {"top": 5})["params.top"] == "top is 5, but the run has only 4 symbols"
    )
    found = problems("momentum_rotation", symbols=("AAPL",))
    assert found == {"params.top": "top is 3 (the default), but the run has only 1 symbol"}
    assert problems("momentum_rotation", {"absolute": "yes"}) == {
        "params.absolute": "must be true or false, not 'yes'"
    }


def test_dual_momentum_needs_a_safe_symbol_and_a_risky_one(problems):
    assert problems("dual_momentum") == {
        "params": "strategy dual_momentum needs the key 'safe': the name of a symbol"
    }
    assert problems("dual_momentum", {"safe": "TLTT"}) == {
        "params.safe": "'TLTT' is not a symbol of the run; did you mean 'TLT'?"
    }
    assert problems("dual_momentum", {"safe": 7}) == {"params.safe": "must be the name of a symbol, not 7"}
    assert "risky symbol" in problems("dual_momentum", {"safe": "TLT"}, symbols=("TLT",))["symbols"]


def test_volatility_needs_two_returns(problems):
    assert "at least 2" in problems("risk_parity", {"lookback": 1})["params.lookback"]


@pytest.mark.parametrize("value", [0, -0.2, 1.5, "0.2", NAN, False])
def test_a_quantile_is_a_part(problems, value):
    found = problems("multifactor_long_short", {"quantile": value, "long_only": True}, bundle=PRICES_ONLY)
    assert found["params.quantile"].startswith("must be a number above 0 and at most 1, not ")


def test_two_sides_cannot_overlap(problems):
    found = problems("multifactor_long_short", {"quantile": 0.6}, bundle=PRICES_ONLY)
    assert found["params.quantile"].startswith("must be at most 0.5 unless long_only is true, not 0.6")


def test_a_ranking_needs_a_bundle_that_it_can_follow_and_two_symbols(problems):
    assert "needs a bundle of factors" in problems("multifactor_long_short")["bundle_path"]
    sectors = FactorBundle(factors=PRICES_ONLY.factors, neutralize_by="sector")
    assert "does not neutralize" in problems("multifactor_long_short", bundle=sectors)["bundle_path"]
    found = problems("multifactor_long_short", bundle=PRICES_ONLY, symbols=("SPY",))
    assert "at least 2" in found["symbols"]


def test_an_unknown_strategy_is_all_there_is_to_say(problems):
    found = problems("momentum_rotatoin", {"tpo": 3})
    assert list(found) == ["strategy"]
    assert "did you mean 'momentum_rotation'?" in found["strategy"]
    assert "pkg.module:callable" in problems("my_own.strategy")["strategy"]


def test_a_factor_that_no_panel_brings_is_told_what_prices_give(problems):
    found = problems("multifactor_long_short", bundle=LEARNED)
    assert found == {
        "bundle_path": "factor 'ml_alpha' is not computed from prices, and no factors_path brings it "
        "(computed from prices are: momentum_12m_excl_1m, momentum_<n>d, reversal_<n>d, rv_<n>, "
        "trend_strength_<n>)"
    }
    misspelt = FactorBundle(factors=(Factor("momentum_12m_exc_1m", 1.0),))
    found = problems("multifactor_long_short", bundle=misspelt)
    assert "did you mean 'momentum_12m_excl_1m'?" in found["bundle_path"]


def test_a_bundle_is_looked_at_whatever_strategy_reads_it(problems):
    assert "ml_alpha" in problems("my.own:strategy", bundle=LEARNED)["bundle_path"]


def test_a_panel_that_holds_the_factor_is_read_once_for_many_runs(problems, panel):
    path, asked = panel
    for _ in range(3):
        assert problems("multifactor_long_short", bundle=LEARNED, factors_path=str(path)) == {}
    assert asked == [path]


def test_a_panel_that_lacks_the_factor_is_told_what_it_holds(problems, panel):
    path, _ = panel
    bundle = FactorBundle(factors=(Factor("ml_alhpa", 1.0),))
    found = problems("multifactor_long_short", bundle=bundle, factors_path=str(path))
    assert found["bundle_path"].startswith(
        f"factor 'ml_alhpa' is not in {path}; did you mean 'ml_alpha'? (it holds: ml_alpha; computed from"
    )


def test_a_panel_that_cannot_be_read_is_told_why(problems, panel, tmp_path):
    missing, broken = str(tmp_path / "missing.csv"), tmp_path / "broken.csv"
    broken.write_text("")
    found = problems("multifactor_long_short", bundle=LEARNED, factors_path=missing)
    assert found == {"factors_path": f"{missing} cannot be read: No such file or directory"}
    found = problems("multifactor_long_short", bundle=LEARNED, factors_path=str(broken))
    assert found == {"factors_path": f"{broken}: expected a column 'date'"}


def test_prices_alone_need_no_panel(problems, panel, tmp_path):
    found = problems("multifactor_long_short", bundle=PRICES_ONLY, factors_path=str(tmp_path / "missing.csv"))
    assert found == {}
    assert panel[1] == []
