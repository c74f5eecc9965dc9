"""Names and messages are shown as they are, and are never markup."""

import math

import pytest

from pytest_finbot.reports.words import (
    NOTHING,
    cut,
    metric,
    money,
    name,
    percent,
    plain,
    sides,
    trade,
    within,
)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a|b", r"a\|b"),
        ("</details>", "&lt;/details&gt;"),
        ("@team", "<code><!-- -->&#64;team</code>"),
        ("$x$", "<code>&#36;x&#36;</code>"),
        ("**loud**", r"\*\*loud\*\*"),
        ("two\nlines", "two lines"),
        ("`code`", r"\`code\`"),
        ("bidi\u202ex", "bidiU+202Ex"),
        ("bell\x07", "bellU+0007"),
        ("été 📈", "été 📈"),
    ],
)
def test_text_in_a_table_does_nothing(said, shown):
    assert plain(said) == shown


def test_names_are_code_where_that_is_safe():
    assert name("sixty_forty") == "`sixty_forty`"
    assert name("pkg.module:callable") == "`pkg.module:callable`"
    assert name("a`|b") == "<code>a&#96;&#124;b</code>"


def test_values_are_spelled_in_their_units():
    assert money(612168.594) == "612,168.59"
    assert percent(-0.34093) == "-34.09 %"
    assert percent(-1e-9) == "0.00 %"
    assert money(-0.001) == "0.00"
    assert money(-100) == "-100.00"
    assert money(None) == "\u2013"
    assert metric(0.5, "max_drawdown") == "50.00 %"
    assert metric(12.0, "final_nav") == "12.00"
    assert metric("2020-03-23", "max_drawdown_trough") == "2020-03-23"


def test_a_limit_is_told_as_money_is_or_in_few_digits():
    told = {9.99001e-05: "9.99e-05", 9991.012: "9,991.01", -249.75: "-249.75", 0.05: "0.05", 0.0: "0"}
    assert {value: within(value) for value in told} == told
    others = {1234: "1,234", None: NOTHING, math.inf: "inf", 1e300: "1e+300", "x": "x"}
    assert {value: within(value) for value in others} == others


def test_two_values_of_a_metric_that_differ_are_told_apart():
    assert sides("sharpe", 1.5, 1.25) == ("1.500", "1.250")
    assert sides("calmar", 0.80666, 0.80697) == ("0.80666", "0.80697")
    assert sides("max_drawdown", -0.2, -0.2) == ("-20.00 %", "-20.00 %")
    assert sides("trades", None, 7) == (NOTHING, "7")


def test_a_cut_text_shows_that_it_was_cut():
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"


def test_a_trade_is_told_with_what_is_known_of_it():
    fill = {"session": "2020-01-02", "asset": "AAA", "quantity": -2.5, "price": 10.0, "fee": None}
    assert trade(fill) == "sell 2.5 AAA at 10, fee no number"
    assert (
        trade({**fill, "quantity": None, "price": 1 / 3})
        == "trade no number AAA at 0.3333333333, fee no number"
    )
