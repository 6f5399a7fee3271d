"""A connection that is told in messages of a WebSocket, and takes commands."""

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final

from eco_actor.delivery.commands import (
    BadCommand,
    Command,
    Ping,
    Publish,
    Subscribe,
    Unreadable,
    Unsubscribe,
    read_command,
)
from eco_actor.delivery.connection import RETRY_MS, Connection, Delivery, Wanted
from eco_actor.delivery.directory import Found
from eco_actor.delivery.frames import Bye, MessageFormat
from eco_actor.delivery.publisher import Publisher
from eco_actor.delivery.rule import Refused, Rule
from eco_actor.delivery.subscription import missing
from eco_actor.delivery.traffic import ERROR, GONE, PONG
from eco_actor.delivery.ws_frames import Closing, Inbound, Message, Pong
from eco_actor.eventlog import Cursor, Resume, StoreError

PING_S: Final = 25.0
"""Seconds from one ping to the next."""

PONG_S: Final = 10.0
"""Seconds in which a ping is answered."""

CHANNELS: Final = 100
"""Channels of one connection."""

REFUSALS: Final = 100
"""Subscriptions beyond CHANNELS that are answered, before the connection is ended for them."""

SLICE: Final = 4096
"""Bytes read in one turn."""

COMMANDS: Final = 64
"""Commands that wait; with more, no more is read."""

BATCH: Final = 32
"""Commands in one turn."""

PUBLISHING: Final = 64
"""Events of one client that wait to be written; with more, no more is read."""

COMPLETE_S: Final = 2.0
"""Seconds in which a client may subscribe to more after its last channel has ended."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Something has come, or is left of what came."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a subscription begins, or why there is none."""

    command: Subscribe
    rule: Rule
    found: Found | Exception


@dataclass(frozen=True, slots=True)
class Complete:
    """Time is over for more subscriptions."""


def _told(
    format: MessageFormat, id: object, channel: str, cursor: Cursor, verdict: Resume
) -> bytes:
    told = {
        "op": "subscribed",
        "id": id,
        "channel": channel,
        "cursor": str(cursor),
        "resume": verdict.value,
    }
    return format.message(told)


@lru_cache(maxsize=256)
def _fresh(format: MessageFormat, channel: str, cursor: Cursor) -> bytes:
    """What many are told that come at one time."""
    return _told(format, None, channel, cursor, Resume.FRESH)


