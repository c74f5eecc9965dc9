"""GitHub's and GitLab's REST APIs on loopback, as far as comments go: state, pages, and faults on demand."""

import json
import re
from urllib.parse import parse_qs

from werkzeug import Response

BOT = "github-actions[bot]"
GITHUB_TOKEN = "ghs_" + "S3cret" * 6
GITLAB_TOKEN = "glpat-" + "S3cret" * 4


def answer(document, status=200, **headers):
    return Response(
        json.dumps(document),
        status,
        {name.replace("_", "-"): str(value) for name, value in headers.items()},
        content_type="application/json; charset=utf-8",
    )


class Forge:
    """What both have: requests are kept, ``faults`` are answered first, each for one request of its kind."""

    def __init__(self, server):
        self.server = server
        self.url = server.url_for("").rstrip("/")
        self.comments = []
        self.asked = []
        self.faults = []
        server.expect_request(re.compile(".*")).respond_with_handler(self.handle)

    def fail(self, pattern, *answers):
        """For requests like ``POST .*comments``: these answers, one after the other."""
        self.faults += [(re.compile(pattern), one) for one in answers]

    def handle(self, request):
        what = f"{request.method} {request.path}"
        self.asked.append((what, dict(request.headers), request.get_data()))
        for fault in self.faults:
            if fault[0].fullmatch(what):
                self.faults.remove(fault)
                return fault[1] if isinstance(fault[1], Response) else fault[1](request)
        return self.route(request, what)

    def count(self, pattern):
        return sum(bool(re.fullmatch(pattern, what)) for what, _, _ in self.asked)

    def page(self, request, items):
        """One page, with the Link header to the next."""
        query = parse_qs(request.query_string.decode())
        size, number = int(query["per_page"][0]), int(query.get("page", ["1"])[0])
        headers = {}
        if number * size < len(items):
            rest = re.sub(r"&page=\d+", "", request.query_string.decode())
            address = f"{self.url}{request.path}?{rest}&page={number + 1}"
            headers["Link"] = f'<{self.url}/first>; rel="first", <{address}>; rel="next"'
        return answer(items[(number - 1) * size : number * size], **headers)

    @property
    def bodies(self):
        return [comment["body"] for comment in self.comments]


class FakeGitHub(Forge):
    """Of one repository, ``us/fund``, with pull request 7."""

    me = BOT

    def __init__(self, server):
        super().__init__(server)
        self.pulls = []
        self.user = answer({"message": "Resource not accessible by integration"}, 403)
        self.viewer = answer({"message": "Not Found"}, 404)

    def comment(self, body, author=BOT):
        number = 1000 + len(self.comments)
        url = f"https://github.example/us/fund/pull/7#issuecomment-{number}"
        self.comments.append({"id": number, "user": {"login": author}, "body": body, "html_url": url})
        return self.comments[-1]

    def route(self, request, what):
        if what == "GET /user":
            return self.user
        if what == "POST /graphql":
            return self.viewer
        if what == "GET /repos/us/fund/issues/7/comments":
            return self.page(request, self.comments)
        if what == "POST /repos/us/fund/issues/7/comments":
            body = request.get_json()["body"]
            if len(body) > 65_536:
                return answer({"message": "Validation Failed", "errors": [{"message": "too long"}]}, 422)
            return answer(self.comment(body, self.me), 201)
        if found := re.fullmatch(r"PATCH /repos/us/fund/issues/comments/(\d+)", what):
            (comment,) = [one for one in self.comments if one["id"] == int(found[1])]
            comment["body"] = request.get_json()["body"]
            return answer(comment)
        if what == "GET /repos/us/fund/pulls":
            return self.page(request, self.pulls)
        return answer({"message": "Not Found"}, 404)


class FakeGitLab(Forge):
    """Of project 11, with merge request 5. Ours is user 42."""

    def note(self, body, author=42, **more):
        number = 500 + len(self.comments)
        self.comments.append({"id": number, "author": {"id": author}, "body": body, "system": False, **more})
        return self.comments[-1]

    def route(self, request, what):
        notes = "/api/v4/projects/11/merge_requests/5/notes"
        if what == "GET /api/v4/user":
            return answer({"id": 42, "username": "project_11_bot"})
        if what == f"GET {notes}":
            return self.page(request, self.comments)
        if what == f"POST {notes}":
            return answer(self.note(request.get_json()["body"]), 201)
        if found := re.fullmatch(rf"PUT {notes}/(\d+)", what):
            (note,) = [one for one in self.comments if one["id"] == int(found[1])]
            note["body"] = request.get_json()["body"]
            return answer(note)
        return answer({"message": "404 Not Found"}, 404)
