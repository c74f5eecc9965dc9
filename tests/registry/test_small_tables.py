"""A table is named by its values, whether it travels in the record or lies beside it."""

import json

import numpy as np
import pytest

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.objects import ObjectStore
from pytest_finbot.registry.small_tables import SMALL, get_table, keep_table


@pytest.fixture
def store(tmp_path):
    return ObjectStore(tmp_path / "series", durable=False)


def fills(rows, **changes):
    return {
        "session": np.arange(rows).astype("datetime64[D]"),
        "asset": np.array([f"A{n % 3}" for n in range(rows)], dtype=object),
        "quantity": np.linspace(-1.0, 1.0, rows) / 3,
        **changes,
    }


def keep(store, columns):
    """A record that names the table, through JSON and back."""
    small = {}
    digest = keep_table(store, "fills", columns, small)
    return json.loads(json.dumps({"run_id": "b/held", "status": "success", "fills": digest, "tables": small}))


@pytest.mark.parametrize(
    "columns",
    [
        fills(0),
        fills(1),
        fills(SMALL // 3),
        fills(SMALL // 3 + 1),
        fills(4, quantity=np.array([1.0, np.nan, 0.1 + 0.2, -0.0])),
        fills(2, quantity=np.array([np.inf, 5e-324])),
    ],
)
def test_a_table_comes_back_alike_from_both_places(store, columns):
    record = keep(store, columns)
    back = get_table(store, record, "fills", verify=True)
    assert list(back) == list(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(back[name], values)
        assert back[name].dtype == values.dtype
    assert record["fills"] == store.put_table(columns)


def test_only_small_tables_that_json_can_say_travel_in_the_record(store):
    assert "fills" in keep(store, fills(SMALL // 3))["tables"]
    assert keep(store, fills(SMALL // 3 + 1))["tables"] == {}
    assert keep(store, fills(2, quantity=np.array([np.nan, 1.0])))["tables"] == {}


def test_a_small_table_makes_no_file(store, tmp_path):
    keep(store, fills(5))
    assert not (tmp_path / "series").exists()


def test_a_changed_table_is_found_when_asked(store):
    record = keep(store, fills(3))
    record["tables"]["fills"]["quantity"][0] = 7.0
    get_table(store, record, "fills")
    with pytest.raises(RegistryError, match="run b/held: its fills are not those of the hash"):
        get_table(store, record, "fills", verify=True)


def test_a_record_of_an_earlier_writer_has_no_small_tables(store):
    record = {"run_id": "b/held", "fills": store.put_table(fills(3))}
    assert len(get_table(store, record, "fills")["asset"]) == 3
    with pytest.raises(RegistryError, match="recorded no series"):
        get_table(store, record, "series")
