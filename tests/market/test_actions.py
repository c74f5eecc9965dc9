"""Dividends and splits: declared or from the files, on raw prices, and borne out by them."""

import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.contracts import ActionSpec, Dividend, PartSpec, Split
from pytest_finbot.errors import DataError, ParameterError

WEEK = [f"2020-01-{day:02}" for day in range(6, 11)]


def dividend(amount, day="2020-01-08", symbol="KO"):
    return Dividend(symbol, date.fromisoformat(day), amount)


def split(ratio, day="2020-01-08", symbol="KO"):
    return Split(symbol, date.fromisoformat(day), ratio)


@pytest.fixture
def take(store, a_run):
    """``take(path, …, dividends=…, splits=…)``: market data with corporate actions."""

    def load(path, *args, dividends="none", splits="none", policy="error", part=None, **changes):
        run = a_run(path, *args, **changes)
        data = dataclasses.replace(run.data, missing=policy)
        actions = ActionSpec(dividends=dividends, splits=splits)
        return store.load(dataclasses.replace(run, data=data, actions=actions, part=part))

    return load


@pytest.fixture
def halved(wide):
    """KO is split two for one on 2020-01-08; raw prices."""
    return lambda **changes: wide(
        {("2020-01-08", "KO"): 27.2, ("2020-01-09", "KO"): 27.7, ("2020-01-10", "KO"): 27.8}, **changes
    )


@pytest.fixture
def bars(text):
    """``bars("KO", closes, dividends, splits)`` writes a file of bars, gives the folder."""

    def write(symbol, closes, dividends, splits, header="Date,Open,High,Low,Close,Dividends,Stock Splits"):
        rows = "".join(
            f"{day},{c},{c},{c},{c},{d},{s}\n"
            for day, c, d, s in zip(WEEK, closes, dividends, splits, strict=True)
        )
        return text(f"{header}\n{rows}", f"prices/{symbol}.csv").parent

    return write


def test_a_run_without_actions_has_none_and_the_same_digest(load, take, wide):
    path = wide()
    plain = load(path)
    assert (plain.dividends, plain.splits) == (None, None)
    assert take(path, dividends=(), splits=()).digest == plain.digest


def test_declared_actions_lie_on_their_session_and_symbol(take, halved):
    market = take(halved(), dividends=(dividend(0.4), dividend(0.1), dividend(1.0, "2020-01-10", "AAPL")),
                  splits=(split(2.0),))  # fmt: skip
    assert market.dividends[2].tolist() == [0.0, 0.5], "two on one day are both paid"
    assert market.dividends[4].tolist() == [1.0, 0.0]
    assert market.dividends.sum() == 1.5
    assert np.argwhere(market.splits != 1.0).tolist() == [[2, 1]]
    assert market.splits[2, 1] == 2.0
    with pytest.raises(ValueError, match="read-only"):
        market.splits[0] = 1.0


def test_actions_are_part_of_the_digest_and_of_the_window_kept(take, halved):
    path = halved()
    plain = take(path)
    paid, paid_more = take(path, dividends=(dividend(0.4),)), take(path, dividends=(dividend(0.5),))
    with_split = take(path, splits=(split(2.0),))
    assert len({market.digest.hash for market in (plain, paid, paid_more, with_split)}) == 4
    assert paid.digest.parts["AAPL"] == paid_more.digest.parts["AAPL"]
    assert paid.splits is None
    assert with_split.dividends is None
    assert take(path, dividends=(dividend(0.4),)) is paid


@pytest.mark.parametrize("kind", ["dividends", "splits"])
@pytest.mark.parametrize("source", ["declared", "from_prices"])
def test_adjusted_prices_take_no_actions(take, wide, kind, source):
    declared = (dividend(0.4),) if kind == "dividends" else (split(2.0),)
    given = "from_prices" if source == "from_prices" else declared
    with pytest.raises(ParameterError, match=f"{kind}: the prices are adjusted"):
        take(wide(), field="adj_close", **{kind: given})


def test_an_ex_date_without_session_names_the_next_one(take, wide):
    path = wide(drop=["2020-01-08"])
    with pytest.raises(DataError, match=r"dividends: KO: ex-date 2020-01-08 is no session .* 2020-01-09"):
        take(path, dividends=(dividend(0.4),))
    with pytest.raises(DataError, match=r"splits: KO: ex-date 2020-01-11 is no session .* none after it"):
        take(path, end="2020-01-12", splits=(split(2.0, "2020-01-11"),))


