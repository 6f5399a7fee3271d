"""What the log needs of a store, and the rows that other packages put into its transactions."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from eco_actor.eventlog.event import Draft, Event, Page
from eco_actor.eventlog.history import Count, Excess, Trimmed


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


class StoreUncertain(StoreError):
    """The write has not come back for long: nobody knows whether it will happen."""


@dataclass(frozen=True, slots=True)
class Statement:
    """An SQL statement over many rows: `head` + `row` repeated with commas + `tail`.

    Writes of one batch are grouped by statement, because a statement a row costs a hand-over of the
    interpreter lock each. Groups run in the order in which statements are registered, after the
    events; a statement must therefore never need a later one of the same batch to have run.

    The rows of a `placed` one end with the position of the first event in the log that they come
    with, None when there is none. It is known in the transaction only, so the store adds it.
    """

    head: str
    row: str
    tail: str = ""
    placed: bool = False

    def sql(self, rows: int) -> str:
        return self.head + ",".join((self.row,) * rows) + self.tail

    @property
    def width(self) -> int:
        """Parameters a row, that of a `placed` one included."""
        return self.row.count("?")


@dataclass(frozen=True, slots=True)
class Tables:
    """What a package keeps in the store: its tables, and the statements that write them.

    Step n of `migrations` makes version n of version n - 1; a step is never changed once it was
    released. The versions are counted under `name`.
    """

    name: str
    migrations: Sequence[Sequence[str]]
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


class Offer(Protocol):
    """What a store calls with every batch: its committed events, in position order, with transient
    ones in their places, before the `done` of the appends in it. Failed ones count in `appends`.
    """

    def __call__(self, events: Sequence[Event], appends: int = 1, /) -> None: ...


class Store(Protocol):
    """A durable, ordered list of events with side tables. All methods belong to the loop."""

    @property
    def epochs(self) -> Sequence[tuple[str, int]]:
        """(epoch, position at which it begins), oldest first; the last is the current one."""

    @property
    def durability(self) -> Durability: ...

    @property
    def depth(self) -> int:
        """Appends that wait to be written."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at the moment; None when all is well."""

    @property
    def needs_restart(self) -> bool:
        """Whether the trouble lasts until the process is restarted, and ends with that."""

    async def open(self, offer: Offer, recovered: Callable[[], None] = ..., /) -> int:
        """Make ready; returns the last position that was given. StoreError when it cannot.

        *recovered* is called each time a trouble has ended.
        """

    def check(self) -> None:
        """To be called every second or so: notices a write that hangs."""

    def now_ms(self) -> int:
        """The steady clock of the store, see `SteadyClock`."""

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

        Transient drafts are not written and take no position; they are offered in their turn.
        StoreFull at the bound, StoreError in trouble, TypeError or ValueError for data that cannot
        be written: nothing was queued then.
        """

    def forget(
        self, channels: Sequence[str], upto: int, writes: Sequence[Write], done: Appended
    ) -> None:
        """Queue the removal of all events of *channels*, of which none lies behind *upto*.

        In one transaction with the rows. For scans that are over: no event of these channels may
        be on its way, and who comes with a cursor of theirs is not told of a gap. Raises as
        `append` does.
        """

    async def page(self, channels: Sequence[str], after: int, limit: int) -> Page:
        """The first *limit* events of *channels* behind position *after*. StoreError."""

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Awaitable[list[tuple[Any, ...]]]:
        """Rows of a side table, read in one short transaction. StoreError."""


Told = Callable[["Trimmed | StoreError"], None]
"""Called in the loop after each step of a trim, the last time when it is done or has failed."""


@runtime_checkable
class Trims(Protocol):
    """A store that can also let go of what is oldest in a channel."""

    @property
    def trimmed(self) -> Mapping[str, int]:
        """Channel -> position up to which everything of it was gone when the store was opened."""

    async def count(self, besides: str, upto: int) -> Sequence[Count]:
        """What there is up to a position, of all channels but those that begin with *besides*.

        StoreError.
        """

    def trim(self, excess: Excess, told: Told) -> None:
        """Let go of what is in excess, in small steps between the appends. Returns at once.

        *told* is called after each step, once it is as durable as events are, with what went, in
        order with the offers; or with the error, which ends it. A close ends it, too. StoreError
        when the store is closed.
        """
