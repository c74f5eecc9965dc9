"""The client: what it waits for, whom it follows, and to whom it gives the token."""

import copy
import pickle
from collections import deque

import pytest
from werkzeug import Response

from pytest_finbot.errors import ForgeError
from pytest_finbot.forges import http
from pytest_finbot.forges.http import RefusedError, RestClient, UnsureError
from pytest_finbot.forges.pacing import asked_to_wait
from pytest_finbot.forges.said import one_line, said_by
from pytest_finbot.forges.token import Token
from tests.forges.fakes import GITHUB_TOKEN, Forge, answer

NOW = 1_700_000_000.0


class Echo(Forge):
    def route(self, request, what):
        return answer({"what": what, "body": request.get_data().decode()})


@pytest.fixture
def forge(server):
    return Echo(server)


@pytest.fixture
def elsewhere(servers):
    """Another origin, where no token may arrive."""
    return Echo(servers[1])


@pytest.fixture
def client(forge, slept):
    token = Token(GITHUB_TOKEN, where="GITHUB_TOKEN", header="Authorization", scheme="Bearer ")
    return RestClient(forge.url, token, name="GitHub", now=lambda: NOW)


def redirect(status, to):
    return Response("", status, {"Location": to})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_no_redirect_leads_to_another_host(client, forge, elsewhere, method, status):
    for to in (f"{elsewhere.url}/x", f"//127.0.0.1:{elsewhere.server.port}/x", "file:///etc/passwd"):
        forge.fail(".*", redirect(status, to))
        with pytest.raises(ForgeError, match="another host") as raised:
            client.get("/a") if method == "GET" else client.send(method, "/a", {})
        assert GITHUB_TOKEN not in str(raised.value)
    assert elsewhere.asked == []


def test_nor_does_a_user_in_the_address_look_like_the_host(client, forge, elsewhere):
    host = forge.url.removeprefix("http://")
    forge.fail(".*", redirect(307, f"http://{host}@127.0.0.1:{elsewhere.server.port}/x"))
    with pytest.raises(ForgeError, match="another host"):
        client.get("/a")
    assert elsewhere.asked == []


@pytest.mark.parametrize("status", [307, 308])
def test_on_the_same_host_what_was_sent_is_sent_again(client, forge, status):
    forge.fail("POST /a", redirect(status, "/b"))
    assert client.send("POST", "/a", {"x": 1}).document == {"what": "POST /b", "body": '{"x": 1}'}
    assert forge.asked[-1][1]["Authorization"] == f"Bearer {GITHUB_TOKEN}"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_what_was_sent_never_becomes_a_get(client, forge, status):
    forge.fail("POST /a", redirect(status, "/b"))
    with pytest.raises(ForgeError, match="would be lost"):
        client.send("POST", "/a", {})
    assert forge.count("GET .*") == 0


def test_redirects_end(client, forge):
    forge.fail("GET .*", *[redirect(302, "/a")] * 9)
    with pytest.raises(ForgeError, match="more than 3 times"):
        client.get("/a")


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (403, {"Retry_After": 7}, 7),
        (429, {"Retry_After": 7}, 7),
        (429, {"Retry_After": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10),
        (403, {"X_RateLimit_Remaining": 0, "X_RateLimit_Reset": int(NOW) + 20}, 21),
        (403, {"X_RateLimit_Remaining": 0, "X_RateLimit_Reset": int(NOW) - 20}, 1),
        (429, {}, 60),
        (429, {"Retry_After": "soon"}, 60),
        (503, {"Retry_After": 3}, 3),
        (500, {}, 1),
    ],
)
def test_what_a_refusal_asks_to_wait_is_waited(client, forge, slept, status, headers, seconds):
    forge.fail("GET /a", answer({"message": "later"}, status, **headers))
    assert client.get("/a").document["what"] == "GET /a"
    assert slept == [seconds]


def test_a_wait_beyond_patience_is_not_begun(client, forge, slept):
    reset = int(NOW) + 3_000
    forge.fail("GET /a", answer({}, 403, X_RateLimit_Remaining=0, X_RateLimit_Reset=reset))
    with pytest.raises(ForgeError, match=r"rate limit\); it would take 3,001 s more, and 150 s are left"):
        client.get("/a")
    forge.fail("GET /a", *[answer({}, 429, Retry_After=60)] * 3)
    with pytest.raises(ForgeError, match="30 s are left"):
        client.get("/a")
    assert slept == [60, 60]


def test_a_refusal_for_good_is_not_repeated(client, forge, slept):
    forge.fail("GET /a", answer({"message": "no"}, 403, X_RateLimit_Remaining=58))
    with pytest.raises(RefusedError, match="GitHub answered 403 to GET /a: no"):
        client.get("/a")
    assert slept == []


