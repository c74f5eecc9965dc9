"""vectorbt behind the contract: target weights, worked out by hand and against the built-in engine."""

import dataclasses
import os
import subprocess
import sys
import textwrap
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.contracts import (
    ActionSpec,
    CostSpec,
    DataSpec,
    Dividend,
    Flow,
    MarketData,
    RejectedOrder,
    RunSpec,
)
from pytest_finbot.engines.portfolio import PortfolioEngine
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.errors import MissingDependencyError, ParameterError
from pytest_finbot.market.store import load_market

pytestmark = pytest.mark.engine("vectorbt")
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
TARGETS = """\
    import numpy as np
    from pytest_finbot.contracts import TargetWeights

    def targets(spec, market):
        rows, weights = spec.params["rows"], spec.params["weights"]
        return TargetWeights(np.array(rows, np.int64), np.array(weights, np.float64))
"""


@pytest.fixture(autouse=True)
def _targets(tmp_path, monkeypatch):
    Path(tmp_path, "vectorbt_targets.py").write_text(textwrap.dedent(TARGETS))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("vectorbt_targets", None)


def a_spec(symbols="A", rows=(), weights=(), **changes):
    spec = RunSpec(
        name="run",
        engine="vectorbt",
        strategy="vectorbt_targets:targets",
        params={"rows": rows, "weights": weights},
        symbols=tuple(symbols),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
    )
    return dataclasses.replace(spec, **changes)


def a_market(closes, opens=None):
    closes = np.ascontiguousarray(closes, dtype=np.float64)
    return MarketData(
        sessions=np.datetime64("2020-01-01") + np.arange(len(closes)),
        symbols=tuple("ABCDEFGH"[: closes.shape[1]]),
        close=closes,
        field="close",
        source="prices.csv",
        open=None if opens is None else np.asarray(opens, dtype=np.float64),
    )


def ran(spec, market):
    """The result of the run, which keeps the contract, every identity and what is declared."""
    engine = resolve_engine("vectorbt")
    assert list(engine.problems(spec)) == []
    result = engine.run(spec, market)
    check_result(result, spec, market)
    checks = (
        *check_books(result, spec),
        check_declared(result, spec, market),
        check_marks_at_market(result, market, spec.marks),
    )
    assert [check for check in checks if check.failed] == []
    return result


def test_half_in_one_asset_without_costs_is_plain_arithmetic():
    result = ran(a_spec("A", [0, 2], [[0.5], [0.5]]), a_market([[10], [20], [40]]))
    assert result.nav.tolist() == [1000, 1500, 2500]
    assert result.quantity[:, 0].tolist() == [50, 50, 31.25]
    assert result.cash.tolist() == [500, 500, 1250]
    assert result.fills.quantity.tolist() == [50, -18.75]
    assert result.fills.session.tolist() == [0, 2]
    assert result.rejected_orders == ()


def test_commission_and_slippage_are_paid_from_cash():
    costs = CostSpec(commission_bps=100, slippage_bps=50)
    result = ran(a_spec("A", [0, 1], [[0.5], [0.0]], costs=costs), a_market([[10], [10]]))
    # Bought: 50 units at 10 * 1.005, and 1 % of that. Sold: at 10 * 0.995.
    fills = result.fills
    assert fills.quantity.tolist() == [50, -50]
    assert fills.price == pytest.approx([10.05, 9.95], rel=1e-15)
    assert fills.fee == pytest.approx([50 * 10.05 * 0.01, 50 * 9.95 * 0.01], rel=1e-15)
    assert fills.slippage == pytest.approx([2.5, 2.5], rel=1e-12)
    assert result.cash == pytest.approx([492.475, 492.475 + 497.5 - 4.975], rel=1e-15)
    assert result.nav == pytest.approx([992.475, 985.0], rel=1e-15)


def test_a_commission_per_share_is_charged_a_unit_whatever_its_price():
    costs = CostSpec(commission_bps=10, commission_per_share=0.25)
    market = a_market([[10, 40], [20, 40]])
    result = ran(a_spec("AB", [0, 1], [[0.25, 0.25], [0.0, 0.25]], costs=costs), market)
    fills = result.fills
    units = np.abs(fills.quantity)
    assert fills.fee == pytest.approx(units * 0.25 + units * fills.price * 1e-3, rel=1e-13)
    assert units[:2].tolist() == [25, 6.25]


