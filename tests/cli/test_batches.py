"""finbot batches: what a user is told of batches, and what can be done with them."""

import errno
import os
import pty
import select
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from pytest_finbot.registry import open_registry
from pytest_finbot.registry.layout import segments

FIELDS = {
    *("batch_id", "name", "status", "created_at", "ended_at", "expected", "recorded", "success", "failed"),
    *("not_run", "deselected", "error_categories", "verdicts", "run_seconds", "commit", "cancel_reason"),
    *("problems", "shard"),
}


def manifested(root, stamp, chance, name="core", created_at=None, **more):
    """A batch as another day left it, with one success."""
    batch_id = f"batch-{stamp}Z-{chance}"
    moment = datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    at = created_at or moment.isoformat(timespec="milliseconds")
    registry = open_registry(root)
    manifest = {"batch_id": batch_id, "batch_name": name, "created_at": at, "provenance": {}, **more}
    registry.create_batch(manifest)
    writer = registry.open_writer(batch_id, "main")
    writer.append("begin", {"at": at, "expected": ["a"], "deselected": 0})
    writer.append("run", {"name": "a", "status": "success", "attempt": 1, "finished_at": at})
    writer.append("end", {"at": at, "exitstatus": 0})
    writer.close()
    return batch_id


def damage(root, batch_id):
    """Add a line that cannot be read; the message that names it begins so."""
    path = segments(open_registry(root).batch_folder(batch_id))[0]
    with path.open("ab") as file:
        file.write(b"{nonsense}\n")
    return f"{batch_id}/{path.name}"


# ---------------------------------------------------------------------------------- list


@pytest.mark.parametrize("option", ["--limit", "--offset"])
@pytest.mark.parametrize("command", ["batches", "runs"])
def test_a_number_that_no_page_has_is_refused(ask, record, command, option):
    record(a="success")
    asked = ask(command, "list", option, "99999999999999999999")
    assert asked.status == 2
    assert "is not in the range 0<=x<=2147483647" in asked.err


def test_the_commit_of_a_changed_tree_is_marked(ask, root):
    dirty = {"git commit": "3f9c1a7e5b2d", "git dirty": "yes"}
    batch_id = manifested(root, "20260102T120000", "aaaaaa", provenance=dirty)
    assert ask("batches", "list").row(batch_id)[-1] == "3f9c1a7e5b+"
    assert ask("batches", "list", "--json").document["batches"][0]["commit"] == "3f9c1a7e5b2d+"
    assert ask("runs", "list", "--json").document["runs"][0]["commit"] == "3f9c1a7e5b2d+"
    assert "commit   3f9c1a7e5b2d+\n" in ask("runs", "show", "last/a").out


@pytest.mark.parametrize(
    "odd", [{"provenance": True}, {"runs": 1}, {"common": None, "runs": [{"name": "a"}]}]
)
def test_a_manifest_of_odd_values_hides_nothing(ask, root, odd):
    good = manifested(root, "20260102T120000", "aaaaaa")
    bad = manifested(root, "20260103T120000", "bbbbbb", **odd)
    listed = ask("batches", "list")
    assert listed.status == 0
    assert (listed.row(good)[2], listed.row(bad)[2]) == ("completed", "completed")
    assert f"finbot: problem: {bad}/manifest.json: {next(iter(odd))} is " in listed.err
    for words in (("batches", "show", bad), ("runs", "show", f"{bad}/a"), ("watch", bad, "--once")):
        asked = ask(*words)
        assert (asked.status, "Traceback" in asked.err) == (0, False)
    assert ask("batches", "stats").status == 0


def test_batches_are_listed_newest_first_with_their_counts(ask, record):
    old = record("core", a="success", b="success")
    new = record("core", a="failed", b=None)
    asked = ask("batches", "list")
    assert asked.status == 0
    assert asked.err == ""
    assert [line.split()[0] for line in asked.out.splitlines()] == ["BATCH", new, old]
    assert asked.row(old)[1:3] == ["core", "completed"]
    assert asked.row(old)[4:8] == ["2", "2", "0", "0"]
    assert asked.row(new)[2] == "failed"
    assert asked.row(new)[4:8] == ["2", "0", "1", "1"]
    assert asked.row(new)[-1] == "3f9c1a7e5b"


def test_runs_whose_checks_were_left_out_are_no_ok(ask, record):
    batch_id = record("core", a={"status": "success", "verdict": "skipped"}, b={"status": "success"})
    assert ask("batches", "list").row(batch_id)[2] == "completed, 1 not proven"


