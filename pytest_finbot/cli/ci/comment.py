"""``finbot ci comment``: a batch's report as a comment of its pull request on GitHub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from pytest_finbot.cli.ci.telling_forges import note, report_or_why, tell, told_in_ci
from pytest_finbot.forges.body import MODES

if TYPE_CHECKING:
    from pytest_finbot.forges.body import Mode
    from pytest_finbot.forges.comment import Told
    from pytest_finbot.forges.event import PullRequestRef
    from pytest_finbot.forges.http import RefusedError
    from pytest_finbot.reports.report import Report


@click.command()
@click.argument("report_json", type=click.Path(path_type=Path))
@click.option("--report-name", default="", metavar="NAME", help="a comment a name; default: the batch's")
@click.option("--mode", type=click.Choice(MODES), default="always", show_default=True, help="when to comment")
@click.option(
    "--pull-request", type=click.IntRange(min=1), metavar="N", help="default: that of the workflow's event"
)
@click.option("--artifact-url", default="", metavar="URL", help="where the whole report is")
@click.option(
    "--author", default="", metavar="LOGIN", help="whom the token's comments are by, if not found out"
)
@click.option("--beside", default="", metavar="WORDS", help="what is to be known before the report")
def comment(
    report_json: Path,
    report_name: str,
    mode: str,
    pull_request: int | None,
    artifact_url: str,
    author: str,
    beside: str,
) -> None:
    """Tell REPORT_JSON (batch_report.json) in a comment, the same one at each run.

    The token is in GITHUB_TOKEN; the repository and the pull request are those of the workflow. A comment
    of ours that is already there is brought up to date in every mode. Where the token of a fork may
    only read, this is said and the exit status is 0. Where there is no report, the comment says so and
    the exit status is 4.
    """
    from pytest_finbot.errors import ForgeError, ReportError
    from pytest_finbot.forges.event import PullRequestRef, pull_request_of, read_event
    from pytest_finbot.forges.http import RefusedError

    environment = os.environ
    with told_in_ci():
        ref = pull_request_of(read_event(environment))
        if pull_request is not None and (ref is None or ref.number != pull_request):
            ref = PullRequestRef(pull_request)
        report, name, lost = report_or_why(report_json, report_name)
        if ref is None:
            note("This run is of no pull request: there is nothing to comment on.", environment)
        elif mode == "never" and not environment.get("GITHUB_TOKEN", "").strip():
            note("No comment is wanted, and without a token none of earlier is looked for.", environment)
        elif name:
            try:
                told = _comment(
                    ref, report, name, cast("Mode", mode), artifact_url, author, beside, environment
                )
                tell(told, f"comment on pull request #{ref.number}", environment)
            except RefusedError as error:
                # Other refusals (a locked conversation, an archived repository) have words of their own.
                if error.status not in (403, 404) or not _has_no_right(error):
                    raise
                if not ref.reads_only:
                    raise ForgeError(
                        f"{error}; the job needs permissions: pull-requests: write (and contents: read)"
                    ) from error
                note(
                    f"No comment: {ref.reads_only}, and the token of such a run may only read"
                    f" ({error.said}). "
                    "The report is in the step summary; docs/pull-requests.md has a way to comment.",
                    environment,
                )
        if lost:
            raise ReportError(lost)


def _has_no_right(error: RefusedError) -> bool:
    """What a token without the permission is told; of private repositories, that there is nothing."""
    return error.status == 404 or "not accessible" in error.said.lower()


def _comment(
    ref: PullRequestRef,
    report: Report | None,
    name: str,
    mode: Mode,
    artifact_url: str,
    author: str,
    beside: str,
    environment: Mapping[str, str],
) -> Told:
    from pytest_finbot.errors import FinbotError
    from pytest_finbot.forges.body import body_of, links, no_report, wanted
    from pytest_finbot.forges.comment import marker, upsert
    from pytest_finbot.forges.github import LONGEST_COMMENT, PullRequest, checked_repository, github_client

    repository = checked_repository(environment.get("GITHUB_REPOSITORY", ""), "GITHUB_REPOSITORY")
    thread = PullRequest(
        github_client(environment),
        repository,
        ref.number,
        author=author.strip(),
        graphql=environment.get("GITHUB_GRAPHQL_URL", ""),
    )
    mark = marker(name)
    below = links(whole_report=artifact_url.strip(), log_of_the_run=_run_url(repository, environment))
    if report is None:
        return upsert(thread, mark, no_report(mark, below=below), wanted=mode != "never")
    try:
        above = f"> [!WARNING]\n> {' '.join(beside.split())}" if beside else ""
        body = body_of(report, mark, limit=LONGEST_COMMENT, above=above, below=below)
    except FinbotError:
        # It cannot be told; what an earlier comment says is out of date all the same.
        upsert(thread, mark, no_report(mark, below=below), wanted=mode != "never")
        raise
    return upsert(thread, mark, body, wanted=wanted(report, mode))


def _run_url(repository: str, environment: Mapping[str, str]) -> str:
    server, run = environment.get("GITHUB_SERVER_URL", ""), environment.get("GITHUB_RUN_ID", "")
    return f"{server}/{repository}/actions/runs/{run}" if server and run.isdecimal() else ""
