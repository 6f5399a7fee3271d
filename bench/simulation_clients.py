"""Clients of the simulated server: they ask, follow, are cut off, and come back with their cursor.

They are outside: a crash leaves them with what they have been told. Streams are the real ones, down
to the transport; requests begin where a route has read them.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bench.simulation_process import Process
from bench.simulation_truth import Truth
from eco_actor.delivery.frames import SSE_CHANNEL
from eco_actor.delivery.rule import Refused, Rule
from eco_actor.delivery.sse import SseConnection
from eco_actor.eventlog import StoreError

RULE: Final = Rule()
"""buffer: nothing may be lost."""


class Wire(asyncio.Transport):
    """From a connection to its client, which reads at once, or, while it is *stalled*, nothing."""

    def __init__(self, process: Process, read: Callable[[bytes], None]) -> None:
        super().__init__()
        self._process, self._read = process, read
        self._protocol: Any = None
        self._waiting = b""
        self.stalled = self.over = self._closing = self._paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.over or self._process.severed:
            return
        if not self.stalled:
            self._read(bytes(data))
            return
        self._waiting += bytes(data)
        if not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def go_on(self) -> None:
        """The client reads again."""
        self.stalled = False
        waiting, self._waiting = self._waiting, b""
        if self.over or self._process.severed:
            return
        if waiting:
            self._read(waiting)
        if self._closing:
            self.lose()
        elif self._paused:
            self._paused = False
            self._protocol.resume_writing()

    def lose(self) -> None:
        """The connection is no more."""
        if not self.over:
            self.over = True
            self._process.loop.call_soon(self._tell_lost)

    def _tell_lost(self) -> None:
        if not self._process.severed:
            self._protocol.connection_lost(None)

    def close(self) -> None:
        self._closing = True
        if not self._waiting:
            self.lose()

    def abort(self) -> None:
        self._waiting = b""
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It pauses whenever something waits."""

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


@dataclass(eq=False)
class Follower:
    """Follows *channel*, and comes back with its cursor whenever it was cut off.

    `got`: positions and data, as it was told. `begins`: everything behind it is to be told.
    """

    truth: Truth
    number: int
    channel: str
    after: str | None = None
    begins: int | None = None
    got: list[tuple[int, Any]] = field(default_factory=list)
    trimmed: int = 0  # up to there it knows that it missed something
    over: str = ""  # why it does not come back
    wire: Wire | None = None
    coming: bool = False

    @property
    def here(self) -> bool:
        return self.wire is not None and not self.wire.over

    async def come(self, process: Process) -> None:
        """Connect, or try to."""
        opening = process.opening
        try:
            found = await opening.delivery.directory.place(self.channel, self.after)
        except Refused as refused:
            self.over = refused.code
            self.truth.note(f"follower {self.number} is refused: {refused.code}")
            return
        except StoreError:
            return
        if process.severed or not process.up:
            return
        if self.after is not None and found.is_over:
            self.over = "complete"
            return
        supervisor = opening.admit(opening.delivery.traffic.sse, resuming=self.after is not None)
        if supervisor is None:
            return
        wire = self.wire = Wire(process, self._read)
        process.on_severed.append(self.leave)
        try:
            about = (SSE_CHANNEL, [(found, RULE)], b"")
            opening.start(supervisor, SseConnection, wire, False, *about)
        except Exception as error:
            wire.over = True
            self.truth.note(f"follower {self.number} fails: {type(error).__name__}")

    def has_come(self, task: "asyncio.Task[None]") -> None:
        """It is here, or has given up trying."""
        self.coming = False

    def leave(self) -> None:
        """Be cut off."""
        if self.wire is not None:
            self.wire.lose()
            self.wire = None

    def _read(self, data: bytes) -> None:
        for block in data.decode().split("\n\n"):
            fields = dict(
                line.split(": ", 1) for line in block.split("\n") if line and line[0] != ":"
            )
            if "data" in fields:
                told = json.loads(fields["data"])
                self._told(fields.get("event", ""), told, fields.get("id"))

    def _told(self, kind: str, told: Any, cursor: str | None) -> None:
        match kind:
            case "":
                assert cursor is not None
                position = int(cursor.partition("-")[2], 16)
                self.truth.shown(cursor, told["channel"], told["data"])
                self.truth.expect(
                    self.truth.events.get(position) == (told["channel"], told["data"]),
                    f"follower {self.number} is told of {cursor}, which is not durable",
                )
                self.got.append((position, told["data"]))
                self.truth.note(f"follower {self.number}: {cursor}")
            case "eco.open":
                self._opened(told, int(told["cursor"].partition("-")[2], 16))
            case "eco.gap":
                end = int(told["to"].partition("-")[2], 16)
                lawful = told["reason"] in ("trimmed", "reset")
                self.truth.expect(lawful, f"follower {self.number}: {told}")
                self.trimmed = max(self.trimmed, end)
            case "eco.bye" if not told["reconnect"]:
                self.over = told["code"]
        if cursor is not None:
            self.after = cursor

    def _opened(self, told: Any, position: int) -> None:
        resume = told["resume"]
        self.truth.note(f"follower {self.number}: {resume} at {told['cursor']}")
        if resume == "reset":
            self.truth.expect(
                self.truth.forgetful, f"follower {self.number}: {self.after} is unknown"
            )
            self.got.clear()
            self.begins, self.trimmed = position, 0
        elif self.begins is None:
            self.begins = position

    def audit(self) -> None:
        """All that came behind its beginning it was told of, in order and once."""
        if self.begins is None or self.over in ("gone", "unknown_task"):
            return
        truth = self.truth
        last = self.got[-1][0] if self.got else self.begins
        due = [
            (position, truth.events[position][1])
            for position in truth.channels.get(self.channel, ())
            if self.begins < position
        ]
        missed = [each for each in due if each not in self.got and each[0] > self.trimmed]
        truth.expect(
            not missed,
            f"follower {self.number} of {self.channel}: not told of {missed[:1]} (has {last})",
        )
        told = [position for position, _ in self.got]
        truth.expect(
            told == sorted(set(told)) and all(each in due for each in self.got),
            f"follower {self.number} of {self.channel} was told of {told}",
        )
