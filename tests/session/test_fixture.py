"""``finbot_regression`` in tests people already have: new, accepted, held, moved, explained."""

import json

import pytest

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])

STRATEGY = """\
    SIZE = 10.0


    def held():
        return SIZE
    """

TEST = """\
    import pandas as pd
    import pytest
    from strategy import held


    def result(asset):
        prices = pd.read_csv("prices.csv", index_col=0, parse_dates=True)[asset]
        units = pd.Series(float(held()), index=prices.index)
        units.iloc[:2] = 10.0
        value = prices * units
        cash = 1000.0 - (units.diff().fillna(10.0) * prices).cumsum()
        traded = units.diff().fillna(10.0)
        traded = traded[traded != 0]
        fills = pd.DataFrame(
            {
                "session": traded.index,
                "asset": asset,
                "quantity": traded.values,
                "price": prices[traded.index].values,
            }
        )
        return cash + value, {"positions": value.to_frame(asset), "cash": cash, "fills": fills}


    @pytest.mark.parametrize("asset", ["AAA", "BBB"])
    def test_holding(finbot_regression, asset):
        nav, rest = result(asset)
        finbot_regression.check(nav, metrics={"final_nav": nav.iloc[-1]}, **rest)
    """

RUN = """\
    DATA = {"path": "prices.csv"}
    KEYS = dict(symbols=["AAA", "BBB"], start_date="2020-01-02", end_date="2020-01-09", data=DATA)


    def test_weights(finbot_regression):
        result = finbot_regression.run("fixed_weights", start_capital=1000.0, rebalance_freq="D", **KEYS)
        assert list(result.positions.columns) == ["AAA", "BBB"]
        assert result.fills.asset.tolist()[:2] == ["AAA", "BBB"]
        assert abs(result.nav.iloc[-1] - result.cash.iloc[-1] - result.positions.iloc[-1].sum()) < 1e-9
        assert (result.quantities.iloc[0] > 0).all()
        assert result.metrics["final_nav"] == result.nav.iloc[-1] == result.engine_result.nav[-1]
        finbot_regression.check(result)
    """


@pytest.fixture
def user(project):
    project.write("tests/prices.csv", (project.path / "prices.csv").read_text())
    project.write("strategy.py", STRATEGY)
    project.write("tests/test_holding.py", TEST.replace("prices.csv", "tests/prices.csv"))
    return project


def run(project, *options):
    """A plain pytest call that names no batch; with the project's folder on the path."""
    return project.pytest("-o", "pythonpath=.", *options, batch=None)


def accept(project, *options, reason="as designed"):
    return run(project, "--finbot-accept", "--finbot-reason", reason, *options)


def baselines(project, test="test_holding"):
    folder = project.path / "tests" / "baselines" / test
    return sorted(path for path in folder.iterdir()) if folder.is_dir() else []


@WORKERS
def test_a_result_is_new_then_accepted_then_held_then_moves(user, workers):
    first = run(user, "-n", workers)
    first.assert_outcomes(failed=2)
    first.stdout.fnmatch_lines(
        [
            "new: nothing is accepted for it in tests/baselines/test_holding",
            "tests/test_holding.py:*: test test_holding?AAA?",
            "accept it: *pytest 'tests/test_holding.py::test_holding?AAA?' --finbot-accept "
            "'test_holding?AAA?' --finbot-reason *",
        ]
    )
    assert baselines(user) == []

    accepted = accept(user, "-n", workers)
    accepted.assert_outcomes(passed=2)
    accepted.stdout.fnmatch_lines(
        [
            "*= finbot =*",
            "accepted tests/test_holding.py::test_holding?AAA?: new, final NAV 1,040.00; written to "
            "tests/baselines/test_holding/test_holding_AAA_-*.json",
            "accepted tests/test_holding.py::test_holding?BBB?: new*",
        ]
    )
    assert [path.suffix for path in baselines(user)] == [".json", ".parquet"] * 2
    kept = {path: path.read_bytes() for path in baselines(user)}
    document = json.loads(kept[baselines(user)[0]])
    assert document["accepted"]["reason"] == "as designed"
    assert document["metrics"] == {"final_nav": 1040.0}
    assert sorted(document["fingerprint"]["code"]["modules"]) == ["strategy", "tests/test_holding.py"]
    assert "pandas" in document["fingerprint"]["environment"]
    assert "pytest" not in document["fingerprint"]["environment"]

    run(user, "-n", workers).assert_outcomes(passed=2)

    user.write("strategy.py", STRATEGY.replace("10.0", "5.0"))
    moved = run(user, "-n", workers)
    moved.assert_outcomes(failed=2)
    moved.stdout.fnmatch_lines(
        [
            "moved: final NAV 1,040.00 → 1,030.00 (-10.00*",
            "  first session out of tolerance: 2020-01-06 (cash, market_values, fills)",
            "    AAA  market value 120.00 → 60.00*",
            "  first fill that differs, number 2:",
            "    baseline  none",
            "    now       2020-01-06 sell 5 AAA at 12, fee 0",
            "why: code changed: strategy",
            "compared with tests/baselines/test_holding/*: as designed",
            "tests/test_holding.py:*: test test_holding?AAA?",
        ]
    )
    assert "unknown" not in moved.stdout.str()
    assert "Traceback" not in moved.stdout.str()
    assert {path: path.read_bytes() for path in baselines(user)} == kept


