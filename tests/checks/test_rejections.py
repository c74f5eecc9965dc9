"""Orders that were not executed: told in every case, and a failure unless they are allowed."""

import numpy as np
import pytest

from pytest_finbot.checks.rejections import check_rejections
from pytest_finbot.contracts import EngineResult, RejectedOrder, Verdict


def result(*orders):
    days = np.arange("2015-03-02", "2015-03-07", dtype="datetime64[D]")
    nav, none = np.full(5, 1000.0), np.zeros((5, 2))
    return EngineResult.of(
        sessions=days,
        assets=("AAPL", "XOM"),
        nav=nav,
        cash=nav,
        quantity=none,
        mark=none + 1.0,
        start_cash=1000.0,
        rejected_orders=orders,
    )


ORDERS = (
    RejectedOrder(4, 1, 10.0, "no cash"),
    RejectedOrder(2, 0, 5.0, "no cash"),
    RejectedOrder(3, 0, 1.0, "halted"),
)


@pytest.mark.parametrize(("policy", "verdict"), [("allow", Verdict.WITHIN), ("fail", Verdict.ERROR)])
def test_rejected_orders_are_counted_by_reason_with_the_first_of_them(policy, verdict):
    check = check_rejections(result(*ORDERS), policy)

    assert check.verdict is verdict
    assert check.message == "3 orders were rejected: 2 x no cash; 1 x halted"
    assert (check.value, check.session, check.asset) == (3.0, "2015-03-04", "AAPL")


@pytest.mark.parametrize("policy", ["allow", "fail"])
def test_without_rejected_orders_nothing_fails(policy):
    check = check_rejections(result(), policy)

    assert not check.failed
    assert check.value == 0.0
