"""The connections that read, each with a thread, for one opening of the database."""

import asyncio
import queue
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from eco_actor.eventlog.connecting import open_reader
from eco_actor.eventlog.faults import Fault, fault_of
from eco_actor.eventlog.store import StoreError

READERS: Final = 2

Query = Callable[[sqlite3.Connection], Any]


class Readers:
    """Opened with the database, for who opens a file later may find another. Blocks; sqlite3.Error.

    Queries wait in a queue without a bound: who asks is bounded, as requests are. *damaged* is
    called, in a thread, with a fault of the storage that will not go by itself.
    """

    def __init__(self, path: Path, damaged: Callable[[Fault], None]) -> None:
        self._damaged = damaged
        self._connections = [open_reader(path) for _ in range(READERS)]
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for connection in self._connections:
            self._idle.put(connection)
        self._threads = ThreadPoolExecutor(READERS, "store-read")
        self._closed = False

    def ask(self, query: Query) -> Awaitable[Any]:
        """What *query* makes of one of them. StoreError, also for what is cut off by a close."""
        return asyncio.get_running_loop().run_in_executor(self._threads, self._run, query)

    def _run(self, query: Query) -> Any:
        connection = self._idle.get()  # there is one for each thread
        try:
            if self._closed:
                raise StoreError("the store is closed")
            return query(connection)
        except Exception as error:  # whatever it is, it is the reader's, not the caller's
            fault = fault_of(error)
            if fault is not None and fault.lasting:
                self._damaged(fault)
                raise StoreError(fault.reason) from error
            raise StoreError(str(error)) from error
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        """Cut off what is being read, and close the connections. Blocks until that is done."""
        self._closed = True
        for connection in self._connections:
            connection.interrupt()
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()
