"""Two runs of a batch held against each other, as a user would: in one process, and in workers."""

import pytest

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])

OWN = """\
import dataclasses
from pathlib import Path

import numpy as np

from pytest_finbot.contracts import EngineResult, RejectedOrder
from pytest_finbot.engines.execution import Execution
from pytest_finbot.engines.portfolio import simulate
from pytest_finbot.strategies.resolve import target_weights


def _simulated(spec, market, execution=Execution(), **changes):
    return simulate(dataclasses.replace(spec, **changes), market, target_weights(spec, market), execution)


def late(spec, market):
    return _simulated(spec, market, fill="next_close")


def ahead(spec, market):
    return _simulated(spec, market, Execution("decision"), fill="next_close")


def rejects(spec, market):
    executed = np.ones((10, 2))
    executed[0, 1] = 0.0
    targets = target_weights(spec, market)
    result = simulate(spec, market, targets, Execution(executed=executed[: len(targets.rows)]))
    return dataclasses.replace(result, rejected_orders=(RejectedOrder(0, 1, 25.0, "no cash"),))


def silent(spec, market):
    return dataclasses.replace(late(spec, market), native={})


def broken(spec, market):
    raise RuntimeError("no luck today")


def halves(spec, market):
    return np.full(market.close.shape, 0.5)


def once(spec, market):
    been = Path(__file__).with_name(f"{spec.name}.been")
    if been.exists():
        raise ValueError("twice is too often")
    been.touch()
    return np.full(market.close.shape, 0.5)


class Native:
    pass


def runs_natives(spec, market):
    targets = target_weights(dataclasses.replace(spec, strategy="fixed_weights"), market)
    return simulate(dataclasses.replace(spec, fill="next_close"), market, targets)
"""


@pytest.fixture
def own(project):
    project.write("ours.py", OWN)
    return project


def compared(project):
    """The facts of each comparison, by run."""
    return {one["run"]: one for one in project.summary()["compared"]}


def said(result, run):
    """What the terminal says of a run's comparison, and the lines that belong to it."""
    lines = result.outlines
    start = next(n for n, line in enumerate(lines) if line.startswith(f"  {run} ("))
    end = next(n for n, line in enumerate(lines[start + 1 :], start + 1) if not line.startswith("    "))
    return lines[start:end]


@WORKERS
def test_the_whole_difference_is_fill_timing(own, workers):
    own.batch(
        "- id: here\n- {id: late, engine: 'ours:late', compare_with: {run: here, metrics: {cagr: false}}}"
    )
    result = own.pytest("-n", workers)
    assert result.ret == 0
    facts = compared(own)["late"]
    assert (facts["verdict"], facts["informational"], facts["preset"]) == ("within", True, "cross_engine")
    # Half of 1000 at 10 and at 20 makes 14 and 23 of it; at 11 and at 19, half of 1000 does.
    here, late = 50 * 14 + 25 * 23, 500 / 11 * 14 + 500 / 19 * 23
    assert facts["final"]["reference"] == here
    assert facts["final"]["run"] == pytest.approx(late, rel=1e-12)
    assert facts["final"]["session"] == "2020-01-09"
    assert facts["final"]["change"] == pytest.approx(late - here)
    assert facts["final"]["relative"] == pytest.approx((late - here) / here)
    [part] = facts["parts"]
    assert (part["name"], part["reference"], part["run"]) == ("fill timing", "close", "next_close")
    assert part["change"] == facts["final"]["change"]
    assert abs(facts["rest"]) <= 1e-9
    assert facts["same"] == ["cash buffer", "units", "costs", "rejections"]
    assert (facts["fills"], facts["reference_fills"]) == (2, 2)
    assert facts["apart_since"] == "2020-01-03"
    assert facts["furthest"]["session"] == "2020-01-08"
    change = late - here
    line, split = said(result, "late")
    assert line.startswith(
        "  late (ours:late) against here (portfolio): within, "
        f"final NAV {here:,.2f} → {late:,.2f} ({change:+,.2f}, "
    )
    assert line.endswith("on 2020-01-08, 2 fills, 2 there")
    assert split == f"    of {change:+,.2f}: fill timing {change:+,.2f}, the engine's own +0.00"
    page = (own.output / "batch_summary.md").read_text()
    assert "## Compared with another engine" in page
    assert f"| `late` | {change:+,.2f} | {change:+,.2f} (close → next\\_close) |  |  |  |  | +0.00 |" in page
    assert own.summary()["regressions"] == 0


