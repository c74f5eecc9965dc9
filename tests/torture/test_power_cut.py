"""What a power cut leaves: synced bytes under synced names, and of the rest nothing, or anything.

A process records while each sync is noted together with what was there then. From that the disk
is made up as a cut at any moment leaves it, and read: what was acknowledged by then has to be there.
The same story is killed at each of its steps, with half a write done.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry import BatchRegistry, open_registry
from pytest_finbot.registry.upkeep.verify import verify

SCRIPT = Path(__file__).with_name("under_watch.py")
PATIENCE = 120.0


class Recorded:
    """A registry that was recorded under watch, and the disk as a cut after any step leaves it."""

    def __init__(self, folder: Path, environment: dict[str, str], durability: str, objects: str) -> None:
        self.top = folder / "recorded"
        self.top.mkdir()
        log = folder / "log.json"
        command = [
            sys.executable,
            str(SCRIPT),
            "watch",
            str(self.top / ".finbot"),
            durability,
            str(log),
            objects,
        ]
        subprocess.run(command, env=environment, check=True, timeout=PATIENCE)
        self.events = json.loads(log.read_text())
        self._contents = {
            str(path.stat().st_ino): path.read_bytes() for path in self.top.rglob("*") if path.is_file()
        }

    def told(self, until: int) -> list[dict]:
        """What was acknowledged before the step of that number."""
        return [event for event in self.events[:until] if event["what"] == "told"]

    def cut(self, until: int, target: Path, survives) -> Path:
        """The registry after a cut when ``until`` steps were done.

        ``survives(synced, there)`` is how many bytes are left of a file that was synced up to
        the first and had grown to the second; for a name, 0 or 1 of (0, 1).
        """
        if target.exists():
            shutil.rmtree(target)
        names: dict[str, dict[str, int]] = {}
        sizes: dict[str, int] = {}
        for event in self.events[:until]:
            if event["what"] == "folder":
                names[str(event["inode"])] = event["names"]
            elif event["what"] == "file":
                sizes[str(event["inode"])] = event["size"]
        now = self.events[until - 1]

        def make(inode: str, path: Path) -> None:
            if inode not in now["folders"]:
                size = survives(sizes.get(inode, 0), now["sizes"].get(inode, 0))
                path.write_bytes(self._contents[inode][:size])
                return
            path.mkdir()
            synced = names.get(inode, {})
            for name, inner in {**now["folders"][inode], **synced}.items():
                if synced.get(name) == inner or survives(0, 1):
                    make(str(inner), path / name)

        make(str(self.top.stat().st_ino), target)
        return target / ".finbot"


def nothing(synced: int, there: int) -> int:
    """The strictest disk: nothing survives that was not synced."""
    return synced


def names_only(synced: int, there: int) -> int:
    """Names survive without what is in them: the usual sight after a cut."""
    return 1 if there == 1 else synced


class Anything:
    """Any part of what was not synced survives, by chance."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def __call__(self, synced: int, there: int) -> int:
        return self._chance.randint(synced, max(synced, there))


def missing(root: Path, told: list[dict]) -> list[dict]:
    """What was acknowledged and is not there, or not whole."""
    if not root.exists():
        return told
    registry, lost, folds = open_registry(root), [], {}
    for event in told:
        batch_id, _, name = event["name"].partition("/")
        try:
            if batch_id not in folds:
                folds[batch_id] = registry.fold(batch_id)
            fold = folds[batch_id]
            if event["about"] == "batch":
                there = len(fold.expected) > 0 and registry.manifest(batch_id)["batch_id"] == batch_id
            elif event["about"] == "item":
                there = _readable(registry, next(fold.records([name]), None))
            else:
                there = fold.ended and fold.status is BatchStatus.COMPLETED
        except RegistryError as error:
            lost.append({**event, "why": str(error)})
            continue
        if not there:
            lost.append(event)
    return lost


def _readable(registry, record):
    if record is None or record["series"] is None:
        return record is not None
    return len(registry.objects.get_table(record["series"], verify=True)["nav"]) == 200


def faults(root: Path) -> list[str]:
    if not root.exists():
        return []
    return [str(finding) for finding in verify(open_registry(root)) if finding.level == "fault"]


