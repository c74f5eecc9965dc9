"""Names sort by time and say where a batch is."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.ids import batch_month, is_batch_id, new_batch_id, new_batch_ids, run_id

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))
CHANCE = st.binary(min_size=3, max_size=3)


def test_a_batch_is_named_by_its_second_in_utc():
    eastern = datetime(2026, 11, 21, 4, 15, 2, tzinfo=timezone(timedelta(hours=-5)))
    assert new_batch_id(eastern, b"\x3f\x9c\x1a") == "batch-20261121T091502Z-3f9c1a"


def test_the_month_is_that_of_the_id_in_utc():
    new_year = datetime(2026, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert batch_month(new_batch_id(new_year, b"abc")) == ("2027", "01")


@given(MOMENTS, MOMENTS, CHANCE, CHANCE)
def test_ids_sort_by_time(first, second, chance, other):
    if first.replace(microsecond=0) < second.replace(microsecond=0):
        assert new_batch_id(first, chance) < new_batch_id(second, other)


@given(MOMENTS, st.timedeltas(timedelta(milliseconds=4), timedelta(seconds=2)))
def test_ids_of_one_second_sort_by_time(first, later):
    assert new_batch_id(first) < new_batch_id(first + later)


@given(MOMENTS, CHANCE)
def test_what_is_made_is_recognised(now, chance):
    batch_id = new_batch_id(now, chance)
    assert is_batch_id(batch_id)
    assert batch_month(batch_id) == (f"{now.year:04}", f"{now.month:02}")


def test_two_batches_of_one_second_differ():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert new_batch_id(now) != new_batch_id(now)


def test_batches_that_begin_together_differ_and_sort_in_their_order():
    now = datetime(2026, 11, 21, 9, 15, 2, 999_999, tzinfo=UTC)
    ids = new_batch_ids(now, 2000)  # two of so many would be alike
    assert ids == sorted(set(ids))
    assert {batch_id[:-4] for batch_id in ids} == {"batch-20261121T091502Z-ff"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "last",
        "batch-20261121T091502Z-3f9c1",
        "batch-20261121T091502Z-3F9C1A",
        "batch-20261321T091502Z-3f9c1a",
        "batch-20260230T091502Z-3f9c1a",
        "batch-20261121T091502Z-3f9c1a\n",
        "../batch-20261121T091502Z-3f9c1a",
        "batch-\uff120261121T091502Z-3f9c1a",
    ],
)
def test_other_text_is_no_batch_and_never_becomes_a_path(text):
    assert not is_batch_id(text)
    with pytest.raises(RegistryError, match="is not a batch id"):
        batch_month(text)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        new_batch_id(datetime(2026, 1, 1))


def test_entropy_of_another_length_is_refused():
    with pytest.raises(ValueError, match="4 bytes, expected 3"):
        new_batch_id(datetime(2026, 1, 1, tzinfo=UTC), b"abcd")


def test_later_attempts_have_a_name_of_their_own():
    assert run_id("batch-x", "held") == "batch-x/held"
    assert run_id("batch-x", "held", 2) == "batch-x/held#2"
