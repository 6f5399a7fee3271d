"""What a service manager is told over the socket of sd_notify(3): datagrams of NAME=VALUE lines.

Started without a manager that listens (NOTIFY_SOCKET is not set), nothing happens.
"""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final, Self

log = logging.getLogger(__name__)

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG: Final = "WATCHDOG_USEC"
WATCHDOG_PID: Final = "WATCHDOG_PID"

LONGEST: Final = 400
"""Characters of a status."""

MICRO: Final = 1_000_000


class NotifyError(ValueError):
    """What the service manager asks for cannot be done; the text names the variable."""


class Notifier:
    """Tells the service manager at *address*, a path of a socket; with None nobody is told.

    `watchdog_s`: seconds after which the manager takes a silent process for dead, None: never.
    Nothing here waits or raises: what cannot be sent now is dropped, and the caller told so.
    """

    def __init__(self, address: bytes | None, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s if address is not None else None
        self.is_ready = False
        self._address = address
        self._socket: socket.socket | None = None
        self._failing = False

    @classmethod
    def from_env(cls, given: Mapping[str, str], process: int) -> Self:
        """Whom the variables *given* to the process of this id name. NotifyError."""
        name = given.get(SOCKET, "")
        return cls(_address(name), _watchdog_s(given, process)) if name else cls(None)

    @property
    def listens(self) -> bool:
        """Whether there is anybody to tell."""
        return self._address is not None

    def ready(self, status: str) -> bool:
        """It works from now on; whether the manager was told, now or before."""
        if not self.is_ready:
            self.is_ready = self._tell("READY=1", _status(status))
        return self.is_ready

    def status(self, text: str) -> bool:
        """How it is, in one line for people; whether the manager was told."""
        return self._tell(_status(text))

    def starting(self, text: str, seconds: float) -> None:
        """What the start is at, which may take so many seconds from now on, whatever the manager
        usually allows."""
        if not self.is_ready:
            self._tell(_status(text), f"EXTEND_TIMEOUT_USEC={int(seconds * MICRO)}")

    def beat(self) -> bool:
        """It has made progress; whether the manager was told."""
        return self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """It begins to stop."""
        self._tell("STOPPING=1", _status("stopping"))

    def close(self) -> None:
        """Nobody is told anything any more; harmless when repeated."""
        self._address = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self, *lines: str) -> bool:
        if self._address is None:
            return False
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            # The address each time: a manager that starts anew has a new socket there.
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._failing:
                log.warning("the service manager cannot be told %s: %s", lines[0], error)
            self._failing = True
            return False
        self._failing = False
        return True


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())[:LONGEST]


def _address(name: str) -> bytes:
    if name.startswith("vsock"):
        raise NotifyError(f"{SOCKET}={name}: a vsock is the manager of a virtual machine's host")
    if not name.startswith(("/", "@")) or len(name) < 2:
        raise NotifyError(f"{SOCKET}={name}: it is an absolute path, or @ and an abstract name")
    path = os.fsencode(name)
    return b"\0" + path[1:] if name.startswith("@") else path


def _watchdog_s(given: Mapping[str, str], process: int) -> float | None:
    """Seconds; None when nobody watches, or another process is meant."""
    text = given.get(WATCHDOG, "")
    meant = given.get(WATCHDOG_PID, "")
    if not text or (meant and _whole(WATCHDOG_PID, meant) != process):
        return None
    return _whole(WATCHDOG, text) / MICRO


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 63):
        raise NotifyError(f"{name}={text}: it is a whole number above 0")
    return int(text)
