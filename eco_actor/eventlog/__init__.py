"""A durable, ordered log of events, and whoever watches is shown an event once it is durable.

event      Draft, Event, Cursor, Page
store      what a store is, and the rows that other packages put into its transactions
clock      the clock by which things grow old, pure
schema     the tables of the log, and the way from an older version to this one
connecting opening the file, or why it cannot be
database   SQLite, synchronous: epochs, transactions
pages      SQLite, synchronous: events of some channels
copying    SQLite, synchronous: copies of the log, putting one in its place, reading beside a server
trimming   SQLite, synchronous: counting channels, trimming them
faults     what can be wrong with the storage, pure
health     whether it takes writes: a table of states, pure
committer  what becomes of appends when data or storage are at fault
writer     the thread that writes: group commit, trims in steps
threads    blocking calls that nobody has to wait for
sqlite     the store on it: appends, readers, what to do about a write that hangs
recent     the newest events in memory, pure
history    how much of each channel there is, and what is over its bounds, pure
hub        channel -> subscribers
place      where a client begins on a channel, and what it is told
log        EventLog: append, show, page, subscribe, resume, trim
readiness  whether it can work at the moment
owner      the actor that owns the open log
retention  the actor that trims what is over its bounds
"""

from eco_actor.eventlog.clock import SteadyClock
from eco_actor.eventlog.event import EARLIEST, Cursor, Draft, Event, Page
from eco_actor.eventlog.history import Bounds, Excess
from eco_actor.eventlog.hub import Hub, Subscriber
from eco_actor.eventlog.log import EventLog
from eco_actor.eventlog.place import Place, Resume
from eco_actor.eventlog.sqlite import SqliteStore
from eco_actor.eventlog.store import (
    Chain,
    Durability,
    Statement,
    Store,
    StoreError,
    StoreFull,
    StoreUncertain,
    Tables,
    Write,
)

__all__ = (
    "EARLIEST",
    "Bounds",
    "Chain",
    "Cursor",
    "Draft",
    "Durability",
    "Event",
    "EventLog",
    "Excess",
    "Hub",
    "Page",
    "Place",
    "Resume",
    "SqliteStore",
    "Statement",
    "SteadyClock",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreUncertain",
    "Subscriber",
    "Tables",
    "Write",
)
