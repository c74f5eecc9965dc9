"""A result's daily series come back from the registry as the engine made them."""

import dataclasses

import numpy as np
import pytest

from pytest_finbot.contracts import EngineResult, Fills
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.objects import ObjectStore
from pytest_finbot.registry.tables import fills_columns, marks_columns, read_series, series_columns

SESSIONS = np.array(["2020-01-02", "2020-01-03", "2020-01-06"], dtype="datetime64[D]")


def a_result(**changes):
    result = EngineResult.of(
        sessions=SESSIONS,
        assets=("AAA", "BRK.B"),
        nav=np.array([1000.0, 1010.0, 1030.0]),
        cash=np.array([500.0, 500.0, 480.0]),
        quantity=np.array([[50.0, 0.0], [50.0, 0.0], [50.0, 1.0]]),
        mark=np.array([[10.0, np.nan], [10.25, 19.0], [10.5, 20.0]]),
        start_cash=1000.0,
        fills=Fills(
            session=np.array([0, 2]),
            asset=np.array([0, 1]),
            quantity=np.array([50.0, 1.0]),
            price=np.array([10.0, 20.0]),
            fee=np.array([0.0, 0.5]),
            slippage=np.array([0.0, 0.1]),
        ),
    )
    return dataclasses.replace(result, **changes)


@pytest.fixture
def store(tmp_path):
    return ObjectStore(tmp_path, durable=False)


def put(store, result):
    return {
        "run_id": "b/held",
        "status": "success",
        "series": store.put_table(series_columns(result)),
        "marks": store.put_table(marks_columns(result)),
    }


def test_the_columns_of_an_ordinary_result_are_few():
    assert list(series_columns(a_result())) == [
        "session",
        "nav",
        "cash",
        "flows",
        "quantity:AAA",
        "quantity:BRK.B",
    ]
    assert list(marks_columns(a_result())) == ["session", "mark:AAA", "mark:BRK.B"]


def test_an_ordinary_result_comes_back(store):
    result = a_result()
    back = read_series(store, put(store, result), verify=True)
    assert back.assets == result.assets
    for name in ("sessions", "nav", "cash", "flows", "quantity", "mark", "multiplier", "income", "splits"):
        np.testing.assert_array_equal(getattr(back, name), getattr(result, name), err_msg=name)
    np.testing.assert_array_equal(back.market_values, [[500.0, 0.0], [512.5, 0.0], [525.0, 20.0]])


def test_dividends_splits_and_contract_sizes_come_back_where_there_are_any(store):
    result = a_result(
        income=np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 3.5]]),
        splits=np.array([[1.0, 1.0], [2.0, 1.0], [1.0, 1.0]]),
        multiplier=np.array([1.0, 50.0]),
        flows=np.array([0.0, -25.0, 0.0]),
    )
    extra = set(series_columns(result)) - set(series_columns(a_result()))
    assert extra == {"income:BRK.B", "splits:AAA", "multiplier:BRK.B"}
    back = read_series(store, put(store, result))
    for name in ("flows", "income", "splits", "multiplier"):
        np.testing.assert_array_equal(getattr(back, name), getattr(result, name), err_msg=name)
    np.testing.assert_array_equal(back.market_values[2], [525.0, 1000.0])


def test_a_held_position_without_a_mark_has_no_market_value(store):
    result = a_result(quantity=np.array([[50.0, 7.0], [50.0, 0.0], [50.0, 1.0]]))
    assert np.isnan(read_series(store, put(store, result)).market_values[0, 1])


def test_runs_on_the_same_prices_share_their_marks(store):
    other = a_result(quantity=np.zeros((3, 2)), nav=np.full(3, 1000.0))
    first, second = put(store, a_result()), put(store, other)
    assert first["marks"] == second["marks"]
    assert first["series"] != second["series"]


def test_fills_come_back_with_their_dates_and_names(store):
    back = store.get_table(store.put_table(fills_columns(a_result())), verify=True)
    np.testing.assert_array_equal(back["session"], SESSIONS[[0, 2]])
    assert back["asset"].tolist() == ["AAA", "BRK.B"]
    assert back["fee"].tolist() == [0.0, 0.5]
    assert (
        store.get_table(store.put_table(fills_columns(a_result(fills=Fills.none()))))["asset"].tolist() == []
    )


def test_a_narrower_dtype_of_an_engine_is_recorded_as_float64(store):
    narrow = a_result(nav=np.array([1000, 1010, 1030], dtype=np.int32))
    assert store.put_table(series_columns(narrow)) == store.put_table(series_columns(a_result()))


def test_a_run_without_series_says_so(store):
    with pytest.raises(RegistryError, match=r"b/held recorded no series \(its status: failed\)"):
        read_series(store, {"run_id": "b/held", "status": "failed", "series": None, "marks": None})


def test_marks_of_other_sessions_are_not_mixed_in(store):
    record = put(store, a_result())
    record["marks"] = put(store, a_result(sessions=SESSIONS + np.timedelta64(1, "D")))["marks"]
    with pytest.raises(RegistryError, match="differ in sessions or assets"):
        read_series(store, record)


def test_a_table_that_is_no_series_is_named(store):
    record = put(store, a_result())
    record["series"] = record["marks"]
    with pytest.raises(RegistryError, match=f"'nav' is not a column of series {record['marks']}"):
        read_series(store, record)


def test_an_asset_named_twice_is_refused():
    with pytest.raises(RegistryError, match="twice: AAA"):
        series_columns(a_result(assets=("AAA", "AAA")))
