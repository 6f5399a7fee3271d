"""Clients of the crash harness that follow channels over all transports, through every cut.

A `Reader` notes what it was told. Its transports (`crash_transports`) are functions: each takes it
from where it is to the next cut or the end. After a cut it goes on behind its last cursor, by the
next of its transports if it has several.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import aiohttp

from bench.crash_server import Server

CUTS: Final = (aiohttp.ClientError, ConnectionError, TimeoutError)
"""What a client meets whose server is killed, wherever it was."""

SCAN: Final = "scan:"
ENDED: Final = ("failed", "cancelled")


def position(cursor: str) -> int:
    """The place in the log that a cursor names. Clients need not know; the judge does."""
    return int(cursor.rpartition("-")[2], 16)


class Told(NamedTuple):
    """An event as a client got it; `cursor` None where the transport has none for each."""

    channel: str
    cursor: str | None
    data: dict[str, Any]


class Gap(NamedTuple):
    """What a client was told to be trimmed: behind the first position, up to the second."""

    channel: str
    begin: int
    end: int


@dataclass(eq=False)
class Reader:
    """A client that follows *channels* to their end, or until it is told to stop.

    `begins`: the position behind which it was to be told all of a channel, once it knew. `ends`:
    the one up to which, where it has left a channel that goes on.
    `ordered`: whether its transports tell of several channels in the order of the log.
    `small`: the log keeps little, so some of what it follows may be gone when it comes.
    """

    http: aiohttp.ClientSession
    server: Server
    channels: tuple[str, ...]
    transports: "Sequence[Transport]"
    name: str
    ordered: bool = False
    small: bool = False
    gaps: list[Gap] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)  # channels of scans that were removed
    seen: list[Told] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)
    begins: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    resumes: int = 0
    way: str = ""  # its last transport
    cut: str = ""  # by what it was cut off last
    life: int = 0  # of the server, the last that it was served in
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _last: set[str] = field(default_factory=set)  # channels of which it has the last event
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.begins = {channel: 0 for channel in self.channels if channel.startswith(SCAN)}

    async def run(self) -> None:
        """Follow, whatever happens to the server."""
        turn = 0
        while not self.over.is_set():
            life = self.server.life
            transport = self.transports[turn % len(self.transports)]
            self.way = transport.__name__
            try:
                await transport(self)
            except CUTS as error:
                self.cut = repr(error)
            if not self.over.is_set():
                turn += 1
                await self.server.again(life)
                self.resumes += bool(self.cursors)

    def take(self, channel: str, cursor: str | None, data: dict[str, Any]) -> None:
        """An event; *cursor* counts for its channel."""
        self.seen.append(Told(channel, cursor, data))
        if data.get("step") == "reward" or data.get("status") in ENDED:
            self._last.add(channel)
        if cursor is not None:
            self.reach(channel, cursor)

    def reach(self, channel: str, cursor: str) -> None:
        """All of *channel* up to here was told."""
        self.cursors[channel] = cursor
        self._moved.set()

    def opened(self, resume: str, asked: str | None, channel: str, cursor: str) -> None:
        """The answer to a subscription that named the cursor *asked*."""
        wanted = ["fresh"] if asked is None else ["recovered", "partial"][: 1 + self.small]
        if resume not in wanted:
            self.wrong.append(f"{channel}: resumed as {resume} behind {asked}")
        self.begins.setdefault(channel, position(cursor))
        self.cursors.setdefault(channel, cursor)
        self.life = self.server.life
        self._moved.set()

    @property
    def here(self) -> list[str]:
        """Its channels that are not gone."""
        return [channel for channel in self.channels if channel not in self.gone]

    @property
    def has_all(self) -> bool:
        """Whether it was told the last event of each of its channels that are not gone."""
        return self._last >= {*self.here}

    def lost(self, gap: Mapping[str, Any]) -> None:
        """A gap: under the rule buffer, and with all history kept, there is none."""
        if not self.small or gap["reason"] != "trimmed" or gap["channel"].startswith(SCAN):
            self.wrong.append(f"a gap: {gap}")
            return
        self.gaps.append(Gap(gap["channel"], position(gap["from"]), position(gap["to"])))

    def removed(self, channel: str) -> None:
        """That scan is gone. It goes on with the others, if there are any."""
        if not (self.small and channel.startswith(SCAN)):
            self.wrong.append(f"{channel}: gone")
        self.gone.add(channel)
        self._moved.set()
        if self.has_all:
            self.over.set()

    def ended(self, bye: Any) -> None:
        if bye["code"] == "complete":
            self.over.set()
        elif bye["code"] != "going_away":
            self.wrong.append(f"a goodbye: {bye}")

    async def reaches(self, channel: str, place: int) -> None:
        """Wait until it was told all of *channel* up to this position."""
        while channel not in self.cursors or position(self.cursors[channel]) < place:
            self._moved.clear()
            await self._moved.wait()

    async def joins(self, life: int) -> None:
        """Wait until it is served in this life of the server."""
        while self.life < life:
            self._moved.clear()
            await self._moved.wait()


class Transport(Protocol):
    """Tells the reader from where it is to the next cut, or the end."""

    __name__: str

    def __call__(self, reader: Reader, /) -> Awaitable[None]: ...
