"""The key ``notify``: who is told when a batch has ended, by the name of the variable that knows.

An Apprise URL is a secret. It stands in the environment, and the file only names the variable. One that
is written into the file all the same is refused, and nothing of what stands there is repeated: the
message goes into logs that strangers read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from pytest_finbot.config.fields import Strict
from pytest_finbot.config.problems import Place, not_one_of, unknown_key

When = Literal["always", "on-change", "on-failure"]

MOST_NOTIFIERS: Final = 10

_KEYS: Final = ("url_env", "when")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_-]{0,20}", re.ASCII)
"""What is short and plain enough to be repeated: no secret that anybody would take for one."""
_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Notifier:
    """The environment variable ``url_env`` holds the URL (never read here); ``when`` it is used."""

    url_env: str
    when: When = "always"


class NotifyModel(Strict):
    """Somebody who is told when the batch has ended."""

    noun: ClassVar[str] = "a notifier"

    url_env: Annotated[
        str,
        WithJsonSchema({"type": "string", "pattern": f"^{_VARIABLE.pattern}$", "maxLength": _LONGEST}),
    ]
    when: When = "always"


def _check(value: Any) -> Any:
    """``value`` as it is, where it is a list of notifiers; every fault is told without quoting it."""
    faults = list(_faults(value))
    if faults:
        raise PydanticCustomError("finbot_faults", "{faults}", {"faults": faults})
    return value


def _faults(value: Any) -> Iterator[tuple[Place, str]]:
    if _has_url(value):
        yield (), _secret()
        return
    if not isinstance(value, list):
        yield (), "expected a list of mappings: [{url_env: NAME_OF_A_VARIABLE, when: on-failure}]"
        return
    if len(value) > MOST_NOTIFIERS:
        yield (), f"expected at most {MOST_NOTIFIERS} notifiers, got {len(value)}"
    for number, entry in enumerate(value):
        for key, message in _faults_of_one(entry):
            yield (number, *key), message


def _faults_of_one(entry: Any) -> Iterator[tuple[Place, str]]:
    if _has_url(entry):
        yield (), _secret()
        return
    if not isinstance(entry, dict):
        yield (), "expected a mapping of url_env and when"
        return
    urls = [key for key in entry if _has_url(key)]
    if urls:
        yield (), _secret()
    for key, value in entry.items():
        if key in urls:
            continue
        if _has_url(value):
            yield (key,) if _WORD.fullmatch(key) else (), _secret()
        elif key == "url_env":
            if not isinstance(value, str) or not _VARIABLE.fullmatch(value) or len(value) > _LONGEST:
                yield ("url_env",), "expected the name of an environment variable: letters, digits and _"
        elif key == "when":
            if value not in get_args(When):
                plain = isinstance(value, str) and _WORD.fullmatch(value)
                words = not_one_of(value, get_args(When)) if plain else f"expected one of {_whens()}"
                yield ("when",), words
        elif _WORD.fullmatch(key):
            yield (key,), unknown_key(key, _KEYS, _KEYS)
        else:
            yield (), "unknown key; expected one of url_env, when"
    if "url_env" not in entry and not urls:
        yield (), "missing url_env: the name of the environment variable that holds the URL"


def _has_url(value: Any) -> bool:
    return isinstance(value, str) and "://" in value


def _secret() -> str:
    return (
        "a URL is a secret and does not belong in the file; put it into an environment variable and "
        "name that: url_env: FINBOT_NOTIFY_URL (this one has been read by whoever has the file: change it)"
    )


def _whens() -> str:
    return ", ".join(get_args(When))


Notify = Annotated[list[NotifyModel], BeforeValidator(_check), Field(max_length=MOST_NOTIFIERS)]


def notifiers(models: list[NotifyModel]) -> tuple[Notifier, ...]:
    """What the file says, each variable once: the first of its entries counts."""
    found: dict[str, Notifier] = {}
    for model in models:
        found.setdefault(model.url_env, Notifier(model.url_env, model.when))
    return tuple(found.values())
