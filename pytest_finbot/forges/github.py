"""GitHub's REST API: the comments of a pull request, who we are, and whose pull request a commit is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from pytest_finbot.errors import ForgeError
from pytest_finbot.forges.comment import Comment
from pytest_finbot.forges.http import RefusedError, RestClient
from pytest_finbot.forges.said import one_line
from pytest_finbot.forges.token import Token

API: Final = "https://api.github.com"
LONGEST_COMMENT: Final = 65_536
"""Characters."""
BOT: Final = "github-actions[bot]"
"""Whom comments with a job's own GITHUB_TOKEN are by."""
HEADERS: Final = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_ADDRESS: Final = re.compile(r"https?://[!#-;=?-Z_a-z~%]{1,500}")


class NoPullRequestError(ForgeError):
    """There is no open pull request that a result belongs to, or no longer."""


class MovedOnError(NoPullRequestError):
    """The pull request has another commit by now, of which another run tells."""


def github_client(environment: Mapping[str, str], **options: Any) -> RestClient:
    """A client by ``GITHUB_TOKEN`` and ``GITHUB_API_URL``. Raises ForgeError where there is no token."""
    text = environment.get("GITHUB_TOKEN", "")
    if not text.strip():
        raise ForgeError("GITHUB_TOKEN is not set; in a workflow: env: GITHUB_TOKEN: ${{ github.token }}")
    token = Token(text, where="GITHUB_TOKEN", header="Authorization", scheme="Bearer ")
    base = environment.get("GITHUB_API_URL") or API
    return RestClient(base, token, name="GitHub", headers=HEADERS, **options)


def checked_repository(name: Any, where: str) -> str:
    """``owner/name`` fit for a path. Raises ForgeError that says ``where`` it stands."""
    if isinstance(name, str) and _REPOSITORY.fullmatch(name) and ".." not in name.split("/"):
        return name
    shown = one_line(name) if isinstance(name, str) else type(name).__name__
    raise ForgeError(f"{where} is no repository: {shown!r}; expected OWNER/NAME")


class PullRequest:
    """The comments of pull request ``number`` of ``repository`` (``owner/name``).

    ``author``: whom our comments are by, found out where not given. ``graphql``: address of the
    GraphQL API, which alone knows that for a token of a GitHub App.
    """

    def __init__(
        self, client: RestClient, repository: str, number: int, *, author: str = "", graphql: str = ""
    ) -> None:
        self._client, self._author, self._graphql = client, author, graphql
        self._repository = f"/repos/{repository}"
        self._comments = f"{self._repository}/issues/{number}/comments"

    def me(self) -> str:
        """The login that the token's comments have.

        A personal token is asked by ``GET /user``. An installation's token, such as a job's own, is
        refused that; GraphQL's ``viewer`` tells it. Where neither does, it is taken for a job's own.
        """
        if not self._author:
            self._author = self._user() or self._viewer() or BOT
        return self._author

    def comments(self) -> Iterator[Comment]:
        for item in self._client.pages(f"{self._comments}?per_page=100"):
            yield _comment(item)

    def create(self, body: str) -> Comment:
        return _comment(self._client.send("POST", self._comments, {"body": body}, again=False).document)

    def update(self, comment: Comment, body: str) -> Comment:
        path = f"{self._repository}/issues/comments/{comment.id}"
        return _comment(self._client.send("PATCH", path, {"body": body}).document)

    def wait(self, seconds: float, why: str) -> None:
        self._client.wait(seconds, why)

    def _user(self) -> str:
        try:
            document = self._client.get("/user").document
        except RefusedError as error:
            if error.status not in (403, 404):
                raise
            return ""
        return _text(document, "login")

    def _viewer(self) -> str:
        if not self._graphql:
            return ""
        try:
            reply = self._client.send("POST", self._graphql, {"query": "query { viewer { login } }"})
        except ForgeError:
            # Servers without GraphQL for such tokens: the usual author is as good a guess.
            return ""
        return _text(reply.document, "data", "viewer", "login")


def find_pull_request(
    client: RestClient, repository: str, *, head_repository: str, branch: str, sha: str
) -> int:
    """The number of the one open pull request to ``repository`` whose head is ``sha`` of ``branch``.

    Raises MovedOnError where it has moved on from ``sha``, NoPullRequestError where there is none and where
    there are several, to branches of their own: the result is of one of them, and does not tell of which.
    """
    owner = head_repository.partition("/")[0]
    head = quote(f"{owner}:{branch}", safe="")
    source = f"{head_repository}, branch {one_line(branch)}"
    theirs = [
        item
        for item in client.pages(f"/repos/{repository}/pulls?state=open&head={head}&per_page=100")
        if _text(item, "head", "repo", "full_name").casefold() == head_repository.casefold()
        and _text(item, "base", "repo", "full_name").casefold() == repository.casefold()
        and _text(item, "head", "ref") == branch
        and _text(item, "state") == "open"
    ]
    if not theirs:
        raise NoPullRequestError(f"there is no open pull request to {repository} from {source}")
    heads = sorted({_text(item, "head", "sha") for item in theirs})
    at_it = [item["number"] for item in theirs if _text(item, "head", "sha") == sha]
    if not at_it:
        raise MovedOnError(
            f"the pull request from {source} is no longer at {sha[:12]} but at "
            f"{', '.join(one_line(head)[:12] for head in heads)}: its newer run tells of that"
        )
    if len(at_it) > 1:
        numbers = ", ".join(f"#{number}" for number in at_it)
        raise NoPullRequestError(
            f"{source} is the head of {len(at_it)} open pull requests ({numbers}): "
            "which one the result is of cannot be told"
        )
    number = at_it[0]
    if type(number) is not int or number < 1:
        raise ForgeError("GitHub lists a pull request without a number")
    return number


def _comment(item: Any) -> Comment:
    number = item.get("id") if isinstance(item, dict) else None
    if type(number) is not int:
        raise ForgeError("GitHub answered with a comment that has no id")
    url = _text(item, "html_url")
    return Comment(
        id=number,
        author=_text(item, "user", "login"),
        body=_text(item, "body"),
        url=url if _ADDRESS.fullmatch(url) else "",
    )


def _text(document: Any, *keys: str) -> str:
    """The text at a path of keys, empty where there is none: deleted users and forks are null."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, str) else ""
