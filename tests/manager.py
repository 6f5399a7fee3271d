"""A service manager as far as a server sees one: a socket for its datagrams, and its patience."""

import os
import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LONG_S: Final = 60.0
"""Whatever takes longer will never come."""


class Manager:
    """Listens at *address*; `heard` has all that it was told, a dict a datagram."""

    def __init__(self, address: str | Path) -> None:
        self.address = str(address)
        self.heard: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.address
        self._socket.bind("\0" + path[1:] if path.startswith("@") else path)

    def close(self) -> None:
        self._socket.close()

    def environment(self, **more: str) -> Mapping[str, str]:
        """What a service gets to know of it."""
        return {"NOTIFY_SOCKET": self.address, **more}

    def next(self, within: float = LONG_S) -> dict[str, str] | None:
        """The next datagram; None when none comes in so many seconds."""
        if not select.select([self._socket], [], [], within)[0]:
            return None
        text = self._socket.recv(65536).decode()
        told = dict(line.split("=", 1) for line in text.split("\n"))
        self.heard.append(told)
        return told

    def waiting(self) -> list[dict[str, str]]:
        """All that has come and was not looked at."""
        return list(iter(lambda: self.next(0.0), None))

    def until(self, name: str, *words: str) -> dict[str, str]:
        """The next datagram whose value of *name* has all *words*; those before are heard, too."""
        until = time.monotonic() + LONG_S
        while time.monotonic() < until:
            told = self.next(until - time.monotonic())
            assert told is not None, f"{name} {words} never came: {self.heard}"
            if name in told and all(word in told[name] for word in words):
                return told
        raise AssertionError(f"{name} {words} never came: {self.heard}")

    def would_kill(self, patience: float) -> bool:
        """Whether no sign of life comes for *patience* seconds from now on."""
        until = time.monotonic() + patience
        while (left := until - time.monotonic()) > 0:
            told = self.next(left)
            if told is not None and "WATCHDOG" in told:
                return False
        return True


@contextmanager
def managing(address: str | Path) -> Iterator[Manager]:
    manager = Manager(address)
    try:
        yield manager
    finally:
        manager.close()


def abstract() -> str:
    """An abstract address that nobody else has."""
    return f"@eco-test-{os.getpid()}-{time.monotonic_ns()}"
