"""A record survives JSON whole; what JSON has no word for is refused by name."""

import dataclasses
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.contracts import (
    CheckResult,
    ErrorCategory,
    ErrorInfo,
    PhaseResult,
    RunRecord,
    RunStatus,
    Verdict,
)
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.records import (
    envelope,
    record_from_json,
    record_head,
    record_to_json,
    seal,
    unseal,
)
from pytest_finbot.registry.segments import SegmentWriter, read_segment
from pytest_finbot.registry.strict_json import decode, encode

TEXT = st.text(st.characters(), max_size=20)  # surrogates too: file names can hold them
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(2**63), 2**63)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | NUMBER | TEXT,
    lambda child: st.lists(child, max_size=3) | st.dictionaries(TEXT, child, max_size=3),
    max_leaves=8,
)
ERRORS = st.builds(
    ErrorInfo, st.sampled_from(ErrorCategory), TEXT, TEXT, TEXT, st.none() | TEXT, st.booleans()
)
PHASES = st.builds(
    PhaseResult,
    TEXT,
    st.sampled_from(["success", "failed", "skipped"]),
    NUMBER,
    st.dictionaries(TEXT, WHOLE, max_size=2),
    st.none() | TEXT,
)
CHECKS = st.builds(
    CheckResult,
    TEXT,
    st.sampled_from(Verdict),
    TEXT,
    st.none() | NUMBER,
    st.none() | NUMBER,
    st.none() | TEXT,
    st.none() | TEXT,
)


def several(strategy):
    return st.lists(strategy, max_size=2).map(tuple)


FIELDS = {
    "run_id": TEXT,
    "batch_id": TEXT,
    "name": TEXT,
    "status": st.sampled_from(RunStatus),
    "attempt": st.integers(1, 9),
    "started_at": TEXT,
    "finished_at": TEXT,
    "seconds": NUMBER,
    "worker": TEXT,
    "fingerprint": st.dictionaries(TEXT, JSON, max_size=3),
    "error": st.none() | ERRORS,
    "phases": several(PHASES),
    "metrics": st.dictionaries(TEXT, st.none() | NUMBER | WHOLE | TEXT, max_size=3),
    "undefined_metrics": st.dictionaries(TEXT, TEXT, max_size=2),
    "checks": several(CHECKS),
    "warnings": several(TEXT),
    "rejected_orders": st.integers(0, 9),
    "counts": st.dictionaries(TEXT, WHOLE, max_size=2),
    "series": st.none() | TEXT,
    "fills": st.none() | TEXT,
    "marks": st.none() | TEXT,
    "tables": st.dictionaries(TEXT, st.dictionaries(TEXT, st.lists(NUMBER | TEXT, max_size=2)), max_size=2),
    "artifacts": several(TEXT),
    "seed": st.none() | WHOLE,
    "peak_rss": st.none() | WHOLE,
    "engine": TEXT,
    "strategy": TEXT,
    "bundle": TEXT,
    "start_date": TEXT,
    "end_date": TEXT,
    "tags": several(TEXT),
    "verdict": st.none() | st.sampled_from(Verdict),
    "comparison": st.none() | st.dictionaries(TEXT, JSON, max_size=3),
    "data_notes": st.dictionaries(TEXT, JSON, max_size=2),
    "mark_notes": st.dictionaries(TEXT, JSON, max_size=2),
    "books": st.dictionaries(TEXT, NUMBER, max_size=2),
    "timings": st.dictionaries(TEXT, NUMBER, max_size=2),
    "part": st.none() | st.dictionaries(TEXT, JSON, max_size=3),
    "native": st.dictionaries(TEXT, TEXT, max_size=1),
    "ladder": st.none() | st.builds(lambda nav: {"reference": "a", "steps": [{"final_nav": nav}]}, NUMBER),
    "compared_at": TEXT,
    "counted_against": st.none() | TEXT,
}
RECORDS = st.builds(RunRecord, **FIELDS)


def a_record(**changes):
    record = RunRecord(
        run_id="batch-20261121T091502Z-3f9c1a/held",
        batch_id="batch-20261121T091502Z-3f9c1a",
        name="held",
        status=RunStatus.SUCCESS,
        attempt=1,
        started_at="2026-11-21T09:15:02.000+00:00",
        finished_at="2026-11-21T09:15:03.000+00:00",
        seconds=1.0,
        worker="gw0",
    )
    return dataclasses.replace(record, **changes)


