"""Looking into actors: what they hold, what they were told lately. Costs nothing until it is asked.

Whatever is shown is cut to a size first: to format a huge mailbox or a huge state must not be what
brings a server down that was merely slow.
"""

import types
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

from eco_actor.runtime.actor import Actor, ChildSpec
from eco_actor.runtime.asking import Request

MOST_TRACED: Final = 10_000
"""Messages that a trace may keep."""

CUT: Final = 200
"""Characters shown of one value."""

DEEP: Final = 4
"""Values within values that are shown."""

WIDE: Final = 8
"""Items of one collection that are shown."""

LONG_INT: Final = 512
"""Bits of a number that is shown by its size: writing out a long one takes long."""

_BRACKETS: Final[dict[type, tuple[str, str]]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
}

Held = tuple[object, ...]
"""An item of a collection, or a key and its value."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A message that was taken: when, by the loop's clock in seconds, its kind, its text, cut."""

    at: float
    kind: str
    text: str


class Tracer:
    """The last messages that an actor took, oldest first; *most* of them."""

    __slots__ = ("_clock", "_last", "most")

    def __init__(self, most: int, clock: Any) -> None:
        if not 1 <= most <= MOST_TRACED:
            raise ValueError(f"a trace keeps 1 to {MOST_TRACED} messages, not {most!r}")
        self.most = most
        self._clock = clock
        self._last: deque[Traced] = deque(maxlen=most)

    def add(self, message: object) -> None:
        bare = message.message if isinstance(message, Request) else message
        self._last.append(Traced(self._clock(), type(bare).__name__, cut(bare)))

    def messages(self) -> list[Traced]:
        return list(self._last)


def cut(value: object, most: int = CUT) -> str:
    """*value* as text of at most *most* characters, without formatting all of a large one.

    Collections and dataclasses are opened up here: their own repr would write out every item, and
    the standard library's reprlib does so for all that it does not know by name.
    """
    text = ""
    try:
        for part in _parts(value, most, DEEP):
            text += part
            if len(text) > most:
                break
    except Exception as error:  # a repr of the application's, which must not hurt here
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    text = text.encode(
        "utf-8", "backslashreplace"
    ).decode()  # whatever a repr makes, it can be sent
    return text if len(text) <= most else text[: most - 3] + "..."


def state_of(actor: Actor[Any], most: int = CUT) -> dict[str, str]:
    """The attributes of *actor*, each cut to *most* characters."""
    held = list(_attributes(actor))  # a repr may add some
    return {name: cut(value, most) for name, value in held if name != "_life"}


def _attributes(actor: object) -> Iterator[tuple[str, object]]:
    """What is in its slots and in its dict, where it has one."""
    for kind in type(actor).__mro__:
        for name in kind.__dict__.get("__slots__", ()):
            if hasattr(actor, name):
                yield name, getattr(actor, name)
    yield from getattr(actor, "__dict__", {}).items()


def kind_of(spec: ChildSpec) -> str:
    """The name of the class that *spec* makes actors of."""
    made: object = getattr(spec.factory, "func", spec.factory)
    return getattr(made, "__name__", type(made).__name__)


def _parts(value: object, most: int, deep: int) -> Iterator[str]:
    """The text of *value*, from its beginning; nobody need ask for the rest."""
    kind = type(value).__name__
    match value:
        case str() if type(value).__repr__ is str.__repr__:
            yield repr(value[: most + 1])
        case bytes() | bytearray() | memoryview():
            size = memoryview(value).nbytes
            yield repr(bytes(value)) if size <= most else f"<{kind} of {size:,} bytes>"
        case int() if value.bit_length() > LONG_INT:
            yield f"<{kind} of {value.bit_length():,} bits>"
        case types.MethodType():  # whose own repr has that of the object it is bound to
            yield f"<method {value.__func__.__qualname__}>"
        case _ if (inside := _opened(value)) is None:
            yield repr(value)
        case _ if deep == 0:
            yield f"{kind}(...)"
        case _:
            begin, items, end = inside
            yield begin
            for n, (label, held) in enumerate(items):
                yield f", {label}" if n else label
                for place, each in enumerate(held):
                    if place:
                        yield ": "
                    yield from _parts(each, most, deep - 1)
            yield end


def _opened(value: object) -> tuple[str, Iterable[tuple[str, Held]], str] | None:
    """How a value that holds others begins, what it holds, how it ends; None for any other."""
    kind = type(value)
    name = kind.__name__
    match value:
        case dict():
            begin, end = ("{", "}") if kind is dict else (f"{name}({{", "})")
            return begin, _few(value.items()), end
        case set() if not value:
            return f"{name}(", (), ")"
        case list() | tuple() | set() | frozenset() | deque():
            begin, end = _BRACKETS.get(kind, (f"{name}(", ")"))
            if kind is tuple and len(value) == 1:
                end = ",)"
            return begin, _few(zip(value)), end  # each in a tuple of its own
        case BaseException():
            return f"{name}(", _few(zip(value.args)), ")"
        case partial():
            given = zip((value.func, *value.args, *value.keywords.values()))
            return f"{name}(", _few(given), ")"
    # One that dataclass wrote; a repr of the application's own is asked.
    if (
        not isinstance(value, type)
        and is_dataclass(value)
        and hasattr(kind.__repr__, "__wrapped__")
    ):
        shown = (field.name for field in fields(value) if field.repr)
        return f"{name}(", ((f"{each}=", (getattr(value, each),)) for each in shown), ")"
    return None


def _few(items: Iterable[Held]) -> Iterator[tuple[str, Held]]:
    """The first of many, and whether there are more."""
    rest = iter(items)
    for item in islice(rest, WIDE):
        yield "", item
    for _ in rest:
        yield "...", ()
        return
