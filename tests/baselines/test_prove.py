"""The gate is tried with results made wrong on purpose; a gate that lets one through is told."""

import dataclasses
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.baselines import prove as prove_module
from pytest_finbot.baselines.compare import compare
from pytest_finbot.baselines.facts import Comparison
from pytest_finbot.baselines.perturb import perturbations, with_nav
from pytest_finbot.baselines.prove import Outcome, prove
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.contracts import SERIES_CHECKS, CheckSpec, Limit, Verdict, Waiver
from pytest_finbot.tolerances import PRESETS, tolerances_of
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.metrics import compute_metrics

TODAY = date(2026, 11, 21)
STRICT = ("exact", "refactor", "rounding")


def result_of(engine):
    metrics = compute_metrics(engine, Books(engine))
    return RunResult.of_engine(engine, engine.quantity * engine.mark, metrics.values, metrics.undefined)


@pytest.fixture(scope="module")
def engine(book):
    return book.engine(sessions=250, assets=4)


@pytest.fixture(scope="module")
def accepted(engine):
    return result_of(engine)


def tried(result, preset="refactor", *, capital=100_000.0, limits=None, informational=None, **options):
    return prove(
        "held", result, CheckSpec(preset, limits or {}, informational), capital, today=TODAY, **options
    )


def failures(proof):
    return [(trial.what, trial.outcome) for trial in proof.trials if trial.outcome.fails]


def replaced(monkeypatch, change):
    """The comparison's answer goes through ``change(answer, now, baseline)``."""
    monkeypatch.setattr(
        prove_module,
        "compare",
        lambda now, baseline, tolerances: change(compare(now, baseline, tolerances), now, baseline),
    )


# ------------------------------------------------------------------------ gates that hold


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_catches_what_it_holds(accepted, preset):
    proof = tried(accepted, preset)
    assert failures(proof) == []
    assert not proof.fails
    assert proof.caught == proof.tried
    gross = [trial for trial in proof.trials if trial.check is None]
    assert [trial.outcome for trial in gross] == [Outcome.CAUGHT] * 5
    assert " ".join(trial.what for trial in gross).count("2015-") == 3
    assert proof.informational is (preset == "cross_engine")


@pytest.mark.parametrize("preset", STRICT)
def test_a_strict_preset_is_tried_in_every_series_and_metric(accepted, preset):
    proof = tried(accepted, preset)
    held = {trial.check for trial in proof.trials if trial.outcome is Outcome.CAUGHT}
    assert held >= {"nav", "market_values", "quantity", "fills", "metrics.sharpe", "metrics.trades"}
    day = str(accepted.sessions[125])
    spoken = "\n".join(f"{trial.what}: {trial.words}" for trial in proof.trials)
    assert f"NAV up by twice its limit from {day} on: by nav, first on {day}" in spoken
    for what in ("from 2015-01-02 on", f"from {accepted.sessions[-1]} on", "halved", "doubled", "dropped"):
        assert what in spoken
    assert spoken.count("not a number") == 1 + sum(
        isinstance(value, float | int) for value in accepted.metrics.values()
    )
    assert ("metric max_drawdown_trough another" in spoken) is (preset == "exact")


@pytest.mark.parametrize(
    ("preset", "one_session", "to_the_end"),
    [
        ("refactor", 1e-9, 1e-9),
        ("rounding", 1e-6, 1e-6),
        ("parity", 0.01, 0.0025),
    ],
)
def test_the_smallest_move_is_the_limit_itself(accepted, preset, one_session, to_the_end):
    found = tried(accepted, preset).smallest
    assert found.one_session == pytest.approx(one_session, rel=2e-3)
    assert found.to_the_end == pytest.approx(to_the_end, rel=2e-3)
    assert found.session == str(accepted.sessions[125])
    assert found.money == pytest.approx(one_session * accepted.nav[125], rel=2e-3)


def test_bit_for_bit_a_move_in_the_last_place_is_caught(accepted):
    found = tried(accepted, "exact").smallest
    assert 0 < found.fraction < 5e-16


def test_where_only_metrics_are_held_the_smallest_move_is_the_one_they_see(accepted):
    found = tried(accepted, "cross_engine").smallest
    assert found.one_session is None
    assert 0.005 < found.to_the_end <= 0.0801
    assert found.fraction == found.to_the_end


def test_what_no_limit_holds_is_told_with_its_reason(accepted):
    proof = tried(accepted, "parity", limits={"metrics.sharpe": None})
    reasons = {trial.check: trial.words for trial in proof.trials if trial.outcome is Outcome.NOT_HELD}
    assert reasons["quantity"] == "preset parity sets no limit for it"
    assert reasons["metrics.sharpe"] == "switched off (checks.metrics.sharpe)"
    assert {"market_values", "fills"} <= set(reasons)
    assert proof.tried == len(proof.trials) - len(reasons)
    assert not proof.fails


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 50),
    sessions=st.integers(3, 40),
    rtol=st.floats(1e-12, 0.05),
    debt=st.sampled_from([0.0, 99_000.0, 150_000.0]),
)
def test_whatever_was_accepted_a_limit_is_what_it_says(book, seed, sessions, rtol, debt):
    result = result_of(book.engine(sessions=sessions, seed=seed, debt=debt))
    proof = tried(result, capital=100_000.0 - debt, limits={"nav": Limit(rtol=rtol)})
    assert failures(proof) == []
    assert proof.smallest.fraction == pytest.approx(rtol, rel=5e-3)


