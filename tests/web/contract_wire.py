"""A socket that is read only when a test asks for it."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tests.web.handed_over import RESET

LONG_S: Final = 20.0  # whatever takes longer will never come
SMALL: Final = 32 * 1024
"""Bytes a stalled client's kernel takes."""


class Wire:
    """A connected socket. Ends read as b"", be they orderly or resets."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.was_reset = False

    @classmethod
    async def to(cls, url: str, *, small: bool = False) -> "Wire":
        address = urlsplit(url)
        assert address.hostname is not None
        made = socket.socket()
        made.setblocking(False)
        if small:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        place = (address.hostname, address.port)
        async with asyncio.timeout(LONG_S):
            await asyncio.get_running_loop().sock_connect(made, place)
        return cls(made)

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(LONG_S):
            await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def receive(self, most: int = 65536) -> bytes:
        async with asyncio.timeout(LONG_S):
            try:
                return await asyncio.get_running_loop().sock_recv(self.socket, most)
            except ConnectionError:
                self.was_reset = True
                return b""

    async def answered(self) -> tuple[int, dict[str, str], bytes]:
        """The head of an answer: status, headers with small names, and what came behind it."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = await self.receive(4096)
            assert part, f"the end came within the head: {data!r}"
            data += part
        head, _, rest = data.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return int(status.split()[1]), headers, rest

    async def body(self, headers: Mapping[str, str], begun: bytes) -> bytes:
        """All of a body that tells its length, or ends with the connection."""
        told = headers.get("content-length")
        while told is None or len(begun) < int(told):
            part = await self.receive()
            if not part:
                break
            begun += part
        return begun

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


def head_of(url: str, path: str, headers: Mapping[str, str]) -> bytes:
    given = {"Host": urlsplit(url).netloc, **headers}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
