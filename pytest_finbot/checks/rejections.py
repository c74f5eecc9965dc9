"""Rejected orders: shown by default, since an engine that rejects in silence looks healthy."""

from __future__ import annotations

from collections import Counter

from pytest_finbot.contracts import CheckResult, EngineResult, RejectedOrders, Verdict

_SHOWN_REASONS = 3


def check_rejections(result: EngineResult, policy: RejectedOrders) -> CheckResult:
    """How many orders were not executed, and the commonest reasons; fails unless ``policy`` is ``allow``."""
    orders = result.rejected_orders
    if not orders:
        return CheckResult("rejected_orders", Verdict.WITHIN, "no order was rejected", value=0.0)
    # In order of number, then by name: Counter's own order is that of arrival.
    reasons = sorted(Counter(order.reason for order in orders).items(), key=lambda item: (-item[1], item[0]))
    told = "; ".join(f"{count} x {reason}" for reason, count in reasons[:_SHOWN_REASONS])
    if len(reasons) > _SHOWN_REASONS:
        told += f"; {len(reasons) - _SHOWN_REASONS} other reasons"
    first = min(orders, key=lambda order: order.session)
    plural = "order was" if len(orders) == 1 else "orders were"
    return CheckResult(
        "rejected_orders",
        Verdict.WITHIN if policy == "allow" else Verdict.ERROR,
        f"{len(orders):,} {plural} rejected: {told}",
        value=float(len(orders)),
        session=str(result.sessions[first.session]),
        asset=result.assets[first.asset],
    )