@given(RECORDS)
def test_a_record_survives_a_line_of_json(record):
    line = encode(envelope("run", record_to_json(record)), "record")
    assert b"\n" not in line
    assert record_from_json(decode(line)) == record


OF_A_FOLD = ("kind", "name", "status", "attempt", "finished_at", "compared_at", "verdict", "error")


@given(RECORDS)
def test_what_a_line_says_first_is_what_it_says(record):
    line = seal("run", record_to_json(record), "record")
    head, whole = record_head(line), unseal(line, "here")
    assert head is None or {key: head[key] for key in OF_A_FOLD} == {key: whole[key] for key in OF_A_FOLD}


def test_of_a_line_no_more_is_read_than_a_fold_needs():
    line = seal("run", record_to_json(a_record(metrics={str(number): 1.0 for number in range(500)})), "it")
    head = record_head(line)
    assert head is not None
    assert "metrics" not in head
    assert head["status"] == "success"


def test_wherever_what_is_read_first_ends_no_value_is_taken_that_is_cut_off():
    taken = 0
    for length in range(1_400, 2_000, 3):
        record = a_record(name="n" * length, attempt=987654321, verdict=Verdict.NOT_COMPARABLE)
        record = dataclasses.replace(record, error=ErrorInfo(ErrorCategory.DATA, "market_data", "E", "gap é"))
        line = seal("run", record_to_json(record), "it")
        head = record_head(line)
        if head is not None:
            taken += 1
            whole = unseal(line, "here")
            assert {key: head[key] for key in OF_A_FOLD} == {key: whole[key] for key in OF_A_FOLD}
    assert 0 < taken < 200, "both are met: lines whose head has room, and others"


def test_a_line_is_read_whole_where_it_does_not_say_first_what_a_fold_needs():
    line = seal("run", record_to_json(a_record()), "it")
    assert record_head(line) is not None
    assert record_head(line.replace(b'"attempt":1', b'"attempt":2')) is None  # changed since
    assert record_head(seal("crash", record_to_json(a_record()), "it")) is None
    assert (
        record_head(
            seal("run", dict(reversed(record_to_json(a_record(warnings=("w" * 2_000,))).items())), "it")
        )
        is None
    )
    said = record_to_json(a_record(verdict=Verdict.MOVED, fingerprint={"of": "what" * 500}))
    older = {field.name: said[field.name] for field in dataclasses.fields(RunRecord)}
    assert record_head(seal("run", older, "it")) is None
    late = {name: value for name, value in said.items() if name != "verdict"} | {"verdict": "moved"}
    assert record_head(seal("run", late, "it")) is None
    failed = a_record(error=ErrorInfo(ErrorCategory.DATA, "market_data", "E", "gap" * 2_000))
    assert record_head(seal("run", record_to_json(failed), "it")) is None


def test_every_field_of_a_record_is_among_those_that_survive():
    assert FIELDS.keys() == {field.name for field in dataclasses.fields(RunRecord)}


def test_a_record_is_plain_json_values():
    record = a_record(error=ErrorInfo(ErrorCategory.DATA, "market_data", "DataError", "gap"), tags=("core",))
    value = record_to_json(record)
    assert type(value["error"]["category"]) is str
    assert value["tags"] == ["core"]
    assert json.loads(json.dumps(value)) == value


def test_keys_of_later_writers_do_no_harm():
    value = record_to_json(a_record(phases=(PhaseResult("marks", "success", 0.1),)))
    value["mood"] = "sunny"
    value["phases"][0]["colour"] = "blue"
    assert record_from_json(value) == a_record(phases=(PhaseResult("marks", "success", 0.1),))


def test_fields_that_an_earlier_writer_did_not_know_take_their_defaults():
    value = record_to_json(a_record(engine="portfolio"))
    del value["engine"], value["tags"], value["checks"]
    assert record_from_json(value) == a_record()


