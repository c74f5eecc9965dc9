"""JSON over HTTP with a token: retries, pages, and no way for the token out but to where it belongs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

from pytest_finbot.errors import ForgeError
from pytest_finbot.forges.pacing import asked_to_wait, pause_before
from pytest_finbot.forges.said import one_line, said_by
from pytest_finbot.forges.token import Token

if TYPE_CHECKING:
    from urllib.request import OpenerDirector, Request

TIMEOUT: Final = 20.0
"""Seconds without a byte."""
PATIENCE: Final = 150.0
"""Seconds that one client waits in all, for rate limits and for servers in trouble."""
LARGEST_ANSWER: Final = 48 * 2**20
"""Bytes. A page has at most 100 comments of 65,536 characters, and JSON may spell each with six bytes."""
MOST_PAGES: Final = 200
_ATTEMPTS: Final = 5
_HOPS: Final = 3
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class RefusedError(ForgeError):
    """The forge answered, and the answer is no. ``status`` is HTTP's, ``said`` the server's own words."""

    def __init__(self, message: str, *, status: int, said: str = "") -> None:
        self.status, self.said = status, said
        super().__init__(message)


class UnsureError(ForgeError):
    """What was sent may have been done or not: the answer was lost, or the server failed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of 2xx. ``headers`` by lower-case name; ``document`` is None where the body is empty."""

    status: int
    headers: Mapping[str, str]
    document: Any


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes


class RestClient:
    """Speaks to one REST API below ``base``; the token goes to that origin and nowhere else.

    ``name`` is what messages call it. ``sleep`` and ``now`` (seconds, Unix time) are there to be
    replaced. Raises ForgeError where ``base`` is nothing that a token may be sent to.
    """

    def __init__(
        self,
        base: str,
        token: Token,
        *,
        name: str,
        headers: Mapping[str, str] | None = None,
        plain_http: bool = False,
        sleep: Callable[[float], None] | None = None,
        now: Callable[[], float] | None = None,
        patience: float = PATIENCE,
        timeout: float = TIMEOUT,
    ) -> None:
        self._base = base.strip().rstrip("/")
        self._origin = _origin(_checked_base(self._base, plain_http=plain_http))
        self._token, self._name = token, name
        self._headers = {"Accept": "application/json", "User-Agent": "pytest-finbot", **(headers or {})}
        self._sleep, self._now = sleep or time.sleep, now or time.time
        self._left, self._timeout = patience, timeout
        self._opener: OpenerDirector | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._base}>"

    # --------------------------------------------------------------------------- questions

    def get(self, path: str) -> Reply:
        """``path``, here and below: below the base (it begins with ``/``), or an address at its origin."""
        return self._ask("GET", self._at(path), None, again=True)

    def send(self, method: str, path: str, document: Any, *, again: bool = True) -> Reply:
        """``document`` as JSON. ``again``: it may be sent twice, as nothing comes of it twice.

        Where it may not, and what became of it is not known, raises UnsureError.
        """
        return self._ask(method, self._at(path), json.dumps(document).encode(), again=again)

    def pages(self, path: str) -> Iterator[Any]:
        """The items of a list, page after page as the ``Link`` headers lead."""
        url: str | None = self._at(path)
        for _ in range(MOST_PAGES):
            assert url is not None
            reply = self._ask("GET", url, None, again=True)
            if not isinstance(reply.document, list):
                raise ForgeError(
                    f"{self._name} answered GET {self._short(url)} with something else than a list"
                )
            yield from reply.document
            url = self._next(reply.headers.get("link", ""), url)
            if url is None:
                return
        raise ForgeError(f"{self._name}: GET {self._short(path)} has more than {MOST_PAGES} pages")

    def wait(self, seconds: float, why: str) -> None:
        """Sleeps, within what patience is left. Raises ForgeError with ``why`` where none is."""
        if seconds > self._left:
            raise ForgeError(
                f"{why}; it would take {seconds:,.0f} s more, and {self._left:,.0f} s are left to wait"
            )
        self._left -= seconds
        self._sleep(seconds)

    # --------------------------------------------------------------------------- the wire

    def _ask(self, method: str, url: str, body: bytes | None, *, again: bool) -> Reply:
        attempt, hops = 0, 0
        while True:
            what = f"{method} {self._short(url)}"
            attempt += 1
            answer, trouble = self._once(method, url, body)
            if answer is None or answer.status >= 500:
                why = trouble or f"{self._name} answered {answer.status if answer else 0} to {what}"
                if not again:
                    raise UnsureError(why)
                if attempt == _ATTEMPTS:
                    raise ForgeError(f"{why}, {_ATTEMPTS} times")
                self.wait(pause_before(attempt, answer.headers if answer else {}, self._now()), why)
                continue
            if 300 <= answer.status < 400:
                hops += 1
                url = self._redirected(method, url, answer, hops)
                continue
            reply = self._decoded(answer, what)
            if 200 <= answer.status < 300:
                return reply
            said = self._clean(said_by(reply.document))
            why = f"{self._name} answered {answer.status} to {what}" + (f": {said}" if said else "")
            pause = asked_to_wait(answer.status, answer.headers, said, self._now())
            if pause is None:
                raise RefusedError(why, status=answer.status, said=said)
            if attempt == _ATTEMPTS:
                raise ForgeError(f"{why} (a rate limit, {_ATTEMPTS} times)")
            self.wait(pause, f"{why} (a rate limit)")

    def _once(self, method: str, url: str, body: bytes | None) -> tuple[_Answer | None, str]:
        """An answer, or why there is none."""
        from http.client import HTTPException

        what = f"{method} {self._short(url)}"
        try:
            with self._open().open(self._request(method, url, body), timeout=self._timeout) as response:
                headers = {key.lower(): value for key, value in response.headers.items()}
                raw = response.read(LARGEST_ANSWER + 1)
                status = int(response.status)
        except (OSError, HTTPException) as error:  # URLError and time-outs are OSErrors
            reason = getattr(error, "reason", None) or error
            return None, f"{self._name} cannot be reached for {what}: {self._clean(str(reason))}"
        if len(raw) > LARGEST_ANSWER:
            raise ForgeError(f"{self._name} answered {what} with more than {LARGEST_ANSWER:,} bytes")
        return _Answer(status, headers, raw), ""

    def _request(self, method: str, url: str, body: bytes | None) -> Request:
        from urllib.request import Request

        # The last line of defence: whatever led here, a token never goes to another origin.
        if _origin(urlsplit(url)) != self._origin:
            raise ForgeError(f"{self._name}: {self._clean(url)} is not at {self._base}; it is not asked")
        request = Request(url, data=body, method=method)  # noqa: S310 - http(s) only, held above
        for header, value in self._headers.items():
            request.add_header(header, value)
        if body is not None:
            request.add_header("Content-Type", "application/json; charset=utf-8")
        request.add_unredirected_header(*self._token.header())
        return request

    def _open(self) -> OpenerDirector:
        """Proxies as the environment has them; no redirects, no files, and any status is an answer."""
        from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler

        if self._opener is None:
            self._opener = OpenerDirector()
            for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
                self._opener.add_handler(handler)
        return self._opener

    def _redirected(self, method: str, url: str, answer: _Answer, hops: int) -> str:
        """Where to ask again, the same way: only at this origin, and what was sent never becomes a GET."""
        what = f"{self._name} redirects {method} {self._short(url)} ({answer.status})"
        target = urljoin(url, answer.headers.get("location", ""))
        if not answer.headers.get("location"):
            raise ForgeError(f"{what} without saying where to")
        if _origin(_split(target)) != self._origin:
            host = self._clean(_split(target).netloc.rpartition("@")[2])
            raise ForgeError(f"{what} to another host, {host}: not followed, as the token is not for it")
        if method != "GET" and answer.status not in (307, 308):
            raise ForgeError(f"{what}, by which what was sent would be lost: has the repository a new name?")
        if hops > _HOPS:
            raise ForgeError(f"{what} once more: more than {_HOPS} times")
        return target

    def _next(self, link: str, url: str) -> str | None:
        """The address of the next page by a ``Link`` header. Raises ForgeError where it is elsewhere."""
        for part in link.split("<")[1:]:
            target, _, parameters = part.partition(">")
            for parameter in parameters.split(";"):
                key, _, value = parameter.strip(" ,").partition("=")
                if key.strip().lower() == "rel" and "next" in value.strip(' "').lower().split():
                    found = urljoin(url, target.strip())
                    if _origin(_split(found)) != self._origin:
                        host = self._clean(_split(found).netloc.rpartition("@")[2])
                        raise ForgeError(f"{self._name}: the next page of {self._short(url)} is at {host}")
                    return found
        return None

    def _decoded(self, answer: _Answer, what: str) -> Reply:
        document: Any = None
        if answer.raw:
            try:
                document = json.loads(answer.raw.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                # What is no JSON is no news where the status says enough.
                if 200 <= answer.status < 300:
                    raise ForgeError(f"{self._name} answered {what} with something else than JSON") from error
        return Reply(answer.status, answer.headers, document)

    def _at(self, path: str) -> str:
        return self._base + path if path.startswith("/") else path

    def _short(self, url: str) -> str:
        return self._clean(url.removeprefix(self._base).partition("?")[0])

    def _clean(self, text: str) -> str:
        return one_line(self._token.hidden(text))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ForgeError(f"not an address: {one_line(url)}") from error


def _origin(url: SplitResult) -> tuple[str, str, int | None]:
    try:
        port = url.port
    except ValueError:
        return url.scheme, url.netloc, None
    return url.scheme, (url.hostname or ""), port or {"https": 443, "http": 80}.get(url.scheme)


def _checked_base(base: str, *, plain_http: bool) -> SplitResult:
    url = _split(base)
    shown = one_line(base.rpartition("@")[2])
    if url.scheme not in ("https", "http") or not url.hostname:
        raise ForgeError(f"not the address of an API: {shown}; expected https://HOST[/PATH]")
    if url.username is not None or url.query or url.fragment:
        raise ForgeError(f"the address of an API has no user, query or fragment: {shown}")
    if url.scheme == "http" and not plain_http and url.hostname not in _LOOPBACK:
        raise ForgeError(f"{shown} is not encrypted: no token is sent there; expected https://…")
    return url