class WebSocketConnection(Connection):
    """Its `head` is the answer to the handshake. *publisher* is there if it may publish."""

    __slots__ = (
        "_commands",
        "_heard",
        "_inbound",
        "_interactive",
        "_pinged",
        "_placing",
        "_publishing",
        "_refusals",
        "_said",
        "_still",
        "head",
        "publisher",
    )

    format: MessageFormat
    rhythm: ClassVar[float] = PING_S
    ordered: ClassVar[bool] = False

    def __init__(
        self,
        transport: asyncio.Transport,
        paused: bool,
        delivery: Delivery,
        format: MessageFormat,
        wanted: Wanted,
        head: bytes,
        publisher: Publisher | None,
    ) -> None:
        super().__init__(transport, paused, delivery, format, delivery.traffic.websocket, wanted)
        self.head = head
        self.publisher = publisher
        self._inbound = Inbound()
        self._commands: deque[Message] | None = None
        self._heard = b""  # what has come and was not read
        self._said: list[bytes] | None = None  # answers that go out together
        self._still = False  # nothing is read for the time being
        self._placing = False  # a subscription is looked up
        self._publishing = 0  # events that wait to be written
        self._refusals = 0
        self._interactive = False  # it has asked for a channel itself
        self._pinged = 0.0  # when, while the answer is awaited

    # ---- what is said

    def opening(self) -> bytes:
        head, self.head = self.head, b""
        return head + b"".join(self._subscribed(None, *each) for each in self.wanted)

    def _subscribed(self, id: object, found: Found, rule: Rule) -> bytes:
        cursor = self.delivery.log.cursor(found.place.position)
        verdict = found.place.resume
        if id is None and verdict is Resume.FRESH:
            return _fresh(self.format, found.channel, cursor)
        told = _told(self.format, id, found.channel, cursor, verdict)
        gap = missing(found)
        if gap is None:
            return told
        self.delivery.traffic.gap(rule.overflow, gap.reason, gap.dropped)
        return told + self.format.gap(gap, cursor)

    def farewell(self, bye: Bye, retry_ms: int) -> bytes:
        if self._inbound.closed:
            return b""
        told = self.format.message({"op": "bye", **bye.told(retry_ms)})
        return told + self._inbound.close(bye.close_code, bye.code)

    def answer(self, op: str, id: object, **told: Any) -> None:
        """Reply to a command."""
        if self._ended or self._inbound.closed:
            return
        frame = self.format.message({"op": op, "id": id, **told})
        if self._said is None:
            self.send(frame)
        else:
            self._said.append(frame)

    def error(self, id: object, code: str, detail: str) -> None:
        """Tell what is wrong with a command; the connection goes on."""
        self.answer("error", id, code=code, detail=detail)

    def end(self, bye: Bye, retry_ms: int = RETRY_MS, code: str = "") -> None:
        self._say()
        super().end(bye, retry_ms, code)

    def beat(self, now: float) -> float:
        """Ask whether the client is there, and drop it if it did not answer."""
        if self.paused or self._still:
            self._pinged = 0.0  # it cannot have got one; that it does not read has its own end
            return now + PONG_S
        if self._pinged:
            if now - self._pinged >= PONG_S:
                self.give_up(PONG)
            return now + PONG_S
        if self._inbound.closed:
            return now + PING_S
        self._pinged = now
        self.traffic.pings += 1
        self.send(self._inbound.ping(b"eco"))
        return now + PONG_S

    def _finish(self) -> bytes:
        if self._interactive and not self.subscriptions:
            self.start_timer("complete", COMPLETE_S, Complete())
            return b""
        return super()._finish()

    # ---- what is heard

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if len(self._heard) > len(data):
            return  # what came before has its turn first
        busy = self._commands is not None
        self._parse()
        if self._commands and not busy:
            self.ref.tell(Heard())
        elif self._heard and not busy:
            self._go_on()

    def _parse(self) -> None:
        """Read a slice of what has come: many small messages are no long turn, either."""
        heard, inbound = self._heard, self._inbound
        self._heard = heard[SLICE:]
        messages = inbound.receive(heard[:SLICE])
        self.send(inbound.to_send())
        commands = [each for each in messages if type(each) is not Pong]
        if len(commands) < len(messages):
            self._ponged()
        if commands and self._ended is None:
            if self._commands is None:
                self._commands = deque()
            self._commands.extend(commands)
        self._read_on()

    def _go_on(self) -> None:
        """With what has come, if anything has, in a turn of its own: others get theirs before."""
        if (self._heard or self._commands) and not self._is_held():
            self.start_timer("heard", 0.0, Heard())

    def _ponged(self) -> None:
        if self._pinged:
            self.delivery.wheel.put(self, self._pinged + PING_S)
            self._pinged = 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        self._inbound.eof()
        super().connection_lost(exc)

    def eof_received(self) -> bool:
        self._inbound.eof()
        return False

    def _read_on(self) -> None:
        """Read, or do not: as long as it does not read itself, or has enough to do."""
        still = self.paused or bool(self._heard) or self._publishing >= PUBLISHING
        still = still or len(self._commands or ()) >= COMMANDS
        if still == self._still or self.lost or self.transport.is_closing():
            return
        self._still = still
        if still:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_on()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()
        self._read_on()

    def received(self, message: Any) -> None:
        match message:
            case Heard():
                if not self._commands and self._heard and not self._is_held():
                    self._parse()
            case Placed(command, rule, found):
                self._placing = False
                self._place(command, rule, found)
            case Complete() if not (self.subscriptions or self._placing or self._commands):
                self.end(Bye.COMPLETE)
        self._work()

    def _work(self) -> None:
        """Do some of what was commanded, one after the other, and answer in one write."""
        commands = self._commands
        self._said = []
        for _ in range(BATCH):
            if not commands or self._is_held():
                break
            self._obey(commands.popleft())
        self._say()
        self._said = None
        if not commands:
            self._commands = None
        self._go_on()
        self._read_on()

    def _is_held(self) -> bool:
        """Whether nothing more is to be done now; what it waits for goes on with it."""
        held = self._placing or self.paused or self._ended is not None
        return held or self._publishing >= PUBLISHING

    def _say(self) -> None:
        """Send what was answered so far."""
        if self._said:
            answers = b"".join(self._said)
            self._said.clear()
            self.send(answers)

    def _obey(self, message: Message) -> None:
        match message:
            case Closing():
                self._ended = GONE
                self.transport.close()
                self.stop()
            case _:
                try:
                    self._command(read_command(message, self.format))
                except Unreadable as error:
                    self._say()
                    self._ended = ERROR
                    self.send(self._inbound.close(error.close_code, str(error)))
                    self.stop()
                except BadCommand as error:
                    self.error(error.id, error.code, str(error))

    def _command(self, command: Command) -> None:
        match command:
            case Subscribe():
                self._subscribe(command)
            case Unsubscribe(channel, id):
                if self.unsubscribe(channel):
                    self.answer("unsubscribed", id, channel=channel)
                else:
                    self.error(id, "not_subscribed", f"{channel}: it is not subscribed to")
            case Publish():
                self._publish(command)
            case Ping(id):
                self.answer("pong", id)

    def _subscribe(self, command: Subscribe) -> None:
        self._interactive = True
        if len(self.subscriptions) >= CHANNELS:
            self._refusals += 1
            self.error(command.id, "too_many_channels", f"{CHANNELS} channels a connection")
            if self._refusals > REFUSALS:
                self.end(Bye.TOO_MANY)
            return
        if any(each.channel == command.channel for each in self.subscriptions):
            self.error(command.id, "already_subscribed", f"{command.channel}: it is already")
            return
        try:
            rule = command.rule()
        except Refused as error:
            self.error(command.id, error.code, error.detail)
            return
        self._placing = True
        self.pipe(
            self.delivery.directory.place(command.channel, command.after or None),
            lambda found: Placed(command, rule, found),
            lambda error: Placed(command, rule, error),
        )

    def _place(self, command: Subscribe, rule: Rule, found: Found | Exception) -> None:
        match found:
            case Found():
                self.send(self._subscribed(command.id, found, rule))
                self.subscribe(found, rule)
            case Refused(code=code, detail=detail):
                self.error(command.id, code, detail)
            case StoreError(reason=reason):
                self.error(command.id, "storage", reason)
            case _:
                raise found

    def _publish(self, command: Publish) -> None:
        if self.publisher is None:
            self.error(command.id, "operator_only", "publishing takes the operator's token")
            return
        self._publishing += 1

        def done(cursor: Cursor | None, error: Refused | StoreError | None) -> None:
            self._publishing -= 1
            match error:
                case None:
                    told = None if cursor is None else str(cursor)
                    self.answer("published", command.id, cursor=told)
                case Refused(code=code, detail=detail):
                    self.error(command.id, code, detail)
                case StoreError(reason=reason):
                    self.error(command.id, "storage", reason)
            self._go_on()
            self._read_on()

        self.publisher.publish(
            command.channel, command.data, command.key, transient=command.transient, done=done
        )