def test_a_newer_record_is_refused():
    with pytest.raises(RegistryError, match=r"held.*version 3.*reads up to 2; upgrade pytest-finbot"):
        record_from_json({**envelope("run", record_to_json(a_record())), "v": 3})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "great"}, "great"),
        ({"error": {"category": "mood"}}, "mood"),
        ({"checks": [{"name": "x", "verdict": "hm"}]}, "hm"),
        ({"phases": [{"name": "x"}]}, "status"),
        ({"error": {"phase": "x"}}, "has no 'category'"),
    ],
)
def test_a_damaged_record_is_refused_by_name(change, words):
    with pytest.raises(RegistryError, match="held") as refused:
        record_from_json({**record_to_json(a_record()), **change})
    assert words in str(refused.value)


def test_a_record_without_its_status_is_refused():
    value = record_to_json(a_record())
    del value["status"]
    with pytest.raises(RegistryError, match="has no 'status'"):
        record_from_json(value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metrics": {"final_nav": 1.0, "sharpe": float("nan")}}, "metrics.sharpe is nan"),
        ({"seconds": float("inf")}, "seconds is inf"),
        ({"checks": (CheckResult("nav", Verdict.WITHIN, value=-float("inf")),)}, "checks[0].value is -inf"),
        ({"metrics": {"trades": np.int64(3)}}, "metrics.trades is of type int64"),
        ({"fingerprint": {"code": {"modules": {1}}}}, "fingerprint.code.modules is of type set"),
    ],
)
def test_what_json_cannot_say_is_refused_before_anything_is_written(tmp_path, change, words):
    writer = SegmentWriter(tmp_path / "gw0-1.jsonl")
    writer.append("run", record_to_json(a_record()))
    with pytest.raises(RegistryError, match="run of held cannot be recorded") as refused:
        writer.append("run", record_to_json(a_record(**change)))
    assert words in str(refused.value)
    writer.append("run", record_to_json(a_record(name="next")))
    problems = []
    names = [line.value["name"] for line in read_segment(tmp_path / "gw0-1.jsonl", problems)]
    assert (names, problems) == (["held", "next"], [])


def test_keys_that_are_no_text_are_refused():
    with pytest.raises(RegistryError, match="key 2020"):
        record_to_json(a_record(fingerprint={"data": {2020: "ab"}}))


def test_a_payload_cannot_disguise_its_line():
    with pytest.raises(ValueError, match="'v' or 'kind'"):
        envelope("start", {"kind": "run"})


def test_a_line_is_sealed_and_comes_back_without_its_seal():
    raw = seal("start", {"name": "ü"}, "a line")
    assert raw == b'{"v":2,"kind":"start","name":"\xc3\xbc","crc":"%08x"}\n' % zlib.crc32(
        '{"v":2,"kind":"start","name":"ü"}'.encode()
    )
    assert unseal(raw, "here") == {"v": 2, "kind": "start", "name": "ü"}


def test_a_line_of_the_first_version_has_no_seal_and_is_read():
    assert unseal(b'{"v":1,"kind":"start","name":"a"}\n', "here") == {"v": 1, "kind": "start", "name": "a"}


@given(RECORDS, st.data())
def test_any_byte_that_changed_is_noticed(record, data):
    raw = seal("run", record_to_json(record), "record")
    place = data.draw(st.integers(0, len(raw) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[place] and byte != ord("\n")))
    changed = raw[:place] + bytes([byte]) + raw[place + 1 :]
    with pytest.raises((ValueError, RegistryError)):
        unseal(changed, "here")


def test_a_records_text_is_what_its_line_says_without_envelope_and_tables():
    import json

    from pytest_finbot.registry.records import record_text

    record = {"name": "a", "metrics": {"sharpe": 0.1}, "said": 'x","tables":{}'}
    text = record_text(seal("run", {**record, "tables": {}}, "it"))
    assert text is not None
    assert json.loads(text) == record
    # With tables, of another kind, or without a checksum it has to be read.
    assert record_text(seal("run", {**record, "tables": {"nav": {"nav": [1.0]}}}, "it")) is None
    assert record_text(seal("crash", {**record, "tables": {}}, "it")) is None
    assert record_text(b'{"v":1,"kind":"run","name":"a","tables":{}}\n') is None