def test_a_batch_of_slices_is_gone_on_with_by_the_same_slices(ask, root):
    cut = {"from": "2020-01-06", "to": None, "chunk_days": 14}
    manifested(root, "20260102T120000", "aaaaaa", file="/p/finbot.yaml", slicing=cut)
    assert (
        ask("batches", "show", "last", "--json")
        .document["resume"]
        .endswith(f"--finbot-registry {root} --finbot-from=2020-01-06 --finbot-chunk-days=14")
    )


def test_as_json_the_list_is_one_document_with_stable_keys(ask, record):
    batch_id = record("core", a="success")
    document = ask("batches", "list", "--json").document
    assert document.keys() == {"batches", "total", "limit", "offset", "problems"}
    (row,) = document["batches"]
    assert row.keys() == FIELDS
    assert (row["batch_id"], row["status"], document["total"]) == (batch_id, "completed", 1)


def test_a_shard_is_told_apart_from_the_whole_and_gone_on_with_as_one(ask, root):
    more = {"shard": {"index": 2, "count": 8, "runs": [1] * 8}, "plan": "3f9c1a7e5b2d99"}
    manifested(root, "20260101T000000", "aaaaaa", file="/here/finbot.yaml", **more)
    assert ask("batches", "list").row("batch-")[1] == "core (shard 2/8)"
    assert ask("batches", "list", "--json").document["batches"][0]["shard"] == "2/8"
    shown = ask("batches", "show", "last").out
    assert "2/8 of plan 3f9c1a7e5b2d; it is not the whole batch" in shown
    assert "--finbot-shard=2/8" in shown


def test_a_page_says_how_many_there_are_and_how_to_see_the_next(ask, root):
    for number in range(5):
        manifested(root, f"2026010{number + 1}T000000", "aaaaaa")
    asked = ask("batches", "list", "--limit", "2", "--offset", "1")
    assert [line[6:14] for line in asked.out.splitlines()[1:3]] == ["20260104", "20260103"]
    assert "2 of 5 batches; older ones: --offset 3" in asked.out
    assert "older" not in ask("batches", "list", "--offset", "3").out


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (("--since", "2026-01-02"), {"b", "c", "today"}),
        (("--until", "2026-01-02T00:00:00"), {"a"}),
        (("--since", "2026-01-02T01:00:00+01:00", "--until", "2026-01-03"), {"b"}),
        (("--since", "7d"), {"today"}),
        (("--since", "12h"), set()),
        (("--name", "[a]*"), set()),
        (("--name", "?"), {"a", "b", "c"}),
        (("--status", "completed"), {"a", "b", "c", "today"}),
        (("--status", "running"), set()),
    ],
)
def test_filters_name_a_time_a_status_a_name(ask, root, filters, found):
    for number, name in enumerate("abc"):
        manifested(root, f"2026010{number + 1}T000000", "aaaaaa", name)
    manifested(root, f"{datetime.now(UTC) - timedelta(days=1):%Y%m%dT%H%M%S}", "aaaaaa", "today")
    asked = ask("batches", "list", "--json", *filters)
    assert {row["name"] for row in asked.document["batches"]} == found
    assert asked.status == (0 if found else 1)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "7", "7m", "", "999999w"])
def test_what_is_no_time_is_a_wrong_call_that_says_what_is_one(ask, record, text):
    record(a="success")
    asked = ask("batches", "list", "--since", text)
    assert asked.status == 2
    assert "expected one like 2026-11-01, 2026-11-01T09:30 (UTC), or how long ago: 12h, 7d, 4w" in " ".join(
        asked.err.split()
    )


def test_where_nothing_matches_the_status_is_1_and_it_is_said(ask, record):
    record(a="success")
    asked = ask("batches", "list", "--name", "other")
    assert (asked.status, asked.out) == (1, "")
    assert "no batch matches" in asked.err


def test_looking_makes_no_registry(ask, root, tmp_path):
    asked = ask("batches", "list")
    assert asked.status == 4
    assert asked.err == f"finbot: there is no registry in {root}; say where: --registry FOLDER\n"
    done = ask("batches", "list", "--registry", str(tmp_path), registry=False)
    assert done.status == 4  # a folder that is none stays what it is
    assert not (tmp_path / "registry.json").exists()


@pytest.mark.parametrize(
    "name", ["[red]x[/red]", "[/]", ":boom:", "x\x1b[31my", "a\nb", "\u202egnp", "x" * 190]
)
def test_no_name_breaks_the_table_or_the_terminal(ask, root, name):
    batch_id = manifested(root, "20260101T000000", "aaaaaa", name)
    asked = ask("batches", "list")
    expected = name.replace("\x1b", "\\x1b").replace("\n", "\\n").replace("\u202e", "\\u202e")
    assert asked.row(batch_id)[1] == expected
    assert ask("batches", "list", "--json").document["batches"][0]["name"] == name
    assert expected in ask("batches", "show", "last").out


