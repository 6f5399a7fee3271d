"""Publishers for the delivery benchmarks, and what a time under their load measured.

steady:    an event is due every 1/RATE seconds whether or not the server keeps up, and its clock
           starts when it was due: a server that holds up its publisher pays for it.
saturated: each of a few publishers posts its next event when the last is answered.
"""

import re
import select
import socket
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.server import TICKS, Server
from bench.subscribers import Crowd

LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
STEADY_CONNECTIONS: Final = 16  # a steady load needs more than one when answers take their time
DRAIN_S: Final = 10.0  # at most, for what is still under way behind the last event
LOOKS: Final = 60
QUIET_S: Final = 1.0  # nothing more comes after so long a silence
POST: Final = (
    "POST /channels/{channel}/events{query} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    "Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
    "Content-Length: {size}\r\n\r\n"
)
END: Final = b"\r\n\r\n"


class Publishers:
    """Connections that post events of *size* bytes to one channel.

    sent: events posted. acknowledged: those answered 2xx. failed: those answered otherwise.
    """

    def __init__(
        self, host: str, port: int, token: str, size: int, count: int, query: str = ""
    ) -> None:
        self.sent = self.acknowledged = self.failed = 0
        self.epoll = select.epoll()
        self.refusal = b""  # the last of the failed answers
        self._size = size
        self._head = POST.format(
            channel="app:bench", query=query, host=host, port=port, token=token, size=size
        ).encode()
        self._sockets: dict[int, socket.socket] = {}
        self._answers: dict[int, bytes] = {}
        self._idle: deque[int] = deque()
        for _ in range(count):
            made = socket.create_connection((host, port), timeout=10)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[made.fileno()] = made
            self._answers[made.fileno()] = b""
            self._idle.append(made.fileno())
            self.epoll.register(made.fileno(), select.EPOLLIN)

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def busy(self) -> int:
        return len(self._sockets) - len(self._idle)

    def post(self, stamp_ns: int) -> None:
        """One event with the time *stamp_ns*, on an idle connection."""
        body = b'{"t":%d,"n":%d,"pad":"' % (stamp_ns, self.sent)
        body += b"x" * (self._size - len(body) - 2) + b'"}'
        self.sent += 1
        # blocking: an event is smaller than the socket's buffer
        self._sockets[self._idle.popleft()].sendall(self._head + body)

    def read(self) -> bool:
        """Read answers; False if there were none. ConnectionError when the server hung up."""
        ready = self.epoll.poll(0)
        for number, _ in ready:
            data = self._sockets[number].recv(65536)
            if not data:
                raise ConnectionError(f"the server hung up on a publisher: {self.refusal!r}")
            self._answers[number] += data
            self._answered(number)
        return bool(ready)

    def _answered(self, number: int) -> None:
        answer = self._answers[number]
        end = answer.find(END)
        length = LENGTH.search(answer, 0, end) if end >= 0 else None
        if end < 0 or len(answer) < end + 4 + (int(length[1]) if length else 0):
            return
        if answer.startswith(b"HTTP/1.1 2"):
            self.acknowledged += 1
        else:
            self.failed += 1
            self.refusal = answer
        self._answers[number] = b""
        self._idle.append(number)

    def close(self) -> None:
        for made in self._sockets.values():
            made.close()
        self.epoll.close()


