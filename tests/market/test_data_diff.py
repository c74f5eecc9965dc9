"""What differs between two sets of data, and the one cause that explains all of it, or none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as some

from pytest_finbot.market.snapshots.comparing import compare
from pytest_finbot.market.snapshots.digits import decimals_of, half_units
from pytest_finbot.market.snapshots.gather import source_of_path
from pytest_finbot.market.snapshots.patterns import FEW, Pair, explain
from pytest_finbot.market.snapshots.sources import Source, SymbolData, Table

EXAMPLES = Path(__file__).parents[2] / "examples" / "data"


@pytest.fixture(scope="module")
def shares():
    """Ten shares, 2010 to 2022, adjusted closes in three decimals."""
    return replace(source_of_path(EXAMPLES / "prices.csv.gz"), fields=("adj_close",))


@pytest.fixture(scope="module")
def funds():
    """Bars of SPY and TLT: raw and adjusted closes, dividends."""
    return source_of_path(EXAMPLES / "ohlcv")


def edited(source, symbol, change, column="price"):
    """``source`` with ``change(sessions, values)`` for one column of one symbol."""
    tables = []
    for table in source.tables:
        symbols = dict(table.symbols)
        if symbol in symbols:
            data = symbols[symbol]
            values = change(data.sessions, data.columns[column].copy())
            symbols[symbol] = SymbolData(data.sessions, {**data.columns, column: values})
        tables.append(replace(table, symbols=symbols))
    return replace(source, tables=tuple(tables))


def cut(source, keep):
    """``source`` with the rows of which ``keep(sessions)`` says so."""
    return remade(
        source,
        lambda data: SymbolData(
            data.sessions[keep(data.sessions)],
            {name: values[keep(data.sessions)] for name, values in data.columns.items()},
        ),
    )


def remade(source, make):
    tables = (
        replace(table, symbols={symbol: make(data) for symbol, data in table.symbols.items()})
        for table in source.tables
    )
    return replace(source, tables=tuple(tables))


def before(day, factor, decimals=None):
    def scale(sessions, values):
        past = sessions < np.datetime64(day)
        values[past] *= factor
        return values if decimals is None else values.round(decimals)

    return scale


def changes(a, b, **more):
    (source,) = compare([a], [b], **more).sources
    assert not source.sessions
    assert not source.symbols_only_in_a
    assert not source.symbols_only_in_b
    return source.changes


def the_change(a, b, **more):
    (change,) = changes(a, b, **more)
    return change


# ------------------------------------------------------------------- causes, on real prices


@pytest.mark.parametrize(
    ("factor", "told"),
    [(1 / 4, "a split of 4 for 1"), (2 / 3, "a split of 3 for 2"), (10.0, "a reverse split of 1 for 10")],
)
@pytest.mark.parametrize("decimals", [None, 3])
def test_a_split_is_told_by_its_ratio_and_day(shares, factor, told, decimals):
    change = the_change(shares, edited(shares, "AAPL", before("2020-08-31", factor, decimals)))
    assert (change.symbol, change.field, change.cause) == ("AAPL", "adj_close", "split")
    assert change.day == "2020-08-31"
    assert change.ratio == factor
    assert told in change.message
    assert "before 2020-08-31" in change.message
    assert (change.first, change.last) == ("2010-01-04", "2020-08-28")


@pytest.mark.parametrize("decimals", [None, 3])
def test_a_new_dividend_scales_the_whole_past_of_adjusted_closes(shares, decimals):
    change = the_change(shares, edited(shares, "KO", before("2020-11-30", 0.9922, decimals)))
    assert (change.cause, change.day) == ("dividend_restatement", "2020-11-30")
    assert change.ratio == pytest.approx(0.9922, rel=1e-4)
    assert "dividends of 0.78%" in change.message
    assert "if these are" not in change.message


def test_raw_closes_are_not_restated_by_dividends(funds):
    for column, field, cause in (
        ("Adj Close", "adj_close", "dividend_restatement"),
        ("Close", "close", "rescaled"),
    ):
        change = the_change(funds, edited(funds, "TLT", before("2024-03-01", 0.9968), column))
        assert (change.symbol, change.field, change.cause, change.day) == ("TLT", field, cause, "2024-03-01")


def test_where_nobody_says_what_a_wide_file_holds_a_dividend_is_told_with_an_if(shares):
    unknown = replace(shares, fields=())
    change = the_change(unknown, edited(unknown, "KO", before("2020-11-30", 0.9922)))
    assert change.field == "price"
    assert change.message.endswith("if these are adjusted prices")


def test_a_correction_is_told_value_by_value(funds):
    def slip(sessions, values):
        values[100] *= 10
        values[2000] = np.nan
        return values

    change = the_change(funds, edited(funds, "SPY", slip, "Close"))
    assert (change.field, change.cause, change.cells) == ("close", "correction", 2)
    assert [one.session for one in change.changes] == ["2010-05-27", "2017-12-12"]
    assert change.changes[1].b is None
    assert "(+900.000%)" in change.message


def test_a_split_with_one_price_corrected_is_neither(shares):
    def both(sessions, values):
        values = before("2020-08-31", 1 / 4)(sessions, values)
        values[100] *= 1.01
        return values

    change = the_change(shares, edited(shares, "AAPL", both), limit=4)
    assert change.cause == "unknown"
    assert change.ratio is None
    assert len(change.changes) == 4
    assert change.cells == 2683
    assert "2,683 values changed, first 2010-01-04, largest 2010-" in change.message


def test_a_dividend_with_another_after_it_is_not_explained_by_one(shares):
    def two(sessions, values):
        return before("2015-03-02", 0.99)(sessions, before("2020-11-30", 0.9922)(sessions, values))

    assert the_change(shares, edited(shares, "KO", two)).cause == "unknown"


def test_a_whole_series_in_another_unit_is_rebased(shares):
    change = the_change(shares, edited(shares, "XOM", lambda _, values: values * 0.97))
    assert (change.cause, change.day) == ("rebased", None)
    assert "nothing after it" in change.message
    assert change.ratio == pytest.approx(0.97)


def test_dividends_that_are_all_halved_with_the_prices_are_rebased_as_they_are(funds):
    halved = remade(
        funds,
        lambda data: SymbolData(
            data.sessions, {name: values * 0.5 for name, values in data.columns.items() if name != "Volume"}
        ),
    )
    found = compare([funds], [halved]).sources[0].changes
    dividends = [change for change in found if change.field == "dividends"]
    assert [change.symbol for change in dividends] == ["SPY", "TLT"]
    assert {(change.cause, change.day, round(change.ratio, 9)) for change in found} == {
        ("rebased", None, 0.5)
    }
    # Where there is a dividend after them that is not halved, all before it are.
    later = before("2025-12-01", 0.5)
    change = the_change(funds, edited(funds, "TLT", later, "Dividends"))
    assert (change.cause, change.ratio) == ("split", 0.5)
    assert change.day is not None


@pytest.mark.parametrize(
    ("factor", "cause"), [(0.5, "split"), (0.985, "dividend_restatement"), (0.7123, "rescaled")]
)
def test_where_one_goes_on_what_scales_all_before_lies_after_the_other_ended(shares, factor, cause):
    older = cut(shares, lambda sessions: sessions < np.datetime64("2022-06-01"))
    (source,) = compare([older], [edited(shares, "CVX", lambda _, values: values * factor)]).sources
    (only,) = source.sessions
    assert (only.side, only.count, only.ranges) == ("B", 146, (("2022-06-01", "2022-12-28"),))
    (change,) = source.changes
    assert (change.symbol, change.cause, change.day) == ("CVX", cause, None)
    assert "up to 2022-05-31, the last day that both have" in change.message


def test_rounding_is_rounding_and_no_more(shares):
    change = the_change(shares, edited(shares, "BAC", lambda _, values: values.round(2)))
    assert change.cause == "rounding"
    assert "at most 0.005" in change.message
    narrow = the_change(
        shares, edited(shares, "BAC", lambda _, values: values.astype(np.float32).astype(float))
    )
    assert narrow.cause == "rounding"
    noise = the_change(shares, edited(shares, "BAC", lambda _, values: np.nextafter(values, np.inf)))
    assert noise.cause == "rounding"
    assert "last bits" in noise.message
    cents = the_change(shares, edited(shares, "BAC", lambda _, values: values.round(2) + 0.01))
    assert cents.cause == "unknown"


def test_two_columns_that_changed_places_are_found(shares):
    (table,) = shares.tables
    swapped = {**table.symbols, "JNJ": table.symbols["JPM"], "JPM": table.symbols["JNJ"]}
    jnj, jpm = changes(shares, replace(shares, tables=(replace(table, symbols=swapped),)))
    assert (jnj.symbol, jnj.cause, jpm.symbol, jpm.cause) == ("JNJ", "exchanged", "JPM", "exchanged")
    assert "what A has for JPM" in jnj.message
    assert "what A has for JNJ" in jpm.message
    ring = dict(
        zip(("JNJ", "JPM", "KO"), (table.symbols[name] for name in ("JPM", "KO", "JNJ")), strict=True)
    )
    around = replace(shares, tables=(replace(table, symbols={**table.symbols, **ring}),))
    assert {change.cause for change in changes(shares, around)} == {"unknown"}
    copied = {**table.symbols, "JNJ": table.symbols["JPM"]}  # one way round is no exchange
    assert the_change(shares, replace(shares, tables=(replace(table, symbols=copied),))).cause == "unknown"


@pytest.mark.parametrize("by", [1, -1])
def test_values_a_session_off_are_found(shares, by):
    def shift(sessions, values):
        moved = np.roll(values, by)
        moved[0 if by > 0 else -1] = 99.0
        return moved

    change = the_change(shares, edited(shares, "MSFT", shift))
    where = "before" if by > 0 else "after"
    assert change.cause == "shifted"
    assert change.message.endswith(f"on the session {where}")


def test_dates_a_day_off_are_found_in_every_field_and_not_told_as_sessions(funds):
    moved = remade(funds, lambda data: SymbolData(data.sessions - np.timedelta64(1, "D"), data.columns))
    found = changes(funds, moved)
    assert {change.cause for change in found} == {"shifted"}
    assert len(found) == 2 * 8
    assert "on the date a day earlier" in found[0].message


def test_a_split_multiplies_volumes(funds):
    def split(sessions, values):
        return before("2022-01-03", 2.0)(sessions, values)

    change = the_change(funds, edited(funds, "SPY", split, "Volume"))
    assert (change.cause, change.field) == ("split", "volume")
    assert "a split of 2 for 1" in change.message


# --------------------------------------------------------------------- what only one has


def test_symbols_fields_and_sessions_that_only_one_has(shares, funds):
    lacking = cut(
        shares,
        lambda sessions: ~np.isin(sessions, np.array(["2012-03-01", "2012-03-02", "2013-05-06"], "M8[D]")),
    )
    (table,) = lacking.tables
    fewer = {symbol: data for symbol, data in table.symbols.items() if symbol != "XOM"}
    found = compare([shares], [replace(lacking, tables=(replace(table, symbols=fewer),))])
    (source,) = found.sources
    assert source.symbols_only_in_a == ("XOM",)
    assert not source.changes
    assert found.differs
    (only,) = source.sessions  # one line for all that lack the same
    assert only.ranges == (("2012-03-01", "2012-03-02"), ("2013-05-06", "2013-05-06"))
    assert (only.side, only.count, len(only.symbols)) == ("A", 3, 9)

    without = remade(
        funds,
        lambda data: SymbolData(
            data.sessions, {name: values for name, values in data.columns.items() if name != "Volume"}
        ),
    )
    (source,) = compare([without], [funds]).sources
    assert source.fields_only_in_b == {"volume": ("SPY", "TLT")}
    assert not source.fields_only_in_a


def test_a_share_that_lists_late_has_no_sessions_before(shares):
    def late(sessions, values):
        values[:500] = np.nan
        return values

    (source,) = compare([shares], [edited(shares, "HD", late)]).sources
    (only,) = source.sessions
    assert (only.side, only.symbols, only.count) == ("A", ("HD",), 500)
    assert not source.changes


def test_what_is_the_same_does_not_differ(shares, funds):
    assert not compare([shares, funds], [funds, shares]).differs


def test_sources_are_paired_by_their_paths(shares, funds):
    named = [replace(shares, path=path) for path in ("eu/prices.csv", "us/prices.csv")]
    found = compare(
        named,
        [
            replace(named[1], path="x/us/prices.csv"),
            replace(named[0], path="x/eu/prices.csv"),
            replace(funds, path="bars"),
        ],
    )
    assert [(one.a, one.b) for one in found.sources] == [
        ("eu/prices.csv", "x/eu/prices.csv"),
        ("us/prices.csv", "x/us/prices.csv"),
    ]
    assert (found.only_in_a, found.only_in_b) == ((), ("bars",))
    # The only prices that each side has are compared whatever their names.
    assert len(compare([replace(shares, path="a.csv")], [replace(shares, path="b.csv")]).sources) == 1


def test_a_wide_file_of_a_known_field_is_compared_with_that_field_of_bars(funds):
    rows = {symbol: data for table in funds.tables for symbol, data in table.symbols.items()}
    closes = {
        symbol: SymbolData(data.sessions, {"price": data.columns["Adj Close"]})
        for symbol, data in rows.items()
    }
    table = Table(("Date",), 0, closes)
    wide = Source("closes.csv", "wide", ("prices",), ("adj_close",), (table,))
    (source,) = compare([wide], [funds]).sources
    assert not source.changes
    assert "adj_close" not in source.fields_only_in_b
    assert "close" in source.fields_only_in_b


def test_the_real_funds_under_two_names_are_one(real_prices, funds):
    (source,) = compare([funds], [source_of_path(real_prices)]).sources
    assert source.symbols_only_in_a == ()
    assert not source.changes
    assert {only.side for only in source.sessions} == {"B"}  # the examples begin in 2010
    assert set(source.fields_only_in_b) == {"capital_gains"}


# -------------------------------------------------------------------------- never a guess


def pair(a, b, **more):
    sessions = np.datetime64("2020-01-01") + np.arange(len(a))
    return Pair(
        "AAA", "adj_close", sessions, np.asarray(a, float), np.asarray(b, float), **{"adjusted": True, **more}
    )


@settings(deadline=None, max_examples=150)
@given(
    seed=some.integers(0, 2**32 - 1),
    factor=some.sampled_from([0.5, 0.25, 1.5, 7.0, 0.985, 0.93, 0.6234, 1.02]),
    step=some.integers(FEW + 1, 60),
    spoiled=some.none() | some.integers(0, 59),
    decimals=some.sampled_from([None, 2, 4]),
)
def test_a_cause_that_is_named_explains_every_value(seed, factor, step, spoiled, decimals):
    a = np.random.default_rng(seed).uniform(50, 90, 60).round(2)
    b = np.where(np.arange(60) < step, a * factor, a)
    b = b if decimals is None else b.round(decimals)
    if spoiled is not None:
        b[spoiled] *= 1.05
    change = explain(pair(a, b))
    scaled = ("split", "dividend_restatement", "rescaled", "rebased")
    if spoiled is None:
        assert change.cause in scaled
        assert change.ratio == pytest.approx(factor, rel=2e-4)
        assert change.cause == "rebased" if step == 60 else change.day is not None
    else:
        assert change.cause == "unknown"
        assert change.cells == np.count_nonzero(a != b)


@settings(deadline=None, max_examples=100)
@given(seed=some.integers(0, 2**32 - 1), cells=some.integers(1, 40), holes=some.integers(0, 3))
def test_random_changes_are_counted_and_never_explained(seed, cells, holes):
    random = np.random.default_rng(seed)
    a = random.uniform(50, 90, 60).round(2)
    b = a.copy()
    rows = random.choice(60, cells, replace=False)
    b[rows] = random.uniform(50, 90, cells)
    b[rows[:holes]] = np.nan
    assume((a != b).sum() == cells)
    change = explain(pair(a, b), limit=100)
    assert change.cause == ("correction" if cells <= FEW else "unknown")
    assert change.cells == cells == len(change.changes)
    assert [one.session for one in change.changes] == sorted(str(pair(a, b).sessions[row]) for row in rows)


def test_a_ratio_that_rounding_leaves_uncertain_is_not_named():
    pennies = np.array([0.02, 0.03, 0.04, 0.03, 0.02, 0.03, 0.05, 5.0])
    halves = np.array([0.01, 0.02, 0.02, 0.01, 0.01, 0.02, 0.03, 5.0])
    assert explain(pair(pennies, halves)).cause == "unknown"


def test_values_that_are_all_alike_do_not_make_a_rounded_ratio_sure():
    assert explain(pair([0.25] * 9, [0.13] * 9)).cause == "unknown"


def test_an_infinite_value_is_never_rounding_and_told_by_itself():
    prices = np.linspace(40, 50, 40)
    broken = prices.copy()
    broken[7] = np.inf
    found = explain(pair(prices, broken))
    assert (found.cause, found.cells, found.first) == ("correction", 1, "2020-01-08")
    assert [(change.b, found.message.count("→ inf")) for change in found.changes] == [("inf", 1)]
    # Noise beside it does not make it any better, nor do many of them.
    noisy = np.nextafter(prices, 0)
    noisy[7] = np.inf
    assert explain(pair(prices, noisy)).cause == "correction"
    found = explain(pair(prices, np.full(40, np.inf)))
    assert (found.cause, found.cells, len(found.changes)) == ("unknown", 40, 10)
    # What explains the others is told still.
    broken[:20] /= 2
    found = explain(pair(prices, broken))
    assert (found.cause, found.day, found.cells) == ("split", "2020-01-21", 20)
    assert "besides, 1 value not finite: 2020-01-08: 41.79" in found.message


def test_text_is_compared_as_text():
    a = np.array(["USD"] * 5 + [None], dtype=object)
    b = np.array(["USD"] * 3 + ["EUR", None, None], dtype=object)
    sessions = np.datetime64("2020-01-01") + np.arange(6)
    change = explain(Pair("AAA", "currency", sessions, a, b))
    assert (change.cause, change.cells) == ("unknown", 2)
    assert [(one.a, one.b) for one in change.changes] == [("USD", "EUR"), ("USD", None)]


def test_digits_are_those_that_are_written():
    assert decimals_of(np.array([1.5, 2.25, np.nan])) == 2
    assert decimals_of(np.array([299.8, 310.33, 0.1])) == 2
    assert decimals_of(np.array([1 / 3])) is None
    assert half_units(np.array([10.0, 20.0]))[0] == 0.5
    assert half_units(np.array([680.940002, 0.1], np.float32).astype(float))[0] == pytest.approx(
        680.94 * 2**-24
    )
