"""Requests as they stand, line by line, for what no client would send."""

import socket
from urllib.parse import urlsplit


def told(base: str, head: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what is answered to these very lines."""
    address = urlsplit(base)
    assert address.port is not None
    if body:
        head = f"{head}\r\nContent-Length: {len(body)}"
    with socket.create_connection((address.hostname, address.port), timeout=20) as peer:
        peer.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
        with peer.makefile("rb") as file:
            said = file.read()
    lines, _, content = said.partition(b"\r\n\r\n")
    status, *headers = lines.decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in headers]
    return int(status.split()[1]), {name.lower(): value for name, value in pairs}, content
