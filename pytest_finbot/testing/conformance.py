"""The kit: what an engine has to keep, a test a point."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.costs import check_costs
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.checks.orders import check_orders
from pytest_finbot.contracts import (
    CheckResult,
    CostSpec,
    EngineResult,
    ErrorCategory,
    MarketData,
    MarkSpec,
    RunSpec,
    Verdict,
)
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.errors import FinbotError
from pytest_finbot.pipeline.decided import decided
from pytest_finbot.pipeline.execute import execute
from pytest_finbot.pipeline.outcome import RunOutcome
from pytest_finbot.strategies.schedule import decision_rows
from pytest_finbot.testing.asked import AskedPoints
from pytest_finbot.testing.bench import Kind
from pytest_finbot.testing.declared_exceptions import point
from pytest_finbot.testing.executing import in_fresh_processes
from pytest_finbot.testing.same import differs, digests, fills_differ, not_the_same
from pytest_finbot.testing.strategies import MESSAGE, RaisedOnPurposeError
from pytest_finbot.testing.synthetic import permuted, scrambled_after, until, written
from pytest_finbot.valuation.books import Books

TRADING: tuple[Kind, ...] = ("fixed", "rotation")
"""Strategies that hold something."""


class EngineConformance(AskedPoints):
    """Tests of one engine, to be subclassed in a test file::

        class TestMyEngine(EngineConformance):
            engine = "my_package.my_engine:run"      # as in a batch file
            settings = {"fill": "next_open"}         # keys of a run that it needs
            exceptions = {"test_capital_scaling": "it trades whole units"}

    ``engine`` is required. ``settings`` are attributes of :class:`RunSpec` for every run (``costs`` may
    be a dict). ``symbols`` are those of the made prices, ``("ONE",)`` for an engine of one symbol;
    ``capital`` is the start capital (currency). ``costs`` are the keys of a run's costs that the engine
    charges, with values worth about half a per cent of what is traded. ``prices`` and ``strategy``
    are methods to override where the engine needs prices or strategies of its own kind.

    A point that the engine does not keep is declared in ``exceptions``, by the name of its test with
    the reason. It is run all the same: it has to fail, and is reported as xfailed with the reason;
    where it holds, the test fails, as the exception is stale. Nothing is skipped.
    """

    # -------------------------------------------------------------- what is owed

    @point
    def test_contract(self) -> None:
        """The result has the shapes, types and sessions of the contract (``checks.contract``).

        Everything after it computes with these arrays: a wrong dtype or a left-out session would
        make numbers, and wrong ones.
        """
        market = self.prices()
        for kind in TRADING:
            result = self.run(kind, market)
            check_result(result, self.spec(kind, market), market)
            assert result.assets == market.symbols, (
                f"assets are {result.assets}, expected the run's symbols {market.symbols} in their order"
            )
            assert len(result.fills), f"{kind}: nothing was traded, so that nothing can be proven"

    @point
    def test_identities(self) -> None:
        """Every accounting identity holds in every session, with costs (``checks.accounting``).

        NAV that is not cash plus positions, or cash that fills do not explain, is money from nowhere.
        """
        for spec, _, result in self._with_costs():
            self._hold(check_books(result, spec))

    @point
    def test_declared(self) -> None:
        """The account starts with the run's capital and has what the run declares (``checks.declared``)."""
        for spec, market, result in self._with_costs():
            self._hold([check_declared(result, spec, market)])

    @point
    def test_marks_at_market(self) -> None:
        """Positions are valued at the session's close, not at an earlier or a later one."""
        for _, market, result in self._with_costs():
            self._hold([check_marks_at_market(result, market, MarkSpec())])

    # -------------------------------------------------------------- determinism

    @point
    def test_fresh_processes(self) -> None:
        """Two fresh processes under two PYTHONHASHSEEDs give the bits that this one gives.

        What depends on the order of a set, on memory addresses or on what ran before cannot be
        compared with a baseline.
        """
        market = self.prices()
        spec = self.spec("rotation", market)
        here = digests(self.execute(spec, market))
        one, other = in_fresh_processes(spec, market, (1, 2))
        parts = not_the_same(one, other)
        assert not parts, f"fresh processes under PYTHONHASHSEED 1 and 2 differ in {parts}"
        parts = not_the_same(here, one)
        assert not parts, f"a fresh process differs from this one in {parts}"

    @point
    def test_second_run(self) -> None:
        """The same run again in this process, after another one, gives the same bits.

        A worker executes many runs: what one leaves behind must not reach the next.
        """
        market = self.prices()
        first = digests(self.run("rotation", market))
        self.run("fixed", market)
        parts = not_the_same(first, digests(self.run("rotation", market)))
        assert not parts, f"the same run a second time in one process differs in {parts}"

    # ------------------------------------------------- relations between two runs

    @point
    def test_capital_scaling(self) -> None:
        """Ten times the capital gives ten times NAV and quantities.

        An amount that is absolute where it should be a fraction shows here and nowhere else.
        """
        market = self.prices()
        for kind in TRADING:
            small, large = self.run(kind, market), self.run(kind, market, start_capital=10.0 * self.capital)
            self._same(differs("NAV / capital", small.nav, large.nav / 10.0, small))
            self._same(differs("quantity / capital", small.quantity, large.quantity / 10.0, small))

    @point
    def test_symbol_order(self) -> None:
        """The order in which a run lists its symbols changes nothing but the order of columns.

        An account that serves symbols in turn gives the first of them what the last one lacks.
        """
        market = self.prices()
        count = len(market.symbols)
        assert count > 1, "one symbol has no order; declare this point in `exceptions`"
        order = [*range(1, count), 0][::-1]
        other_market = permuted(market, order)
        for kind in TRADING:
            one, other = self.run(kind, market), self.run(kind, other_market)
            self._same(differs("NAV", one.nav, other.nav, one))
            back = np.argsort(order)
            self._same(differs("quantity", one.quantity, other.quantity[:, back], one))

    @point
    def test_zero_weights(self) -> None:
        """A run that is to hold nothing trades nothing, and its NAV stays what it was."""
        result = self.run("zero")
        assert not len(result.fills), f"it was to hold nothing and made {len(result.fills)} fills"
        assert not result.quantity.any(), "it was to hold nothing and has positions"
        self._same(differs("NAV", result.nav, np.full(len(result.nav), self.capital), result))

    @point
    def test_costs(self) -> None:
        """Each cost that can be asked for is charged: NAV ends lower, and the fills say what was paid.

        A cost that is accepted and not charged makes every strategy look better than it is. No fill may
        go without a fee that is asked for (``checks.costs``). Each of ``costs`` is tried alone. Those that
        an adapter refuses beforehand are left out; one that the engine takes has to be there.
        """
        market = self.prices()
        tried = 0
        for key, value in self.costs.items():
            booking = self.spec("fixed", market).costs.booking
            asked = CostSpec(**{key: value}, booking=booking)
            if self.refusals(self.spec("fixed", market, costs=asked)):
                continue
            tried += 1
            for kind in TRADING:
                free = self.run(kind, market, costs=CostSpec(booking=booking))
                paying = self.run(kind, market, costs=asked)
                assert paying.nav[-1] < free.nav[-1], (
                    f"{kind}: with {key} {value:g} NAV ends at {paying.nav[-1]:.6f}, without at "
                    f"{free.nav[-1]:.6f}: expected less"
                )
                recorded = paying.fills.slippage if key == "slippage_bps" else paying.fills.fee
                column = "slippage" if key == "slippage_bps" else "fee"
                assert recorded.sum() > 0.0, (
                    f"{kind}: {key} {value:g} is asked for, and no fill has a {column}"
                )
                self._hold([check_costs(Books(paying), self.spec(kind, market, costs=asked), market)[0]])
                unasked = float(free.fills.fee.sum() + free.fills.slippage.sum())
                assert not unasked, f"{kind}: no costs are asked for, and fills have {unasked:.6f}"
        assert tried, f"the engine refuses each of `costs` ({', '.join(self.costs)})"

    # ---------------------------------------------------------------- look-ahead

    @point
    def test_data_cut(self) -> None:
        """Prices that end at T give what whole prices give up to T.

        An engine that knows tomorrow is found by taking tomorrow away.
        """
        self._knows_nothing_of(until, "end there")

    @point
    def test_prices_scrambled(self) -> None:
        """Other prices after T change nothing up to T: NAV, quantities, fills."""
        self._knows_nothing_of(scrambled_after, "are others after it")

    # -------------------------------------------------------------------- orders

    @point
    def test_orders_executed(self) -> None:
        """Every order that the strategy's decisions ask for is executed, or told as rejected.

        Books add up without an order that was dropped; only what was decided tells (``checks.orders``).
        An engine that follows target weights returns them as ``decisions``.
        """
        for spec, market, result in self._with_costs():
            check = check_orders(Books(result), spec, market, decided(result, spec, market))
            assert check.verdict is not Verdict.SKIPPED, f"{check.message}: return EngineResult.decisions"
            self._hold([check])

    @point
    def test_leverage_is_told(self) -> None:
        """Asked for three times its capital, the engine holds that, or says that it does not.

        To say is: a rejected order, a warning, an error of ``pytest_finbot.errors``, or conventions
        with ``short_of_cash: shrinks``. The commonest fault of backtests is an order that was not
        executed and not told. What is proven here is one case of it; ``orders_executed`` looks at
        every decision of every run that says what was decided.
        """
        market = self.prices()
        spec = self.spec("leveraged", market)
        try:
            result = self.execute(spec, market)
        except FinbotError:
            return
        asked = 3.0 * (1.0 - spec.cash_buffer)
        if spec.max_gross_exposure is not None:
            asked = min(asked, spec.max_gross_exposure * (1.0 - spec.cash_buffer))
        gross = np.abs(result.quantity * result.mark * result.multiplier).sum(axis=1) / result.nav
        held = float(gross[:5].max())
        if held > 0.9 * asked or result.rejected_orders or result.warnings:
            return
        said = self._conventions(spec, result).get("short_of_cash")
        assert said == "shrinks", (
            f"asked to hold {asked:g} times its NAV it holds {held:.3g} times, without a rejected order or a "
            f"warning, and its conventions say short_of_cash: {said}"
        )

    @point
    def test_small_capital_is_told(self) -> None:
        """Half the price of the cheapest share as capital: it trades fractions, or says why it does not.

        A run that never trades has the best of all books: nothing in them can be wrong.
        """
        market = self.prices()
        capital = round(0.5 * float(market.close.min()), 2)  # whole cents: some engines book nothing less
        try:
            result = self.run("fixed", market, start_capital=capital)
        except FinbotError:
            return
        told = len(result.fills) or result.rejected_orders or result.warnings
        assert told, f"with a capital of {capital:.2f} it never trades, without a rejected order or a warning"

    # -------------------------------------------------------------------- errors

    @point
    def test_strategy_error_is_told(self) -> None:
        """What a strategy raises reaches the record: engine_error, with the exception's type and message.

        An engine that catches it makes a flat result of a mistake.
        """
        error = self._error_of("raising")
        assert error is not None, "the strategy raises, and the run succeeds"
        expected = (ErrorCategory.ENGINE, RaisedOnPurposeError.__name__, MESSAGE)
        assert (error.category, error.type, error.message) == expected, (
            f"recorded as {error.category.value}: {error.type}: {error.message}; "
            f"expected {expected[0].value}: {expected[1]}: {expected[2]}"
        )

    @point
    def test_unknown_strategy_is_told(self) -> None:
        """A strategy that does not exist is a parameter_error, and no run of something else."""
        error = self._error_of("unknown")
        assert error is not None, "there is no such strategy, and the run succeeds"
        assert error.category is ErrorCategory.PARAMETER, (
            f"recorded as {error.category.value}: {error.type}: {error.message}; expected parameter_error"
        )

    @point
    def test_pickles(self) -> None:
        """Spec in, result out, both survive a pickle unchanged: they go to other processes."""
        market = self.prices()
        spec = _pickled(self.spec("rotation", market))
        result = self.execute(spec, market)
        back = _pickled(result)
        parts = not_the_same(digests(result), digests(back))
        assert not parts, f"after a pickle the result differs in {parts}"
        assert dict(back.native) == dict(result.native), "after a pickle the result's `native` is another"

    # ------------------------------------------------------------------- helpers

    def _with_costs(self) -> Iterator[tuple[RunSpec, MarketData, EngineResult]]:
        """Runs with every one of ``costs`` that is not refused."""
        market = self.prices()
        for kind in TRADING:
            asked: dict[str, Any] = {"booking": self.spec(kind, market).costs.booking}
            for key, value in self.costs.items():
                one = {**asked, key: value}
                if not self.refusals(self.spec(kind, market, costs=one)):
                    asked = one
            spec = self.spec(kind, market, costs=asked)
            yield spec, market, self.execute(spec, market)

    def _knows_nothing_of(self, other: Any, words: str) -> None:
        market = self.prices()
        for kind in TRADING:
            spec = self.spec(kind, market)
            whole = self.execute(spec, market)
            for row in self._looked_at(market, spec):
                part = self.run(kind, other(market, row))
                where = f"{kind}: prices that {words}, after {market.sessions[row]}, change what was before: "
                for name in ("nav", "cash", "quantity"):
                    mine, theirs = getattr(whole, name)[: row + 1], getattr(part, name)[: row + 1]
                    self._same(differs(name, mine, theirs, whole), where)
                self._same(fills_differ(whole.fills, part.fills, whole, row), where)

    def _looked_at(self, market: MarketData, spec: RunSpec) -> Sequence[int]:
        """Rows of two decisions, the sessions after them, and one in between."""
        decided = decision_rows(market.sessions, spec.rebalance_freq)
        first, second = int(decided[len(decided) // 3]), int(decided[2 * len(decided) // 3])
        return first, first + 1, (first + second) // 2, second, second + 1

    def _error_of(self, kind: Kind) -> Any:
        """What is recorded as the error of a run through all its phases."""
        return self._outcome(kind).error

    def _outcome(self, kind: Kind) -> RunOutcome:
        market = self.prices()
        with tempfile.TemporaryDirectory(prefix="finbot-conformance-") as folder:
            return execute(self.spec(kind, market, data=written(market, Path(folder))), _no_log)

    def _conventions(self, spec: RunSpec, result: EngineResult) -> Mapping[str, Any]:
        said = resolve_engine(spec.engine).conventions(spec)
        told: Mapping[str, Any] = {} if said is None else said.to_json()
        return told or result.native.get("conventions", {})

    @staticmethod
    def _hold(checks: Sequence[CheckResult]) -> None:
        broken = [f"{check.name}: {check.message}" for check in checks if check.failed]
        if broken:
            pytest.fail("\n".join(broken), pytrace=False)

    @staticmethod
    def _same(difference: str | None, where: str = "") -> None:
        if difference is not None:
            pytest.fail(where + difference, pytrace=False)


def _pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - made in this line


def _no_log(kind: str, payload: Mapping[str, Any], *, flush: bool = True) -> None:
    """What a run of the kit does is told by its test."""
