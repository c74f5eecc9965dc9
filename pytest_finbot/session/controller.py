"""A batch's life in the process that owns the session: validate, begin, watch, finish.

The controller alone creates batches and writes summaries. It never executes a run under
xdist, and forgets the specs once workers can read them from the manifest: its memory does
not grow with what the runs are, only with how many there are.
"""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finbot.baselines.accept import Change, accept_batch
from pytest_finbot.baselines.previous import EarlierRuns
from pytest_finbot.config.manifest import runs_to_json
from pytest_finbot.contracts import RunSpec
from pytest_finbot.errors import FinbotError, RegistryError
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.ids import new_batch_ids
from pytest_finbot.registry.segments import Durability
from pytest_finbot.reports.summary import unforeseen
from pytest_finbot.session.acceptance import acceptance
from pytest_finbot.session.attempt import OpenBatch, now
from pytest_finbot.session.cancelling import CancelWatch, requests
from pytest_finbot.session.comparing import planned_comparisons
from pytest_finbot.session.continuing import LAST, continue_batch, find_batch, require_same_slices
from pytest_finbot.session.crashes import crash_record
from pytest_finbot.session.discovery import absolute, leave_out
from pytest_finbot.session.finish import finish_batch
from pytest_finbot.session.finished import Finished
from pytest_finbot.session.gate import GateOptions, open_gate, resolve_gate
from pytest_finbot.session.isolated import isolates
from pytest_finbot.session.items import node_id
from pytest_finbot.session.limits import worker_limit
from pytest_finbot.session.loading import LeftOut, read_batches
from pytest_finbot.session.max_rss import MemoryNotes
from pytest_finbot.session.notifying import require_apprise
from pytest_finbot.session.output import OutputFolder, replaced
from pytest_finbot.session.planned import PlannedBatch
from pytest_finbot.session.provenance import provenance
from pytest_finbot.session.resumed import ResumedRuns
from pytest_finbot.session.sharding import leave_out_others, only_empty_shares, require_same_shard
from pytest_finbot.session.slicing import Slicing
from pytest_finbot.session.stitching import planned_parts

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch
    from pytest_finbot.registry.protocol import BatchWriter, Registry