def test_trouble_ends(client, forge, slept):
    forge.fail("GET /a", *[answer({}, 502)] * 9)
    with pytest.raises(ForgeError, match="answered 502 to GET /a, 5 times"):
        client.get("/a")
    assert slept == [1, 2, 4, 8]


def test_a_server_that_is_not_there(slept):
    token = Token(GITHUB_TOKEN, where="T", header="Authorization")
    client = RestClient("http://127.0.0.1:1", token, name="GitHub")
    with pytest.raises(ForgeError, match="cannot be reached for GET /a"):
        client.get("/a")
    with pytest.raises(UnsureError, match="cannot be reached"):
        client.send("POST", "/a", {}, again=False)


def test_pages_are_followed_only_where_they_are_at_home(client, forge, elsewhere):
    forge.fail(
        "GET /a",
        answer([1], Link=f'<{forge.url}/x>; rel="last", <{forge.url}/b?p=2,3>; title="x"; rel="up next"'),
    )
    forge.fail("GET /b", answer([2], Link="</c>; rel=next"))
    forge.fail("GET /c", answer([3], Link=f'<{elsewhere.url}/d>; rel="next"'))
    found = []
    with pytest.raises(ForgeError, match="the next page of /c is at 127"):
        deque(map(found.append, client.pages("/a")))
    assert found == [1, 2, 3]
    assert elsewhere.asked == []
    forge.faults.clear()
    forge.fail("GET /a", answer({"message": "no list"}))
    with pytest.raises(ForgeError, match="something else than a list"):
        list(client.pages("/a"))


def test_pages_end(client, forge, monkeypatch):
    monkeypatch.setattr(http, "MOST_PAGES", 3)
    forge.fail("GET /a", *[answer([1], Link='</a>; rel="next"')] * 9)
    with pytest.raises(ForgeError, match="more than 3 pages"):
        list(client.pages("/a"))


def test_an_answer_has_a_size(client, forge, monkeypatch):
    monkeypatch.setattr(http, "LARGEST_ANSWER", 100)
    forge.fail("GET /a", answer(["x" * 100]))
    with pytest.raises(ForgeError, match="more than 100 bytes"):
        client.get("/a")


@pytest.mark.parametrize("raw", [b"<html>", b"\xff", b"[" * 100_000])
def test_an_answer_is_json(client, forge, raw):
    forge.fail("GET /a", Response(raw, 200))
    with pytest.raises(ForgeError, match="something else than JSON"):
        client.get("/a")
    forge.fail("GET /a", Response(raw, 418))
    with pytest.raises(RefusedError, match=r"answered 418 to GET /a$"):
        client.get("/a")


@pytest.mark.parametrize(
    ("base", "why"),
    [
        ("http://api.github.example", "not encrypted"),
        ("file:///etc", "not the address of an API"),
        ("api.github.com", "not the address of an API"),
        ("https://user:hunter2@api.github.com", "no user"),
        ("https://api.github.com?x=1", "no user"),
        ("https://[::1", "not an address"),
    ],
)
def test_a_base_that_no_token_is_sent_to(base, why):
    with pytest.raises(ForgeError, match=why) as raised:
        RestClient(base, Token("x", where="T", header="Authorization"), name="GitHub")
    assert "hunter2" not in str(raised.value)


def test_an_address_elsewhere_is_not_asked(client, elsewhere):
    with pytest.raises(ForgeError, match="it is not asked"):
        client.get(f"{elsewhere.url}/a")
    assert elsewhere.asked == []


def test_a_token_is_in_no_repr_copy_or_pickle(client):
    token = Token(GITHUB_TOKEN, where="T", header="Authorization")
    assert GITHUB_TOKEN not in f"{token} {token!r} {client} {client!r}"
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied"):
            make(token)


def test_a_strangers_words_are_one_line_that_commands_nothing():
    said = one_line("a\n::error::b \u202e\x1b[31m ##[add-mask]c " + "x" * 999)
    assert said.startswith("a ::error::b [31m # #[add-mask]c x")
    assert len(said) == 300
    assert said_by({"message": "a", "errors": [{"message": "b"}, "c", None]}) == "a; b; c"
    assert said_by({"message": {"body": ["too long"]}}) == "{'body': ['too long']}"
    assert said_by(["x"]) == ""


def test_only_refusals_are_rate_limits():
    assert asked_to_wait(404, {"retry-after": "7"}, "", NOW) is None
    assert asked_to_wait(403, {}, "You have exceeded a secondary rate limit", NOW) == 60