SURVIVAL = pytest.mark.parametrize(
    "survives",
    [nothing, names_only, Anything(1), Anything(2)],
    ids=["nothing", "names", "chance1", "chance2"],
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, surroundings_of):
    """By durability, and whether series were recorded as objects; each is recorded once."""
    made = {}

    def record(durability, objects="objects"):
        if (durability, objects) not in made:
            folder = tmp_path_factory.mktemp("power")
            environment = surroundings_of(folder).environment
            made[durability, objects] = Recorded(folder, environment, durability, objects)
        return made[durability, objects]

    return record


@SURVIVAL
def test_with_durability_item_a_power_cut_at_any_moment_takes_nothing_acknowledged(
    recorded, tmp_path, survives
):
    story = recorded("item")
    assert len(story.told(len(story.events))) == 2 * (12 + 2)
    for until in range(1, len(story.events) + 1):
        root = story.cut(until, tmp_path / "cut", survives)
        told = story.told(until)
        assert missing(root, told) == [], f"after step {until}: {story.events[until - 1]['what']}"
        if root.exists():
            assert faults(root) == []


def test_before_an_item_is_acknowledged_its_object_and_then_its_line_are_synced(recorded):
    story = recorded("item")
    last = 0
    for number, event in enumerate(story.events):
        if event["what"] == "told" and event["about"] == "item":
            steps = story.events[last + 1 : number]
            kinds = [step["what"] for step in steps]
            assert kinds[-1] == "file", "the line is the last that is synced"
            assert steps[-1]["size"] == steps[-1]["sizes"][str(steps[-1]["inode"])], "all of it"
            if "file" in kinds[:-1]:  # a new object: its bytes before its name
                assert "folder" in kinds[kinds.index("file") : -1]
        if event["what"] == "told":
            last = number


@pytest.mark.parametrize("objects", ["objects", "none"])
@SURVIVAL
def test_with_durability_second_a_power_cut_takes_at_most_the_items_of_one_second(
    recorded, tmp_path, survives, objects
):
    story = recorded("second", objects)
    most = 0
    for until in range(1, len(story.events) + 1):
        root = story.cut(until, tmp_path / "cut", survives)
        lost = missing(root, story.told(until))
        assert {event["about"] for event in lost} <= {"item", "end"}, "a batch that was told of is there"
        assert faults(root) == []
        if lost:
            # Those of the time since the last sync: one second, in which this story records 7 items.
            assert story.events[until - 1]["at"] - min(event["at"] for event in lost) < 1.0
            assert lost == story.told(until)[-len(lost) :]
            most = max(most, len(lost))
    if survives is nothing:
        assert most > 0, "else nothing was put at risk, and nothing was tested"


@pytest.mark.parametrize("durability", ["item", "second"])
def test_killed_at_any_step_nothing_acknowledged_is_lost_and_the_batch_can_be_gone_on_with(
    surroundings, tmp_path, durability
):
    folder = tmp_path / "steps"
    folder.mkdir()
    # The threads that the fork is warned of are those of libraries, and idle.
    quiet = ("-W", "ignore:This process:DeprecationWarning")
    command = [sys.executable, *quiet, str(SCRIPT), "kill", str(folder), durability]
    done = subprocess.run(
        command, env=surroundings.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    places = sorted(folder.iterdir())
    assert len(places) > 25, "steps are counted where the registry takes them"
    torn = []
    for place in places:
        root = place / ".finbot"
        lines = (place / "told").read_text().splitlines()
        told = [dict(zip(("about", "name"), line.split(" "), strict=True)) for line in lines]
        assert missing(root, told) == [], place.name
        if root.exists():
            assert faults(root) == [], place.name
        files = open_registry(root)
        with BatchRegistry(root) as registry:
            for batch_id in {event["name"].partition("/")[0] for event in told}:
                before = files.fold(batch_id).recorded
                assert files.fold(batch_id).problems == ()
                torn += files.fold(batch_id).notes
                for name in ("item-00", "item-01"):
                    registry.add_item_result(batch_id, {"name": name, "status": "success"})
                assert registry.complete_batch(batch_id) is BatchStatus.COMPLETED
                assert before <= files.fold(batch_id).recorded == 2
        assert faults(root) == [], place.name
    # Every line that came after an acknowledged one was cut off in one of the places.
    assert len(torn) > 5
    assert all("the last line was cut off after" in problem for problem in torn)
