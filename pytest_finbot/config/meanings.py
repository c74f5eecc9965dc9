"""What each key of a batch file means, a line each: for editors, which show it beside the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LIMIT: Final = (
    "how far it may be from the baseline: a number, text such as '1 bp', "
    "{rtol: …, atol: …}, or false: not compared"
)

_RUN: Final[Mapping[str, str]] = {
    "id": "names the test and its folder; unique in the file",
    "description": "shown in the run's report",
    "engine": "portfolio, an engine of others, or your own as pkg.module:callable",
    "strategy": "a strategy that is built in, or your own as pkg.module:callable",
    "params": "parameters of the strategy",
    "symbols": "the symbols that are traded",
    "symbols_file": "a file with one symbol a line",
    "bundle_path": "the factor bundle of multifactor_long_short",
    "factors_path": "the factor panel of multifactor_long_short",
    "start_date": "first day of the window, included",
    "end_date": "last day of the window, included",
    "start_capital": "currency that a run starts with",
    "data": "where prices are and how they are read",
    "rebalance_freq": "when the strategy decides: on the first session of each day, week, month, quarter or "
    "year; none: on the first session only",
    "costs": "what trading costs",
    "fill": "the price at which orders fill that were decided at a close",
    "units": "whether positions are whole units",
    "min_trade": "smaller trades (currency) are not made",
    "max_gross_exposure": "larger targets are scaled down, and counted as a warning",
    "cash_buffer": "fraction of NAV that target weights leave in cash",
    "rejected_orders": "what becomes of a run whose engine did not execute every order",
    "seed": "seeds random and numpy.random before the engine starts",
    "tags": "become pytest markers: -m core",
    "reports": "reports in the run's folder; tca: transaction costs",
    "outputs": "daily series and fills as tables in the run's folder",
    "timeout": "seconds, or text such as 90s or 2m; a run that takes longer is ended",
    "memory_limit": "bytes, or text such as 2 GiB: what a run may allocate",
    "isolation": "whether a run is executed in pytest's process or in a child of it",
    "retries": "a number of attempts, or how often a run is tried after which errors",
    "checks": "what the run is held to",
    "marks": "how old and how far off the prices may be at which positions are valued",
    "flows": "deposits and withdrawals",
    "dividends": "dividends of raw prices: from_prices, none, or by symbol",
    "splits": "splits of raw prices: from_prices, none, or by symbol",
    "dividend_booking": "dividends go to cash on the ex-date, or are reinvested",
    "multipliers": "currency that a unit's price stands for, by symbol",
    "compare_with": "id of the run that this one is held against, or {run: …} with the keys of checks",
    "matrix": "every combination of these values; false: none",
    "windows": "the run on many stretches of time; false: on one",
    # The older form.
    "freq": "sessions are days; leave it out",
    "data_source": "older form of data.source",
    "data_path": "older form of data.path",
    "field": "older form of data.field",
    "calendar": "older form of data.calendar",
    "commission_bps": "older form of costs.commission_bps",
    "slippage_bps": "older form of costs.slippage_bps",
    "universe_file": "older form of symbols_file",
    "generate_report": "older form of reports: [summary]",
    "generate_risk_report": "older form of reports: [risk]",
    "generate_tca_report": "older form of reports: [tca]",
}

_CHECKS: Final[Mapping[str, str]] = {
    "preset": "limits for all that is compared: exact, refactor, rounding, parity or cross_engine",
    "informational": "true: what moves is shown and fails nothing",
    "nav": f"NAV of every session: {_LIMIT}",
    "cash": f"cash of every session: {_LIMIT}",
    "market_values": f"market value of every position: {_LIMIT}",
    "quantity": f"quantity of every position: {_LIMIT}",
    "fills": f"every fill: {_LIMIT}",
    "coverage": "whether fewer rows of prices than the accepted result had are a move",
    "metrics": "limits by metric; false: not compared",
}

MEANINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "BatchModel": {
        "batch_name": "names the output folder: letters, digits, _ and -",
        "description": "shown in the summary",
        "output_root": "outputs go to output_root/batch_name",
        "engine": "engine of every run that names none",
        "max_workers": "-n auto starts no more workers than this",
        "durability": "item: a record is on the disk before its test ends. second: a power cut can cost what "
        "was recorded within the last second",
        "checks": "what runs are held to",
        "baseline": "folder of accepted results; without it nothing is gated",
        "waivers": "moves somebody answers for until a day",
        "notify": "who is told when the batch has ended",
        "matrix": "every combination of these values for each run",
        "windows": "each run on many stretches of time",
        "defaults": "any key of a run; a run overrides it",
        "runs": "the runs",
    },
    "DefaultsModel": _RUN,
    "RunModel": _RUN,
    "DataModel": {
        "source": "local: a run never touches the network",
        "path": "a wide file (date x symbol), or a folder with a file of bars for each symbol",
        "field": "which close",
        "calendar": "a name of exchange_calendars such as XNYS or 24/7, or weekdays; without it gaps are "
        "not seen",
        "missing": "what becomes of prices that are missing; interpolate and backfill look ahead",
        "missing_limit": "sessions that a price is repeated on, at most",
        "open_path": "opens as a wide file, for fill: next_open",
        "snapshot": "recorded data to run on instead",
        "allow": "presumed faults of prices that may pass",
    },
    "CostsModel": {
        "commission_bps": "basis points of traded value",
        "commission_per_share": "currency a unit",
        "slippage_bps": "basis points of traded value",
        "booking": "targeted: weights hold for NAV after costs; from_cash: costs are paid from cash",
    },
    "ChecksModel": _CHECKS,
    "CompareModel": {**_CHECKS, "run": "id of the run that is the reference"},
    "MarksModel": {
        "max_age": "trading sessions a mark may be old",
        "max_unmarked": "fraction of held positions that may have no valid mark",
        "max_deviation": "fraction by which a mark may differ from the market's close",
    },
    "RetriesModel": {
        "attempts": "how often a run is tried in all",
        "on": "the errors after which it is tried again",
        "backoff": "seconds to wait before the second attempt, doubled from then on",
        "jitter": "whether the wait is varied at random",
    },
    "WindowsModel": {
        "kind": "how the days are cut",
        "from": "first day that is cut; the run's where not given",
        "to": "last day that is cut; the run's where not given",
        "length": "how long a window is, such as 3y, 6m, 8w or 90d",
        "step": "how far a window begins after the one before",
        "in_sample": "how long the in-sample days of a walk-forward are",
        "out_of_sample": "how long the out-of-sample days of a walk-forward are",
        "anchored": "whether each in-sample stretch begins on the first day",
    },
    "FlowModel": {"date": "session of the flow", "amount": "currency; a withdrawal is below 0"},
    "DividendModel": {"date": "the ex-date", "amount": "currency a unit"},
    "SplitModel": {"date": "first day after the split", "ratio": "units for each before"},
    "WaiverModel": {
        "run": "a run, or a pattern of runs",
        "check": "a check, or a pattern: nav, metrics.sharpe, metrics.*",
        "reason": "why the move is no fault",
        "reviewer": "who answers for it",
        "expires": "last day that it excuses anything",
        "link": "where it was discussed",
    },
    "NotifyModel": {
        "url_env": "name of the environment variable that holds the Apprise URL; never the URL",
        "when": "always, on-change (anything moved, new, missing or failed), or on-failure (not green)",
    },
}
"""By model and key. Metrics are told by their unit."""
