"""Holds the writer of a store up, so that a test decides what has gathered when it goes on."""

import asyncio
import threading

from eco_actor.eventlog import SqliteStore


class Gate:
    """Closed at first: the writer waits in its first statement that begins with *at*.

    `statements` are the first words of all that it executed.
    """

    def __init__(self, store: SqliteStore, at: str = "") -> None:
        self.statements: list[str] = []
        self._at = at
        self._open = threading.Event()
        self._entered = threading.Event()
        assert store._database is not None
        store._database.connection.set_trace_callback(self._trace)

    def _trace(self, sql: str) -> None:
        self.statements.append(sql.split()[0])
        if sql.startswith(self._at):
            self._entered.set()
            assert self._open.wait(30)

    async def held(self) -> None:
        """Wait until the writer is held up: what is appended now will gather."""
        assert await asyncio.to_thread(self._entered.wait, 30)

    def open(self) -> None:
        self._open.set()