def test_an_ex_date_outside_the_window_is_refused_unless_the_run_is_a_part(take, wide):
    path, earlier = wide(), (dividend(0.4, "2020-01-06"),)
    with pytest.raises(DataError, match=r"ex-date 2020-01-06 is outside the run's window, 2020-01-07"):
        take(path, start="2020-01-07", dividends=earlier)
    part = take(path, start="2020-01-07", dividends=earlier, part=PartSpec("run", "window", 1))
    assert not part.dividends.any()
    with pytest.raises(DataError, match="outside"):
        take(path, start="2020-01-07", dividends=earlier)


def test_an_action_of_another_symbol_names_the_nearest(take, wide):
    with pytest.raises(
        ParameterError, match="splits: 'APPL' is not a symbol of the run; did you mean 'AAPL'"
    ):
        take(wide(), splits=(split(2.0, symbol="APPL"),))


def test_a_split_of_prices_that_contain_it_is_refused(take, wide, halved):
    with pytest.raises(DataError) as error:
        take(wide(), splits=(split(2.0),))
    told = (
        "KO: split of 2.0 on 2020-01-08: the close goes from 54.27 on 2020-01-07 to 54.37, not to about 27.1"
    )
    assert told in str(error.value)
    assert "already adjusted; leave splits out, or give raw prices" in str(error.value)
    with pytest.raises(DataError, match="already adjusted"):
        take(halved(), splits=(split(0.5),))


@pytest.mark.parametrize(
    ("close", "adjusted"),
    # Between 1 and 1/4 the middle is 1/2: a fall by less than half is no split of four for one.
    [(40.0, False), (79.0, False), (81.0, True), (160.0, True)],
)
def test_the_nearer_of_no_jump_and_the_whole_jump_decides(take, wide, close, adjusted):
    path = wide({("2020-01-07", "KO"): 160.0, ("2020-01-08", "KO"): close})
    if adjusted:
        with pytest.raises(DataError, match="already adjusted"):
            take(path, splits=(split(4.0),))
    else:
        assert take(path, splits=(split(4.0),)).splits[2, 1] == 4.0


def test_a_merger_of_units_jumps_up(take, wide):
    path = wide({(day, "KO"): 540.0 for day in WEEK[2:]})
    assert take(path, splits=(split(0.1),)).splits[2, 1] == 0.1
    with pytest.raises(DataError, match="already adjusted"):
        take(wide(), splits=(split(0.1),))


def test_a_small_split_cannot_be_seen_and_that_is_told(take, wide):
    market = take(wide(), splits=(split(1.05),))
    (finding,) = [one for one in market.odd if one.kind == "split_not_seen"]
    assert (finding.severity, finding.symbol, finding.session) == ("odd", "KO", "2020-01-08")
    assert "KO: split of 1.05 on 2020-01-08 is too small to be seen" in finding.message


def test_a_split_on_the_first_session_moves_nothing(take, wide):
    assert take(wide(), splits=(split(2.0, "2020-01-06"),)).splits[0, 1] == 2.0


def test_a_dividend_is_less_than_the_price_that_pays_it(take, wide):
    path = wide()
    with pytest.raises(DataError, match=r"KO: dividend of 54\.27 on 2020-01-08 .* 54\.27 on 2020-01-07"):
        take(path, dividends=(dividend(54.27),))
    assert take(path, dividends=(dividend(54.26),)).dividends[2, 1] == 54.26


def test_everything_that_does_not_fit_is_told_at_once(take, wide):
    with pytest.raises(DataError, match="do not fit the prices") as error:
        take(
            wide(),
            dividends=(dividend(400.0, "2020-01-09", "AAPL"),),
            splits=(split(2.0), split(3.0, "2020-01-10")),
        )
    assert str(error.value).count("\n  ") == 3


# ------------------------------------------------------------------------- from the files