def test_a_purchase_that_cash_does_not_pay_for_is_cut_and_told():
    result = ran(a_spec("A", [0], [[1.0]], costs=CostSpec(commission_bps=100)), a_market([[10], [10]]))
    # 1000 pays for 1000 / 10.1 units with their commission; 100 were wanted.
    assert result.quantity[0, 0] == pytest.approx(1000 / 10.1, rel=1e-15)
    [order] = result.rejected_orders
    assert order.quantity == pytest.approx(100 - 1000 / 10.1, rel=1e-12)
    assert (order.session, order.asset, order.reason) == (0, 0, "cut to what the cash left pays for")
    assert result.native["conventions"]["short_of_cash"] == "shrinks"


def test_a_cash_buffer_leaves_what_costs_take():
    spec = a_spec("A", [0], [[1.0]], costs=CostSpec(commission_bps=100), cash_buffer=0.02)
    result = ran(spec, a_market([[10], [10]]))
    assert result.quantity[0, 0] == pytest.approx(98, rel=1e-15)
    assert result.rejected_orders == ()


def test_what_a_long_leverage_lacks_is_told():
    result = ran(a_spec("AB", [0], [[0.5, 1.0]]), a_market([[10, 20], [10, 20]]))
    # The smaller purchase first: 50 of A, and of 50 of B what 500 pay for.
    assert result.quantity[0].tolist() == [50, 25]
    assert result.rejected_orders == (RejectedOrder(0, 1, 25.0, "cut to what the cash left pays for"),)


def test_an_order_for_which_no_cash_is_left_is_told():
    result = ran(a_spec("AB", [0], [[1.0, 1.5]]), a_market([[10, 20], [10, 20]]))
    assert result.quantity[0].tolist() == [100, 0]
    assert result.rejected_orders == (RejectedOrder(0, 1, 75.0, "rejected: Not enough cash to long"),)


def test_sales_pay_for_the_purchases_of_their_session():
    result = ran(a_spec("AB", [0, 1], [[0.0, 1.0], [1.0, 0.0]]), a_market([[10, 20], [10, 25]]))
    assert result.quantity.tolist() == [[0, 50], [125, 0]]
    assert result.fills.asset.tolist() == [1, 1, 0]
    assert result.rejected_orders == ()


def test_shorts_pay_for_longs_beyond_the_capital():
    result = ran(a_spec("AB", [0], [[1.5, -0.5]]), a_market([[10, 20], [11, 10]]))
    assert result.quantity[0].tolist() == [150, -25]
    assert result.cash.tolist() == [0, 0]
    assert result.nav.tolist() == [1000, 150 * 11 - 25 * 10]
    assert result.rejected_orders == ()


def test_nothing_is_traded_once_nav_is_lost_and_that_is_told():
    result = ran(a_spec("A", [0, 1, 2], [[-1.0], [-1.0], [0.5]]), a_market([[10], [25], [30]]))
    assert result.nav.tolist() == [1000, -500, -1000]
    assert result.quantity[:, 0].tolist() == [-100, -100, -100]
    told = [(order.session, order.reason) for order in result.rejected_orders]
    assert told == [(row, "rejected: Asset/group value is zero or negative") for row in (1, 2)]


def test_whole_units_cut_each_order_towards_zero():
    market = a_market([[10], [10], [10]])
    result = ran(a_spec("A", [0, 1, 2], [[0.127], [0.083], [0.0]], units="whole"), market)
    # 12.7 bought as 12; 3.7 sold as 3; then the rest.
    assert result.quantity[:, 0].tolist() == [12, 9, 0]
    assert result.rejected_orders == ()
    assert any("towards zero" in note for note in result.native["conventions"]["notes"])


def test_a_whole_unit_that_cash_does_not_pay_for_is_no_fill_but_told():
    result = ran(a_spec("AB", [0], [[0.5, 0.65]], units="whole"), a_market([[10, 600], [10, 600]]))
    assert result.quantity[0].tolist() == [50, 0]
    assert result.fills.asset.tolist() == [0]
    assert result.rejected_orders == (RejectedOrder(0, 1, 1.0, "cut to what the cash left pays for"),)


def test_the_next_open_fills_and_sizes():
    market = a_market([[10], [20], [40]], [[9], [16], [32]])
    result = ran(a_spec("A", [0, 1], [[0.5], [0.5]], fill="next_open"), market)
    # 1000 * 0.5 / 16; at 32 NAV is 500 + 31.25 * 32 = 1500, half of which is 23.4375 units.
    assert result.quantity[:, 0].tolist() == [0, 31.25, 23.4375]
    assert result.fills.price.tolist() == [16, 32]
    assert result.nav.tolist() == [1000, 500 + 31.25 * 20, 750 + 23.4375 * 40]


def test_the_next_close_fills_a_session_later():
    result = ran(a_spec("A", [0, 2], [[0.5], [0.0]], fill="next_close"), a_market([[10], [20], [40]]))
    assert result.quantity[:, 0].tolist() == [0, 25, 25]
    assert "was not executed" in result.warnings[0]