def test_every_part_of_a_difference(own):
    own.batch(
        """\
        - id: here
        - id: rejects
          engine: ours:rejects
          rejected_orders: allow
          cash_buffer: 0.02
          units: whole
          costs: {commission_bps: 20}
          compare_with: here
        - {id: ahead, engine: 'ours:ahead', compare_with: here}
        """
    )
    assert own.pytest("-n", "0").ret == 0
    rejects, ahead = (compared(own)[name] for name in ("rejects", "ahead"))
    assert [part["name"] for part in rejects["parts"]] == ["cash buffer", "units", "costs", "rejections"]
    assert rejects["same"] == ["fill timing"]
    assert abs(rejects["rest"]) <= 1e-9
    changes = sum(part["change"] for part in rejects["parts"])
    assert changes == pytest.approx(rejects["final"]["change"], rel=1e-12)
    assert rejects["rejected_orders"] == 1
    assert [part["run"] for part in ahead["parts"]] == ["next_close, sized at the decision"]
    assert abs(ahead["rest"]) <= 1e-9


@pytest.mark.parametrize(
    ("workers", "fail_on", "status"),
    [
        ("0", "any", 1),
        ("2", "any", 1),
        ("0", "regression", 1),
        ("0", "error", 0),
        ("0", "all-failed", 0),
        ("2", "never", 0),
    ],
)
def test_a_comparison_that_is_asked_to_hold_closes_the_gate(own, workers, fail_on, status):
    own.batch("- id: here\n- {id: late, engine: 'ours:late', compare_with: {run: here, preset: parity}}")
    result = own.pytest("-n", workers, "--finbot-fail-on", fail_on)
    assert result.ret == status
    facts = compared(own)["late"]
    assert (facts["verdict"], facts["informational"]) == ("moved", False)
    assert (facts["first_session"], facts["first_checks"]) == ("2020-01-03", ["nav"])
    assert "nav" in {check["name"] for check in facts["moved"]}
    assert own.summary()["regressions"] == 1
    assert ": moved (fails the gate), final NAV " in said(result, "late")[0]
    assert "first out of tolerance on 2020-01-03 (nav)" in said(result, "late")[0]
    page = (own.output / "batch_summary.md").read_text()
    assert "**1 is out of tolerance against another engine, or could not be compared with it.**" in page
    assert ("excused by --finbot-fail-on" in result.stdout.str()) == (status == 0)


def test_what_is_out_of_tolerance_for_information_fails_nothing(own):
    own.batch("- id: here\n- {id: late, engine: 'ours:late', compare_with: here}")
    result = own.pytest("-n", "0")
    assert result.ret == 0
    assert compared(own)["late"]["verdict"] == "moved"  # six sessions a year make a huge CAGR
    assert "moved (informational: fails nothing)" in said(result, "late")[0]
    assert own.summary()["regressions"] == 0


@pytest.mark.parametrize("informational", [True, False])
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "ref failed (engine_error): no luck today"),
        (("-k", "mine"), "ref was not selected in this session"),
        (("--finbot-fail-on", "never"), "ref failed (engine_error): no luck today"),
    ],
)
def test_a_reference_without_a_result_is_never_green_in_silence(own, options, why, informational):
    own.batch(
        f"""\
        - {{id: ref, engine: 'ours:broken'}}
        - {{id: mine, compare_with: {{run: ref, informational: {str(informational).lower()}}}}}
        """
    )
    result = own.pytest("-n", "0", *options)
    facts = compared(own)["mine"]
    assert (facts["verdict"], facts["why_not"]) == ("not_comparable", why)
    fails = "informational: fails nothing" if informational else "fails the gate"
    assert said(result, "mine")[0] == (
        f"  mine (portfolio) against ref (ours:broken): not comparable ({fails}): {why}"
    )
    assert "## Compared with another engine" in (own.output / "batch_summary.md").read_text()
    if options[:1] == ("-k",):
        assert result.ret == (0 if informational else 1)
    else:
        assert result.ret == (0 if "never" in options else 1)
    assert own.summary()["regressions"] == (not informational)


