"""A job that allocates without end fails by itself, and what happened can be told."""

import os
import resource
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.pipeline.isolation import Child, current_data, limits, memory_bound, memory_limit_available

pytestmark = pytest.mark.skipif(memory_limit_available() is not None, reason=str(memory_limit_available()))

MIB = 1 << 20


def grow_a_list():
    values = []
    while True:
        values.append(len(values))


def one_block():
    return bytes(200 * MIB)


def grow_bytes():
    kept = []
    while True:
        kept.append(b"x" * (MIB + len(kept)))


def an_array():
    return np.ones(25 * MIB)


def many_arrays():
    kept = []
    while True:
        kept.append(np.ones(1000))


def grow_a_dict():
    values = {}
    while True:
        values[len(values)] = None


def a_frame():
    frame = pd.DataFrame({"close": np.arange(100_000.0)})
    while True:
        frame = pd.concat([frame, frame], ignore_index=True)


def in_a_child(work):
    child = Child(lambda job, say: str(work()).encode())
    ended = child.run(b"", said=lambda message: None, timeout=20)
    child.close()
    assert ended.how == "finished", ended.stack or ended.output.stderr
    return ended.value.decode()


@pytest.mark.parametrize(
    "greedy", [grow_a_list, one_block, grow_bytes, an_array, many_arrays, grow_a_dict, a_frame]
)
def test_what_allocates_beyond_the_bound_gets_a_memory_error_and_can_say_so(greedy):
    def work():
        before = resource.getrlimit(resource.RLIMIT_DATA)
        try:
            with memory_bound(64 * MIB):
                greedy()
        except MemoryError as error:
            kept = np.ones(10 * MIB)  # the bound is gone, though the error still holds what was allocated
            assert resource.getrlimit(resource.RLIMIT_DATA) == before
            return f"{error.__traceback__.tb_next.tb_frame.f_code.co_name} {len(kept)}"
        return "no error"

    assert in_a_child(work) == f"{greedy.__name__} {10 * MIB}"


def test_within_the_bound_nothing_happens():
    def work():
        with memory_bound(200 * MIB):
            return len(np.ones(10 * MIB))

    assert in_a_child(work) == str(10 * MIB)


def test_the_bound_counts_from_what_the_process_holds():
    def work():
        kept = np.ones(25 * MIB)
        before = current_data()
        with memory_bound(64 * MIB):
            bound, hard = resource.getrlimit(resource.RLIMIT_DATA)
            kept[:] = 2
        assert before >= kept.nbytes
        assert hard == resource.getrlimit(resource.RLIMIT_DATA)[1]
        return abs(bound - before - 64 * MIB) <= MIB

    assert in_a_child(work) == "True"


def test_a_tighter_limit_of_the_machine_stays():
    def work():
        tight = current_data() + 32 * MIB
        resource.setrlimit(resource.RLIMIT_DATA, (tight, tight))
        with memory_bound(64 * MIB):
            inside = resource.getrlimit(resource.RLIMIT_DATA)
        assert resource.getrlimit(resource.RLIMIT_DATA) == (tight, tight)
        return inside == (tight, tight)

    assert in_a_child(work) == "True"


def test_without_a_limit_nothing_is_set():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_bound(None):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_where_there_is_no_such_limit_it_says_why(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(limits, "sys", SimpleNamespace(platform="darwin"))
        assert memory_limit_available() == "a memory limit needs Linux, and this is darwin"
    with monkeypatch.context() as patch:
        patch.setattr(os, "uname", lambda: SimpleNamespace(release="4.4.0-generic"))
        assert (
            memory_limit_available() == "a memory limit needs Linux 4.7 or later, and this is 4.4.0-generic"
        )
    with monkeypatch.context() as patch:
        patch.setattr(limits, "_STATUS", "/nowhere/status")
        assert "/nowhere/status, which cannot be read" in memory_limit_available()
