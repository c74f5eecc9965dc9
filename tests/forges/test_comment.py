"""finbot ci comment: one comment a report on a pull request, ours and nobody else's, kept up to date."""

import dataclasses
import json

import pytest

from pytest_finbot.errors import ForgeError
from pytest_finbot.forges.comment import marker
from tests.forges.conftest import green, pull_request_event, red
from tests.forges.fakes import BOT, GITHUB_TOKEN, answer

COMMENTS = "/repos/us/fund/issues/7/comments"
MARK = "<!-- pytest-finbot: core -->"
READ_ONLY = {"message": "Resource not accessible by integration"}


def output(job):
    """The value of comment-url as a runner reads it."""
    first, value, last = job.output.read_text().splitlines()
    name, _, delimiter = first.partition("<<")
    assert (name, delimiter) == ("comment-url", last)
    return value


def test_the_first_comment_is_created_and_the_next_run_updates_it(github, job):
    job.tells(red())
    done = job.comment("--report-name", "core", "--artifact-url", "https://github.example/artifact/3")
    assert done.exit_code == 0, done.stderr
    (comment,) = github.comments
    assert comment["body"].startswith(f"{MARK}\n\n")
    assert "far" in comment["body"]
    assert "(https://github.example/artifact/3)" in comment["body"]
    assert "(https://github.example/us/fund/actions/runs/99)" in comment["body"]
    assert output(job) == comment["html_url"]
    before = comment["body"]

    job.tells(green())
    done = job.comment("--report-name", "core")
    assert "comment on pull request #7: updated https://github.example/us/fund/pull/7#" in done.stdout
    assert len(github.comments) == 1
    assert github.comments[0]["body"] != before

    assert "unchanged" in job.comment("--report-name", "core").stdout
    assert github.count("PATCH .*") == 1


def test_what_stands_beside_the_report_stands_above_it(github, job):
    job.tells(green())
    assert job.comment("--report-name", "core", "--beside", "The job\nis red.").exit_code == 0
    (body,) = github.bodies
    assert body.startswith(f"{MARK}\n\n> [!WARNING]\n> The job is red.\n\n# ")
    assert job.comment("--report-name", "core", "--beside", "").exit_code == 0
    assert "The job" not in github.bodies[0]


def test_ours_is_found_among_250_with_a_marker_forged_by_another(github, job):
    github.comment(f"{MARK}\n\nforged: all is well", author="mallory")
    for number in range(170):
        github.comment(f"words {number}", author="ann")
    github.comment(f"they say that ours begins with\n{MARK}\n", author=BOT)
    github.comment("<!-- pytest-finbot: core-2 -->\n\nof another name", author=BOT)
    ours = github.comment(f"{MARK}\r\n\r\nold", author=BOT.upper())
    for number in range(76):
        github.comment(f"more words {number}", author="ann")
    before = list(github.bodies)
    assert len(before) == 250

    job.tells(red())
    assert job.comment("--report-name", "core").exit_code == 0
    assert github.count(f"GET {COMMENTS}") == 3
    assert len(github.comments) == 250
    assert ours["body"].startswith(f"{MARK}\n\n")
    assert [index for index, body in enumerate(github.bodies) if body != before[index]] == [173]


def test_two_report_names_are_two_comments(github, job):
    job.tells(red())
    for name in ("core", "Core", "core"):
        assert job.comment("--report-name", name).exit_code == 0
    assert [body.partition("\n")[0] for body in github.bodies] == [marker("core"), marker("Core")]
    assert job.comment().exit_code == 0
    assert github.bodies[2].startswith(marker(red().batch.batch_name))


def test_of_two_of_ours_one_is_kept_up_to_date_and_the_other_says_so(github, job):
    for _ in range(2):
        github.comment(f"{MARK}\n\nold", author=BOT)
    job.tells(red())
    for _ in range(2):
        assert job.comment("--report-name", "core").exit_code == 0
    first, second = github.comments
    assert "far" in first["body"]
    assert f"see [the other comment]({first['html_url']})" in second["body"]
    assert github.count("PATCH .*") == 2


@pytest.mark.parametrize(
    ("mode", "report", "made"),
    [
        ("always", green, True),
        ("on-change", green, False),
        ("on-change", red, True),
        ("on-failure", green, False),
        ("on-failure", red, True),
        ("never", red, False),
    ],
)
def test_a_mode_decides_on_a_new_comment_and_an_old_one_is_always_updated(github, job, mode, report, made):
    job.tells(report())
    words = ("--report-name", "core", "--mode", mode)
    done = job.comment(*words)
    assert done.exit_code == 0, done.stderr
    assert len(github.comments) == made
    assert bool(output(job)) == made
    github.comments.clear()
    old = github.comment(f"{MARK}\n\nold", author=BOT)
    assert job.comment(*words).exit_code == 0
    assert old["body"] != f"{MARK}\n\nold"


