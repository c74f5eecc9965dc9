"""``finbot ci gitlab``: a batch's report as a note of its merge request on GitLab."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from pytest_finbot.cli.ci.telling_forges import note, report_or_why, tell, told_in_ci
from pytest_finbot.forges.body import MODES

if TYPE_CHECKING:
    from pytest_finbot.forges.body import Mode


@click.command()
@click.argument("report_json", type=click.Path(path_type=Path))
@click.option("--report-name", default="", metavar="NAME", help="a note a name; default: the batch's")
@click.option("--mode", type=click.Choice(MODES), default="always", show_default=True, help="when to comment")
def gitlab(report_json: Path, report_name: str, mode: str) -> None:
    """Tell REPORT_JSON (batch_report.json) in a note of the merge request, the same one at each run.

    The token (scope api) is in FINBOT_GITLAB_TOKEN or GITLAB_TOKEN; the rest is in the job's variables.
    Where a fork's pipeline has no token, this is said and the exit status is 0. Where there is no
    report, the note says so and the exit status is 4.
    """
    from pytest_finbot.errors import FinbotError, ForgeError, ReportError
    from pytest_finbot.forges.body import body_of, links, no_report, wanted
    from pytest_finbot.forges.comment import marker, upsert
    from pytest_finbot.forges.gitlab import (
        LONGEST_NOTE,
        TOKENS,
        MergeRequest,
        gitlab_client,
        gitlab_token,
        merge_request_of,
        without_quick_actions,
    )

    environment = os.environ
    with told_in_ci():
        ref, token = merge_request_of(environment), gitlab_token(environment)
        report, name, lost = report_or_why(report_json, report_name)
        if ref is None:
            note("This pipeline is of no merge request: there is nothing to comment on.", environment)
        elif token is None and (ref.fork or mode == "never"):
            note("No note: this pipeline has no token. The report is among the job's artifacts.", environment)
        elif token is None:
            raise ForgeError(
                f"{' and '.join(TOKENS)} are not set; expected a project access token of scope api, as a "
                "masked variable. CI_JOB_TOKEN may not write notes"
            )
        elif name:
            thread = MergeRequest(gitlab_client(environment, token), ref)
            mark = marker(name)
            below = links(job=environment.get("CI_JOB_URL", ""))
            if report is None:
                told = upsert(thread, mark, no_report(mark, below=below), wanted=mode != "never")
            else:
                try:
                    body = body_of(report, mark, limit=LONGEST_NOTE, below=below, safe=without_quick_actions)
                except FinbotError:
                    # It cannot be told; what an earlier note says is out of date all the same.
                    upsert(thread, mark, no_report(mark, below=below), wanted=mode != "never")
                    raise
                told = upsert(thread, mark, body, wanted=wanted(report, cast("Mode", mode)))
            tell(told, f"note of merge request !{ref.number}", environment)
        if lost:
            raise ReportError(lost)
