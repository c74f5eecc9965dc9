"""Row counts that fail nothing are told all the same."""

from pytest_finbot.baselines.previous import NO_EARLIER
from pytest_finbot.reports.coverage_facts import CoverageTally


def notes(*checks):
    tally = CoverageTally()
    records = [
        {"name": f"run{n}", "checks": [{"name": "coverage", **check}]} for n, check in enumerate(checks)
    ]
    for record in records:
        tally.add(record)
    return list(tally.notes())


def test_less_with_a_reason_is_told_with_the_first_of_it():
    less = {"verdict": "within", "message": "fewer than in batch x: 3 → 2 fills, because the code changed"}
    assert notes(less, {"verdict": "within"}, less) == [
        "coverage: 2 runs have fewer rows than before; the first is run0: fewer than in batch x: "
        "3 → 2 fills, because the code changed"
    ]


def test_what_could_not_be_counted_is_told_by_reason():
    why = {"verdict": "skipped", "message": "none of the newest 200 batches has a result of it"}
    assert notes(why, why) == [
        "coverage: 2 runs have not been counted against anything: none of the newest 200 batches has a "
        "result of it"
    ]


def test_a_first_result_and_what_was_switched_off_need_no_words():
    assert (
        notes(
            {"verdict": "skipped", "message": NO_EARLIER},
            {"verdict": "skipped", "message": "switched off (checks.coverage)"},
            {"verdict": "identical"},
        )
        == []
    )


def test_a_manifest_that_cannot_be_read_is_worth_a_word():
    said = {"verdict": "skipped", "message": f"{NO_EARLIER}; batch-x cannot be read"}
    assert len(notes(said)) == 1
