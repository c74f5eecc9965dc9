"""YAML, read from the parser's events.

PyYAML's loaders resolve every scalar and build nodes first: 2.3 s for 10,000 runs. The
events of the same C parser come in 0.25 s, and hold everything that is needed: values,
lines, duplicates. Without libyaml the pure Python parser gives the same events.
"""

from __future__ import annotations

from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from pytest_finbot.config.problems import quoted
from pytest_finbot.config.scalars import ScalarReader, is_unusual, resolve
from pytest_finbot.config.source import DEEPEST, Oddity, Positions, SourceSyntaxError, Tree

MOST_VALUES: Final = 5_000_000
"""Values a file may stand for once its aliases are written out; beyond it is a bomb."""

_CORE: Final = "tag:yaml.org,2002:"
_TAGGED: Final = {"null": (type(None),), "bool": (bool,), "int": (int,), "float": (int, float)}
_UNKNOWN: Final = object()


def read_yaml(text: str) -> Tree:
    """The one document in ``text``. Raises SourceSyntaxError."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(loader(text)).document()
    except yaml.reader.ReaderError as error:
        before = text.encode()[: error.position]
        character = error.character if isinstance(error.character, int) else ord(error.character[:1])
        message = f"not valid YAML: {error.reason} (character 0x{character:02x})"
        raise SourceSyntaxError(before.count(b"\n") + 1, message) from None
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        words = ", ".join(word for word in (error.context, error.problem) if word)
        raise SourceSyntaxError(0 if mark is None else mark.line + 1, f"not valid YAML: {words}") from None


class _Builder:
    """Builds dicts, lists and scalars from events, noting lines and mistakes."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._next = loader.get_event
        self._read = ScalarReader()
        self._texts: dict[str, str] = {}
        self._positions = Positions()
        self._oddities: list[Oddity] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._begun: set[str] = set()
        self._count = 0
        self._depth = 0

    def document(self) -> Tree:
        self._next()  # stream start
        if type(self._next()) is StreamEndEvent:
            raise SourceSyntaxError(0, "the file is empty")
        first: Any = self._next()
        line = first.start_mark.line + 1
        root = self._value(first)
        self._next()  # document end
        after: Any = self._next()
        if not isinstance(after, StreamEndEvent):
            raise SourceSyntaxError(after.start_mark.line + 1, "a second document begins here; expected one")
        if root is None:
            raise SourceSyntaxError(0, "the file is empty")
        self._positions.settle(root, line)
        return Tree(root, self._positions, self._oddities, self._read.unusual)

    # ------------------------------------------------------------------------- values

    def _value(self, event: Any) -> Any:
        kind = type(event)
        if kind is ScalarEvent:
            return self._scalar(event)
        if kind is AliasEvent:
            return self._alias(event)
        anchor, before = event.anchor, self._count
        if event.tag not in (None, "!", _CORE + ("map" if kind is MappingStartEvent else "seq")):
            raise _bad_tag(event)
        self._depth += 1
        if self._depth > DEEPEST:
            raise SourceSyntaxError(event.start_mark.line + 1, f"nested more than {DEEPEST} levels deep")
        if anchor is None:
            value = self._mapping() if kind is MappingStartEvent else self._sequence()
        else:
            self._anchors.pop(anchor, None)
            self._begun.add(anchor)
            value = self._mapping() if kind is MappingStartEvent else self._sequence()
            self._anchors[anchor] = (value, self._count - before)
        self._depth -= 1
        return value

    def _scalar(self, event: Any) -> Any:
        text, tag = event.value, event.tag
        value: Any
        if tag is not None:
            value = self._tagged(event)
        elif event.implicit[0]:
            value = self._read.known.get(text, _UNKNOWN)
            if value is _UNKNOWN:
                value = self._read(text)
        else:
            value = self._texts.setdefault(text, text)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        return value

    def _tagged(self, event: Any) -> Any:
        text: str = event.value
        tag: str = event.tag.removeprefix(_CORE)
        if tag in ("!", "str"):
            return text
        kinds = _TAGGED.get(tag) if event.tag.startswith(_CORE) else None
        if kinds is None:
            raise _bad_tag(event)
        value = resolve(text)
        if type(value) not in kinds:
            line = event.start_mark.line + 1
            raise SourceSyntaxError(line, f"{quoted(text)} is not what its tag '!!{tag}' says")
        if tag == "float" and isinstance(value, int):
            value = float(value)
        if is_unusual(value):
            self._read.unusual = True
        return value

    def _alias(self, event: Any) -> Any:
        line = event.start_mark.line + 1
        if event.anchor not in self._anchors:
            inside = event.anchor in self._begun
            why = "stands inside the value it names" if inside else "names no anchor before it"
            raise SourceSyntaxError(line, f"the alias '*{event.anchor}' {why}")
        value, size = self._anchors[event.anchor]
        self._grow(size, line)
        return value

    def _grow(self, by: int, line: int) -> None:
        self._count += by
        if self._count > MOST_VALUES:
            message = f"with its aliases written out the file has more than {MOST_VALUES:,} values"
            raise SourceSyntaxError(line, message)

    # --------------------------------------------------------------------- containers

    def _sequence(self) -> list[Any]:
        following, known = self._next, self._read.known
        result: list[Any] = []
        lines: list[int] = []
        while True:
            event = following()
            kind = type(event)
            if kind is SequenceEndEvent:
                break
            if kind is ScalarEvent and event.tag is None and event.anchor is None and event.implicit[0]:
                value: Any = known.get(event.value, _UNKNOWN)
                result.append(self._read(event.value) if value is _UNKNOWN else value)
            else:
                result.append(self._value(event))
            lines.append(event.start_mark.line + 1)
        self._grow(len(result) + 1, lines[-1] if lines else 0)
        self._positions.record(result, lines)
        return result

    def _mapping(self) -> dict[str, Any]:
        following, known, texts = self._next, self._read.known, self._texts
        result: dict[str, Any] = {}
        lines: list[int] = []
        merged: list[tuple[Any, int]] = []
        while True:
            event = following()
            if type(event) is MappingEndEvent:
                break
            line = event.start_mark.line + 1
            # Keys are text whatever they look like, as in JSON: `no:` and `600519:` are names.
            key = self._key(event, line)
            key = texts.setdefault(key, key)
            merge = key == "<<" and event.implicit[0] and event.tag is None
            event = following()
            if (
                type(event) is ScalarEvent
                and event.tag is None
                and event.anchor is None
                and event.implicit[0]
            ):
                value: Any = known.get(event.value, _UNKNOWN)
                if value is _UNKNOWN:
                    value = self._read(event.value)
            else:
                value = self._value(event)
            if merge:
                merged.append((value, line))
            elif key in result:
                number = list(result).index(key)
                message = f"the key '{key}' is given twice; it was first given on line {lines[number]}"
                self._oddities.append(Oddity(result, key, line, message))
                result[key], lines[number] = value, line
            else:
                result[key] = value
                lines.append(line)
        if merged:
            self._merge(result, lines, merged)
        self._grow(len(result) + 1, lines[-1] if lines else 0)
        self._positions.record(result, lines)
        return result

    def _key(self, event: Any, line: int) -> str:
        if type(event) is ScalarEvent:
            if event.tag not in (None, "!", _CORE + "str"):
                raise _bad_tag(event)
            if event.anchor is not None:
                self._anchors[event.anchor] = (event.value, 1)
            text: str = event.value
            return text
        value = self._alias(event) if type(event) is AliasEvent else None
        if not isinstance(value, str):
            raise SourceSyntaxError(line, "a key must be plain text, not a list or a mapping")
        return value

    def _merge(self, result: dict[str, Any], lines: list[int], merged: list[tuple[Any, int]]) -> None:
        """Take over what `<<` names: own keys win, then what is named first."""
        if len(merged) > 1:
            message = f"the key '<<' is given twice; it was first given on line {merged[0][1]}"
            self._oddities.append(Oddity(result, "<<", merged[1][1], message))
        for value, line in merged:
            sources = value if isinstance(value, list) else [value]
            for source in sources:
                if not isinstance(source, dict):
                    raise SourceSyntaxError(line, "'<<' must name a mapping or a list of mappings")
                positions = self._positions.positions(source)
                for (key, child), position in zip(source.items(), positions, strict=True):
                    if key not in result:
                        result[key] = child
                        lines.append(position)


def _bad_tag(event: Any) -> SourceSyntaxError:
    tag = event.tag.replace(_CORE, "!!")
    return SourceSyntaxError(event.start_mark.line + 1, f"the tag '{tag}' is not supported; leave it out")
