"""What the log needs of a store, and the rows that other packages put into its transactions."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from eco_actor.eventlog.event import Draft, Event, Page


class Durability(Enum):
    """What an answer promises. An event is shown only after it is as durable as this says."""

    FULL = "full"  # on disk: survives a loss of power
    NORMAL = "normal"  # handed to the operating system: survives the end of the process
    OFF = "off"  # in memory: gone with the process


class StoreError(Exception):
    """The store could not do it; `reason` is for the operator. Nothing of the item was written."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreFull(StoreError):
    """More is waiting to be written than the store's bound allows: it falls behind."""


@dataclass(frozen=True, slots=True)
class Statement:
    """An SQL statement over many rows: `head` + `row` repeated with commas + `tail`.

    Writes of one batch are grouped by statement, because a statement a row costs a hand-over of the
    interpreter lock each. Groups run in the order in which statements are registered, after the
    events; a statement must therefore never need a later one of the same batch to have run.
    """

    head: str
    row: str
    tail: str = ""

    def sql(self, rows: int) -> str:
        return self.head + ",".join((self.row,) * rows) + self.tail

    @property
    def width(self) -> int:
        """Parameters a row."""
        return self.row.count("?")


@dataclass(frozen=True, slots=True)
class Tables:
    """What a package keeps in the store: its tables, and the statements that write them."""

    schema: Sequence[str]
    statements: Sequence[Statement]


@dataclass(frozen=True, slots=True)
class Write:
    """One row for a registered statement, in the transaction of the events it comes with."""

    statement: Statement
    row: tuple[Any, ...]


class Chain:
    """Ties the appends of one author together: when one fails, those it queued behind it fail too.

    So what is in the log of its story has no hole. A broken chain stays broken.
    """

    __slots__ = ("broken",)

    def __init__(self) -> None:
        self.broken = False


Appended = Callable[[Sequence[Event], StoreError | None], None]
"""Called in the loop once an append is durable and its events were offered, or with the error."""


class Store(Protocol):
    """A durable, ordered list of events with side tables. All methods belong to the loop.

    `offer` is called with every batch of committed events, in position order, before the `done`
    of the appends in it.
    """

    @property
    def epochs(self) -> Sequence[tuple[str, int]]:
        """(epoch, position at which it begins), oldest first; the last is the current one."""

    @property
    def durability(self) -> Durability: ...

    @property
    def depth(self) -> int:
        """Appends that wait to be written."""

    async def open(self, offer: Callable[[Sequence[Event]], None]) -> int:
        """Make ready; returns the position of the last event. StoreError when it cannot."""

    async def close(self) -> None:
        """Write what waits, then close."""

    def append(
        self,
        drafts: Sequence[Draft],
        writes: Sequence[Write] = (),
        done: Appended | None = None,
        chain: Chain | None = None,
    ) -> None:
        """Queue events and rows for one transaction. Returns at once.

        StoreFull at the bound, TypeError or ValueError for data that cannot be written: nothing
        was queued then.
        """

    async def page(self, channels: Sequence[str], after: int, limit: int) -> Page:
        """The first *limit* events of *channels* behind position *after*. StoreError."""

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Awaitable[list[tuple[Any, ...]]]:
        """Rows of a side table, read in one short transaction. StoreError."""