def test_a_run_that_is_not_selected_is_not_compared(own):
    own.batch("- id: here\n- {id: late, engine: 'ours:late', compare_with: {run: here, preset: exact}}")
    assert own.pytest("-n", "0", "-k", "here").ret == 0
    assert compared(own) == {}
    assert "Compared with another" not in (own.output / "batch_summary.md").read_text()


def test_a_run_that_failed_itself_is_told_as_that(own):
    own.batch("- id: here\n- {id: mine, engine: 'ours:broken', compare_with: here}")
    assert own.pytest("-n", "0").ret == 1
    assert compared(own)["mine"]["why_not"] == "mine failed (engine_error): no luck today"
    assert {phase["name"]: phase["status"] for phase in own.summary()["runs"][1]["phases"]}[
        "ladder"
    ] == "skipped"


def test_checks_that_were_left_out_prove_nothing(own):
    own.batch("- id: here\n- {id: mine, compare_with: here}")
    assert own.pytest("-n", "0", "--finbot-phase", "analytics").ret == 1
    assert compared(own)["mine"]["why_not"] == "the checks of mine were left out (--finbot-phase)"


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        (
            "- {id: here, engine: 'ours:silent'}\n- {id: mine, compare_with: here}",
            "engine 'ours:silent' does not say how it executes orders",
        ),
        (
            "- id: here\n- {id: mine, engine: 'ours:silent', compare_with: here}",
            "engine 'ours:silent' does not say how it executes orders",
        ),
        (
            "- {id: here, strategy: 'ours:once'}\n"
            "- {id: mine, strategy: 'ours:once', fill: next_close, compare_with: here}",
            "executed again, it raised ValueError: twice is too often",
        ),
        (
            "- {id: here, engine: 'ours:runs_natives', strategy: 'ours:Native'}\n"
            "- {id: mine, engine: 'ours:late_natives', strategy: 'ours:Native', compare_with: here}",
            "strategy 'ours:Native' is a class that only its own engine can run; "
            "there are no target weights to follow otherwise",
        ),
        (
            "- {id: here, engine: 'ours:nowhere'}\n- {id: mine, engine: 'ours:late', compare_with: here}",
            None,
        ),
    ],
)
def test_what_cannot_be_split_says_why_and_fails_nothing(own, runs, why):
    own.write(
        "ours.py",
        OWN
        + "\n\ndef late_natives(spec, market):\n"
        + "    targets = target_weights(dataclasses.replace(spec, strategy='fixed_weights'), market)\n"
        + "    return simulate(spec, market, targets)\n",
    )
    own.batch(runs)
    result = own.pytest("-n", "0")
    if why is None:  # refused, or failed, for another reason: never taken for a comparison
        assert result.ret != 0
        return
    assert result.ret == 0
    facts = compared(own)["mine"]
    assert facts["why_not_split"] == why
    assert (facts["parts"], facts["rest"]) == ([], None)
    assert facts["final"]["change"]
    assert said(result, "mine")[1] == f"    cannot be split: {why}"
    assert f"cannot be split: {why.split(' ')[0]}" in (own.output / "batch_summary.md").read_text()
    phase = own.summary()["runs"][1]["phases"][-1]
    assert (phase["name"], phase["status"], phase["reason"]) == (
        "ladder",
        "skipped",
        f"cannot be split: {why}",
    )


def test_an_engine_of_ones_own_may_say_how_it_executes_orders(own):
    own.write(
        "ours.py",
        OWN
        + "\n\nfrom pytest_finbot.contracts import Conventions\n\n\n"
        + "silent.conventions = lambda spec: Conventions('next_close', 'fill', spec.units, 'targeted')\n",
    )
    own.batch("- {id: ref, engine: 'ours:silent'}\n- {id: mine, compare_with: ref}")
    assert own.pytest("-n", "0").ret == 0
    [part] = compared(own)["mine"]["parts"]
    assert (part["reference"], part["run"]) == ("next_close", "close")
    assert abs(compared(own)["mine"]["rest"]) <= 1e-9