@dataclass(frozen=True, slots=True)
class Load:
    """What is published: *rate* events a second, or None for as fast as answers come."""

    size: int
    seconds: float
    rate: float | None = None
    publishers: int = STEADY_CONNECTIONS
    query: str = ""

    def put_on(self, server: Server, crowd: Crowd, token: str) -> "Measured":
        """Publish for *seconds*, let what is under way arrive, and say what happened."""
        publishers = Publishers(
            server.host, server.port, token, self.size, self.publishers, self.query
        )
        try:
            return self._measure(server, crowd, publishers)
        finally:
            publishers.close()

    def _measure(self, server: Server, crowd: Crowd, publishers: Publishers) -> "Measured":
        before = crowd.received, server.cpu_s(), writes(server), time.process_time(), busy_s()
        subscribers = crowd.open
        del crowd.latencies_ns[:]
        begun = time.monotonic_ns()
        until = begun + int(self.seconds * 1e9)
        while (now := time.monotonic_ns()) < until:
            due = now if self.rate is None else begun + int(publishers.sent * 1e9 / self.rate)
            if publishers.idle and due <= now:
                publishers.post(due)
            elif not crowd.read() | publishers.read():
                wait(crowd, publishers, max(0, due - now) / 1e9 if publishers.idle else 0.05)
        drain(crowd, publishers, before[0], subscribers)
        ended = max(crowd.last_ns, until)
        return Measured(
            seconds=(ended - begun) / 1e9,
            deliveries=crowd.received - before[0],
            due=(self.rate * self.seconds if self.rate else publishers.acknowledged) * subscribers,
            lost=publishers.acknowledged * subscribers - (crowd.received - before[0]),
            failed=publishers.failed,
            latencies_ns=sorted(crowd.latencies_ns),
            cpu_s=server.cpu_s() - before[1],
            writes=writes(server) - before[2],
            client_cpu_s=time.process_time() - before[3],
            busy_s=busy_s() - before[4],
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """What one load did. Deliveries are events times subscribers that read."""

    seconds: float
    deliveries: int
    due: float
    lost: int
    failed: int
    latencies_ns: list[int]
    cpu_s: float
    writes: int
    client_cpu_s: float
    busy_s: float

    def figures(self) -> dict[str, float]:
        """For the medians; keys with _s count per second, _ms are milliseconds."""
        others_s = max(0.0, self.busy_s - self.cpu_s - self.client_cpu_s)
        return {
            "deliveries_s": self.deliveries / self.seconds,
            "delivered_share": self.deliveries / max(1, self.due),
            "p50_ms": self.quantile_ms(0.5),
            "p99_ms": self.quantile_ms(0.99),
            "cpu_s_per_million": self.cpu_s * 1e6 / max(1, self.deliveries),
            "events_per_write": self.deliveries / max(1, self.writes),
            "lost": self.lost,
            "failed_posts": self.failed,
            "cpu_share": self.cpu_s / self.seconds,
            "client_cpu_share": self.client_cpu_s / self.seconds,
            "other_cpu_share": others_s / self.seconds,
        }

    def quantile_ms(self, share: float) -> float:
        ordered = self.latencies_ns
        return ordered[int((len(ordered) - 1) * share)] / 1e6 if ordered else 0.0


def writes(server: Server) -> int:
    """How often it has written to a socket or a file so far; uvloop's writes are counted, as the
    kernel counts write and writev and not send. Answers to publishers and the store's are in it.
    """
    found = re.search(r"^syscw: (\d+)", Path(f"/proc/{server.process.pid}/io").read_text(), re.M)
    assert found is not None
    return int(found[1])


def busy_s() -> float:
    """Processor time that everything on this machine has used so far, over all cores."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq = map(int, file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def wait(crowd: Crowd, publishers: Publishers, seconds: float) -> None:
    """Until something is to be read; unlike epoll's own wait it can be less than a millisecond.

    Looks some times before it sleeps: to wake a core takes long enough for publishers that wait for
    answers to halve what they send.
    """
    for _ in range(LOOKS):
        if crowd.epoll.poll(0, 1) or publishers.epoll.poll(0, 1):
            return
    select.select((crowd.epoll, publishers.epoll), (), (), seconds)


def drain(crowd: Crowd, publishers: Publishers, before: int, subscribers: int) -> None:
    """Read until all that was acknowledged is there, or nothing comes any more."""
    over = time.monotonic() + DRAIN_S
    quiet = time.monotonic() + QUIET_S
    while time.monotonic() < min(over, quiet):
        if crowd.read() | publishers.read():
            quiet = time.monotonic() + QUIET_S
            continue
        due = before + publishers.acknowledged * subscribers
        if not publishers.busy and crowd.received >= due:
            return
        wait(crowd, publishers, 0.02)
