"""A durable, ordered log of events, and whoever watches is shown an event once it is durable.

event     Draft, Event, Cursor, Page
store     what a store is, and the rows that other packages put into its transactions
database  SQLite, synchronous: schema, epochs, transactions, pages
sqlite    the store on it: writer thread, group commit, readers
recent    the newest events in memory, pure
hub       channel -> subscribers
log       EventLog: append, page, subscribe, resume
"""

from eco_actor.eventlog.event import EARLIEST, Cursor, Draft, Event, Page
from eco_actor.eventlog.hub import Hub, Subscriber
from eco_actor.eventlog.log import EventLog, Resume
from eco_actor.eventlog.sqlite import SqliteStore
from eco_actor.eventlog.store import (
    Chain,
    Durability,
    Statement,
    Store,
    StoreError,
    StoreFull,
    Tables,
    Write,
)

__all__ = (
    "EARLIEST",
    "Chain",
    "Cursor",
    "Draft",
    "Durability",
    "Event",
    "EventLog",
    "Hub",
    "Page",
    "Resume",
    "SqliteStore",
    "Statement",
    "Store",
    "StoreError",
    "StoreFull",
    "Subscriber",
    "Tables",
    "Write",
)