def test_without_a_report_the_comment_does_not_stay_green(github, job):
    job.tells(green())
    assert job.comment("--report-name", "core").exit_code == 0
    job.report.unlink()
    done = job.comment("--report-name", "core")
    assert done.exit_code == 4
    assert "there is no report" in done.stderr
    assert "**No result.**" in github.bodies[0]
    # Without a name it is not known which comment it is.
    assert job.comment().exit_code == 4


def test_nor_where_the_report_cannot_be_rendered(github, job, unrendered):
    github.comment("<!-- pytest-finbot: core -->\n\n**All is well.**", author=BOT)
    job.tells(green())
    done = job.comment("--report-name", "core")
    assert done.exit_code == 4
    assert "nothing to count" in done.stderr
    assert "**No result.**" in github.bodies[0]


def test_a_fork_that_may_not_comment_is_no_error(github, job):
    job.event(pull_request_event(head="mallory/fund"))
    github.fail("POST .*comments", answer(READ_ONLY, 403))
    job.tells(red())
    job.set(GITHUB_ACTIONS="true")
    done = job.comment()
    assert done.exit_code == 0
    assert done.stdout.startswith(
        "::notice title=pytest-finbot::No comment: the pull request comes from mallory/fund"
    )
    assert "step summary" in done.stdout


@pytest.mark.parametrize(
    "event", [pull_request_event(head=None), pull_request_event(sender={"login": "dependabot[bot]"})]
)
def test_nor_is_a_deleted_fork_or_dependabot(github, job, event):
    job.event(event)
    github.fail("POST .*comments", answer(READ_ONLY, 403))
    job.tells(red())
    assert job.comment().exit_code == 0


def test_but_a_job_without_the_permission_is_told_which(github, job):
    github.fail("POST .*comments", answer(READ_ONLY, 403))
    job.tells(red())
    done = job.comment()
    assert done.exit_code == 4
    assert "needs permissions: pull-requests: write" in done.stderr
    assert "Resource not accessible by integration" in done.stderr


def test_another_refusal_is_told_as_what_it_is(github, job):
    job.event(pull_request_event(head="mallory/fund"))
    github.fail(
        "POST .*comments", answer({"message": "Unable to create comment because issue is locked."}, 403)
    )
    job.tells(red())
    done = job.comment()
    assert done.exit_code == 4
    assert "issue is locked" in done.stderr
    assert "permission" not in done.stderr


def test_a_run_of_no_pull_request_has_nothing_to_comment_on(github, job):
    job.event({"ref": "refs/heads/main"})
    job.tells(red())
    done = job.comment()
    assert (done.exit_code, github.asked) == (0, [])
    assert "of no pull request" in done.stdout
    assert job.comment("--pull-request", "7").exit_code == 0
    assert len(github.comments) == 1


# ------------------------------------------------------------------------------- who we are


def test_a_personal_token_is_asked_whose_it_is(github, job):
    github.user, github.me = answer({"login": "ann"}), "ann"
    github.comment(f"{MARK}\n\nof a job's own token", author=BOT)
    job.tells(red())
    for _ in range(2):
        assert job.comment("--report-name", "core").exit_code == 0
    assert [comment["user"]["login"] for comment in github.comments] == [BOT, "ann"]
    assert github.count("POST /graphql") == 0


def test_the_token_of_an_app_is_told_by_graphql(github, job):
    github.viewer, github.me = answer({"data": {"viewer": {"login": "fund-bot[bot]"}}}), "fund-bot[bot]"
    job.tells(red())
    for _ in range(2):
        assert job.comment("--report-name", "core").exit_code == 0
    assert len(github.comments) == 1


def test_an_author_that_is_given_is_not_asked_for(github, job):
    github.me = "robot"
    job.tells(red())
    for _ in range(2):
        assert job.comment("--report-name", "core", "--author", "robot").exit_code == 0
    assert len(github.comments) == 1
    assert github.count("(GET /user|POST /graphql)") == 0


# ------------------------------------------------------------------------------- trouble


def test_a_lost_answer_makes_no_second_comment(github, job, slept):
    def done_and_lost(request):
        github.comment(request.get_json()["body"])
        return answer({"message": "Server Error"}, 502)

    github.fail("POST .*comments", done_and_lost)
    job.tells(red())
    assert job.comment("--report-name", "core").exit_code == 0
    assert len(github.comments) == 1
    assert github.count("POST .*comments") == 1


