"""Registries to ask about, recorded by their own writers."""

import json

import pytest

from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.index import Index


class Recorder:
    """A registry, and batches recorded in it by its own writers."""

    def __init__(self, root):
        self.files = FilesRegistry(root, "second")
        self.path = root.parent / "index.sqlite"

    def begin(self, batch_id, *expected, name="core", at=None, **manifest):
        at = at or f"2026-{batch_id[10:12]}-21T09:15:02.000+00:00"
        created = {"batch_id": batch_id, "batch_name": name, "created_at": at, **manifest}
        self.files.create_batch(created)
        self.line(batch_id, "begin", at=at, expected=list(expected), deselected=0)

    def line(self, batch_id, kind, writer="main", /, **payload):
        out = self.files.open_writer(batch_id, writer)
        out.append(kind, payload)
        out.close()

    def run(self, batch_id, name, status="success", attempt=1, writer="gw0", minute=16, **more):
        at = f"2026-{batch_id[10:12]}-21T09:{minute:02d}:00.000+00:00"
        self.line(
            batch_id,
            "run",
            writer,
            **{
                # In the order of a session's own records, which says what is read of a line.
                "run_id": f"{batch_id}/{name}" + (f"#{attempt}" if attempt > 1 else ""),
                "batch_id": batch_id,
                "name": name,
                "status": status,
                "attempt": attempt,
                "finished_at": at,
                "compared_at": "",
                "verdict": None,
                "error": None,
                "started_at": at,
                "seconds": 2.0,
                **more,
            },
        )

    def end(self, batch_id, at="2026-12-01T00:00:00.000+00:00"):
        # A session's begin and end are in one segment.
        (main,) = self.folder(batch_id).glob("main-*.jsonl")
        with main.open("a") as file:
            file.write(json.dumps({"v": 1, "kind": "end", "at": at, "exitstatus": 0}) + "\n")

    def whole(self, batch_id, *names, **more):
        self.begin(batch_id, *names, **more)
        for name in names:
            self.run(batch_id, name)
        self.end(batch_id)

    def folder(self, batch_id):
        return self.files._layout.batch_folder(batch_id)

    def index(self):
        return Index.of(self.files, self.path)


@pytest.fixture
def recorder_in():
    """A :class:`Recorder` of the registry in a folder."""
    return Recorder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Indexes of tests are nobody else's."""
    monkeypatch.setenv("FINBOT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    """Where a registry of the test's is, once it is made."""
    return tmp_path / ".finbot"