def test_what_cannot_be_read_is_told_by_name_and_hides_nothing(ask, root, record):
    batch_id = record(a="success")
    where = damage(root, batch_id)
    for command in (["list"], ["stats"], ["show", "last"]):
        asked = ask("batches", *command)
        assert asked.status == 0
        assert "completed" in asked.out
        assert f"finbot: problem: {where}" in asked.err
        assert where in ask("batches", *command, "--json").document["problems"][0]


# ---------------------------------------------------------------------------------- show


def test_a_batch_is_shown_with_what_failed_and_what_was_not_run(ask, registry, record):
    error = {"category": "data_error", "phase": "load", "type": "DataError", "message": "no [TLT]\nat all"}
    batch_id = record(
        a="success", b={"status": "failed", "error": error}, c={"status": "failed"}, d=None, end=False
    )
    registry.update_status(batch_id, "cancelled", "wrong prices")
    asked = ask("batches", "show", batch_id)
    assert asked.status == 0
    for said in (
        "status   cancelled",
        "because  wrong prices",
        "4 expected, 1 success, 2 failed, 1 not run, 0 deselected",
        "1 data_error, 1 unknown",
        "DataError: no [TLT]…",
        "git commit",
    ):
        assert said in asked.out
    assert "\nnot run\n  d\n" in asked.out
    document = ask("batches", "show", batch_id, "--json").document
    assert [run["name"] for run in document["failed_runs"]] == ["b", "c"]
    assert document["failed_runs"][0]["message"] == "no [TLT]\nat all"
    assert document["not_run_names"] == ["d"]
    assert document["cancels"][0]["reason"] == "wrong prices"
    assert document["resume"] is None  # recorded by a script: there is no batch file


def test_a_batch_is_named_by_as_much_of_its_id_as_is_unique(ask, root):
    first = manifested(root, "20260101T000000", "aaaaaa")
    manifested(root, "20260102T000000", "bbbbbb")
    # In one second: the manifest's time decides, not chance.
    newest = manifested(root, "20260102T000001", "000000", created_at="2026-01-02T00:00:01.900+00:00")
    manifested(root, "20260102T000001", "cccccc", created_at="2026-01-02T00:00:01.100+00:00")
    for word, meant in (
        ("last", newest),
        ("20260101", first),
        (first[:20], first),
        ("aaaa", first),
        (first, first),
    ):
        assert ask("batches", "show", word, "--json").document["batch_id"] == meant, word


def test_a_batch_that_is_not_there_or_not_unique_is_refused_with_what_there_is(ask, root):
    one = manifested(root, "20260101T000000", "aaaaaa")
    other = manifested(root, "20260101T000001", "bbbbbb")
    asked = ask("batches", "show", "20260101")
    assert asked.status == 4
    assert f"'20260101' means 2 batches: {other}, {one}; say more of the one you mean" in asked.err
    asked = ask("batches", "show", "nonsense")
    assert asked.status == 4
    assert f"begins or ends with 'nonsense'; the newest is {other}" in asked.err
    asked = ask("batches", "show", one[:-1] + "b")
    assert asked.status == 4
    assert f"did you mean '{one}'" in asked.err


def test_a_batch_without_a_readable_manifest_is_shown_as_far_as_it_goes(ask, root, record):
    batch_id = record(a="success")
    (open_registry(root).batch_folder(batch_id) / "manifest.json").write_text("{")
    asked = ask("batches", "show", batch_id)
    assert asked.status == 0
    assert "1 expected, 1 success" in asked.out
    assert "name unknown" in asked.out
    assert "manifest.json is not a manifest" in asked.err


def test_statistics_are_of_all_batches_since_then(ask, root, record):
    manifested(root, "20200101T000000", "aaaaaa")
    record(a="success", b={"status": "failed", "error": {"category": "timeout", "message": "slow"}}, c=None)
    document = ask("batches", "stats", "--json").document
    assert (document["batches"], document["success"], document["failed"], document["not_run"]) == (2, 2, 1, 1)
    since = ask("batches", "stats", "--since", "1d", "--json").document
    assert (since["batches"], since["success_rate"]) == (1, pytest.approx(1 / 3))
    assert "1 timeout" in ask("batches", "stats").out
    assert ask("batches", "stats", "--since", "2999-01-01").status == 1


