"""What a client chose to happen when it reads more slowly than is published: the overflow rule."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from eco_actor.eventlog import Draft, Event
from eco_actor.runtime import MailboxSpec, Overflow

CAPACITY: Final = 256
"""Events a subscription holds when the client does not say; with `latest`, one."""

MAX_CAPACITY: Final = 4096

MAX_INTERVAL_MS: Final = 3_600_000

MAX_WAITING: Final = 384 * 1024
"""Bytes that may wait in a subscription's mailbox. What the transport holds comes on top: at most
one write, so that it is 512 KiB together."""

RESERVE: Final = 8
"""Terminal events that find room beyond the capacity."""

SAMPLED: Final = frozenset({Overflow.LATEST, Overflow.COALESCE})
"""Rules with which an interval makes sense: what comes in between gives way."""


class Refused(Exception):
    """What a client asks for cannot be; `code` is stable, `detail` for its developer."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Rule:
    """An overflow rule, its capacity in events, and seconds between deliveries (0: none)."""

    overflow: Overflow = Overflow.BUFFER
    capacity: int = CAPACITY
    interval: float = 0.0

    def mailbox(self, size: Callable[[Event], int]) -> MailboxSpec[Event]:
        """The mailbox that does this; *size* is of an event on the wire, in bytes."""
        return _mailbox(self, size)


@lru_cache(maxsize=256)
def _mailbox(rule: Rule, size: Callable[[Event], int]) -> MailboxSpec[Event]:
    coalesces = rule.overflow is Overflow.COALESCE
    return MailboxSpec(
        rule.capacity,
        rule.overflow,
        key=_key if coalesces else None,
        merge=merged if coalesces else None,
        max_bytes=MAX_WAITING,
        size=size,
        reserve=RESERVE,
        terminal=_terminal,
    )


@lru_cache(maxsize=1024, typed=True)  # True is no 1
def rule_asked(overflow: Hashable, capacity: Hashable, interval_ms: Hashable) -> Rule:
    """The rule that a client asks for; None is the default of each. Refused.

    Numbers may come as text, as in a query.
    """
    try:
        chosen = Overflow.BUFFER if overflow is None else Overflow(overflow)
    except ValueError as error:
        rules = ", ".join(rule.value for rule in Overflow)
        raise Refused("bad_option", f"overflow: one of {rules}") from error
    default = 1 if chosen is Overflow.LATEST else CAPACITY
    room = _number("capacity", capacity, default, MAX_CAPACITY)
    if interval_ms is None:
        return Rule(chosen, room)
    if chosen not in SAMPLED:
        raise Refused("bad_option", "interval_ms: with the rules latest and coalesce")
    return Rule(chosen, room, _number("interval_ms", interval_ms, 0, MAX_INTERVAL_MS) / 1000)


def _number(name: str, given: object, default: int, most: int) -> int:
    if given is None:
        return default
    number = given
    if isinstance(number, str) and number.isascii() and number.isdecimal():
        number = int(number) if len(number) <= len(str(most)) else None
    if type(number) is not int or not 1 <= number <= most:
        raise Refused("bad_option", f"{name}: a number from 1 to {most}")
    return number


def _key(event: Event) -> str | None:
    return event.key


def _terminal(event: Event) -> bool:
    return event.terminal


def merged(old: Event, new: Event) -> Event:
    """What is queued for *old*'s key once *new* has come: pieces of one text become one piece."""
    if not (old.transient and new.transient):
        return new
    whole = _joined(old.data, new.data)
    if whole is None:
        return new
    draft = Draft(new.channel, whole, new.at_ms, key=new.key, transient=True)
    return Event(draft, new.position, None)


def _joined(old: Any, new: Any) -> dict[str, Any] | None:
    """The text of both, where *new* goes on where *old* ends."""
    match old, new:
        case {"pos": int(pos), "delta": str(text)}, {"pos": int(then), "delta": str(more)}:
            if then == pos + len(text):
                return {**new, "pos": pos, "delta": text + more}
    return None