def test_the_accepted_result_stays_as_it_is(book, accepted):
    before = book.bits(accepted)
    tried(accepted)
    tried(accepted, "cross_engine")
    assert book.bits(accepted) == before


# -------------------------------------------------------------------- gates that do not


@pytest.mark.parametrize(
    "limits",
    [
        {"nav": Limit(rtol=10.0)},
        dict.fromkeys(SERIES_CHECKS, Limit(rtol=10.0)),
        {**dict.fromkeys(SERIES_CHECKS), "nav": Limit(rtol=0.5)},
        {"nav": Limit(rtol=1e-9, share=0.9)},
    ],
)
def test_an_absurdly_wide_limit_of_nav_fails(accepted, limits):
    proof = tried(accepted, limits=limits)
    assert proof.too_wide
    assert proof.fails


def test_how_wide_is_too_wide_can_be_said(accepted):
    limits = {"nav": Limit(rtol=0.1)}
    assert not tried(accepted, limits=limits).fails
    assert tried(accepted, limits=limits, widest=0.099).fails
    assert not tried(accepted, limits={"nav": Limit(rtol=0.2)}, widest=0.2).fails


def test_a_wide_limit_of_positions_lets_natural_sizes_through(accepted):
    wide = Limit(rtol=10.0)
    proof = tried(accepted, limits={"market_values": wide, "quantity": wide})
    assert [outcome for _, outcome in failures(proof)] == [Outcome.PASSED] * 4
    passed = next(trial for trial in proof.trials if trial.outcome is Outcome.PASSED)
    assert passed.words == "verdict within; the limit is checks.market_values: {rtol: 10}"
    assert proof.fails


def test_days_that_may_be_any_distance_away_are_told(accepted):
    proof = tried(accepted, limits={"market_values": Limit(rtol=1e-9, share=0.9)})
    told = [trial for trial in proof.trials if trial.check == "market_values"]
    assert [trial.outcome for trial in told] == [Outcome.NOT_HELD] * 2
    assert "lets 10 % of the sessions be any distance away; give it none_beyond" in told[0].words


def test_half_the_size_unseen_by_every_check_fails(book):
    engine = book.engine(sessions=60)
    result = result_of(engine)
    # So small a book that half of it is nothing to NAV, and only NAV is held.
    small = dataclasses.replace(
        result,
        nav=100_000.0 + (result.nav - 100_000.0) * 1e-6,
        cash=100_000.0 + (result.cash - 100_000.0) * 1e-6,
        quantity=result.quantity * 1e-6,
        market_values=result.market_values * 1e-6,
        metrics={"final_nav": float(100_000.0 + (result.nav[-1] - 100_000.0) * 1e-6)},
    )
    proof = tried(small, "parity")
    assert failures(proof) == [("the whole run at half the position size", Outcome.PASSED)]
    assert "no limit of this run sees it (preset parity)" in proof.trials[-1].words
    assert not tried(small, "parity", limits={"quantity": Limit(rtol=0.01)}).fails


def test_a_comparison_that_sees_nothing_fails_everywhere(monkeypatch, accepted):
    replaced(monkeypatch, lambda found, now, baseline: Comparison(Verdict.IDENTICAL, found.preset))
    proof = tried(accepted)
    assert proof.caught == 1  # that nothing changed
    assert {outcome for _, outcome in failures(proof)} == {Outcome.PASSED}
    assert np.isinf(proof.smallest.fraction)


def test_a_comparison_blind_in_one_place_is_found_there(monkeypatch, accepted):
    def blind(now, baseline, tolerances):
        return compare(dataclasses.replace(now, quantity=baseline.quantity), baseline, tolerances)

    alike = accepted.quantity.shape
    monkeypatch.setattr(
        prove_module,
        "compare",
        lambda now, baseline, tolerances: (blind if now.quantity.shape == alike else compare)(
            now, baseline, tolerances
        ),
    )
    proof = tried(accepted)
    assert {trial.check for trial in proof.trials if trial.outcome.fails} == {"quantity"}


def test_a_comparison_that_sees_nav_rise_and_not_fall_fails(monkeypatch, accepted):
    def rises_only(found, now, baseline):
        if now.nav[-1] < baseline.nav[-1] and now.metrics == baseline.metrics:
            return Comparison(Verdict.WITHIN, found.preset)
        return found

    replaced(monkeypatch, rises_only)
    proof = tried(accepted)
    assert [what.split(" by ")[0] for what, _ in failures(proof)] == ["NAV down"] * 3
    assert np.isinf(proof.smallest.to_the_end)