def test_verbose_shows_every_check(user):
    accept(user)
    user.write("strategy.py", STRATEGY.replace("10.0", "5.0"))
    user_sees = run(user, "-v").stdout
    user_sees.fnmatch_lines(
        ["*check * verdict * limit *", "*market_values * moved *", "*sessions * identical*"]
    )


@WORKERS
def test_only_what_the_pattern_names_is_accepted(user, workers):
    result = accept(user, "-n", workers)
    result.assert_outcomes(passed=2)
    user.write("strategy.py", STRATEGY.replace("10.0", "5.0"))
    result = run(user, "-n", workers, "--finbot-accept", "test_holding[AAA]", "--finbot-reason", "halved")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["accepted *::test_holding?AAA?: moved: final NAV 1,040.00 → 1,030.00*first on 2020-01-06; *"]
    )
    result.stdout.no_fnmatch_line("accepted *BBB*")
    run(user, "-k", "AAA").assert_outcomes(passed=1)
    reasons = [json.loads(path.read_text())["accepted"]["reason"] for path in baselines(user)[::2]]
    assert reasons == ["halved", "as designed"]


def test_what_did_not_move_is_not_written_again(user):
    accept(user)
    kept = {path: path.read_bytes() for path in baselines(user)}
    result = accept(user, reason="once more")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("accepted *")
    assert {path: path.read_bytes() for path in baselines(user)} == kept


def test_each_check_of_a_test_has_a_name(user):
    user.write(
        "tests/test_two.py",
        """\
        import pandas as pd
        import pytest

        NAV = pd.Series([1.0, 2.0], index=pd.to_datetime(["2024-01-02", "2024-01-03"]))


        class TestBook:
            def test_both(self, finbot_regression):
                assert finbot_regression.check(NAV, name="core").accepting
                finbot_regression.check(NAV * 2, name="alpha")


        def test_without(finbot_regression):
            finbot_regression.check(NAV)
            finbot_regression.check(NAV)


        def test_twice(finbot_regression):
            finbot_regression.check(NAV, name="core")
            finbot_regression.check(NAV, name="core")
        """,
    )
    result = accept(user, "tests/test_two.py")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*ParameterError: this test checks twice; give each check a name*",
            "*ParameterError: name: this test has a check called 'core' already*",
            "accepted tests/test_two.py::TestBook::test_both (alpha): new, final NAV 4.00; written to "
            "tests/baselines/test_two/TestBook.test_both--alpha-*.json",
            "accepted tests/test_two.py::TestBook::test_both (core): new, final NAV 2.00*",
        ]
    )
    names = [path.name for path in baselines(user, "test_two") if path.suffix == ".json"]
    # What the two that failed gave is not accepted.
    assert len(names) == 2
    assert all(name.startswith("TestBook.test_both--") for name in names)


def test_nothing_is_accepted_in_ci_or_without_a_reason(user, monkeypatch):
    refused = accept(user, reason=" ")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*accepting needs a reason, and it is empty or only dots*"])
    monkeypatch.setenv("CI", "true")
    refused = accept(user)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*this is CI*--finbot-accept-in-ci*"])
    assert baselines(user) == []
    accept(user, "--finbot-accept-in-ci", "-n", "2").assert_outcomes(passed=2)


@pytest.mark.parametrize("damage", ["torn", "half"])
def test_a_damaged_baseline_fails_and_is_named(user, damage):
    accept(user)
    document, table = baselines(user)[:2]
    if damage == "torn":
        document.write_text(document.read_text()[:100])
    else:
        table.unlink()
    result = run(user)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [f"baseline *{(document if damage == 'torn' else table).name} *", "*test test_holding?AAA?"]
    )


