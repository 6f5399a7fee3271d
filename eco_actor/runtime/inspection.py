"""Looking into actors: what they hold, what they were told lately. Costs nothing until it is asked.

Whatever is shown is cut to a size first: to format a huge mailbox or a huge state must not be what
brings a server down that was merely slow.
"""

import reprlib
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from eco_actor.runtime.actor import Actor, ChildSpec
from eco_actor.runtime.asking import Request

MOST_TRACED: Final = 10_000
"""Messages that a trace may keep."""

CUT: Final = 200
"""Characters shown of one value."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A message that was taken: when, by the loop's clock in seconds, its kind, its text, cut."""

    at: float
    kind: str
    text: str


class Tracer:
    """The last messages that an actor took, oldest first."""

    __slots__ = ("_clock", "_last")

    def __init__(self, most: int, clock: Any) -> None:
        if not 1 <= most <= MOST_TRACED:
            raise ValueError(f"a trace keeps 1 to {MOST_TRACED} messages, not {most!r}")
        self._clock = clock
        self._last: deque[Traced] = deque(maxlen=most)

    def add(self, message: object) -> None:
        bare = message.message if isinstance(message, Request) else message
        self._last.append(Traced(self._clock(), type(bare).__name__, cut(bare)))

    def messages(self) -> list[Traced]:
        return list(self._last)


def cut(value: object, most: int = CUT) -> str:
    """*value* as text of at most *most* characters, without formatting all of a large one."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = brief.maxlong = most
    brief.maxlevel = 3
    try:
        text = brief.repr(value)
    except Exception as error:  # a repr of the application's, which must not hurt here
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= most else text[: most - 3] + "..."


def state_of(actor: Actor[Any], most: int = CUT) -> dict[str, str]:
    """The attributes of *actor*, each cut to *most* characters."""
    return {name: cut(value, most) for name, value in vars(actor).items() if name != "_life"}


def kind_of(spec: ChildSpec) -> str:
    """The name of the class that *spec* makes actors of."""
    made: object = getattr(spec.factory, "func", spec.factory)
    return getattr(made, "__name__", type(made).__name__)