def test_the_files_own_columns_say_dividends_and_splits(take, bars):
    bars("AAPL", [300.0, 301, 302, 303, 304], [0.0, 0.0, 0.77, "", 0.0], [0.0, 0.0, 0.0, 0.0, ""])
    folder = bars("KO", [54.0, 55.0, 27.4, 27.5, 27.6], [0.0, 0.4, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0, ""])
    market = take(folder, dividends="from_prices", splits="from_prices")
    assert np.argwhere(market.dividends).tolist() == [[1, 1], [2, 0]]
    assert (market.dividends[1, 1], market.dividends[2, 0]) == (0.4, 0.77)
    assert np.argwhere(market.splits != 1.0).tolist() == [[2, 1]]
    assert take(folder, splits="from_prices").dividends is None, "a run that does not ask for them has none"


def test_files_without_the_column_are_named(take, bars, wide):
    bars("AAPL", [300.0] * 5, [0.0] * 5, [0.0] * 5)
    folder = bars("KO", [54.0] * 5, [""] * 5, [""] * 5, "Date,Open,High,Low,Close,x,y")
    with pytest.raises(
        DataError, match=r"KO\.csv: no column 'Dividends' \(dividends: from_prices\)"
    ) as error:
        take(folder, dividends="from_prices")
    assert "AAPL.csv" not in str(error.value)
    with pytest.raises(DataError, match=r"prices\.csv: no column 'Stock Splits'"):
        take(wide(), splits="from_prices")


@pytest.mark.parametrize(("told", "shown"), [("-0.5", "-0.5"), ("inf", "inf")])
def test_a_dividend_that_cannot_be_is_named(take, bars, told, shown):
    folder = bars("KO", [54.0] * 5, ["0", "0", told, "0", "0"], [0] * 5)
    with pytest.raises(DataError, match=f"KO: dividend of {shown} on 2020-01-08"):
        take(folder, "KO", dividends="from_prices")


def test_a_split_ratio_that_cannot_be_is_named(take, bars):
    folder = bars("KO", [54.0] * 5, [0] * 5, [0, 0, -2, 0, 0])
    with pytest.raises(DataError, match=r"KO: split of -2\.0 on 2020-01-08"):
        take(folder, "KO", splits="from_prices")


def test_the_dividends_of_spy(take, real_prices):
    path = real_prices / "SPY_history_1d.parquet"
    market = take(path, "SPY", "2019-01-02", "2019-12-31", dividends="from_prices", splits="from_prices")
    told = pd.read_parquet(path)["Dividends"].loc["2019"]
    assert market.dividends[:, 0].tolist() == told.tolist()
    assert np.count_nonzero(market.dividends) == 4
    assert (market.splits == 1.0).all()


# ------------------------------------------------------------------------ with a policy


def test_an_action_on_a_dropped_session_is_refused(take, wide, bars):
    gap = wide({("2020-01-08", "KO"): None})
    with pytest.raises(DataError, match=r"KO: dividend of 0\.4 on 2020-01-08, .* drop leaves out"):
        take(gap, policy="drop", dividends=(dividend(0.4),))
    folder = bars("KO", [54.0, 54.0, "", 54.0, 54.0], [0, 0, 0.4, 0, 0], [0] * 5)
    with pytest.raises(DataError, match=r"KO: dividend of 0\.4 on 2020-01-08, .* drop leaves out"):
        take(folder, "KO", policy="drop", dividends="from_prices")
    assert take(folder, "KO", policy="forward_fill", dividends="from_prices").dividends[2, 0] == 0.4


@pytest.mark.parametrize(
    ("policy", "gap", "refused"),
    [
        ("forward_fill", "2020-01-08", True),
        ("forward_fill", "2020-01-07", False),
        ("backfill", "2020-01-07", True),
        ("interpolate", "2020-01-08", True),
        ("interpolate", "2020-01-07", True),
        ("interpolate", "2020-01-09", False),
    ],
)
def test_no_policy_carries_a_price_across_a_split(take, halved, policy, gap, refused):
    path = halved()
    frame = pd.read_csv(path, index_col=0)
    frame.loc[gap, "KO"] = np.nan
    frame.to_csv(path)
    if refused:
        with pytest.raises(DataError, match=f"KO: split of 2.0 on 2020-01-08: .*{policy} carries a price"):
            take(path, policy=policy, splits=(split(2.0),))
    else:
        assert take(path, policy=policy, splits=(split(2.0),)).splits[2, 1] == 2.0
