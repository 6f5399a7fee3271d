"""The client's side of WebSocket frames, written down a second time: masked out, plain in."""

import struct
from typing import Final

CONT: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

MASK: Final = b"\x37\xfa\x21\x3d"

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, section 1.3, as is the answer to it
ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def masked(opcode: int, payload: bytes, *, fin: bool = True, reserved: int = 0) -> bytes:
    """A frame as a client sends it; *reserved* are the three bits that mean nothing here."""
    repeated = MASK * (len(payload) // 4 + 1)
    mixed = bytes(a ^ b for a, b in zip(payload, repeated, strict=False))
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    return _head(first, 0x80, len(payload)) + MASK + mixed


def unmasked(opcode: int, payload: bytes) -> bytes:
    """A frame as a server sends it."""
    return _head(0x80 | opcode, 0, len(payload)) + payload


def closing(code: int, reason: bytes = b"") -> bytes:
    return masked(CLOSE, struct.pack("!H", code) + reason)


def _head(first: int, mask: int, length: int) -> bytes:
    if length < 126:
        return struct.pack("!BB", first, mask | length)
    if length < 65536:
        return struct.pack("!BBH", first, mask | 126, length)
    return struct.pack("!BBQ", first, mask | 127, length)


def read_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of each of a server's frames, every one whole and in one piece."""
    frames: list[tuple[int, bytes]] = []
    while data:
        assert data[0] & 0xF0 == 0x80, "one piece, and no reserved bits"
        assert data[1] < 0x80, "a server does not mask"
        begin, length = 2, data[1]
        if length == 126:
            begin, (length,) = 4, struct.unpack_from("!H", data, 2)
        elif length == 127:
            begin, (length,) = 10, struct.unpack_from("!Q", data, 2)
        assert len(data) >= begin + length, "a frame is cut off"
        frames.append((data[0] & 0x0F, data[begin : begin + length]))
        data = data[begin + length :]
    return frames


def close_code(payload: bytes) -> int:
    (code,) = struct.unpack_from("!H", payload)
    assert isinstance(code, int)
    return code


def opening(path: str = "/", *lines: str) -> bytes:
    """The head of a request that opens a WebSocket, as it goes over the wire."""
    head = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket"]
    head += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"]
    return "".join(f"{line}\r\n" for line in [*head, *lines, ""]).encode()