def test_other_prices_and_orders_that_the_reference_rejected_are_told(own):
    own.write("other.csv", (own.path / "prices.csv").read_text().replace("14,23", "15,23"))
    own.batch(
        "- {id: ref, engine: 'ours:rejects', rejected_orders: allow}\n"
        "- {id: mine, data: {path: other.csv}, compare_with: ref}"
    )
    result = own.pytest("-n", "0")
    assert result.ret == 0
    prices, orders = compared(own)["mine"]["notes"]
    assert prices.startswith("the two did not read the same prices")
    assert orders.startswith("the reference did not execute 1 order")
    assert f"    {prices}" in said(result, "mine")


def test_a_moved_run_is_red_already_and_not_comparable(own):
    own.gated(
        "- {id: here, strategy: 'ours:halves'}\n- {id: mine, strategy: 'ours:halves', compare_with: here}"
    )
    assert own.pytest("-n", "0").ret == 0
    assert compared(own)["mine"]["verdict"] == "identical"
    own.write(
        "ours.py",
        OWN.replace(
            "np.full(market.close.shape, 0.5)\n\n\ndef once", "np.full(market.close.shape, 0.4)\n\n\ndef once"
        ),
    )
    assert own.pytest("-n", "0").ret == 1
    assert compared(own)["mine"]["why_not"].startswith("mine failed (regression): moved")


# ------------------------------------------------------------------- resumed, sliced, walked


@WORKERS
def test_a_resumed_batch_is_compared_from_what_is_recorded(own, workers):
    own.batch("- id: here\n- {id: late, engine: 'ours:late', compare_with: {run: here, preset: parity}}")
    assert own.pytest("-n", workers).ret == 1
    first = compared(own)
    result = own.pytest("-n", workers, "--finbot-resume", "last")
    assert result.ret == 1
    assert "resumed: 2 done before, 0 executed now" in result.stdout.str()
    assert compared(own) == first


def test_a_comparison_that_is_new_or_another_one_is_worked_out_where_a_batch_is_gone_on_with(own):
    own.batch("- id: here\n- {id: there, units: whole}\n- {id: late, engine: 'ours:late'}")
    assert own.pytest("-n", "0").ret == 0
    own.batch(
        "- id: here\n- {id: there, units: whole}\n- {id: late, engine: 'ours:late', compare_with: here}"
    )
    result = own.pytest("-n", "0", "--finbot-resume", "last")
    assert result.ret == 0
    assert "  late: its compare_with is another reference" in result.outlines
    assert abs(compared(own)["late"]["rest"]) <= 1e-9
    own.batch(
        "- id: here\n- {id: there, units: whole}\n- {id: late, engine: 'ours:late', compare_with: there}"
    )
    result = own.pytest("-n", "0", "--finbot-resume", "last")
    assert "resumed: 2 done before, 1 executed now" in result.stdout.str()
    assert [part["name"] for part in compared(own)["late"]["parts"]] == ["fill timing", "units"]
    # How far they may be apart is judged anew, without executing anything.
    own.batch(
        "- id: here\n- {id: there, units: whole}\n"
        "- {id: late, engine: 'ours:late', compare_with: {run: there, preset: exact}}"
    )
    result = own.pytest("-n", "0", "--finbot-resume", "last")
    assert result.ret == 1
    assert "resumed: 3 done before, 0 executed now" in result.stdout.str()
    assert compared(own)["late"]["verdict"] == "moved"


@WORKERS
def test_slices_are_compared_on_their_own_sessions(own, workers):
    own.batch("- id: here\n- {id: late, engine: 'ours:late', compare_with: {run: here, nav: 100 bp}}")
    assert own.pytest("-n", workers).ret == 0
    whole = compared(own)["late"]
    assert own.pytest("-n", workers, "--finbot-chunk-days", "5").ret == 0
    first, second = (
        compared(own)[f"late.{days}"] for days in ("2020-01-02_2020-01-06", "2020-01-07_2020-01-09")
    )
    assert (first["reference"], second["reference"]) == (
        "here.2020-01-02_2020-01-06",
        "here.2020-01-07_2020-01-09",
    )
    assert second["final"] == whole["final"]
    assert second["apart_since"] == "2020-01-07"
    assert second["first_session"] == "2020-01-07"
    assert first["final"]["session"] == "2020-01-06"
    assert abs(first["rest"]) <= 1e-9
    assert abs(second["rest"]) <= 1e-9
    assert second["parts"][0]["furthest_session"] >= "2020-01-07"
    assert second["verdict"] == "moved"