def test_the_next_open_needs_opens():
    with pytest.raises(ParameterError, match="needs opening prices"):
        resolve_engine("vectorbt").run(a_spec("A", [0], [[1.0]], fill="next_open"), a_market([[10], [11]]))


def test_a_strategy_that_never_trades_is_told():
    result = ran(a_spec("A", [0], [[0.0]]), a_market([[10], [11]]))
    assert result.nav.tolist() == [1000, 1000]
    assert result.warnings == ("the strategy never took a position: 0 fills in 2 sessions",)


@pytest.mark.parametrize(
    ("strategy", "params"),
    [
        ("fixed_weights", {}),
        ("sma_crossover", {"fast": 50, "slow": 200}),
        ("momentum_rotation", {"top": 3, "lookback": 126}),
    ],
)
@pytest.mark.parametrize("fill", ["close", "next_close", "next_open"])
def test_without_costs_it_is_the_built_in_engine(strategy, params, fill):
    if not SHARED.is_dir():
        without = pytest.fail if os.environ.get("CI") else pytest.skip
        without(f"the reference prices are not at {SHARED}")
    spec = a_spec(
        ["AAPL", "BAC", "CVX", "GE", "HD", "JNJ", "JPM", "KO", "MSFT", "XOM"],
        strategy=strategy,
        params=params,
        start_date=date(2010, 1, 4),
        end_date=date(2022, 12, 28),
        start_capital=100_000.0,
        data=DataSpec(str(SHARED / "sp500_20_daily.csv.gz")),
        fill=fill,
    )
    market = load_market(dataclasses.replace(spec, fill="close"))
    opens = np.sqrt(market.close * np.vstack([market.close[:1], market.close[:-1]]))
    market = dataclasses.replace(market, open=opens)
    mine, theirs = ran(spec, market), PortfolioEngine().run(spec, market)
    assert np.abs(mine.nav / theirs.nav - 1.0).max() < 1e-12
    assert np.abs(mine.cash - theirs.cash).max() < 1e-12 * theirs.nav.max()
    held = np.abs(theirs.quantity).max()
    assert np.abs(mine.quantity - theirs.quantity).max() < 1e-12 * held
    assert len(mine.fills) == len(theirs.fills)
    assert mine.rejected_orders == ()


def test_the_same_run_again_has_the_same_bits_and_prints_nothing(capfd):
    rng = np.random.default_rng(1)
    market = a_market(100 * np.cumprod(1 + rng.normal(0, 0.02, (60, 4)), axis=0))
    rows, weights = list(range(0, 60, 5)), rng.dirichlet(np.ones(4), 12).tolist()
    spec = a_spec("ABCD", rows, weights, costs=CostSpec(commission_bps=5, slippage_bps=5))
    one, other = ran(spec, market), ran(spec, market)
    for name in ("nav", "cash", "quantity", "mark"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert one.fills.fee.tobytes() == other.fills.fee.tobytes()
    assert one.rejected_orders == other.rejected_orders
    assert capfd.readouterr() == ("", "")


SYMBOLS = 3
prices = st.lists(
    st.lists(st.floats(1.0, 500.0), min_size=SYMBOLS, max_size=SYMBOLS), min_size=2, max_size=12
)
weight_rows = st.lists(st.floats(-0.8, 0.8), min_size=SYMBOLS, max_size=SYMBOLS)
all_costs = st.one_of(
    st.builds(CostSpec, commission_bps=st.floats(0, 50), slippage_bps=st.floats(0, 50)),
    st.builds(CostSpec, commission_bps=st.floats(0, 50), commission_per_share=st.floats(0, 0.05)),
)


@st.composite
def backtests(draw):
    closes = np.array(draw(prices))
    rows = sorted(draw(st.sets(st.integers(0, len(closes) - 1), min_size=1, max_size=6)))
    spec = a_spec(
        "ABC",
        rows,
        [draw(weight_rows) for _ in rows],
        costs=draw(all_costs),
        fill=draw(st.sampled_from(["close", "next_close", "next_open"])),
        units=draw(st.sampled_from(["fractional", "whole"])),
        start_capital=10_000.0,
    )
    return spec, a_market(closes, closes * draw(st.floats(0.9, 1.1)))


# The strategy's module is the same for every example.
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(backtests())
def test_the_books_add_up_and_what_is_not_held_is_told(backtest):
    spec, market = backtest
    result = ran(spec, market)
    if spec.units == "whole":
        assert not (result.quantity % 1.0).any()
        return
    traded_at = market.open if spec.fill == "next_open" else market.close
    told = {(order.session, order.asset) for order in result.rejected_orders}
    before = np.vstack([np.zeros(SYMBOLS), result.quantity])
    cash = np.concatenate([[spec.start_capital], result.cash])
    for row, weights in zip(result.decisions.fill_rows, result.decisions.weights, strict=True):
        nav = cash[row] + before[row] @ traded_at[row]
        lacks = np.abs(weights * nav - result.quantity[row] * traded_at[row])
        told_there = [(row, column) in told for column in range(SYMBOLS)]
        assert not (lacks[~np.array(told_there)] > 1e-9 * abs(nav)).any()
        assert not (lacks[told_there] < 1e-13 * abs(nav)).any()


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"min_trade": 10.0}, "min_trade", "has no min_trade"),
        ({"flows": (Flow(date(2020, 1, 2), 5.0),)}, "flows", "has no flows"),
        ({"multipliers": {"A": 5.0}}, "multipliers", "has no multipliers"),
        (
            {"actions": ActionSpec(dividends=(Dividend("A", date(2020, 1, 2), 0.1),))},
            "dividends",
            "has no dividends",
        ),
        ({"actions": ActionSpec(splits="from_prices")}, "splits", "has no splits"),
        (
            {"costs": CostSpec(commission_per_share=0.01, slippage_bps=1)},
            "commission_per_share",
            "costs.commission_per_share or costs.slippage_bps, not both",
        ),
    ],
)
def test_what_it_cannot_express_is_refused(changes, key, words):
    [(path, message)] = resolve_engine("vectorbt").problems(a_spec("A", **changes))
    assert path[-1] == key
    assert words in message


