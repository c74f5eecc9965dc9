"""What a class declares: exceptions are seen to fail, and what is not known is refused."""

import subprocess
import sys

import pytest

from pytest_finbot.testing import EngineConformance
from pytest_finbot.testing.declared_exceptions import points_of

PLAIN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-ra", "-p", "no:xdist")


def declared(**facts):
    return type("TestIt", (EngineConformance,), {"engine": "portfolio", **facts})


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"exceptions": {"test_capital_scalling": "x"}},
            "no point 'test_capital_scalling'; did you mean 'test_cap",
        ),
        (
            {"exceptions": {"test_costs": " "}},
            r"exceptions\['test_costs'\] is ' ', expected the reason in words",
        ),
        ({"exceptions": ["test_costs"]}, "expected {name of a point: reason}"),
        ({"settings": {"fil": "close"}}, "a run has no key 'fil'; did you mean 'fill'?"),
        ({"settings": {"strategy": "fixed_weights"}}, r"'strategy' is told by strategy\(\), not here"),
        ({"settings": {"start_capital": 1.0}}, "'start_capital' is told by capital, not here"),
    ],
)
def test_what_a_class_may_not_say_is_refused_where_it_is_defined(facts, words):
    with pytest.raises(TypeError, match=words):
        declared(**facts)


def test_an_exception_that_fails_is_expected_with_its_reason():
    bench = declared(settings={"units": "whole"}, exceptions={"test_capital_scaling": "whole units"})()
    with pytest.raises(pytest.xfail.Exception, match=r"whole units \(it fails with: NAV / capital on"):
        bench.test_capital_scaling()


def test_an_exception_that_holds_is_stale():
    bench = declared(exceptions={"test_zero_weights": "it cannot stand still"})()
    with pytest.raises(
        pytest.fail.Exception, match=r"test_zero_weights holds, and yet .* the exception is stale"
    ):
        bench.test_zero_weights()


def test_a_run_of_the_kit_that_an_engine_refuses_says_what_to_set():
    bench = declared(engine="zipline", settings={"fill": "close"})()
    with pytest.raises(pytest.fail.Exception, match=r"refuses a run of the kit: .*Say in `settings`"):
        bench.test_zero_weights()


def test_every_point_says_what_it_proves():
    names = points_of(EngineConformance)
    assert len(names) == 24
    assert all(getattr(EngineConformance, name).__doc__ for name in names)


def test_it_is_collected_in_a_file_of_a_users_and_shows_what_is_excepted(pytester):
    pytester.makepyfile(
        test_it="""
        from pytest_finbot.testing import EngineConformance

        class TestOwn(EngineConformance):
            engine = "portfolio"
            symbols = ("ONE",)
            exceptions = {"test_symbol_order": "one symbol has no order", "test_pickles": "stale by now"}
        """
    )
    result = pytester.runpytest_subprocess(*PLAIN, "-k", "symbol_order or pickles or zero", timeout=120)
    result.assert_outcomes(passed=1, xfailed=1, failed=1, deselected=21)
    result.stdout.fnmatch_lines(["*XFAIL *::test_symbol_order - one symbol has no order*"])
    result.stdout.fnmatch_lines(["*test_pickles holds, and yet is declared as an exception*stale by now*"])


def test_nobody_who_does_not_ask_for_the_kit_gets_it():
    code = (
        "import sys, pytest_finbot, pytest_finbot.plugin\n"
        "assert not {'numpy', 'pandas', 'pytest_finbot.testing'} & set(sys.modules)\n"
        "import pytest_finbot.testing\n"
        "assert not {'hypothesis', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("other", [None, lambda self: None])
def test_a_point_cannot_be_taken_away(other):
    with pytest.raises(TypeError, match=r"Bench\.test_costs takes the place of a point of the kit"):
        type("Bench", (EngineConformance,), {"engine": "portfolio", "test_costs": other})
