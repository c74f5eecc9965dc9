"""Opening a registry: made where there is none, never taken for one where it is not."""

import json
import os

import pytest

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.layout import Layout


def test_a_registry_is_made_where_there_is_none(tmp_path):
    root = tmp_path / "deep" / ".finbot"
    open_registry(root)
    assert json.loads((root / "registry.json").read_text()) == {"format": "finbot-registry", "version": 1}
    assert [path.name for path in root.iterdir()] == ["registry.json"]


def test_opening_it_again_writes_nothing(tmp_path):
    open_registry(tmp_path)
    os.utime(tmp_path / "registry.json", ns=(1, 1))
    open_registry(str(tmp_path))
    assert (tmp_path / "registry.json").stat().st_mtime_ns == 1


def test_later_keys_of_the_marker_do_no_harm(tmp_path):
    (tmp_path / "registry.json").write_text('{"format":"finbot-registry","version":1,"mood":"sunny"}')
    registry = open_registry(tmp_path)
    batch_id = registry.create_batch({"batch_id": "batch-20260101T000000Z-aaaaaa"})
    assert list(registry.batch_ids()) == [batch_id]
    assert "sunny" in (tmp_path / "registry.json").read_text()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            '{"format":"finbot-registry","version":2}',
            "has version 2, this pytest-finbot reads up to 1; upgrade",
        ),
        ('{"format":"finbot-registry"}', "has version None"),
        ('{"format":"finbot-registry","version":"1"}', "has version '1'"),
        ('{"name":"a registry of npm packages"}', "was not written by pytest-finbot"),
        ("[]", "was not written by pytest-finbot"),
        ("", "is not a finbot-registry file"),
    ],
)
def test_a_newer_or_foreign_registry_is_refused_and_left_alone(tmp_path, content, words):
    marker = tmp_path / "registry.json"
    marker.write_text(content)
    with pytest.raises(RegistryError) as refused:
        open_registry(tmp_path)
    assert str(refused.value).startswith(str(marker))
    assert words in str(refused.value)
    assert marker.read_text() == content


def test_a_folder_that_cannot_be_made_is_told_with_the_culprit(tmp_path):
    (tmp_path / "blocked").write_text("a file where a folder should be")
    root = tmp_path / "blocked" / "registry"
    with pytest.raises(RegistryError) as refused:
        open_registry(root)
    assert str(refused.value) == f"cannot open the registry {root}: Not a directory ({tmp_path / 'blocked'})"


def test_a_read_only_folder_is_told(tmp_path, monkeypatch):
    def refuse(_source, _target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(RegistryError, match=r"cannot open the registry .*: Permission denied"):
        open_registry(tmp_path / "new")


def test_a_registry_elsewhere_is_not_available_and_its_password_is_not_shown():
    with pytest.raises(RegistryError, match="postgresql:// is not available in this version") as refused:
        open_registry("postgresql://user:secret@host/db")
    assert "secret" not in str(refused.value)
    with pytest.raises(RegistryError, match="cannot be at s3://"):
        open_registry("s3://bucket")


def test_an_unknown_durability_is_refused(tmp_path):
    with pytest.raises(RegistryError, match="'seconds', expected item or second; did you mean 'second'"):
        open_registry(tmp_path, durability="seconds")


def test_paths_are_those_of_the_format(tmp_path):
    layout = Layout.open(tmp_path)
    batch_id = "batch-20261121T091502Z-3f9c1a"
    folder = tmp_path / "batches" / "2026" / "11" / batch_id
    assert layout.manifest(batch_id) == folder / "manifest.json"
    assert layout.log(batch_id, "gw0") == folder / "logs" / "gw0.jsonl"
    first, second = layout.new_segment(batch_id, "gw0"), layout.new_segment(batch_id, "gw0")
    assert first.parent == folder
    assert first.name.startswith("gw0-")
    assert first != second


@pytest.mark.parametrize("writer", ["", "../gw0", "a/b", ".hidden", "gw 0"])
def test_a_writers_name_cannot_leave_the_folder(tmp_path, writer):
    with pytest.raises(RegistryError, match="cannot name a writer"):
        Layout.open(tmp_path).new_segment("batch-20261121T091502Z-3f9c1a", writer)
