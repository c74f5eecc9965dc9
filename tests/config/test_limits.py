"""A limit means one thing only: what each spelling is read as, and which are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.config.limits import CHECKS_WITH_LIMIT, LimitError, read_limit
from pytest_finbot.contracts import Limit
from pytest_finbot.tolerances import METRIC_UNITS, PRESETS
from pytest_finbot.valuation.metric_kinds import METRIC_KINDS

SERIES = ("nav", "cash", "market_values", "quantity")
OF_UNIT = {
    "currency": ["final_nav", "costs"],
    "fraction": ["cagr", "volatility", "max_drawdown", "total_return", "cash_share"],
    "ratio": ["sharpe", "sortino", "calmar", "turnover"],
    "count": ["trades"],
    "date": ["max_drawdown_peak", "max_drawdown_trough", "max_drawdown_recovery"],
}
METRICS = {unit: [f"metrics.{name}" for name in names] for unit, names in OF_UNIT.items()}
NOT_DATES = [check for check in CHECKS_WITH_LIMIT if check not in METRICS["date"]]


def refused(check, value) -> str:
    with pytest.raises(ValueError) as caught:
        read_limit(check, value)
    return str(caught.value)


def each(**accepted):
    """``(check, value, limit)`` for every check of every kind."""
    kinds = {"series": SERIES, "fills": ("fills",), **METRICS}
    return [
        (check, value, limit)
        for kind, pairs in accepted.items()
        for check in kinds[kind]
        for value, limit in pairs
    ]


RELATIVE = [
    ("25 bp", Limit(rtol=0.0025)),
    ("25bp", Limit(rtol=0.0025)),
    ("25 bps", Limit(rtol=0.0025)),
    ("0.1 %", Limit(rtol=0.001)),
    ("0.1%", Limit(rtol=0.001)),
    (" .5  % ", Limit(rtol=0.005)),
    ("1e-3 bp", Limit(rtol=1e-7)),
    ("0 bp", Limit()),
]
NUMBER_IS_RTOL = [(1e-9, Limit(rtol=1e-9)), (0, Limit()), (-0.0, Limit()), (5, Limit(rtol=5.0))]
NUMBER_IS_ATOL = [(0.05, Limit(atol=0.05)), (1, Limit(atol=1.0)), (0, Limit())]


def test_the_table_of_units_is_that_of_the_metrics():
    assert {name: kind.unit.value for name, kind in METRIC_KINDS.items()} == dict(METRIC_UNITS)
    assert list(METRIC_UNITS) == list(METRIC_KINDS)


def test_every_metric_that_a_preset_limits_can_be_limited_in_the_file():
    assert {name for preset in PRESETS.values() for name in preset.metrics} <= set(METRIC_UNITS)


@pytest.mark.parametrize(
    ("check", "value", "limit"),
    each(
        series=[*NUMBER_IS_RTOL, *RELATIVE],
        fills=[*NUMBER_IS_RTOL, *RELATIVE],
        currency=RELATIVE,
        ratio=[*NUMBER_IS_ATOL, *RELATIVE],
        count=[*NUMBER_IS_ATOL, *RELATIVE],
        fraction=[
            *NUMBER_IS_ATOL,
            ("15 bp", Limit(atol=0.0015)),
            ("15 bps", Limit(atol=0.0015)),
            ("1.2 pp", Limit(atol=0.012)),
            ("1.2pp", Limit(atol=0.012)),
        ],
        date=[(True, Limit())],
    ),
)
def test_a_single_value_is_read_by_what_the_check_measures(check, value, limit):
    assert read_limit(check, value) == limit


@pytest.mark.parametrize("check", CHECKS_WITH_LIMIT)
def test_false_switches_a_check_off_and_null_does_not(check):
    assert read_limit(check, False) is None
    assert refused(check, None) == "nothing (null) is no limit; write false to switch the check off"


@pytest.mark.parametrize("check", CHECKS_WITH_LIMIT)
@pytest.mark.parametrize("word", ["off", "no", "none", "False"])
def test_other_words_for_off_are_refused_with_the_one_that_is_meant(check, word):
    assert refused(check, word).endswith(f"got the text '{word}'; write false to switch the check off")


@pytest.mark.parametrize("value", [5, "1 bp", {"atol": 1}, [], "true"])
def test_a_date_is_equal_or_not_held(value):
    message = refused("metrics.max_drawdown_peak", value)
    assert message.startswith(
        "metrics.max_drawdown_peak is a date; expected true (it must be equal) or false, got "
    )


# -------------------------------------------------------------------- what is ambiguous


@pytest.mark.parametrize("check", METRICS["fraction"])
@pytest.mark.parametrize(("value", "where"), [("15 %", ""), ({"atol": "15 %"}, "atol: ")])
def test_per_cent_of_a_metric_in_per_cent_could_mean_two_things(check, value, where):
    assert refused(check, value) == (
        f"{where}'15 %' is ambiguous: write 15 pp for an absolute difference, "
        "or {rtol: 15 %} for a part of the baseline"
    )


@pytest.mark.parametrize("check", METRICS["currency"])
def test_a_plain_number_for_money_could_mean_two_things(check):
    assert refused(check, 5.0) == (
        "5.0 is ambiguous: write {atol: 5.0} for currency, or 10 bp or 0.1 % for a part of the baseline"
    )


@pytest.mark.parametrize(
    "check", [*SERIES, "fills", *METRICS["currency"], *METRICS["ratio"], *METRICS["count"]]
)
def test_percentage_points_are_for_fractions(check):
    assert refused(check, "1 pp") == (
        f"'1 pp' is an absolute difference between fractions, which {check} is not; write bp or %"
    )


@pytest.mark.parametrize("key", ["rtol", "share", "none_beyond"])
def test_percentage_points_are_not_relative(key):
    assert refused("nav", {key: "1 pp"}) == (
        f"{key}: '1 pp' is an absolute difference between fractions, which {key} is not; write bp or %"
    )


def test_percentage_points_of_a_fraction_belong_to_atol():
    assert refused("metrics.cagr", {"rtol": "1 pp"}) == (
        "rtol: '1 pp' is an absolute difference between fractions, which rtol is not; "
        "write bp or %, or give it as atol"
    )


@pytest.mark.parametrize(
    ("check", "own"),
    [
        ("nav", "currency"),
        ("cash", "currency"),
        ("market_values", "currency"),
        ("quantity", "units held"),
        ("fills", "the unit of each value"),
        ("metrics.costs", "currency"),
        ("metrics.sharpe", "the ratio itself"),
        ("metrics.trades", "pieces"),
    ],
)
@pytest.mark.parametrize("amount", ["10 bp", "0.1 %", "1 pp"])
def test_atol_is_in_the_values_own_unit(check, own, amount):
    assert refused(check, {"atol": amount}) == (
        f"atol: '{amount}' is relative, but atol is in {own}; write a number, or '{amount}' as rtol"
        if amount != "1 pp"
        else f"atol: '1 pp' is between fractions, but atol is in {own}; write a number"
    )


# ----------------------------------------------------------------------------- mappings


@pytest.mark.parametrize(
    ("check", "value", "limit"),
    [
        *((check, {"rtol": "10 bp", "atol": 5}, Limit(0.001, 5.0)) for check in NOT_DATES),
        *((check, {"rtol": "0.1 %"}, Limit(rtol=0.001)) for check in NOT_DATES),
        *((check, {"atol": "15 bp"}, Limit(atol=0.0015)) for check in METRICS["fraction"]),
        *((check, {"atol": "3 pp"}, Limit(atol=0.03)) for check in METRICS["fraction"]),
        *(
            (
                check,
                {"rtol": "25 bp", "atol": 0.01, "share": 0.99, "none_beyond": "1 %"},
                Limit(0.0025, 0.01, 0.99, 0.01),
            )
            for check in SERIES
        ),
        ("nav", {"share": "99 %", "none_beyond": 0.01}, Limit(share=0.99, none_beyond=0.01)),
        ("nav", {"share": 1}, Limit()),
        ("nav", {"rtol": 0.01, "none_beyond": "1 %"}, Limit(rtol=0.01, none_beyond=0.01)),
        ("nav", {"none_beyond": 0}, Limit(none_beyond=0.0)),
    ],
)
def test_a_mapping_says_each_part(check, value, limit):
    assert read_limit(check, value) == limit


@pytest.mark.parametrize(
    ("check", "value", "words"),
    [
        ("nav", {}, "empty; give at least one of rtol, atol, share, none_beyond, or write false"),
        ("fills", {}, "empty; give at least one of rtol, atol, or write false"),
        ("nav", {"rtoll": 1}, "rtoll: unknown key 'rtoll'; did you mean 'rtol'?"),
        (
            "nav",
            {"wide": 1},
            "wide: unknown key 'wide'; expected one of rtol, atol, share, none_beyond",
        ),
        ("fills", {"share": 0.9}, "share: unknown key 'share'; expected one of rtol, atol"),
        ("metrics.cagr", {"share": 0.9}, "share: unknown key 'share'; expected one of rtol, atol"),
        (
            "nav",
            {"share": 99},
            "share: 99 is not above 0 and at most 1; write 99 % as 0.99 or as 99 %",
        ),
        ("nav", {"share": 0}, "share: 0 is not above 0 and at most 1; write 99 % as 0.99 or as 99 %"),
        (
            "nav",
            {"share": "101 %"},
            "share: '101 %' is not above 0 and at most 1; write 99 % as 0.99 or as 99 %",
        ),
        ("nav", {"rtol": -1e-9}, "rtol: -1e-09 is not at least 0"),
        ("nav", {"rtol": "-1 bp"}, "rtol: '-1 bp' is not at least 0"),
        ("nav", {"atol": -5}, "atol: -5 is not at least 0"),
        ("nav", {"none_beyond": -1}, "none_beyond: -1 is not at least 0"),
        ("metrics.cagr", {"atol": "-1 pp"}, "atol: '-1 pp' is not at least 0"),
        ("nav", {"rtol": True}, "rtol: expected a number, 25 bp or 0.1 %, got true"),
        ("nav", {"rtol": None}, "rtol: expected a number, 25 bp or 0.1 %, got nothing (null)"),
        ("nav", {"atol": [1]}, "atol: expected a number, got a list"),
        (
            "metrics.cagr",
            {"atol": "x"},
            "atol: expected a number, 15 bp or 1.2 pp, got the text 'x'",
        ),
        (
            "nav",
            {"rtol": "25 bp", "none_beyond": "0.1 %"},
            "none_beyond: 0.1 % is below the rtol of 25 bp; none_beyond is the wider of the two",
        ),
        (
            "nav",
            {"rtol": 0.01, "none_beyond": 0.001},
            "none_beyond: 0.001 is below the rtol of 0.01; none_beyond is the wider of the two",
        ),
    ],
)
def test_a_mapping_that_cannot_be_meant(check, value, words):
    assert refused(check, value) == words


def test_every_fault_of_a_mapping_is_told_with_its_key():
    with pytest.raises(LimitError) as caught:
        read_limit("nav", {"rtol": "x", "share": 2, "none_beyond": -1, "y": 0})
    assert [place for place, _ in caught.value.faults] == [("rtol",), ("share",), ("none_beyond",), ("y",)]


# --------------------------------------------------------------------------- single values


@pytest.mark.parametrize(
    ("check", "forms"),
    [
        ("nav", "a number, 25 bp, 0.1 %, a mapping of rtol, atol, share and none_beyond, or false"),
        ("fills", "a number, 25 bp, 0.1 %, a mapping of rtol and atol, or false"),
        ("metrics.cagr", "a number, 15 bp, 1.2 pp, a mapping of rtol and atol, or false"),
        ("metrics.costs", "10 bp, 0.1 %, a mapping of rtol and atol, or false"),
        ("metrics.sharpe", "a number, 10 bp, 0.1 %, a mapping of rtol and atol, or false"),
        ("metrics.trades", "a number, 10 bp, 0.1 %, a mapping of rtol and atol, or false"),
    ],
)
def test_what_is_no_limit_at_all_is_told_what_one_looks_like(check, forms):
    assert refused(check, True) == f"expected {forms}, got true"
    assert refused(check, [1]) == f"expected {forms}, got a list"
    assert refused(check, "tight") == f"expected {forms}, got the text 'tight'"
    assert refused(check, "25,5 bp") == f"expected {forms}, got the text '25,5 bp'"
    assert refused(check, "") == f"expected {forms}, got the text ''"
    assert refused(check, "0.05") == (
        f"expected {forms}, got the text '0.05'; write the number without quotes"
    )


@pytest.mark.parametrize("check", NOT_DATES)
def test_no_limit_is_negative_or_without_end(check):
    assert refused(check, "-1 bp") == "'-1 bp' is not at least 0"
    assert refused(check, -1) == "-1 is not at least 0"
    assert refused(check, "1e400 bp") == "the value is infinite or too large; expected a finite number"
    assert refused(check, float("inf")) == "the value is infinite or too large; expected a finite number"
    assert refused(check, float("nan")) == "the value is not a number (NaN); expected a finite number"
    assert refused(check, 2**60).startswith(f"{2**60} is beyond 2**53")


def test_a_unit_that_is_none():
    assert refused("nav", "5 BP") == "'5 BP': 'BP' is no unit; did you mean 'bp'?"
    assert refused("nav", "5 bpp") == "'5 bpp': 'bpp' is no unit; expected one of bp, %, pp"
    assert refused("nav", "5 eur") == "'5 eur': 'eur' is no unit; expected one of bp, %, pp"


def test_a_check_that_is_none():
    assert refused("navv", 1) == "'navv' is no check with a limit; did you mean 'nav'?"
    assert refused("metrics.sharp", 1) == (
        "'metrics.sharp' is no check with a limit; did you mean 'metrics.sharpe'?"
    )
    assert refused("sharpe", 1) == "'sharpe' is no check with a limit; did you mean 'metrics.sharpe'?"


# ------------------------------------------------------------------------------ invariants


@given(st.integers(0, 10**6), st.sampled_from([("bp", 10**4), ("bps", 10**4), ("%", 100)]))
def test_a_unit_is_exact_to_the_last_bit(count, unit):
    word, parts = unit
    assert read_limit("nav", f"{count} {word}") == Limit(rtol=count / parts)


@given(
    st.sampled_from(CHECKS_WITH_LIMIT),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["rtol", "atol", "share", "none_beyond", "x"]), inner)
        ),
        max_leaves=4,
    ),
)
def test_whatever_is_written_is_a_sound_limit_or_refused(check, value):
    try:
        limit = read_limit(check, value)
    except LimitError:
        return
    if limit is not None:
        assert 0 <= limit.rtol < float("inf")
        assert 0 <= limit.atol < float("inf")
        assert 0 < limit.share <= 1
        assert limit.none_beyond is None or limit.rtol <= limit.none_beyond < float("inf")
