"""GitLab's REST API: the notes of a merge request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_finbot.errors import ForgeError
from pytest_finbot.forges.comment import Comment
from pytest_finbot.forges.http import RestClient
from pytest_finbot.forges.token import Token

LONGEST_NOTE: Final = 65_536
"""Characters. GitLab would take a million, which nobody reads."""
TOKENS: Final = ("FINBOT_GITLAB_TOKEN", "GITLAB_TOKEN")


@dataclass(frozen=True, slots=True)
class MergeRequestRef:
    """``project`` is the id of the project that it wants to be merged into, ``fork`` whether from another."""

    project: int
    number: int
    fork: bool
    url: str


def merge_request_of(environment: Mapping[str, str]) -> MergeRequestRef | None:
    """The merge request that this pipeline is of, ``None`` where it is of none.

    In a pipeline that runs in a fork ``CI_PROJECT_ID`` is the fork, and the note's place is not there.
    Raises ForgeError for a variable that is no number.
    """
    if not environment.get("CI_MERGE_REQUEST_IID", "").strip():
        return None
    target = (
        "CI_MERGE_REQUEST_PROJECT_ID" if environment.get("CI_MERGE_REQUEST_PROJECT_ID") else "CI_PROJECT_ID"
    )
    project = _number(environment, target)
    source = environment.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "").strip()
    return MergeRequestRef(
        project=project,
        number=_number(environment, "CI_MERGE_REQUEST_IID"),
        fork=bool(source) and source != str(project),
        url=environment.get("CI_MERGE_REQUEST_PROJECT_URL", ""),
    )


def gitlab_token(environment: Mapping[str, str]) -> Token | None:
    """That of the first of ``TOKENS`` that is set. A job's own CI_JOB_TOKEN may not write notes."""
    for name in TOKENS:
        if environment.get(name, "").strip():
            return Token(environment[name], where=name, header="PRIVATE-TOKEN")
    return None


def gitlab_client(environment: Mapping[str, str], token: Token, **options: Any) -> RestClient:
    """A client of ``CI_API_V4_URL``. Raises ForgeError where that is not set."""
    base = environment.get("CI_API_V4_URL", "")
    if not base.strip():
        raise ForgeError("CI_API_V4_URL is not set; GitLab sets it in every job")
    # A GitLab inside a firm may have no TLS; its runners already speak to it at this very address.
    return RestClient(base, token, name="GitLab", plain_http=True, **options)


class MergeRequest:
    """The notes of a merge request; authors are told by their ids."""

    def __init__(self, client: RestClient, ref: MergeRequestRef) -> None:
        self._client = client
        self._page = f"{ref.url}/-/merge_requests/{ref.number}" if ref.url else ""
        self._notes = f"/projects/{ref.project}/merge_requests/{ref.number}/notes"

    def me(self) -> str:
        document = self._client.get("/user").document
        number = document.get("id") if isinstance(document, dict) else None
        if type(number) is not int:
            raise ForgeError("GitLab does not say whose the token is (GET /user)")
        return str(number)

    def comments(self) -> Iterator[Comment]:
        for item in self._client.pages(f"{self._notes}?sort=asc&order_by=created_at&per_page=100"):
            comment = self._comment(item)
            if item.get("system") is not True:
                yield comment

    def create(self, body: str) -> Comment:
        return self._comment(self._client.send("POST", self._notes, {"body": body}, again=False).document)

    def update(self, comment: Comment, body: str) -> Comment:
        return self._comment(self._client.send("PUT", f"{self._notes}/{comment.id}", {"body": body}).document)

    def wait(self, seconds: float, why: str) -> None:
        self._client.wait(seconds, why)

    def _comment(self, item: Any) -> Comment:
        number = item.get("id") if isinstance(item, dict) else None
        if type(number) is not int:
            raise ForgeError("GitLab answered with a note that has no id")
        author = item.get("author")
        whose = author.get("id") if isinstance(author, dict) else None
        body = item.get("body")
        return Comment(
            id=number,
            author=str(whose) if type(whose) is int else "",
            body=body if isinstance(body, str) else "",
            url=f"{self._page}#note_{number}" if self._page else "",
        )


def without_quick_actions(text: str) -> str:
    """``text`` with no line that GitLab takes for a command: ``/merge`` at a line's start is done as told.

    The token would be the one who says it. Code blocks are not taken for commands, but what is one is not
    for us to guess: each such line has a backslash before it.
    """
    lines = text.split("\n")
    return "\n".join(_unslashed(line) for line in lines)


def _unslashed(line: str) -> str:
    bare = line.lstrip(" \t\r\u00a0>")
    return f"{line[: len(line) - len(bare)]}\\{bare}" if bare.startswith("/") else line


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ForgeError(f"{name} is no number; GitLab sets it in a merge request's pipeline")
    return int(text)
