"""What only the session knows that ran a batch, kept in the registry when it ends.

The records tell what each run came to. Which baselines have no run any more, which waivers expired, what
was accepted or refused and what went wrong around the runs is seen by the session alone. A report that is
made later is made of both; where a session left nothing, that is said, and such a report is never green.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.errors import RegistryError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry.strict_json import encode
from pytest_finbot.reports.compared import ComparedFacts
from pytest_finbot.reports.facts import GateFacts
from pytest_finbot.reports.phase_facts import TimeSpent
from pytest_finbot.reports.report import ShardFacts
from pytest_finbot.reports.stitched import StitchedFacts

if TYPE_CHECKING:
    from pytest_finbot.registry.fold import BatchFold
    from pytest_finbot.registry.protocol import Registry

FORMAT: Final = "finbot-session-facts"
VERSION: Final = 1
LINE: Final = "facts"
"""Kind of the line that names them, see :mod:`pytest_finbot.registry.fold`."""
_WRITER: Final = "facts"
_UNSEEN: Final = "missing baselines and expired waivers were not looked at"


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """Of one session and batch. ``seconds`` from its begin to its end, ``finished_at`` UTC.

    ``gate`` is without the counts of verdicts, which are the records'; ``problems`` and ``notes`` are
    those that the records do not tell by themselves.
    """

    finished_at: str
    seconds: float
    fail_on: str = "any"
    gate: GateFacts | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stitched: tuple[StitchedFacts, ...] = ()
    compared: tuple[ComparedFacts, ...] = ()
    time_spent: TimeSpent | None = None
    shard: ShardFacts | None = None
    empty_share: bool = False


def keep_session(registry: Registry, batch_id: str, began: str, at: str, facts: SessionFacts) -> None:
    """Record ``facts`` of the session whose ``begin`` line is of the time ``began``.

    In a segment of their own, written when all others are closed: of a session that is killed before, the
    batch says that they are not there. Raises RegistryError where they cannot be kept.
    """
    document = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(facts)}
    # As text: whole numbers of any size are JSON, and the canonical form knows only 53 bits.
    text = encode(document, "what the session knew").decode()
    digest = sha256_of_json(text)
    registry.objects.put_json(digest, text)
    writer = registry.open_writer(batch_id, _WRITER)
    try:
        writer.append(LINE, {"at": at, "began": began, "facts": digest})
    finally:
        writer.close()


def kept_session(registry: Registry, fold: BatchFold) -> SessionFacts:
    """What the last session of the batch recorded; otherwise what can be told without it, as a problem."""
    if fold.facts is None:
        return SessionFacts("", 0.0, problems=tuple(_not_kept(fold)))
    from pydantic import TypeAdapter, ValidationError

    try:
        text = registry.objects.get_json(fold.facts, verify=True)
        adapter = TypeAdapter(dict[str, Any])
        document = adapter.validate_json(text)
        if document.pop("format", None) != FORMAT:
            raise RegistryError(f"its format is not {FORMAT!r}")
        if document.pop("version", None) != VERSION:
            raise RegistryError("it is of another version of pytest-finbot; use the same to read it")
        return TypeAdapter(SessionFacts).validate_json(text)
    except (RegistryError, ValidationError, TypeError) as error:
        said = str(error).partition("\n")[0]
        why = f"what the session knew when it ended cannot be read ({said}): {_UNSEEN}"
        return SessionFacts("", 0.0, problems=(why,))


def _not_kept(fold: BatchFold) -> Iterator[str]:
    if fold.status == "running":
        yield f"the batch is running: {_UNSEEN} yet"
    elif fold.ended:
        yield f"what its session knew when it ended is not recorded: {_UNSEEN}"
    else:
        yield f"the session that ran it did not end: {_UNSEEN}"


def gate_known_from(manifest: Mapping[str, Any], fold: BatchFold) -> GateFacts | None:
    """The gate as far as the batch tells of it by itself, where its session did not."""
    folder, batch = manifest.get("baseline"), manifest.get("baseline_batch")
    if not folder and not batch and not fold.verdicts:
        return None
    source = f"batch:{batch}" if batch else "baselines that are not recorded"
    if not batch and folder:
        path, root = PurePath(str(folder)), str(manifest.get("root") or "")
        source = (path.relative_to(root) if root and path.is_relative_to(root) else path).as_posix()
    return GateFacts(source=source, fail_on="any", verdicts={})