class Controller:
    """The session's batches, from validated files to written summaries."""

    def __init__(
        self,
        config: pytest.Config,
        batches: Sequence[Batch],
        registry_root: Path,
        slicing: Slicing | None = None,
        left_out: Sequence[LeftOut] = (),
    ) -> None:
        self.config = config
        self.registry_root = registry_root
        self.slicing = slicing
        self.left_out = tuple(left_out)
        """Batches that have nothing to run where slices are asked for."""
        self.not_collected = [str(batch.path) for batch in self.left_out]
        """What is asked for by name and not collected, as ``discovery.leave_out`` wants it."""
        leave_out(config, self.not_collected)
        self.planned = [
            PlannedBatch(
                batch,
                f"{node_id(batch.path, config.rootpath)}::",
                planned_parts(batch.runs),
                planned_comparisons(batch.runs),
            )
            for batch in batches
        ]
        self.options = GateOptions.of(config)
        self.cancelled: str | None = None
        """Why all batches of the session end before their end."""
        self.stopped: str | None = None
        """Why runs are left over, where some are: pytest stopped after a failure."""
        self.resumed = ResumedRuns()
        self.memory = MemoryNotes(config.option.finbot_max_rss)
        self.finished: list[Finished] = []
        self.workers_started = 0
        """Processes that execute runs for this one; 0 where it does so itself."""
        self._limits = [batch.max_workers for batch in batches if batch.max_workers is not None]
        self._registry: Registry | None = None
        self._recorded_failures = 0
        # Batches of one session share its writers, so the strictest of them decides.
        self.durability: Durability = (
            "item" if any(batch.durability == "item" for batch in batches) else "second"
        )

    @classmethod
    def load(cls, config: pytest.Config, files: Sequence[Path]) -> Controller:
        """Read and validate every batch file; raises UsageError with all their problems."""
        root = config.option.finbot_registry
        registry_root = (
            Path(config.rootpath, ".finbot") if root is None else Path(config.invocation_params.dir, root)
        )
        slicing = Slicing.of(config)
        batches, left_out = read_batches(config, files, registry_root, slicing)
        return cls(config, batches, registry_root, slicing, left_out)

    # ------------------------------------------------------------------ before any run

    def workers(self, cores: int) -> int:
        """How many workers ``-n auto`` means here."""
        return worker_limit(cores, self._limits)

    def specs(self) -> dict[Path, Sequence[RunSpec]]:
        return {planned.batch.path: planned.batch.runs for planned in self.planned}

    def leave_out_others(self) -> None:
        """Let pytest not look for runs of other shards, where node ids ask for them."""
        self.not_collected += leave_out_others(self.config, [planned.batch for planned in self.planned])

    def begin(self) -> None:
        """Create the batches, or take up earlier ones: folders and manifests. Raises UsageError."""
        at = datetime.now(UTC)
        try:
            require_apprise(planned.batch for planned in self.planned)
            self._registry = open_registry(self.registry_root, durability=self.durability)
            for planned in self.planned:
                for spec in planned.batch.runs:
                    isolates(spec)  # told now, not by every run
                planned.gate = resolve_gate(planned.batch, self.options, self._registry)
            for planned, batch_id in zip(self.planned, new_batch_ids(at, len(self.planned)), strict=True):
                self._begin(planned, self._registry, at, batch_id)
            for planned in self.planned:  # nothing is refused any more
                assert planned.folder is not None, "begun above"
                assert planned.open is not None, "begun above"
                batch = planned.batch
                planned.folder.begin(planned.open.batch_id, batch.path.name, batch.text)
        except FinbotError as error:
            self.release()
            raise pytest.UsageError(f"finbot: {error}\nnothing was run") from error

    def _begin(self, planned: PlannedBatch, registry: Registry, at: datetime, new_id: str) -> None:
        batch = planned.batch
        asked = self._asked_to_resume()
        batch_id = new_id if asked is None else find_batch(registry, batch, asked)
        if planned.gate.batch_id == batch_id:
            raise RegistryError(
                f"--finbot-baseline batch:{batch_id}: that is the batch to go on with, and a batch compared "
                "with itself can never move; name another one"
            )
        if asked is not None:
            require_same_slices(registry, batch_id, self.slicing)
            require_same_shard(registry, batch_id, batch.share)
            # Before anything of it is looked at: whoever else is at work on it ends first.
            planned.hold = registry.hold(batch_id)
        planned.folder = OutputFolder(batch.output)
        planned.folder.acquire()
        planned.provenance = provenance(batch.path.parent)
        manifest = {
            "batch_name": batch.batch_name,
            "description": batch.description,
            "source": planned.prefix.removesuffix("::"),
            "source_sha256": hashlib.sha256(batch.text).hexdigest(),
            "file": str(batch.path),
            "root": str(self.config.rootpath),
            "output": str(planned.folder.path),
            "durability": self.durability,
            "baseline": str(planned.gate.folder) if planned.gate.kind == "folder" else None,
            "baseline_batch": planned.gate.batch_id or None,
            "slicing": None if self.slicing is None else self.slicing.to_json(),
            "shard": None if batch.share is None else batch.share.to_json(),
            "plan": None if batch.share is None else batch.share.plan,
            "provenance": planned.provenance,
            "notify": [{"url_env": one.url_env, "when": one.when} for one in batch.notify],
            **runs_to_json(batch.runs),
        }
        if asked is None:
            created_at = at.isoformat(timespec="milliseconds")
            registry.create_batch({"batch_id": batch_id, "created_at": created_at, **manifest})
            planned.hold = registry.hold(batch_id)
        else:
            planned.continued = continue_batch(
                registry,
                batch,
                batch_id,
                manifest,
                failed_only=self.config.option.finbot_retry_failed,
                slicing=self.slicing,
            )
        gate = open_gate(planned.gate.payload(), registry)
        only = planned.continued.only if planned.continued is not None else None
        earlier = None
        if gate is None:
            earlier = EarlierRuns(registry, batch.batch_name, manifest["slicing"], batch_id)
        planned.open = OpenBatch(
            batch.path, batch_id, planned.folder.path, gate, asked is not None, only, earlier
        )
        planned.began = time.monotonic()
        planned.cancels_before = tuple(requests(registry.batch_folder(batch_id)))
        planned.watch = CancelWatch(registry.batch_folder(batch_id), planned.cancels_before)
        planned.writer = registry.open_writer(batch_id, "main")

    def _asked_to_resume(self) -> str | None:
        option = self.config.option
        asked: str | None = option.finbot_resume
        return LAST if asked is None and option.finbot_retry_failed else asked

    @property
    def registry(self) -> Registry:
        assert self._registry is not None, "asked for before begin()"
        return self._registry

    def watches(self) -> dict[str, CancelWatch]:
        """Of each batch, what looks for requests to cancel it."""
        return {
            planned.open.batch_id: planned.watch
            for planned in self.planned
            if planned.open is not None and planned.watch is not None
        }

    def open_batches(self) -> dict[Path, OpenBatch]:
        return {planned.batch.path: planned.open for planned in self.planned if planned.open is not None}

    def worker_payload(self, log_json: str | None = None) -> str:
        """What a worker needs to find its batches; a string, for xdist carries only plain data."""
        return json.dumps(
            {
                "registry": str(self.registry_root),
                "durability": self.durability,
                "log_json": log_json,
                "batches": [
                    {
                        "path": str(planned.open.path),
                        "batch_id": planned.open.batch_id,
                        "output": str(planned.open.output),
                        "gate": planned.gate.payload(),
                        "resumed": planned.open.resumed,
                        "plan": planned.continued.plan if planned.continued else None,
                        "cancels_before": planned.cancels_before,
                        "only": _sorted(planned.continued.only if planned.continued else None),
                    }
                    for planned in self.planned
                    if planned.open is not None
                ],
            }
        )

    def forget_specs(self) -> None:
        """Give back the memory of the specs; workers have them from the manifest."""
        for planned in self.planned:
            planned.batch = planned.batch.without_runs()
        gc.collect()

    # ---------------------------------------------------------------- while runs go on

    def expect(self, node_ids: Iterable[str]) -> None:
        """Note which runs were selected: each of them owes a record."""
        names: dict[str, list[str]] = {planned.prefix: [] for planned in self.planned}
        for identifier in node_ids:
            file, separator, name = identifier.partition("::")
            if file + separator in names:
                names[file + separator].append(name)
        for planned in self.planned:
            share = planned.batch.share
            # A share without a run was run when nothing was: that is recorded, and reported.
            empty = share is not None and share.empty
            if not planned.begun and (names[planned.prefix] or empty):
                selected = names[planned.prefix]
                planned.begun = True
                if planned.continued is not None and planned.continued.only is not None:
                    # To try again what failed asks for no run that was not asked for before.
                    selected = [name for name in selected if name in planned.continued.known]
                assert planned.writer is not None, "expected before begin()"
                begin: dict[str, Any] = {
                    "at": now(),
                    "expected": selected,
                    "deselected": planned.batch.run_count - len(selected),
                }
                if planned.continued is not None:
                    begin |= {"gone": list(planned.continued.gone), "provenance": planned.provenance}
                    if planned.continued.plan is not None:
                        begin["runs"] = planned.continued.plan
                planned.begun_at = begin["at"]
                planned.writer.append("begin", begin)

    def crashed(self, identifier: str, worker: str) -> str | None:
        """Record that ``worker`` died during a run; what to tell, or None if it is not ours."""
        file, separator, name = identifier.partition("::")
        for planned in self.planned:
            if planned.prefix == file + separator and planned.open is not None and planned.writer is not None:
                manifest = self.registry.manifest(planned.open.batch_id)
                attempt = self.registry.fold(planned.open.batch_id).attempts.get(name) or 1
                record = crash_record(manifest, planned.open, name, worker, attempt)
                planned.writer.append("crash", record)
                return str(record["error"]["message"])
        return None

    # ------------------------------------------------------------------------ afterwards

    def failed(self, identifier: str, *, recorded: bool) -> None:
        """Note a failed test. Of ours, those with a record are the gate's to weigh; no others are."""
        if recorded and self.owns(identifier):
            self._recorded_failures += 1

    def owns(self, identifier: str) -> bool:
        """Whether a node id is that of a run."""
        prefix = "".join(identifier.partition("::")[:2])
        return any(planned.prefix == prefix for planned in self.planned)

    def finish(self, exitstatus: int, failures: int) -> int:
        """Write the summaries; the session's exit status, never 0 unless the gate is open.

        ``failures`` are all failed tests and collections of the session. ``--finbot-fail-on``
        can excuse recorded runs, and nothing else.
        """
        try:
            for planned in self.planned:
                if planned.open is None or planned.writer is None:
                    continue
                try:
                    finished = self._finish(planned, planned.open, planned.writer, exitstatus)
                except Exception as error:  # noqa: BLE001
                    # Raised out of pytest's hook it would hide every other batch's end.
                    finished = Finished.without_summary(planned.batch.batch_name, unforeseen(error))
                self.finished.append(finished)
            self.finished += [Finished.left_out(batch.name, batch.why) for batch in self.left_out]
        finally:
            self.release()
        if exitstatus == pytest.ExitCode.TESTS_FAILED and failures == self._recorded_failures:
            exitstatus = pytest.ExitCode.OK  # nothing failed that the gate does not know of
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and only_empty_shares(
            self.config, [planned.batch for planned in self.planned]
        ):
            exitstatus = pytest.ExitCode.OK  # there are more shards than runs; all shards together are judged
        if exitstatus != pytest.ExitCode.OK:
            return int(exitstatus)
        if any(self._cancel_reason(planned) for planned in self.planned if planned.begun):
            return int(pytest.ExitCode.INTERRUPTED)
        if not all(finished.green for finished in self.finished):
            return int(pytest.ExitCode.TESTS_FAILED)
        asked_for = {absolute(name, self.config) for name in self.config.option.finbot_batch}
        if any(not planned.begun and planned.batch.path in asked_for for planned in self.planned):
            # Asked for by name, and none of its runs was run: other tests do not make up for it.
            return int(pytest.ExitCode.NO_TESTS_COLLECTED)
        return exitstatus

    def _finish(
        self, planned: PlannedBatch, opened: OpenBatch, writer: BatchWriter, exitstatus: int
    ) -> Finished:
        if not planned.begun:
            writer.close()
            if planned.continued is None:
                self.registry.discard_empty(opened.batch_id)
            why = self._cancel_reason(planned)
            if why is not None:
                return Finished.before_any_run(planned.batch.batch_name, planned.batch.run_count, why)
            return Finished.nothing_selected(planned.batch.batch_name)
        reason = self._cancel_reason(planned)
        if reason is None and self.stopped is not None and self.registry.fold(opened.batch_id).not_run_count:
            reason = self.stopped
        problems = list(replaced(opened.output, opened.batch_id))
        if planned.continued is not None:
            expected = self.registry.fold(opened.batch_id).expected
            problems += self.resumed.problems(planned.prefix, expected, opened.batch_id)
        try:
            if reason is not None:
                writer.append("cancel", {"at": now(), "reason": reason})
            writer.append("end", {"at": now(), "exitstatus": exitstatus})
            writer.close()
        except RegistryError as error:
            # The disk is full, say: what is recorded can still be summed up, and is not green.
            problems.append(f"the end of the batch could not be recorded: {error}")
        seconds = time.monotonic() - planned.began
        accepted = self._accept(planned, opened)
        return finish_batch(
            self.registry,
            planned.batch,
            opened,
            planned.begun_at,
            seconds,
            planned.gate,
            accepted,
            self.options.fail_on,
            problems,
            planned.parts,
            planned.comparisons,
            self.workers_started or None,
            self.memory.of(planned.prefix),
            profiled=self.config.option.finbot_profile is not None,
            also=self.config.option.finbot_report,
        )

    def _cancel_reason(self, planned: PlannedBatch) -> str | None:
        """Why a batch was cancelled: the session was, or somebody asked for it from elsewhere."""
        if self.cancelled is not None:
            return self.cancelled
        request = planned.watch.asked() if planned.watch is not None else None
        return None if request is None else request.reason

    def _accept(self, planned: PlannedBatch, opened: OpenBatch) -> tuple[Change, ...]:
        """Write the baselines that were asked for, from what is recorded."""
        gate = planned.gate
        if gate.accept is None or gate.folder is None:
            return ()
        batch_id = opened.batch_id
        known = self.registry.manifest(batch_id)["provenance"]
        who = acceptance(planned.batch.path.parent, self.config.option.finbot_reason, known)
        wanted = [name for name in self.registry.fold(batch_id).expected if fnmatchcase(name, gate.accept)]
        return tuple(accept_batch(self.registry, batch_id, gate.folder, who, wanted))

    def release(self) -> None:
        for planned in self.planned:
            planned.gate.release()
            if planned.hold is not None:
                planned.hold.release()
            if planned.folder is not None:
                planned.folder.release()


def _sorted(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)
