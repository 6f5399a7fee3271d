"""Requests as they stand, line by line, for what no client would send."""

import socket
from urllib.parse import urlsplit


def told(base: str, head: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what is answered to these very lines."""
    if body:
        head = f"{head}\r\nContent-Length: {len(body)}"
    return answered(base, f"{head}\r\nConnection: close\r\n\r\n".encode() + body)


def answered(base: str, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what is answered to these bytes, up to the end."""
    with connected(base) as peer, peer.makefile("rb") as file:
        peer.sendall(raw)
        return parsed(file.read())


def connected(base: str) -> socket.socket:
    """A connection to the server at *base*."""
    address = urlsplit(base)
    assert address.port is not None
    return socket.create_connection((address.hostname, address.port), timeout=20)


def parsed(said: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer."""
    lines, _, content = said.partition(b"\r\n\r\n")
    status, *headers = lines.decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in headers]
    return int(status.split()[1]), {name.lower(): value for name, value in pairs}, content