def test_limits_and_presets_are_those_of_a_batch_file(user, monkeypatch):
    user.write(
        "tests/test_limits.py",
        """\
        import os
        import pandas as pd
        import pytest
        from pytest_finbot.errors import ParameterError

        NAV = pd.Series([100.0, 200.0], index=pd.to_datetime(["2024-01-02", "2024-01-03"]))
        NOW = NAV * float(os.environ.get("FACTOR", "1"))
        SHARPE = {"sharpe": 1.0 + float(os.environ.get("MORE", "0"))}


        def test_preset(finbot_regression):
            finbot_regression.check(NOW)


        def test_limit(finbot_regression):
            compared = finbot_regression.check(
                NOW, metrics=SHARPE, limits={"nav": "5 bp", "metrics": {"sharpe": {"atol": 0.05}}}
            )
            if "FACTOR" in os.environ:
                assert compared.verdict == "within"


        def test_informational(finbot_regression):
            compared = finbot_regression.check(NOW, informational=True)
            if "FACTOR" in os.environ:
                assert compared.verdict == "moved"
                assert str(compared.first_session) == "2024-01-02"


        @pytest.mark.parametrize(
            ("given", "told"),
            [
                ({"preset": "refactr"}, "preset: 'refactr' is not one of .*did you mean 'refactor'"),
                ({"limits": {"nv": 1}}, "unknown key 'nv'; did you mean 'nav'"),
                ({"limits": {"nav": "5 bps/day"}}, "nav: expected a number, 25 bp"),
                ({"limits": {"metrics": {"sharp": 1}}}, "unknown key 'sharp'; did you mean 'sharpe'"),
                ({"limits": {"preset": "exact"}}, "limits: preset is no limit"),
                ({"limits": "5 bp"}, "limits: of type str; expected a mapping"),
                ({"informational": "yes"}, "informational: expected true or false"),
                ({"name": ""}, "name: got ''"),
            ],
        )
        def test_wrong(finbot_regression, given, told):
            with pytest.raises(ParameterError, match=told):
                finbot_regression.check(NAV, **given)
        """,
    )
    accept(user, "tests/test_limits.py").assert_outcomes(passed=11)
    for more, passed in (("0.04", 10), ("0.06", 9)):
        monkeypatch.setenv("FACTOR", "1.0004")
        monkeypatch.setenv("MORE", more)
        result = run(user, "tests/test_limits.py")
        result.assert_outcomes(passed=passed, failed=11 - passed)
        result.stdout.fnmatch_lines(["*test test_preset"])


def test_a_move_that_nothing_known_explains_is_called_so(user, monkeypatch):
    user.write(
        "tests/test_chance.py",
        """\
        import os
        import pandas as pd

        NAV = pd.Series([100.0, 200.0], index=pd.to_datetime(["2024-01-02", "2024-01-03"]))


        def test_chance(finbot_regression):
            finbot_regression.check(NAV * float(os.environ.get("FACTOR", "1")))
        """,
    )
    accept(user, "tests/test_chance.py").assert_outcomes(passed=1)
    monkeypatch.setenv("FACTOR", "2")
    run(user, "tests/test_chance.py").stdout.fnmatch_lines(
        ["moved: *", "why: unknown: the test's code and the versions are the same; it reads something *"]
    )


@WORKERS
def test_a_run_through_the_pipeline_knows_its_settings_and_data(user, workers):
    user.write("tests/test_run.py", RUN)
    accept(user, "-n", workers, "tests/test_run.py").assert_outcomes(passed=1)
    run(user, "-n", workers, "tests/test_run.py").assert_outcomes(passed=1)
    assert not (user.path / ".finbot").exists()
    document = json.loads(baselines(user, "test_run")[0].read_text())
    assert document["fingerprint"]["config"]["settings"]["rebalance_freq"] == "D"

    user.write("tests/test_run.py", RUN.replace('rebalance_freq="D"', 'rebalance_freq="W"'))
    moved = run(user, "-n", workers, "tests/test_run.py")
    moved.assert_outcomes(failed=1)
    moved.stdout.fnmatch_lines(["moved: *", "why: config changed: rebalance_freq *D* → *W*"])

    user.write("tests/test_run.py", RUN)
    prices = user.path / "tests" / "prices.csv"
    prices.write_text(prices.read_text().replace("2020-01-08,13", "2020-01-08,12"))
    moved = run(user, "-n", workers, "tests/test_run.py")
    moved.assert_outcomes(failed=1)
    moved.stdout.fnmatch_lines(
        ["*first session out of tolerance: 2020-01-08*", "why: data changed: AAA 2020"]
    )