def test_a_move_dated_on_another_day_is_no_proof(monkeypatch, accepted):
    def a_day_late(found, now, baseline):
        if found.first_session is None:
            return found
        later = str(np.datetime64(found.first_session, "D") + np.timedelta64(1, "D"))
        return dataclasses.replace(found, first_session=later)

    replaced(monkeypatch, a_day_late)
    proof = tried(accepted)
    assert proof.fails
    wrong = [trial for trial in proof.trials if trial.outcome is Outcome.WRONG_DAY]
    assert len(wrong) == sum(trial.check in (*SERIES_CHECKS, None) for trial in proof.trials) - 1
    assert "first session 2015-01-03, expected 2015-01-02" in [trial.words for trial in wrong]


def test_a_move_that_names_another_asset_is_no_proof(monkeypatch, accepted):
    replaced(monkeypatch, lambda found, now, baseline: dataclasses.replace(found, positions=()))
    wrong = [trial for trial in tried(accepted).trials if trial.outcome is Outcome.WRONG_DAY]
    assert [trial.check for trial in wrong] == ["market_values"] * 2 + ["quantity"] * 2
    assert wrong[0].words.startswith("names no asset, expected A")


def test_a_dropped_fill_that_is_not_named_is_no_proof(monkeypatch, accepted):
    replaced(monkeypatch, lambda found, now, baseline: dataclasses.replace(found, first_fill=None))
    wrong = [trial for trial in tried(accepted).trials if trial.outcome.fails]
    assert [trial.check for trial in wrong] == ["fills"]


def test_a_gate_that_always_closes_proves_nothing(monkeypatch, accepted):
    replaced(monkeypatch, lambda found, now, baseline: dataclasses.replace(found, verdict=Verdict.MOVED))
    assert ("nothing changed", Outcome.FALSE_ALARM) in failures(tried(accepted))


def test_a_baseline_without_nav_holds_nothing():
    empty = RunResult(sessions=np.array([], "datetime64[D]"), nav=np.array([]))
    assert tried(empty).fails


# ------------------------------------------------------------- waived and informational


def waiver(expires, check="*"):
    return Waiver("held", check, "the index changed its rules", "Ada", expires)


def test_a_waiver_in_force_is_told_and_fails_nothing(accepted):
    proof = tried(accepted, waivers=(waiver(TODAY, "nav"),))
    waived = [trial for trial in proof.trials if trial.outcome is Outcome.WAIVED]
    assert {trial.check for trial in waived} == {"nav"}
    assert waived[0].words == "the index changed its rules (Ada; until 2026-11-21)"
    assert not proof.fails
    assert proof.caught == proof.tried


def test_an_expired_waiver_excuses_nothing(accepted):
    proof = tried(accepted, waivers=(waiver(date(2026, 11, 20)),))
    assert proof.count(Outcome.WAIVED) == 0


def test_whether_a_run_is_informational_is_what_its_checks_say(accepted):
    assert tried(accepted, informational=True).informational
    assert not tried(accepted, "cross_engine", informational=False).informational


# ------------------------------------------------------------------------ perturbations


def test_metrics_follow_the_nav_they_come_from(engine, accepted):
    nav = engine.nav.copy()
    nav[100:] *= 0.7
    moved = with_nav(accepted, nav, 100_000.0)
    expected = compute_metrics(dataclasses.replace(engine, nav=nav), Books(engine)).values
    for name in ("final_nav", "total_return", "cagr", "volatility", "sharpe", "max_drawdown", "var_5"):
        assert moved.metrics[name] == pytest.approx(expected[name], rel=1e-12)
    for name in ("trades", "costs", "turnover"):  # of what was traded, not of NAV
        assert moved.metrics[name] == accepted.metrics[name]


def test_metrics_that_the_nav_does_not_give_stay_as_they_were_accepted(accepted):
    flows = dataclasses.replace(accepted, metrics={**accepted.metrics, "cagr": 0.5})
    moved = with_nav(flows, accepted.nav * 2.0, 100_000.0)
    assert moved.metrics["cagr"] == 0.5
    assert moved.metrics["final_nav"] == pytest.approx(2.0 * accepted.nav[-1])


def test_half_the_size_is_half_of_everything_but_what_it_began_with(accepted):
    tolerances = tolerances_of(CheckSpec())
    *_, half = perturbations(accepted, tolerances, 100_000.0)
    now = half.now
    np.testing.assert_array_equal(now.quantity, accepted.quantity / 2)
    np.testing.assert_array_equal(now.fills.fee, accepted.fills.fee / 2)
    np.testing.assert_allclose(now.cash + now.market_values.sum(axis=1), now.nav, rtol=1e-12)
    assert now.nav[0] == accepted.nav[0]
    np.testing.assert_allclose(np.diff(now.nav), np.diff(accepted.nav) / 2, rtol=1e-6, atol=1e-6)
    assert half.session == "2015-01-02"
    assert not half.or_later
