"""Which batch or run is meant, by as few letters as will do; and what a shell can complete."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from pytest_finbot.cli.opening import existing_registry

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.index import Index
    from pytest_finbot.registry.queries import RunRow

LAST: Final = "last"
_COMPLETED: Final = 200
"""Batches, or runs, that are offered to a shell."""
_TOLD: Final = 5


def batch_named(registry: FilesRegistry, text: str) -> str:
    """The id of the batch meant by ``text``: an id, how one begins or ends, or ``last``.

    Raises RegistryError where it means none, or more than one.
    """
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry.ids import is_batch_id

    if text == LAST:
        return _newest(registry)
    if is_batch_id(text):
        if not registry.batch_folder(text).is_dir():
            registry.manifest(text)  # raises, with the nearest id
        return text
    found = [batch_id for batch_id in registry.batch_ids() if _means(text, batch_id)]
    if len(found) == 1:
        return found[0]
    if not found:
        newest = next(registry.batch_ids(), None)
        hint = "it is empty" if newest is None else f"the newest is {newest}"
        raise RegistryError(
            f"no batch in {registry.root} is, begins or ends with {text!r}; {hint}; see finbot batches list"
        )
    some = ", ".join(found[:_TOLD]) + (" …" if len(found) > _TOLD else "")
    raise RegistryError(f"{text!r} means {len(found):,} batches: {some}; say more of the one you mean")


MANIFEST_TROUBLE: Final = (TypeError, ValueError, KeyError, AttributeError, OverflowError)
"""What comes of a manifest that is JSON, and not what a batch is planned with."""


@contextmanager
def using_manifest(batch_id: str) -> Iterator[None]:
    """A batch's manifest is made use of in the block. Raises RegistryError, by its batch, where it cannot.

    A newer version, or somebody's editor, may have put anything there.
    """
    from pytest_finbot.errors import ParameterError, RegistryError

    try:
        yield
    except (ParameterError, *MANIFEST_TROUBLE) as error:
        said = f"it has no {error}" if type(error) is KeyError else str(error)
        raise RegistryError(f"manifest of {batch_id} cannot be used: {said}") from error


def final_named(registry: FilesRegistry, index: Index, text: str, batch: str | None) -> str:
    """The id of the final record of the run meant by ``text``, as :func:`run_named` has it.

    ``NAME#2`` is that record if the second attempt is the one that counts; for an earlier one
    RegistryError says which does. Of a run that is not there, the id it would have.
    """
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry.queries import RunFilter

    batch_id, name = run_named(registry, text, batch)

    def final(wanted: str) -> RunRow | None:
        rows = index.runs(RunFilter(name=wanted, batch=batch_id))
        return next((row for row in rows if row.name == wanted), None)

    row = final(name)
    if row is not None:
        return row.run_id
    plain, _, attempt = name.rpartition("#")
    row = final(plain) if plain and attempt.isdecimal() else None
    if row is None:
        return f"{batch_id}/{name}"
    if row.attempt != int(attempt):
        raise RegistryError(
            f"only final records are compared, and that of {plain} in {batch_id} is attempt {row.attempt}: "
            f"name it without #{attempt}; see attempt {attempt} with finbot runs show"
        )
    return row.run_id


def run_named(registry: FilesRegistry, text: str, batch: str | None) -> tuple[str, str]:
    """Batch id and name of the run meant by ``text``: ``BATCH/NAME``, or a name in ``batch``.

    Whether it is there is not looked up. Raises RegistryError where no batch is named.
    """
    from pytest_finbot.errors import RegistryError

    if batch is not None:
        batch_id = batch_named(registry, batch)
        return batch_id, text.removeprefix(f"{batch_id}/")
    named, slash, name = text.partition("/")
    if not slash or not name:
        raise RegistryError(f"of which batch is run {text!r}? Expected BATCH/NAME, {LAST}/{text}, or --batch")
    return batch_named(registry, named), name


def _means(text: str, batch_id: str) -> bool:
    if not text:
        return False
    return (
        batch_id.startswith(text)
        or batch_id.endswith(text)
        or batch_id.removeprefix("batch-").startswith(text)
    )


def _newest(registry: FilesRegistry) -> str:
    """The newest batch; of those begun in the same second the one whose manifest says it is."""
    from pytest_finbot.errors import RegistryError

    ids = registry.batch_ids()
    first = next(ids, None)
    if first is None:
        raise RegistryError(f"there is no batch in {registry.root}; run one first: finbot run FILE")
    second = first.rpartition("-")[0]
    rivals = [first, *itertools.takewhile(lambda batch_id: batch_id.startswith(second), ids)]
    if len(rivals) == 1:
        return first
    return max(rivals, key=lambda batch_id: (_created(registry, batch_id), batch_id))


def _created(registry: FilesRegistry, batch_id: str) -> str:
    from pytest_finbot.errors import RegistryError

    try:
        with using_manifest(batch_id):
            return str(registry.manifest(batch_id).get("created_at", ""))
    except RegistryError:
        return ""  # whoever opens it is told


def complete_batch(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Batch ids that begin like ``incomplete``, newest first, and ``last``."""
    from click.shell_completion import CompletionItem

    from pytest_finbot.errors import FinbotError

    found = [LAST] if LAST.startswith(incomplete) else []
    try:
        registry = existing_registry(ctx.params.get("registry") or ".finbot")
        ids = (batch_id for batch_id in registry.batch_ids() if batch_id.startswith(incomplete))
        found += itertools.islice(ids, _COMPLETED)
    except FinbotError:
        return []  # a shell that is about to complete a word has nowhere to be told
    return [CompletionItem(batch_id) for batch_id in found]


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Batches first, then the runs of the one that was chosen."""
    from click.shell_completion import CompletionItem

    from pytest_finbot.errors import FinbotError

    chosen = ctx.params.get("batch")
    named, slash, begun = incomplete.partition("/")
    if chosen is None and not slash:
        return [CompletionItem(f"{item.value}/") for item in complete_batch(ctx, param, incomplete)]
    try:
        registry = existing_registry(ctx.params.get("registry") or ".finbot")
        batch_id = batch_named(registry, named if chosen is None else chosen)
        names = registry.fold(batch_id).expected
    except FinbotError:
        return []
    prefix, begun = ("", incomplete) if chosen is not None else (f"{named}/", begun)
    matching = (f"{prefix}{name}" for name in names if name.startswith(begun))
    return [CompletionItem(value) for value in itertools.islice(matching, _COMPLETED)]
