"""A comment and a note that are hostile in every word: our marker, our form, and no order to anybody."""

from __future__ import annotations

import re

import pytest

from pytest_finbot.forges.body import body_of
from pytest_finbot.forges.comment import marker
from pytest_finbot.forges.gitlab import without_quick_actions
from tests.reports.hostile import NAMES, SURROGATE
from tests.reports.rendered import Rendered
from tests.reports.test_markdown import replaced, rich

MARK = marker("example")
BENIGN = Rendered(body_of(replaced(rich(), "calm"), MARK, limit=10**6))


@pytest.mark.parametrize("said", [*NAMES[:-2], SURROGATE], ids=range(len(NAMES) - 1))
def test_words_of_others_are_no_marker_and_no_order(said: str) -> None:
    report = replaced(rich(said), said)
    comment = body_of(report, MARK, limit=10**6)
    first, *others = comment.split("\n")
    assert first == MARK
    assert "<!-- pytest-finbot" not in "\n".join(others)
    page = Rendered(comment)
    assert page.skeleton == BENIGN.skeleton
    assert page.found_later() == []

    note = body_of(report, MARK, limit=10**6, safe=without_quick_actions)
    assert note.split("\n")[0] == MARK
    assert not re.search(r"^[\s>]*/", note, re.MULTILINE)
    told = Rendered(note)
    assert told.skeleton == BENIGN.skeleton
    assert told.found_later() == []


@pytest.mark.parametrize("limit", [65_536, 4_000])
def test_whatever_is_said_it_has_room(limit: int) -> None:
    for said in ("|" * 20_000, "<" * 20_000, "/merge\n" * 2_000):
        report = replaced(rich(), said)
        assert len(body_of(report, MARK, limit=limit)) <= limit
        assert len(body_of(report, MARK, limit=limit, safe=without_quick_actions)) <= limit
