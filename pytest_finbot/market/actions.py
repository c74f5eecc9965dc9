"""Dividends and splits of a run: where they come from, and whether its prices bear them out.

Prices either contain their dividends and splits (adjusted prices), or they do not and the books
have to be told of them (raw prices). Both at once would count them twice, and is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_finbot.contracts import (
    BoolArray,
    DataFinding,
    Dividend,
    FloatArray,
    MissingPolicy,
    RunSpec,
    SessionArray,
    Split,
)
from pytest_finbot.errors import DataError, ParameterError, did_you_mean
from pytest_finbot.market.findings.booked import TELLING_RATIO, Booked
from pytest_finbot.market.quality import PROBLEMS_TOLD
from pytest_finbot.market.table_file import some
from pytest_finbot.market.wide import read_only
from pytest_finbot.market.window import Window

_COLUMNS = {"dividends": "Dividends", "splits": "Stock Splits"}
_NONE = {"dividends": 0.0, "splits": 1.0}
_Kind = Literal["dividends", "splits"]


class ActionsError(DataError):
    """Dividends or splits that cannot be booked. ``findings`` are all of them, by symbol and day."""

    def __init__(self, message: str, findings: tuple[DataFinding, ...] = ()) -> None:
        super().__init__(message)
        self.findings = findings


def _refused(message: str, symbol: str | None = None, day: object = None) -> ActionsError:
    return ActionsError(message, (_finding(message, symbol, day),))


def _finding(message: str, symbol: str | None, day: object) -> DataFinding:
    return DataFinding("actions", "error", message, symbol, None if day is None else str(day))


@dataclass(frozen=True, slots=True, eq=False)
class Actions:
    """``dividends`` [T, N] (currency a unit, 0: none) and ``splits`` [T, N] (factor, 1: none) on a
    window's sessions and symbols; ``None``: the run takes none of that kind. Read-only.
    """

    dividends: FloatArray | None = None
    splits: FloatArray | None = None


def resolve_actions(spec: RunSpec, window: Window, whole: Window) -> Actions:
    """What ``spec.actions`` come to on ``window``, which is ``whole`` after the missing-data policy.

    ``from_prices`` takes the columns ``Dividends`` and ``Stock Splits`` of the symbols' files.
    Declared ones have to fall on sessions of the window; where the run is a part of a longer one,
    those outside its dates are the other parts'. Raises ParameterError for adjusted prices and
    for symbols that are not the run's, ActionsError for ex-dates that are no session of it, and
    where the source tells none.
    """
    if window.first == window.last:
        return Actions()
    return Actions(_resolved(spec, window, whole, "dividends"), _resolved(spec, window, whole, "splits"))


def _resolved(spec: RunSpec, window: Window, whole: Window, kind: _Kind) -> FloatArray | None:
    asked = spec.actions.dividends if kind == "dividends" else spec.actions.splits
    if asked == "none" or asked == ():
        return None
    if spec.data.field == "adj_close":
        raise ParameterError(
            f"{kind}: the prices are adjusted (data.field: adj_close) and contain their dividends "
            f"and splits; give raw prices (data.field: close), or leave {kind} out"
        )
    if isinstance(asked, tuple):
        values = _declared(spec, window, asked, kind)
    else:
        values = _of_files(window, whole, kind)
    read_only(values)
    return values


def _of_files(window: Window, whole: Window, kind: _Kind) -> FloatArray:
    table, column = whole.table, _COLUMNS[kind]
    lacking = table.without.get(column, ())
    told = table.dividends if kind == "dividends" else table.splits
    if told is None or lacking:
        which = some(lacking) or table.source
        raise _refused(
            f"{which}: no column '{column}' ({kind}: from_prices); expected one in each symbol's "
            "file of daily bars, or the list itself in the batch file"
        )
    values = whole.part(told)
    kept = np.isin(whole.sessions, window.sessions, assume_unique=True)
    for row, place in np.argwhere((values != _NONE[kind]) & ~kept[:, None])[:1].tolist():
        raise _left_out(window.symbols[place], kind, values[row, place], whole.sessions[row])
    return values[kept]


def _declared(
    spec: RunSpec, window: Window, asked: Sequence[Dividend] | Sequence[Split], kind: _Kind
) -> FloatArray:
    sessions = window.sessions
    values = np.full((len(sessions), len(spec.symbols)), _NONE[kind])
    for action in asked:
        if action.symbol not in spec.symbols:
            raise ParameterError(
                f"{kind}: '{action.symbol}' is not a symbol of the run"
                f"{did_you_mean(action.symbol, spec.symbols)} (it has {some(spec.symbols)})"
            )
        if not spec.start_date <= action.ex_date <= spec.end_date:
            if spec.part is not None:
                continue
            raise _refused(
                f"{kind}: {action.symbol}: ex-date {action.ex_date} is outside the run's window, "
                f"{spec.start_date} to {spec.end_date}",
                action.symbol,
                action.ex_date,
            )
        day = np.datetime64(action.ex_date, "D")
        row = int(np.searchsorted(sessions, day))
        place = spec.symbols.index(action.symbol)
        if row == len(sessions) or sessions[row] != day:
            dropped = window.table.dropped
            if dropped is not None and day in dropped:
                amount = action.amount if isinstance(action, Dividend) else action.ratio
                raise _left_out(action.symbol, kind, amount, day)
            following = (
                f"the next one is {sessions[row]}" if row < len(sessions) else "there is none after it"
            )
            raise _refused(
                f"{kind}: {action.symbol}: ex-date {action.ex_date} is no session of the prices; {following}",
                action.symbol,
                action.ex_date,
            )
        if isinstance(action, Dividend):
            values[row, place] += action.amount
        else:
            values[row, place] *= action.ratio
    return values


def _left_out(symbol: str, kind: _Kind, value: float, day: np.datetime64) -> ActionsError:
    return _refused(
        f"{symbol}: {kind[:-1]} of {value} on {day}, a session that data.missing: drop leaves out; "
        "the books would lose it: give the close of that day, or take another policy",
        symbol,
        day,
    )


def booked_of(actions: Actions, window: Window, whole: Window) -> Booked:
    """What the books take as ``actions`` of ``window``, and the splits of its files that they leave.

    A split of a session that a policy left out is one of the next session.
    """
    stated = whole.table.splits
    if stated is None or window.first == window.last:
        return Booked(actions.dividends)
    splits = whole.part(stated)
    if len(window.sessions) != len(splits):
        left_out, splits = splits, np.ones((len(window.sessions), splits.shape[1]))
        rows, columns = np.nonzero(left_out != 1.0)
        days = np.searchsorted(window.sessions, whole.sessions[rows])
        there = days < len(splits)
        np.multiply.at(splits, (days[there], columns[there]), left_out[rows[there], columns[there]])
    if actions.splits is not None:
        splits = np.where(actions.splits == 1.0, splits, 1.0)
    return Booked(actions.dividends, splits if (splits != 1.0).any() else None)


def with_actions(window: Window, actions: Actions) -> Window:
    """``window`` over a table whose dividends are those of ``actions``, and its splits too.

    So that the checks of prices know what the run was told of. What ``actions`` has none of stays
    as the files say, and so do splits that files state and ``actions`` do not have.
    """
    if actions.dividends is None and actions.splits is None:
        return window
    table = window.table.of(window.columns)
    arrays: dict[str, FloatArray] = {}
    for kind in _COLUMNS:
        values = getattr(actions, kind)
        if values is not None:
            arrays[kind] = np.full(table.close.shape, _NONE[kind])
            arrays[kind][window.first : window.last] = values
    if "splits" in arrays and table.splits is not None:
        arrays["splits"] = np.where(arrays["splits"] == 1.0, table.splits, arrays["splits"])
    read_only(*arrays.values())
    return dataclasses.replace(
        window,
        table=dataclasses.replace(table, dividends=arrays.get("dividends", table.dividends),
                                  splits=arrays.get("splits", table.splits)),
        columns=range(len(table.symbols)),
    )  # fmt: skip


def check_actions(
    actions: Actions, window: Window, policy: MissingPolicy, *, opens: bool = False
) -> tuple[DataFinding, ...]:
    """Hold ``actions`` against the closes of ``window``, which are finite and above zero.

    A split has to be seen in them: from the session before the ex-date the close goes to about
    one over the ratio. Where close and close before are nearer to each other than to that, the
    prices contain the split. One smaller than :data:`TELLING_RATIO` cannot be seen, and is told
    as a finding. Where ``opens`` says that the run fills at them, no open is carried across a split
    either. Raises one ActionsError with everything that is wrong.
    """
    if actions.dividends is None and actions.splits is None:
        return ()
    close = window.part(window.table.close)
    observed = window.table.observed
    seen = np.ones(close.shape, bool) if observed is None else window.part(observed)
    problems: list[DataFinding] = []
    findings: list[DataFinding] = []
    if actions.dividends is not None:
        problems += _bad_dividends(actions.dividends, close, window)
    if actions.splits is not None:
        problems += _bad_splits(actions.splits, close, seen, window, policy)
        if opens:
            problems += _carried_opens(actions.splits, seen, window, policy)
        findings += _unseen_splits(actions.splits, close, window)
    if problems:
        more = len(problems) - PROBLEMS_TOLD
        told = [one.message for one in problems[:PROBLEMS_TOLD]]
        told += [f"… and {more} more"] if more > 0 else []
        raise ActionsError(
            f"{window.table.source}: corporate actions that do not fit the prices:\n"
            + "\n".join(f"  {line}" for line in told),
            tuple(problems),
        )
    return tuple(findings)


def _bad_dividends(dividends: FloatArray, close: FloatArray, window: Window) -> Iterator[DataFinding]:
    sessions: SessionArray = window.sessions
    wrong = ~np.isfinite(dividends) | (dividends < 0.0)
    for row, place in np.argwhere(wrong).tolist():
        told = f"{window.symbols[place]}: dividend of {dividends[row, place]} on {sessions[row]}"
        yield _finding(f"{told}; expected a number above zero", window.symbols[place], sessions[row])
    large = (dividends[1:] >= close[:-1]) & ~wrong[1:]
    for row, place in np.argwhere(large).tolist():
        yield _finding(
            f"{window.symbols[place]}: dividend of {dividends[row + 1, place]} on {sessions[row + 1]} is not "
            f"less than the close before it, {close[row, place]} on {sessions[row]}",
            window.symbols[place],
            sessions[row + 1],
        )


def _bad_splits(
    splits: FloatArray, close: FloatArray, seen: BoolArray, window: Window, policy: MissingPolicy
) -> Iterator[DataFinding]:
    sessions: SessionArray = window.sessions
    wrong = ~(np.isfinite(splits) & (splits > 0.0))
    for row, place in np.argwhere(wrong).tolist():
        yield _finding(
            f"{window.symbols[place]}: split of {splits[row, place]} on {sessions[row]}; "
            "expected the number of units for each one before, above zero",
            window.symbols[place],
            sessions[row],
        )
    # Nothing is held before the first session: a split on it moves nothing and is not looked at.
    for row, place in np.argwhere((splits[1:] != 1.0) & ~wrong[1:]).tolist():
        ratio, before, after = splits[row + 1, place], close[row, place], close[row + 1, place]
        symbol, day = window.symbols[place], sessions[row + 1]
        name = f"{symbol}: split of {ratio} on {day}"
        # A price repeated up to the session before is still one from before the split.
        reliable = seen[row + 1, place] and (policy == "forward_fill" or seen[row, place])
        if not reliable:
            told = (
                f"{name}: the file has no close on that day or the session before it, and data.missing: "
                f"{policy} carries a price across the split"
            )
            yield _finding(told, symbol, day)
        elif _apart(ratio) >= TELLING_RATIO and _apart(after / before) < _apart(after / before * ratio):
            told = (
                f"{name}: the close goes from {before} on {sessions[row]} to {after}, not to about "
                f"{before / ratio:.6g}: the prices are already adjusted; leave splits out, or give raw prices"
            )
            yield _finding(told, symbol, day)


def _carried_opens(
    splits: FloatArray, seen: BoolArray, window: Window, policy: MissingPolicy
) -> Iterator[DataFinding]:
    if window.table.open_observed is None:
        return
    carried = (splits != 1.0) & ~window.part(window.table.open_observed) & seen
    for row, place in np.argwhere(carried[1:]).tolist():
        symbol, day = window.symbols[place], window.sessions[row + 1]
        told = (
            f"{symbol}: split of {splits[row + 1, place]} on {day}: the file has no open on that day, and "
            f"data.missing: {policy} carries the close of the session before across the split"
        )
        yield _finding(told, symbol, day)


def _unseen_splits(splits: FloatArray, close: FloatArray, window: Window) -> Iterator[DataFinding]:
    for row, place in np.argwhere(splits[1:] != 1.0).tolist():
        ratio, day = splits[row + 1, place], str(window.sessions[row + 1])
        if np.isfinite(ratio) and ratio > 0.0 and _apart(ratio) < TELLING_RATIO:
            symbol = window.symbols[place]
            yield DataFinding(
                "split_not_seen",
                "odd",
                f"{symbol}: split of {ratio} on {day} is too small to be seen in the closes, "
                f"{close[row, place]} and {close[row + 1, place]}: whether they are already adjusted "
                "was not checked",
                symbol=symbol,
                session=day,
            )


def _apart(ratio: float) -> float:
    """How far a ratio is from 1, the same for x and 1 / x: 1 or more."""
    return max(ratio, 1.0 / ratio)
