"""What this session compares with, and when it fails: the options of the gate, per batch."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pytest_finbot.baselines.judge import Gate
from pytest_finbot.baselines.revision import copy_of_revision
from pytest_finbot.baselines.slices import slice_of
from pytest_finbot.baselines.sources import BaselineSource, BatchSource, FolderSource
from pytest_finbot.contracts import Waiver
from pytest_finbot.errors import BaselineError, did_you_mean

if TYPE_CHECKING:
    import pytest

    from pytest_finbot.config.expand import Batch
    from pytest_finbot.registry.protocol import Registry

FailOn = Literal["any", "regression", "error", "all-failed", "never"]
FAIL_ON: tuple[FailOn, ...] = get_args(FailOn)


@dataclass(frozen=True, slots=True)
class GateOptions:
    """The gate's options as they were given. ``baseline`` replaces what batch files say."""

    baseline: str | None = None
    accept: str | None = None
    fail_on: FailOn = "any"
    require_baseline: bool = False
    folder: Path = Path()
    """Folder that relative paths of the command line are relative to."""

    @classmethod
    def of(cls, config: pytest.Config) -> GateOptions:
        option = config.option
        return cls(
            baseline=option.finbot_baseline,
            accept=option.finbot_accept,
            fail_on=option.finbot_fail_on,
            require_baseline=option.finbot_require_baseline,
            folder=config.invocation_params.dir,
        )


@dataclass(slots=True)
class BatchGate:
    """One batch's gate, resolved by the controller. ``kind`` none: nothing is gated."""

    kind: Literal["none", "folder", "revision", "batch"]
    shown: str = ""
    """What the source is called in messages and reports."""
    folder: Path | None = None
    batch_id: str = ""
    waivers: tuple[Waiver, ...] = ()
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    accept: str | None = None
    missing: tuple[str, ...] = ()
    """Runs with a baseline that are no longer in the batch file."""
    accepts_nothing: bool = False
    """``accept`` matches no run of the batch."""
    _copy: tempfile.TemporaryDirectory[str] | None = None

    @property
    def gated(self) -> bool:
        return self.kind != "none"

    def payload(self) -> dict[str, Any] | None:
        """What a worker needs to open the same gate, as JSON values."""
        if not self.gated:
            return None
        return {
            "folder": None if self.folder is None else str(self.folder),
            "shown": self.shown,
            "batch_id": self.batch_id,
            "waivers": [{**asdict(waiver), "expires": waiver.expires.isoformat()} for waiver in self.waivers],
            "today": self.today.isoformat(),
            "accept": self.accept,
        }

    def release(self) -> None:
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None


def open_gate(payload: Mapping[str, Any] | None, registry: Registry) -> Gate | None:
    """The gate that :meth:`BatchGate.payload` told of, in the process that executes."""
    if payload is None:
        return None
    waivers = tuple(
        Waiver(**{**waiver, "expires": date.fromisoformat(waiver["expires"])})
        for waiver in payload["waivers"]
    )
    return Gate(_source(payload, registry), waivers, date.fromisoformat(payload["today"]), payload["accept"])


def _source(payload: Mapping[str, Any], registry: Registry) -> BaselineSource:
    if payload["folder"] is None:
        return BatchSource(registry, payload["batch_id"])
    return FolderSource(Path(payload["folder"]), payload["shown"])


def resolve_gate(batch: Batch, options: GateOptions, registry: Registry) -> BatchGate:
    """Find what ``batch`` is compared with.

    Raises BaselineError where that is nowhere to be found, cannot be accepted into, or is
    required and not given; RegistryError where a recorded batch cannot be read.
    """
    gate = _resolved(batch, options, registry)
    gate.waivers = batch.waivers
    if not gate.gated:
        if options.require_baseline:
            raise BaselineError(
                f"{batch.path.name}: batch {batch.batch_name} has no baseline, and --finbot-require-baseline "
                "asks for one; add the key baseline: baselines"
            )
        if options.accept is not None:
            raise BaselineError(
                f"{batch.path.name}: batch {batch.batch_name} has no baseline to accept into; "
                "add the key baseline: baselines"
            )
        return gate
    if options.accept is not None and gate.kind != "folder":
        raise BaselineError(
            "--finbot-accept writes into a folder of baselines, and --finbot-baseline "
            f"{options.baseline} is none"
        )
    gate.accept = options.accept
    if options.accept is not None and not any(fnmatchcase(spec.name, options.accept) for spec in batch.runs):
        gate.accepts_nothing = True
    payload = gate.payload()
    assert payload is not None, "a gate that is open has something to tell"
    known = {spec.name for spec in batch.runs}
    known.update(cut.of for spec in batch.runs if (cut := slice_of(spec)) is not None)
    known.update(batch.left_out)
    gate.missing = tuple(name for name in _source(payload, registry).names() if name not in known)
    return gate


def _resolved(batch: Batch, options: GateOptions, registry: Registry) -> BatchGate:
    asked = options.baseline
    if asked == "":
        raise BaselineError(
            "--finbot-baseline is empty; expected a folder of baselines, batch:ID or git:REVISION"
        )
    if asked is None:
        if batch.baseline is None:
            return BatchGate("none")
        folder = batch.baseline / batch.batch_name
        if folder.exists() and not folder.is_dir():
            raise BaselineError(f"{_shown(folder, options.folder)} is a file; expected a folder of baselines")
        return BatchGate("folder", _shown(folder, options.folder), folder)
    kind, separator, rest = asked.partition(":")
    if separator and kind == "batch":
        registry.manifest(rest)  # told now, not by every run
        return BatchGate("batch", asked, batch_id=rest)
    if separator and kind == "git":
        folder = (batch.baseline or batch.path.parent / "baselines") / batch.batch_name
        copy = tempfile.TemporaryDirectory(prefix="finbot-baselines-")
        try:
            commit = copy_of_revision(rest, folder, Path(copy.name))
        except BaselineError:
            copy.cleanup()
            raise
        return BatchGate("revision", f"git:{rest} ({commit[:12]})", Path(copy.name), _copy=copy)
    folder = Path(options.folder, asked)
    if not folder.is_dir():
        hint = did_you_mean(kind, ("batch", "git")) if separator else ""
        raise BaselineError(
            f"--finbot-baseline {asked}: there is no such folder{hint}; expected a folder of baselines, "
            "batch:ID or git:REVISION"
        )
    return BatchGate("folder", _shown(folder / batch.batch_name, options.folder), folder / batch.batch_name)


def _shown(folder: Path, start: Path) -> str:
    return (folder.relative_to(start) if folder.is_relative_to(start) else folder).as_posix()
