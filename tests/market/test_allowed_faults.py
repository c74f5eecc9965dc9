"""A fault that is only presumed can be allowed by whoever has looked; one that is certain cannot."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.contracts import DataSpec, PartSpec, RunSpec
from pytest_finbot.errors import DataError
from pytest_finbot.market.store import PriceStore

DAYS = np.busday_offset("2020-01-06", np.arange(60)).astype("datetime64[D]")


def spec_of(tmp_path, closes, **data):
    path = tmp_path / "prices.csv"
    rows = [f"{day},{close!r}" for day, close in zip(DAYS, closes, strict=True)]
    path.write_text("Date,AAA\n" + "\n".join(rows) + "\n")
    return RunSpec(
        name="run",
        engine="portfolio",
        strategy="fixed_weights",
        params={},
        symbols=("AAA",),
        start_date=date(2020, 1, 6),
        end_date=DAYS[-1].item(),
        start_capital=1000.0,
        data=DataSpec(str(path), **data),
    )


@pytest.fixture
def slipped():
    closes = np.round(50.0 + np.sin(np.arange(60.0)), 3)
    closes[30] *= 10.0
    return closes.tolist()


def test_a_slip_refuses_the_run_and_says_how_to_allow_it(tmp_path, slipped):
    with pytest.raises(DataError, match=r"data\.allow: \[price_slip\]"):
        PriceStore().load(spec_of(tmp_path, slipped))


def test_what_is_allowed_is_still_told(tmp_path, slipped):
    market = PriceStore().load(spec_of(tmp_path, slipped, allow=("price_slip",)))
    [odd] = [one for one in market.odd if one.kind == "price_slip"]
    assert (odd.severity, odd.symbol, odd.session) == ("odd", "AAA", str(DAYS[30]))


def test_two_runs_on_one_file_are_judged_by_what_each_allows(tmp_path, slipped):
    store, spec = PriceStore(), spec_of(tmp_path, slipped)
    store.load(dataclasses.replace(spec, data=dataclasses.replace(spec.data, allow=("price_slip",))))
    with pytest.raises(DataError, match="price_slip"):
        store.load(spec)


def test_an_excuse_without_its_fault_is_told(tmp_path, slipped):
    allow = ("price_slip", "dates_shifted", "columns_swapped")
    market = PriceStore().load(spec_of(tmp_path, slipped, allow=allow))
    assert [(one.severity, one.kind) for one in market.odd] == [
        ("odd", "allow_unused"), ("odd", "allow_unused"), ("odd", "price_slip"),
    ]  # fmt: skip
    assert "data.allow: columns_swapped allows nothing" in market.odd[0].message
    assert "data.allow: dates_shifted allows nothing" in market.odd[1].message


def test_an_excuse_for_what_is_odd_anyway_is_told(tmp_path):
    closes = [50.0 + 0.123456 * (day % 7) for day in range(30)]
    closes += [close / 2.0 for close in closes]
    market = PriceStore().load(spec_of(tmp_path, closes, allow=("split_not_adjusted",)))
    assert [one.kind for one in market.odd] == ["allow_unused", "split_not_adjusted"]
    assert "no more than odd" in market.odd[0].message


def test_a_part_of_a_run_may_have_an_excuse_for_what_is_in_another(tmp_path, slipped):
    slipped[30] = slipped[29]
    spec = spec_of(tmp_path, slipped, allow=("price_slip",))
    part = PartSpec("run", "slice", 2)
    assert [one.kind for one in PriceStore().load(spec).odd] == ["allow_unused"]
    assert PriceStore().load(dataclasses.replace(spec, part=part)).odd == ()


@pytest.mark.parametrize(("price", "tells"), [(-1.0, "above zero"), (1e20, "between 1e-12 and 1e.15")])
def test_what_is_certain_is_never_allowed(tmp_path, slipped, price, tells):
    slipped[10] = price
    with pytest.raises(DataError, match=tells) as refused:
        PriceStore().load(spec_of(tmp_path, slipped, allow=("price_slip",)))
    assert "allow" not in str(refused.value)