# ----------------------------------------------------------------------- cancel and delete


def test_what_has_ended_is_not_cancelled(ask, record, root):
    batch_id = record(a="success", b=None)
    before = segments(open_registry(root).batch_folder(batch_id))
    asked = ask("batches", "cancel", batch_id)
    assert asked.status == 4
    assert f"{batch_id} has ended, it is partial: 1 of 2 runs are recorded" in asked.err
    assert segments(open_registry(root).batch_folder(batch_id)) == before


def test_what_nobody_is_at_work_on_is_not_cancelled(ask, record, root):
    batch_id = record(a="success", b=None, end=False)
    open_registry(root).hold(batch_id).release()  # a controller that was killed
    asked = ask("batches", "cancel", batch_id)
    assert asked.status == 4
    assert f"nobody is at work on {batch_id}, it is partial" in asked.err


def test_a_batch_that_goes_on_can_be_cancelled_with_a_reason_and_is_not_deleted(ask, record, root):
    batch_id = record(a="success", b=None, end=False)
    hold = open_registry(root).hold(batch_id)
    asked = ask("batches", "cancel", "last", "--reason", "wrong prices", "--now")
    assert asked.status == 0
    assert f"{batch_id} is cancelled (1 of 2 runs are recorded); runs under way are ended" in asked.out
    document = ask("batches", "show", batch_id, "--json").document
    assert (document["status"], document["cancel_reason"]) == ("cancelled", "wrong prices")
    assert document["cancels"][0]["at_once"] is True
    # Cancelled, and still somebody's.
    asked = ask("batches", "delete", batch_id, "--yes")
    assert asked.status == 4
    assert f"somebody is at work on {batch_id}" in asked.err
    hold.release()
    assert ask("batches", "delete", batch_id, "--yes").status == 0


def test_deleting_asks_first_and_where_nobody_can_be_asked_it_needs_a_word(ask, record):
    batch_id = record(a="success")
    asked = ask("batches", "delete", batch_id)
    assert asked.status == 2
    assert "add --yes" in asked.err
    assert ask("batches", "show", batch_id).status == 0
    asked = ask("batches", "delete", batch_id, "--yes")
    assert (asked.status, asked.out) == (0, f"deleted {batch_id}\n")
    assert ask("batches", "show", batch_id).status == 4


def test_a_running_batch_of_a_script_is_not_deleted(ask, record):
    batch_id = record(a="success", b=None, end=False)
    asked = ask("batches", "delete", batch_id, "--yes")
    assert asked.status == 4
    assert "is running and is not deleted" in asked.err


# --------------------------------------------------------------------- retry, resume, cancel


def test_what_failed_is_tried_again_and_what_was_not_run_is_gone_on_with(folder):
    folder.write("mine.py", "def weights(*_, **__):\n    raise ValueError('no')\n")
    folder.batch("{id: good, params: {weights: {AAA: 1.0}}}", "{id: bad, strategy: 'mine:weights'}")
    assert folder.finbot("run", "finbot.yaml").status == 1
    # From another folder: the batch's own is gone to.
    elsewhere = folder.path / "elsewhere"
    elsewhere.mkdir()
    folder.batch("{id: good, params: {weights: {AAA: 1.0}}}", "{id: bad, params: {weights: {BBB: 1.0}}}")
    here, folder.path = folder.path, elsewhere
    done = folder.finbot("batches", "retry", "last", "-q", "--registry", "../.finbot")
    assert done.status == 0, done.out + done.err
    assert "2 of 2 runs succeeded" in done.out
    # Its file has moved.
    (here / "finbot.yaml").rename(here / "elsewhere" / "finbot.yaml")
    (here / "prices.csv").rename(here / "elsewhere" / "prices.csv")
    done = folder.finbot("batches", "retry", "last", "--registry", "../.finbot")
    assert done.status == 4
    assert f"there is no {here / 'finbot.yaml'}; say where it is now: --file FILE" in done.err
    done = folder.finbot("batches", "resume", "last", "--registry", "../.finbot", "--file", "finbot.yaml")
    assert done.status == 0, done.out + done.err
    shown = folder.finbot("batches", "show", "last", "--registry", "../.finbot", "--json").document
    assert (shown["status"], len(shown["sessions"])) == ("completed", 3)
    assert f"--finbot-resume {shown['batch_id']}" in shown["resume"]


def test_a_batch_of_a_script_cannot_be_run_again_and_that_is_said(ask, record):
    batch_id = record(a="failed")
    for command in ("retry", "resume"):
        asked = ask("batches", command, batch_id)
        assert asked.status == 4
        assert f"{batch_id} was recorded without a batch file" in asked.err