def test_keys_of_a_run_are_told_like_those_of_a_batch_file(user):
    user.write(
        "tests/test_keys.py",
        RUN
        + """\


    import datetime
    import math
    import pytest
    from pytest_finbot.errors import FinbotError, ParameterError


    @pytest.mark.parametrize(
        ("changed", "told"),
        [
            ({"strategy": "sma_crosover"}, "unknown strategy 'sma_crosover'; did you mean 'sma_crossover'"),
            ({"symbls": ["AAA"]}, "unknown key 'symbls'; did you mean 'symbols'"),
            ({"params": {"weight": 1}}, "finbot_regression.run: params.*weight"),
            ({"start_capital": "much"}, "start_capital: expected a number"),
            ({"start_capital": math.nan}, "start_capital: the value is not a number"),
            ({"data": {"path": "price.csv"}}, "data.path: file not found: 'price.csv'; did you mean"),
            ({"end_date": datetime.datetime(2020, 1, 9, 12)}, "end_date: .*what a batch file can say"),
            ({"checks": {"preset": "exact"}}, "checks: give preset and limits to finbot_regression.check"),
            ({"compare_with": "other"}, "compare_with: for runs of a batch file alone"),
            ({"symbols": ["AAA", "NOPE"]}, "NOPE"),
        ],
    )
    def test_wrong(finbot_regression, changed, told):
        with pytest.raises(FinbotError, match=told):
            finbot_regression.run(**{"strategy": "fixed_weights", **KEYS, **changed})


    def test_dates_and_tuples_are_as_good(finbot_regression):
        given = KEYS | {"start_date": datetime.date(2020, 1, 2), "symbols": ("AAA", "BBB")}
        assert finbot_regression.run("fixed_weights", **given).nav.index[0].day == 2


    def test_a_result_brings_its_own(finbot_regression):
        result = finbot_regression.run("fixed_weights", **KEYS)
        with pytest.raises(ParameterError, match="cash: a result of finbot_regression.run brings its own"):
            finbot_regression.check(result, cash=result.cash)
    """,
    )
    run(user, "tests/test_keys.py").assert_outcomes(passed=12, failed=1)


def test_a_run_that_fails_raises_its_own_error_and_cannot_skip_the_test(user):
    user.write(
        "mine.py",
        """\
        import pytest


        def breaks(spec, market):
            raise ZeroDivisionError("no prices left")


        def leaves(spec, market):
            pytest.skip("not today")
        """,
    )
    user.write(
        "tests/test_own.py",
        RUN
        + """\


    def test_breaks(finbot_regression):
        finbot_regression.run("mine:breaks", **KEYS)


    def test_leaves(finbot_regression):
        finbot_regression.run("mine:leaves", **KEYS)
    """,
    )
    result = run(user, "tests/test_own.py", "-k", "breaks or leaves")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*ZeroDivisionError: no prices left*", "*EngineError: the run ended itself*"]
    )


GUARDED = """\
    import os
    import pandas as pd

    NAV = pd.Series([100.0, 101.0], index=pd.to_datetime(["2020-01-02", "2020-01-03"]))
    HOW = os.environ.get("HOW", "as accepted")


    def test_it(finbot_regression):
        if HOW == "passed over":
            return
        try:
            finbot_regression.check(NAV * (2 if HOW in ("moved", "caught") else 1))
        except BaseException:
            if HOW != "caught":
                raise
        assert HOW != "fails later"
    """


@pytest.fixture
def guarded(project, monkeypatch):
    """A test whose one check is accepted; how it behaves from then on is told by HOW."""
    project.write("test_it.py", GUARDED)
    result = project.pytest("test_it.py", "--finbot-accept", "--finbot-reason", "as it is", batch=None)
    assert result.ret == 0, result.stdout.str()

    def run(how, *options):
        monkeypatch.setenv("HOW", how)
        return project.pytest("test_it.py", *options, batch=None)

    project.how = run
    return project


def test_a_test_that_passes_over_its_accepted_check_fails(guarded):
    result = guarded.how("passed over")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*test_it in baselines/test_it: accepted for this test, and it passed without*"]
    )


def test_a_test_that_catches_its_failed_check_fails(guarded):
    assert guarded.how("moved").ret == 1
    result = guarded.how("caught")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*the test went on after a check had failed:*", "*moved: final NAV 101.00 → 202.00*"]
    )


def test_a_test_that_fails_accepts_nothing(guarded):
    before = (guarded.path / "baselines" / "test_it" / "test_it.json").read_bytes()
    result = guarded.how("fails later", "--finbot-accept", "--finbot-reason", "no")
    assert result.ret == 1
    assert (guarded.path / "baselines" / "test_it" / "test_it.json").read_bytes() == before
    (guarded.path / "baselines" / "test_it" / "test_it.json").unlink()
    (guarded.path / "baselines" / "test_it" / "test_it.parquet").unlink()
    result = guarded.how("fails later", "--finbot-accept", "--finbot-reason", "no")
    assert result.ret == 1
    assert not (guarded.path / "baselines" / "test_it" / "test_it.json").exists()
    result.stdout.fnmatch_lines(["*not accepted test_it.py::test_it: the test failed*"])