def test_other_processes_say_what_this_one_says(own):
    own.batch(
        "- id: here\n"
        "- {id: late, engine: 'ours:late', compare_with: here}\n"
        "- {id: back, compare_with: late}\n"
        "- {id: child, units: whole, isolation: process, compare_with: back}"
    )
    assert own.pytest("-n", "0").ret == 0
    here = compared(own)
    assert own.pytest("-n", "2").ret == 0
    assert compared(own) == here
    assert here["child"]["parts"][0]["name"] == "units"


def test_a_recorded_result_that_is_damaged_is_a_problem_whatever_is_excused(own):
    rows = "".join(f"2020-{1 + n // 28:02}-{1 + n % 28:02},{10 + n % 7},{20 + n % 5}\n" for n in range(300))
    own.write("prices.csv", "Date,AAA,BBB\n" + rows)
    own.batch(
        "- {id: here, end_date: 2020-10-20}\n"
        "- {id: mine, end_date: 2020-10-20, units: whole, compare_with: here}"
    )
    assert own.pytest("-n", "0").ret == 0
    [named] = [run["series"] for run in own.summary()["runs"] if run["name"] == "here"]
    for path in (own.path / ".finbot" / "series").rglob(f"{named}*"):
        path.chmod(0o644)
        path.write_bytes(b"no table")
    result = own.pytest("-n", "0", "--finbot-resume", "last", "-k", "mine", "--finbot-fail-on", "never")
    assert result.ret == 1
    assert "mine against here: " in result.stdout.str()


def test_executing_it_again_for_determinism_does_not_compare(own):
    own.batch("- id: here\n- {id: mine, strategy: fixed_weights, fill: next_close, compare_with: here}")
    result = own.pytest("-n", "0", "--finbot-rerun", "1")
    assert result.ret == 0
    assert abs(compared(own)["mine"]["rest"]) <= 1e-9


def test_a_strategy_that_decides_otherwise_when_it_is_executed_again_cannot_be_split(own):
    own.write(
        "moods.py",
        "import numpy as np\n"
        "from pytest_finbot.contracts import TargetWeights\n\n"
        "CALLS = []\n\n\n"
        "def mood(spec, market):\n"
        "    CALLS.append(spec.name)\n"
        "    weights = np.zeros((1, len(market.symbols)))\n"
        "    weights[0, len(CALLS) % 2] = 1.0\n"
        "    return TargetWeights(np.array([0]), weights)\n",
    )
    own.batch(
        "- {id: here, strategy: 'moods:mood'}\n"
        "- {id: mine, strategy: 'moods:mood', units: whole, compare_with: here}"
    )
    assert own.pytest("-n", "0").ret == 0
    facts = compared(own)["mine"]
    assert facts["why_not_split"].startswith(
        "what it decided is not what its strategy gives when it is executed again"
    )
    assert facts["parts"] == []


def test_an_engine_that_changes_what_it_returned_changes_nothing_that_is_recorded(own):
    own.write(
        "keeps.py",
        "import dataclasses\n"
        "import numpy as np\n"
        "from pytest_finbot.contracts import TargetWeights\n"
        "from pytest_finbot.engines.portfolio import PortfolioEngine\n\n"
        "KEPT = []\n\n\n"
        "def keeps(spec, market):\n"
        "    KEPT.append(PortfolioEngine().run(spec, market))\n"
        "    return KEPT[-1]\n\n\n"
        "keeps.conventions = PortfolioEngine().conventions\n\n\n"
        "def changes(spec, market):\n"
        "    for result in KEPT:\n"
        "        result.nav[-1] = 1e9\n"
        "        result.fills.fee[:] = 7.0\n"
        "    weights = np.full((1, len(market.symbols)), 0.2)\n"
        "    return TargetWeights(np.array([0]), weights)\n",
    )
    own.batch(
        "- {id: here, strategy: 'keeps:changes'}\n"
        "- {id: mine, engine: 'keeps:keeps', strategy: 'keeps:changes', compare_with: here}"
    )
    assert own.pytest("-n", "0").ret == 0
    facts = compared(own)["mine"]
    assert (facts["verdict"], facts["final"]["change"]) == ("identical", 0.0)
