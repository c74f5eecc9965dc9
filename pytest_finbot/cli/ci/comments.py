"""``finbot ci comments``: a comment for each batch of the session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from pytest_finbot.cli.ci.left import REPORT
from pytest_finbot.cli.ci.session import Session


@click.command()
@click.option(
    "--mode", envvar="FINBOT_COMMENT", default="on-change", metavar="MODE", help="see finbot ci comment"
)
@click.option("--artifact-url", envvar="FINBOT_ARTIFACT_URL", default="", metavar="URL")
def comments(mode: str, artifact_url: str) -> None:
    """Tell each batch of the session that FINBOT_CI_FOLDER has in a comment, the worst last.

    As "finbot ci comment" does for one. A batch file that left no report is told as such, also where
    the step that runs pytest did not begin. The exit status is the highest of all.
    """
    from pytest_finbot.cli.ci.comment import comment
    from pytest_finbot.cli.ci.run import asked_of

    session = Session.read(os.environ)
    if session.folder is None:
        session = replace(session, asked=asked_of(os.environ))
    status = 0
    for name, report in told(session):
        options = [
            f"--report-name={name}",
            f"--mode={mode}",
            f"--artifact-url={artifact_url}",
            f"--beside={session.beside}",
            "--",
            str(report),
        ]
        try:
            comment.main(options, prog_name="finbot ci comment", standalone_mode=True)
        except SystemExit as ended:
            status = max(status, ended.code if isinstance(ended.code, int) else 1)
    raise SystemExit(status)


def told(session: Session) -> Iterator[tuple[str, Path]]:
    """Name and report of each comment. A name is the batch file's, which is known also where nothing ran."""
    folder = Path() if session.folder is None else session.folder
    given, files = session.asked.report_name, session.asked.files
    there = {one.batch.file for one in session.batches if one.report is not None}
    found = [(file, folder / "none" / REPORT) for file in dict.fromkeys(files) if file not in there]
    found += [
        (one.batch.file or one.batch.name, one.folder / REPORT)
        for one in reversed(session.worst_first)
        if one.report is not None
    ]
    for name, report in found:
        # The name that was given is all of it, where it tells one batch only.
        whole = f"{given} {name}" if given and len(found) > 1 else given or name
        # Other shards are told by other jobs, and none of them in place of another.
        yield (f"{whole}, shard {session.asked.shard}" if session.asked.shard else whole), report
