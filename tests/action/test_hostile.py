"""An annotation is one command to the runner, and shows what was said, whatever that was."""

from __future__ import annotations

import pytest

from pytest_finbot.cli.ci.annotate import Annotation
from tests.action.runner import CommandReader
from tests.reports.hostile import MESSAGES, SURROGATE

LONGEST_MESSAGE, LONGEST_TITLE = 2_000, 200


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def spelled(text: str) -> str:
    """What has no UTF-8 is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("said", [*MESSAGES, SURROGATE], ids=range(len(MESSAGES) + 1))
def test_what_was_said_is_shown_at_its_line_and_commands_nothing(said: str) -> None:
    printed = str(Annotation("error", said, said, file=f"a b,c:{said[:50]}.yaml", line=3))
    # The runner splits its input at these two alone.
    assert not {"\n", "\r"} & set(printed)
    reader = CommandReader()
    reader.read(printed)
    (found,) = reader.done
    assert found.name == "error"
    assert found.properties["line"] == "3"
    assert found.properties["file"] == spelled(f"a b,c:{said[:50]}.yaml")
    assert found.message.strip() == spelled(cut(said, LONGEST_MESSAGE)).strip()
    assert found.properties.get("title", "").strip() == spelled(cut(said, LONGEST_TITLE)).strip()