def test_a_server_that_fails_twice_and_then_works(github, job, slept):
    trouble = answer({"message": "Server Error"}, 500)
    github.fail(f"GET {COMMENTS}", trouble, trouble)
    github.fail("POST .*comments", trouble, trouble)
    job.tells(red())
    assert job.comment("--report-name", "core").exit_code == 0
    assert len(github.comments) == 1
    assert slept == [1, 2, 2, 4]


def test_a_rate_limit_on_a_comment_is_waited_for(github, job, slept):
    limit = answer({"message": "You have exceeded a secondary rate limit"}, 403, Retry_After=30)
    github.fail("POST .*comments", limit)
    job.event(pull_request_event(head="mallory/fund"))
    job.tells(red())
    assert job.comment().exit_code == 0
    assert slept == [30]
    assert len(github.comments) == 1


def test_a_body_at_the_limit_is_taken_and_what_was_cut_is_said(github, job):
    name = "@x" * 200
    runs = [red().changed[0]] * 200
    facts = red().batch
    assert facts.gate is not None
    facts = dataclasses.replace(
        facts, expected=202, recorded=202, failed=200, error_categories={"regression": 200},
        gate=dataclasses.replace(facts.gate, verdicts={"identical": 2, "moved": 200}),
    )  # fmt: skip
    changed = tuple(dataclasses.replace(run, run=name) for run in runs)
    report = dataclasses.replace(red(), batch=facts, changed=changed)
    job.tells(report)
    done = job.comment("--report-name", "core")
    assert done.exit_code == 0, done.stderr
    assert 30_000 < len(github.bodies[0]) <= 65_536
    assert "actions/runs/99" in github.bodies[0]


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500])
def test_the_token_is_never_printed_though_the_server_echoes_it(github, job, status):
    said = {"message": f"bad request: Authorization: Bearer {GITHUB_TOKEN}\n::add-mask::x"}
    github.fail(".*", *[answer(said, status)] * 40)
    job.tells(red())
    done = job.comment()  # which looks for the token in all that is said
    assert done.exit_code == 4
    assert not any(line.lstrip().startswith("::") for line in (done.stdout + done.stderr).splitlines())
    assert github.asked[0][1]["Authorization"] == f"Bearer {GITHUB_TOKEN}"


@pytest.mark.parametrize("token", ["ghs_a b", "ghs_a\nX-Evil: 1", "ghs_é", " "])
def test_a_token_that_is_none_is_not_said_either(github, job, token):
    job.set(GITHUB_TOKEN=token)
    job.tells(red())
    done = job.comment()
    assert done.exit_code == 4
    assert "GITHUB_TOKEN" in done.stderr
    assert not token.strip() or token not in done.stderr
    assert github.asked == []


@pytest.mark.parametrize("name", ["us/fund/../x", "us", "", "us/fund?x", "us/.."])
def test_a_repository_that_is_none_is_not_asked_for(github, job, name):
    job.set(GITHUB_REPOSITORY=name)
    job.tells(red())
    done = job.comment()
    assert done.exit_code == 4
    assert "GITHUB_REPOSITORY is no repository" in done.stderr
    assert github.asked == []


def test_an_address_of_the_server_cannot_write_another_output(github, job):
    github.fail(
        "POST .*comments",
        answer({"id": 1, "body": "", "html_url": "https://a/b\nverdict<<x\npassed\nx"}, 201),
    )
    job.tells(red())
    assert job.comment().exit_code == 0
    assert output(job) == ""


# ------------------------------------------------------------------------------- markers


def test_markers_of_different_names_differ_and_end_nothing():
    names = ["core", "Core", "co-re", "co re", "co_re", "co--re", "core -->", "é", "è", "x" * 61, "x" * 62]
    marks = [marker(name) for name in names]
    assert len(set(marks)) == len(names)
    for mark in marks:
        assert mark.count("-->") == 1
        assert "--" not in mark[4:-3]
        assert mark.isascii()
        assert len(mark) < 120
    assert marker("core", fork=True) not in marks
    with pytest.raises(ForgeError, match="--report-name"):
        marker("  ")


def test_a_report_of_a_stranger_names_no_command_of_the_runner(github, job):
    job.report.write_text(json.dumps({"format": "finbot-report", "version": 1, "x\n::add-mask::a": 1}))
    done = job.comment("--report-name", "core")
    assert done.exit_code == 4
    assert not any(line.startswith("::") for line in done.stderr.splitlines())
