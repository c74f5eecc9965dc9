"""``finbot ci publish``: a fork's report as a comment, by a workflow that may comment and runs none of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from pytest_finbot.cli.ci.telling_forges import note, tell, told_in_ci
from pytest_finbot.forges.body import MODES

if TYPE_CHECKING:
    from pytest_finbot.forges.body import Mode


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--report-name", default="backtests", show_default=True, metavar="NAME", help="a comment a name"
)
@click.option("--mode", type=click.Choice(MODES), default="always", show_default=True, help="when to comment")
@click.option(
    "--author", default="", metavar="LOGIN", help="whom the token's comments are by, if not found out"
)
def publish(folder: Path, report_name: str, mode: str, author: str) -> None:
    """Comment on a fork's pull request with the report that its unprivileged run left in FOLDER.

    For a workflow_run event. FOLDER is the downloaded artifact: batch_report.json and nothing else. It is
    taken for a stranger's: held to sizes and to the form of a report, never executed; what is said of
    whose it is comes from GitHub alone. Where it is no such report, an earlier comment is made to say
    that there is no result. Exit status 0 where it is told, or the pull request has a newer commit, whose
    run tells of it; 1 where no open pull request has that commit for its head, 4 where it cannot or may
    not be told.
    """
    from pytest_finbot.errors import FinbotError, ForgeError
    from pytest_finbot.forges.body import body_of, from_stranger, no_report, wanted
    from pytest_finbot.forges.comment import marker, upsert
    from pytest_finbot.forges.event import fork_run_of, read_event
    from pytest_finbot.forges.fork import read_artifact
    from pytest_finbot.forges.github import (
        LONGEST_COMMENT,
        MovedOnError,
        NoPullRequestError,
        PullRequest,
        find_pull_request,
        github_client,
    )
    from pytest_finbot.forges.http import RefusedError

    environment = os.environ
    with told_in_ci():
        run = fork_run_of(read_event(environment), environment)
        report, lost = None, ""
        try:
            report = read_artifact(folder)
        except ForgeError as error:
            lost = str(error)
        client = github_client(environment)
        try:
            number = find_pull_request(
                client, run.repository, head_repository=run.head_repository, branch=run.branch, sha=run.sha
            )
        except NoPullRequestError as error:
            note(f"Nothing is published: {error}.", environment)
            raise SystemExit(0 if isinstance(error, MovedOnError) else 1) from None
        # The name is the privileged workflow's: no artifact says which comment it replaces.
        mark = marker(report_name, fork=True)
        # What was said of an earlier commit is not left to stand for this one.
        body, make = no_report(mark, above=f"Commit `{run.sha}` of `{run.head_repository}`."), False
        if report is not None:
            fork = run.head_repository != run.repository
            above = from_stranger(run.head_repository, run.sha, run_url=run.url, fork=fork)
            try:
                body = body_of(report, mark, limit=LONGEST_COMMENT, above=above)
                make = wanted(report, cast("Mode", mode))
            except FinbotError as error:
                lost = f"the report cannot be rendered: {error}"
        graphql = environment.get("GITHUB_GRAPHQL_URL", "")
        thread = PullRequest(client, run.repository, number, author=author.strip(), graphql=graphql)
        try:
            told = upsert(thread, mark, body, wanted=make)
        except RefusedError as error:
            if error.status != 403:
                raise
            raise ForgeError(f"{error}; the job needs permissions: pull-requests: write") from error
        tell(told, f"comment on pull request #{number}", environment)
        if lost:
            raise ForgeError(lost)