def test_a_batch_is_cancelled_from_another_terminal_while_it_runs(folder):
    folder.write("mine.py", "import time\n\n\ndef weights(*_, **__):\n    time.sleep(60)\n")
    folder.batch("{id: good, params: {weights: {AAA: 1.0}}}", "{id: slow, strategy: 'mine:weights'}")
    session = folder.start("run", "finbot.yaml", stdin=subprocess.DEVNULL)
    try:
        for _ in range(300):
            time.sleep(0.1)
            seen = folder.finbot("watch", "--once", "--json")
            if seen.status != 4 and [run["name"] for run in seen.document["under_way"]] == ["slow"]:
                break
        else:
            raise AssertionError(seen.out + seen.err)
        assert seen.status == 1  # not completed
        assert seen.document["status"] == "running"
        watching = folder.start("watch", stdin=subprocess.DEVNULL)
        cancelled = folder.finbot("batches", "cancel", "last", "--now", "--reason", "wrong prices")
        assert cancelled.status == 0, cancelled.err
        out, _ = session.communicate(timeout=60)
        assert session.returncode == 2, out
        told, _ = watching.communicate(timeout=60)
        assert watching.returncode == 1
        assert "cancelled (wrong prices): 1 of 2 done, 0 failed, 1 not run" in told
    finally:
        session.kill()
    assert folder.finbot("batches", "cancel", "last").status == 4


# ------------------------------------------------------------------- start-up and terminal


def test_asking_loads_nothing_heavy(root, record):
    record(a="success")
    words = ["batches", "list", "--json", "--registry", str(root)]
    code = (
        "import sys\nfrom pytest_finbot.cli.main import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'pytest', 'rich', 'pydantic', 'yaml'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    code = code.replace(repr(words), "['--help']")
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def on_a_terminal(command, env, lines=8, columns=70):
    """What a command writes to a terminal of that size, and its exit status."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "LINES": str(lines), "COLUMNS": str(columns), **env}
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, close_fds=True
    )
    os.close(terminal)
    written = b""
    while select.select([controller], [], [], 60)[0]:
        try:
            read = os.read(controller, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            break
        if not read:
            break
        written += read
    os.close(controller)
    return process.wait(timeout=60), written.decode()


@pytest.mark.parametrize(
    ("batches", "option", "paged"), [(9, [], True), (9, ["--no-pager"], False), (1, [], False)]
)
def test_only_what_is_longer_than_the_terminal_is_paged(root, tmp_path, batches, option, paged):
    for number in range(batches):
        manifested(root, f"2026010{number + 1}T000000", "aaaaaa", "[red]x")
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\necho paged > {tmp_path}/paged\ncat\n")
    pager.chmod(0o755)
    command = [sys.executable, "-m", "pytest_finbot.cli.main", "batches", "list", "--registry", str(root)]
    status, written = on_a_terminal([*command, *option], {"PAGER": str(pager)}, columns=120)
    assert status == 0, written
    assert written.count("[red]x") == batches
    assert (tmp_path / "paged").exists() is paged


def test_on_a_narrow_terminal_ids_stay_whole_and_it_is_said_what_is_not_shown(root):
    batch_id = manifested(root, "20260101T000000", "aaaaaa")
    command = [sys.executable, "-m", "pytest_finbot.cli.main", "batches", "list", "--registry", str(root)]
    status, written = on_a_terminal(command, {"NO_COLOR": "1"}, columns=80)
    assert status == 0
    assert batch_id in written
    assert "no room for CREATED (UTC), COMMIT" in written
    assert "no room" not in on_a_terminal(command, {"NO_COLOR": "1"}, columns=200)[1]


def test_a_shell_completes_batches_and_runs(root, record, tmp_path):
    batch_id = record(alpha="success", beta="success")
    environment = {**os.environ, "_FINBOT_COMPLETE": "bash_complete"}

    def complete(*words):
        env = {**environment, "COMP_WORDS": " ".join(("finbot", *words)), "COMP_CWORD": str(len(words))}
        code = "from pytest_finbot.cli.main import main; main(prog_name='finbot')"
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    assert complete("ba") == ["baseline", "batches"]
    assert complete("batches", "show", "batch-") == [batch_id]
    assert complete("batches", "show", "l") == ["last"]
    assert complete("runs", "show", "last/") == ["last/alpha", "last/beta"]
    assert complete("runs", "show", "--batch", "last", "b") == ["beta"]
    assert complete("watch", "nonsense") == []
