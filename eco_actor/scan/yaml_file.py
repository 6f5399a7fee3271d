"""A YAML file as plain values, with the line of each: what people write by hand. Pure.

Less than YAML is understood, so that nothing means what its author did not: a scalar is a text
unless it is a plain true, false, null or whole number (`no` and 12:30 are texts); there are no
anchors, aliases, tags, or further documents. JSON is a part of it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import yaml

from eco_actor.scan.data_reader import join
from eco_actor.scan.yaml_words import in_words, lines_of, spaces_that_are_none

MAX_DEPTH: Final = 16
"""Lists and mappings inside each other; what is deeper is not read."""

INDENT: Final = "    "
"""Before each line of an example: so it is no fault of its own."""

_CONSTANTS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_WHOLE_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_UNFIT: Final = re.compile("[\0-\b\v-\x1f\x7f\ud800-\udfff]")


class Fault(NamedTuple):
    """Something wrong: on which line, counted from 1, at which path, and what; how it should look.

    As a text it is one line, and one more, indented, for each of the `example`.
    """

    line: int
    path: str
    what: str
    example: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = (str(self.line), self.path, self.what)
        line = ": ".join(part for part in told if part).replace("\n", "\\n")
        return "\n".join([line, *(INDENT + each for each in self.example)])


@dataclass(frozen=True, slots=True)
class Document:
    """The `value` of a file: dicts, lists, texts, bools, ints, None; only good without `faults`.

    `lines` has the line of each value by its path, as `bins[0].name`; of one in a mapping that is
    the line of its key. `text` is the file. `broken`: it was not read to its end.
    """

    text: str
    value: object = None
    lines: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    broken: bool = False

    def line(self, path: str) -> int:
        """The line of *path*, or of what is nearest above it in the file."""
        return self.lines.get(self.nearest(path), 1)

    def nearest(self, path: str) -> str:
        """*path*, or the longest beginning of it that is in the file; "" for none."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return path

    def has_comment(self, path: str) -> bool:
        """Whether a comment is on the line of *path*."""
        return "#" in self._line_of(path)

    def in_braces(self, path: str) -> bool:
        """Whether *path* may stand between { and }: one is on its line."""
        return "{" in self._line_of(path)

    def _line_of(self, path: str) -> str:
        return lines_of(self.text)[self.line(path) - 1]


def read_yaml(data: bytes) -> Document:
    """What *data* says. Never raises: faults are in the answer, a `value` then only in part."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(lines_of(error.object[: error.start].decode()))
        fault = Fault(line, "", "this is not UTF-8: save the file with the encoding UTF-8")
        return Document("", faults=(fault,), broken=True)
    reading = _Reading()
    if (place := spaces_that_are_none(text)) is not None:
        reading.stop(place, "what looks like a space here is another sign: write plain spaces")
        return Document(text, faults=tuple(reading.faults), broken=True)
    try:
        # No whole tree of the library's own is made: its way down is by recursion, without a bound.
        for event in yaml.parse(text, yaml.SafeLoader):
            reading.take(event)
            if reading.over:
                break
    except yaml.MarkedYAMLError as error:
        reading.stop(*in_words(text, error))
    except yaml.reader.ReaderError as error:
        line = len(lines_of(text[: error.position]))
        reading.stop(line, f"a character that cannot be: U+{error.character:04X}")
    except ValueError:  # \U00110000 in quotes, or a version of thousands of digits
        reading.stop(reading.line, "behind this, an escape or a number that cannot be")
    return Document(text, reading.value, reading.lines, tuple(reading.faults), reading.over)


@dataclass(slots=True)
class _Level:
    """A list or mapping that is being read."""

    path: str
    value: dict[str, object] | list[object]
    keys: set[str] = field(default_factory=set)
    key: str | None = None  # of the value that comes next
    dropped: bool = False  # that value is not kept

    def next_path(self) -> str:
        if isinstance(self.value, list):
            return f"{self.path}[{len(self.value)}]"
        return self.path if self.key is None else join(self.path, self.key)


class _Reading:
    """Takes the events of the parser one by one and builds the value."""

    def __init__(self) -> None:
        self.value: object = None
        self.lines: dict[str, int] = {"": 1}
        self.faults: list[Fault] = []
        self.over = False
        self.line = 1
        self._levels: list[_Level] = []
        self._documents = 0

    def note(self, line: int, path: str, what: str) -> None:
        self.faults.append(Fault(line, path, what))

    def take(self, event: yaml.Event) -> None:
        if event.start_mark is not None:
            self.line = event.start_mark.line + 1
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self.stop(self.line, "a second document begins here: take the --- away")
            case yaml.ScalarEvent():
                self._check_plain(event)
                self._scalar(event)
            case yaml.AliasEvent():
                self._check_plain(event)
                self._put(None)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._check_plain(event)
                self._open({} if isinstance(event, yaml.MappingStartEvent) else [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._levels.pop()

    def stop(self, line: int, what: str) -> None:
        self.note(line, "", what)
        self.over = True

    def _check_plain(self, event: yaml.NodeEvent) -> None:
        path = self._next_path()
        if isinstance(event, yaml.AliasEvent):
            what = f"*{event.anchor} stands for something else: write it out, or in quotes"
            self.note(self.line, path, what)
        elif event.anchor is not None:
            self.note(
                self.line, path, f"&{event.anchor} names this: write it without, or in quotes"
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            self.note(self.line, path, f"{tag} is a tag: write it without, or in quotes")

    def _next_path(self) -> str:
        return self._levels[-1].next_path() if self._levels else ""

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        level = self._levels[-1] if self._levels else None
        if level is not None and isinstance(level.value, dict) and level.key is None:
            self._key(level, event.value)
            return
        value: object = event.value
        if event.style is None:
            value = _CONSTANTS.get(event.value, value)
            if _WHOLE_NUMBER.fullmatch(event.value):
                value = int(event.value)
        if _UNFIT.search(event.value):
            self.note(self.line, self._next_path(), "a character that cannot be shown")
        self._put(value)

    def _key(self, level: _Level, key: str) -> None:
        level.key = key
        path = level.next_path()
        level.dropped = key in level.keys
        if level.dropped:
            self.note(
                self.line,
                path,
                f"stands here twice, first on line {self.lines[path]}: keep one of them",
            )
        elif _UNFIT.search(key):
            self.note(self.line, level.path, "a character that cannot be shown in a key")
        level.keys.add(key)
        self.lines.setdefault(path, self.line)

    def _open(self, value: dict[str, object] | list[object]) -> None:
        level = self._levels[-1] if self._levels else None
        if level is not None and isinstance(level.value, dict) and level.key is None:
            self.stop(self.line, "a list or mapping cannot be a key")
        elif len(self._levels) == MAX_DEPTH:
            self.stop(self.line, f"more than {MAX_DEPTH} lists and mappings inside each other")
        else:
            path = self._next_path()
            self._put(value)
            self._levels.append(_Level(path, value))

    def _put(self, value: object) -> None:
        if not self._levels:
            self.value = value
            return
        level = self._levels[-1]
        if isinstance(level.value, list):
            self.lines.setdefault(level.next_path(), self.line)
            level.value.append(value)
        elif level.key is not None:
            if not level.dropped:
                level.value[level.key] = value
            level.key = None
        else:  # an alias for a key
            level.key, level.dropped = "", True


def sorted_faults(faults: Iterable[Fault]) -> list[Fault]:
    """In the order of the file, each once; at one path only the first that was found."""
    found: dict[tuple[int, str], Fault] = {}
    for fault in faults:
        found.setdefault((fault.line, fault.path or fault.what), fault)
    return sorted(found.values())