def test_without_vectorbt_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "vectorbt", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'pytest-finbot\[vectorbt\]'"):
        resolve_engine("vectorbt").run(a_spec("A", [0], [[1.0]]), a_market([[10], [11]]))


STATE = """\
    import logging, os, random, sys, warnings
    import numpy as np, pandas as pd
    sys.path.insert(0, {folder!r})
    from test_vectorbt_made import a_market, a_spec
    from pytest_finbot.engines.resolve import resolve_engine

    def state():
        loggers = [logging.root, *map(logging.getLogger, ("numba", "vectorbt", "asyncio"))]
        return {{
            "warnings": list(warnings.filters),
            "environment": dict(os.environ),
            "logging": [(each.level, list(each.handlers), each.disabled) for each in loggers],
            "random": random.getstate(),
            "numpy": str(np.random.get_state()),
            "errors": np.geterr(),
            "pandas": [pd.get_option(key) for key in ("display.max_rows", "compute.use_numba")],
            "folder": os.getcwd(),
            "hooks": (sys.excepthook, sys.displayhook, sys.stdout, sys.stderr),
        }}

    before = state()
    resolve_engine("vectorbt").run(a_spec("A", [0], [[1.0]]), a_market([[10], [11]]))
    after = state()
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, changed
"""


def test_a_process_is_afterwards_what_it_was(tmp_path):
    """In a fresh one: what an import leaves behind it leaves once."""
    here = Path(__file__).read_text(encoding="utf-8")
    Path(tmp_path, "test_vectorbt_made.py").write_text(here, encoding="utf-8")
    script = Path(tmp_path, "state.py")
    script.write_text(textwrap.dedent(STATE.format(folder=str(tmp_path))))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


BATCH = """\
    batch_name: engines
    defaults:
      data: {path: prices.csv}
      engine: vectorbt
      strategy: fixed_weights
      symbols: [AAA, BBB]
      start_date: 2020-01-02
      end_date: 2020-01-09
      start_capital: 1000
      costs: {commission_bps: 10}
    runs:
      - {id: buffered, cash_buffer: 0.01}
      - {id: cut-allowed, rejected_orders: allow}
      - {id: cut}
"""
PRICES = """\
    Date,AAA,BBB
    2020-01-02,10,20
    2020-01-03,11,19
    2020-01-06,12,21
    2020-01-07,11,22
    2020-01-08,13,20
    2020-01-09,14,23
"""


def test_a_batch_of_a_user_runs_it(pytester):
    Path(pytester.path, "prices.csv").write_text(textwrap.dedent(PRICES))
    Path(pytester.path, "finbot.yaml").write_text(textwrap.dedent(BATCH))
    plain = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    result = pytester.runpytest_subprocess(*plain, "--finbot-batch", "finbot.yaml", "-v", timeout=120)
    result.assert_outcomes(passed=2, failed=1)
    said = result.stdout.str()
    assert "1 order was rejected: 1 x cut to what the cash left pays for" in said
