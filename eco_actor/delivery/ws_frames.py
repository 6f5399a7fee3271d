"""WebSocket as bytes (RFC 6455): frames out, messages in. No I/O. See `ws_handshake` for the rest.

What goes out is made once and may be shared by many: a server's frames are not masked. What comes
in is read by `Inbound`, one a connection. There are no extensions, so nothing is compressed.
"""

import codecs
import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from eco_actor.delivery.ws_handshake import BadHandshake as BadHandshake
from eco_actor.delivery.ws_handshake import Handshake as Handshake
from eco_actor.delivery.ws_handshake import handshake as handshake

MAX_MESSAGE: Final = 128 * 1024
"""Bytes of a client's message, all its fragments together."""

MAX_CONTROL: Final = 125
"""Bytes a ping or pong may carry. A close carries two less, after its code."""

SLICE: Final = 16 * 1024
"""Bytes read at a time, so that a flood of tiny frames is never many objects at once."""

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9

NO_STATUS: Final = 1005
"""What a close without a code is told as. It is never sent."""

BAD_TEXT: Final = 1007

# A server with ten thousand connections has no use for a line about the end of each.
_quiet: Final = logging.getLogger(f"{__name__}.quiet")
_quiet.setLevel(logging.ERROR)


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole message or control frame, as a server sends it: unmasked, in one piece."""
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, length) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, length) + payload


class Pong(NamedTuple):
    """The answer to a ping of ours, or a sign of life that nobody asked for."""

    payload: bytes


class Closing(NamedTuple):
    """The last message: the client closes (1005: it gave no code), or what it sent is faulty.

    Send what `Inbound.to_send` has, and close the transport.
    """

    code: int
    reason: str


Message = str | bytes | Pong | Closing


@dataclass(slots=True)
class _Fragments:
    """A message that is not complete: what has come of it. One buffer, however many pieces."""

    text: bool
    data: bytearray = field(default_factory=bytearray)
    utf8: codecs.IncrementalDecoder = field(
        default_factory=codecs.getincrementaldecoder("utf-8")  # faulty text is not waited out
    )


def _wire_size(each: Frame) -> int:
    """Bytes of a masked frame. One that tells its length in more than it needs is longer."""
    length = len(each.data)
    return length + (6 if length < 126 else 8 if length < 65536 else 14)


def _told(close: Close) -> Closing:
    return Closing(int(close.code), close.reason)


def _payload(close: Close) -> bytes:
    return b"" if close.code == NO_STATUS else close.serialize()


class Inbound:
    """One connection's input: bytes in, messages out. At rest it holds nothing else.

    Pings are answered and closes echoed through `to_send`: look there after each `receive`. Each
    ping has its pong, so stop reading from a client that does not read. At most *max_message*
    bytes and one read are kept. Call `eof` when the connection ends, whatever the reason.
    """

    __slots__ = ("_done", "_fragments", "_max_message", "_out", "_protocol", "_unread", "closed")

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self.closed = False
        """Nothing may be sent any more, except what `close` or `to_send` still gives."""
        self._max_message = max_message
        self._protocol: ServerProtocol | None = None
        self._fragments: _Fragments | None = None
        self._out = b""
        self._unread = 0
        self._done = False

    def receive(self, data: bytes) -> list[Message]:
        """The messages that *data* completes. After a `Closing` there are none any more.

        After `close` everything but the client's close is left out. Never raises.
        """
        messages: list[Message] = []
        for start in range(0, len(data), SLICE):
            if self._done:
                break
            self._read(data[start : start + SLICE], messages)
        return messages

    def _read(self, data: bytes, messages: list[Message]) -> None:
        protocol = self._protocol
        if protocol is None:
            protocol = self._protocol = ServerProtocol(
                state=OPEN, max_size=self._max_message, logger=_quiet
            )
        protocol.receive_data(data)
        self._unread += len(data)
        frames = [each for each in protocol.events_received() if isinstance(each, Frame)]
        answers = [answer for answer in protocol.data_to_send() if answer]
        answered = 0
        for each in frames:
            self._unread -= _wire_size(each)
            try:
                message = self._message(each)
            except UnicodeDecodeError as error:
                reason = f"{error.reason} at position {error.start}"
                last = frame(CLOSE, Close(BAD_TEXT, reason).serialize())
                self._end(Closing(BAD_TEXT, reason), [*answers[:answered], last], messages)
                return
            if isinstance(message, Closing):
                self._end(message, answers, messages)
                return
            answered += each.opcode is Opcode.PING
            if message is not None and not self.closed:
                messages.append(message)
        if protocol.close_rcvd is not None:
            # In the midst of a message, which websockets answers 1002; the RFC allows it.
            echo = frame(CLOSE, _payload(protocol.close_rcvd))
            self._end(_told(protocol.close_rcvd), [*answers[:-1], echo], messages)
            return
        if protocol.close_sent is not None:
            self._end(_told(protocol.close_sent), answers, messages)
            return
        if not self.closed:
            self._out += b"".join(answers)
        if not self._unread and self._fragments is None:
            self._rest()

    def _message(self, each: Frame) -> Message | None:
        """What the frame means to the owner. UnicodeDecodeError."""
        match each.opcode:
            case Opcode.TEXT | Opcode.BINARY if each.fin:
                return str(each.data, "utf-8") if each.opcode is Opcode.TEXT else bytes(each.data)
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                return self._fragment(each)
            case Opcode.PONG:
                return Pong(bytes(each.data))
            case Opcode.CLOSE:
                return _told(Close.parse(each.data))
        return None

    def _fragment(self, each: Frame) -> str | bytes | None:
        whole = self._fragments
        if whole is None:
            whole = self._fragments = _Fragments(each.opcode is Opcode.TEXT)
        whole.data += each.data
        if whole.text:
            whole.utf8.decode(each.data, each.fin)
        if not each.fin:
            return None
        self._fragments = None
        return whole.data.decode() if whole.text else bytes(whole.data)

    def _end(self, last: Closing, answers: Sequence[bytes], messages: list[Message]) -> None:
        if not self.closed:
            self._out += b"".join(answers)
        messages.append(last)
        self._finish()

    def _finish(self) -> None:
        self.closed = self._done = True
        self._fragments = None
        self._rest()

    def _rest(self) -> None:
        """Between two messages a parser remembers nothing; without it we hold 1.4 KB less."""
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            # Both refer back to it, which would leave it to the collector of cycles.
            protocol.parser.close()
            protocol.parser_exc = None

    def eof(self) -> None:
        """The connection has ended; what was not complete is forgotten."""
        self._out = b""
        self._finish()

    def to_send(self) -> bytes:
        """What must go out now, in one piece; empty when there is nothing."""
        out, self._out = self._out, b""
        return out

    def ping(self, payload: bytes) -> bytes:
        """A ping to send; empty once `closed`. ValueError for more than `MAX_CONTROL` bytes."""
        if len(payload) > MAX_CONTROL:
            raise ValueError(f"a ping carries at most {MAX_CONTROL} bytes, not {len(payload)}")
        return b"" if self.closed else frame(PING, payload)

    def close(self, code: int, reason: str = "") -> bytes:
        """Our close to send, after what `to_send` has; empty when `closed` already.

        The reason is cut to what fits. ValueError for a code that may not be sent.
        """
        told = reason.encode(errors="replace")[: MAX_CONTROL - 2].decode(errors="ignore")
        try:
            payload = Close(code, told).serialize()
        except Exception as error:
            raise ValueError(f"{code} is no code to close with") from error
        if self.closed:
            return b""
        self.closed = True
        return frame(CLOSE, payload)
