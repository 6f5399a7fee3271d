"""Subscribers that cost less than a server: raw sockets, one epoll, no parsing of events.

What `bench.fanout`, `bench.connections` and `bench.slow` measure with; one process, on a core of
its own. An event carries `"t":NANOSECONDS,` of the monotonic clock. Events are counted by that name
in the bytes; their times are read by `SAMPLED` subscribers only, evenly spread.

`python -m bench.subscribers` measures where its own limit lies: ready-made bytes from the other
core, 1,000 subscribers. On 2 vCPUs it counted all of 570,000 events/s in one write each and of 4
million/s in writes of 16, where the source had no more, and 5 million/s in writes of 64.
It reads as soon as there is anything: 100,000 deliveries/s, one at a time, keep it busy for 60 % of
the time, and latencies contain the milliseconds that an event's 1,000 deliveries take to read.
"""

import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from typing import Final

from bench.server import cores

MARK: Final = b'"t":'
CUT: Final = b'"t'
"""The last byte of bytes that may end in the beginning of a mark."""

STAMP: Final = re.compile(rb'"t": ?(\d+),')
SAMPLED: Final = 50
IN_FLIGHT: Final = 100  # handshakes at a time; below the usual backlog of 128
READS: Final = 64  # at most in one turn, so that the publishers need not wait for all
BUFFER: Final = 1 << 18
CONNECT_S: Final = 30.0
SLOW_RCVBUF: Final = 4096
SLOW_MSS: Final = 1448  # with loopback's own of 64 KiB the kernel would hold much more

REQUEST: Final = {
    "sse": "GET /stream?channel={channel} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    "Accept: text/event-stream\r\n\r\n",
    "websocket": "GET /ws?channel={channel} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n",
}
ACCEPTED: Final = {"sse": b"HTTP/1.1 200 ", "websocket": b"HTTP/1.1 101 "}
BUSY: Final = b"eco.bye"


class Crowd:
    """Subscribers of one channel; `read` turns them.

    received: events so far. open: connections that read. silent: those that do not.
    refused: handshakes not granted; refusal: the last answer to one.
    ended: connections that the server closed once they were open.
    last_ns: when something came last. latencies_ns: of the events of the sampled subscribers.
    """

    def __init__(self, host: str, port: int, transport: str, channel: str = "app:bench") -> None:
        self.received = self.refused = self.ended = self.last_ns = 0
        self.refusal = b""
        self.latencies_ns: array[int] = array("q")
        self.silent: list[socket.socket] = []
        self.epoll = select.epoll()
        self._address = host, port
        self._accepted = ACCEPTED[transport]
        self._request = REQUEST[transport].format(host=host, port=port, channel=channel).encode()
        self._buffer = bytearray(BUFFER)
        self._count = self._buffer.count
        self._sockets: dict[int, socket.socket] = {}  # all but the silent ones
        self._counting: dict[int, Callable[[bytearray], int]] = {}
        self._opening: dict[int, bytes] = {}  # by descriptor: what has come of the answer
        self._sampling: dict[int, bytes] = {}  # and here: the beginning of an event
        self._tails: dict[int, bytes] = {}

    @property
    def open(self) -> int:
        return len(self._counting) + len(self._sampling)

    # ---- connecting

    def connect(self, count: int, silent: int = 0) -> float:
        """Open *count* connections as fast as the server answers; how many seconds it took.

        The first *silent* of them never read again. TimeoutError after `CONNECT_S`.
        """
        begun = time.perf_counter()
        every = max(1, (count - silent) // SAMPLED)
        started = 0
        while started < count or self._opening:
            while started < count and len(self._opening) < IN_FLIGHT:
                self._start(started < silent, (started - silent) % every == 0)
                started += 1
            if not self.read():
                select.select((self.epoll,), (), (), 0.05)
            if time.perf_counter() - begun > CONNECT_S:
                raise TimeoutError(f"{len(self._opening)} handshakes are not answered")
        return time.perf_counter() - begun

    def _start(self, silent: bool, sampled: bool) -> None:
        made = socket.socket()
        made.settimeout(CONNECT_S)
        if silent:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RCVBUF)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SLOW_MSS)
            self.silent.append(made)
        made.connect(self._address)
        made.sendall(self._request)
        made.setblocking(False)
        number = made.fileno()
        self._sockets[number] = made
        self._opening[number] = b""
        if sampled and not silent:
            self._sampling[number] = b""
        self.epoll.register(number, select.EPOLLIN)

    def _read_opening(self, number: int) -> None:
        """Until the head is there and something behind it: from there on it follows."""
        made = self._sockets[number]
        data = made.recv(65536)
        answer = self._opening[number] + data
        head, _, body = answer.partition(b"\r\n\r\n")
        if data and not body:
            self._opening[number] = answer
            return
        del self._opening[number]
        if not head.startswith(self._accepted) or not data or BUSY in body:
            self._sampling.pop(number, None)
            self.refused += 1
            self.refusal = answer
            self._close(number)
        elif made in self.silent:
            self.epoll.unregister(number)
            del self._sockets[number]
        elif number not in self._sampling:
            self._counting[number] = made.recv_into

    # ---- reading

    def read(self) -> bool:
        """Read what is there from up to `READS` connections; False if there was nothing."""
        ready = self.epoll.poll(0, READS)
        counting, tails, buffer, count = self._counting, self._tails, self._buffer, self._count
        received = 0
        for number, _ in ready:
            receive = counting.get(number)
            if receive is None:
                self._read_other(number)
                continue
            try:
                size = receive(buffer)
            except OSError:
                size = 0
            if not size:
                self._lost(number)
                continue
            received += count(MARK, 0, size)
            if number in tails:
                received += self._seam(number, size)
            elif buffer[size - 1] in CUT:
                tails[number] = bytes(buffer[max(0, size - 3) : size])
        if ready:
            self.received += received
            self.last_ns = time.monotonic_ns()
        return bool(ready)

    def _seam(self, number: int, size: int) -> int:
        """How many marks (one or none) lie over the edge of what came before and what came now."""
        edge = self._tails.pop(number) + self._buffer[: min(size, 3)]
        if self._buffer[size - 1] in CUT:
            self._tails[number] = bytes(edge if size < 3 else self._buffer[size - 3 : size])[-3:]
        return edge.count(MARK)

    def _read_other(self, number: int) -> None:
        try:
            if number in self._opening:
                self._read_opening(number)
            else:
                self._read_sampled(number)
        except OSError:
            self._lost(number)

    def _read_sampled(self, number: int) -> None:
        data = self._sockets[number].recv(BUFFER // 4)
        if not data:
            self._lost(number)
            return
        now = time.monotonic_ns()
        data = self._sampling[number] + data
        stamps = STAMP.findall(data)
        self.received += len(stamps)
        self.latencies_ns.extend([now - int(stamp) for stamp in stamps])
        at = data.rfind(MARK)
        if at >= 0 and data.find(b",", at) < 0:
            self._sampling[number] = data[at:]
        else:
            self._sampling[number] = data[-3:] if data[-1] in CUT else b""

    def _lost(self, number: int) -> None:
        opening = self._opening.pop(number, None) is not None
        self._counting.pop(number, None)
        self._sampling.pop(number, None)
        self.refused += opening
        self.ended += not opening
        self._close(number)

    def _close(self, number: int) -> None:
        self._tails.pop(number, None)
        self._sockets.pop(number).close()

    def close(self, reset: bool = False) -> None:
        """End them all; with *reset* by RST, which leaves no socket in TIME_WAIT."""
        for made in (*self._sockets.values(), *self.silent):
            if reset:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            made.close()
        self._sockets.clear()
        self.epoll.close()


# ---- its own limit


def flood(events: int, seconds: float, core: int, subscribers: int = 1000) -> dict[str, float]:
    """How many events of 200 bytes it counts when *core* sends so many in each write."""
    command = [sys.executable, "-c", FLOOD, str(events), str(subscribers), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as source:
        assert source.stdout is not None
        os.sched_setaffinity(source.pid, {core})
        crowd = Crowd("127.0.0.1", int(source.stdout.readline()), "sse")
        crowd.connect(subscribers)
        until = time.monotonic() + seconds + 5
        while crowd.open and time.monotonic() < until:
            if not crowd.read():
                select.select((crowd.epoll,), (), (), 0.01)
        sent = int(source.stdout.readline())
        crowd.close()
    return {
        "events_per_write": events,
        "events_s": round(crowd.received / seconds),
        "missed": sent - crowd.received,
    }


FLOOD: Final = r"""
import resource, socket, sys, time
events, subscribers, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(listener.getsockname()[1], flush=True)
opened = []
for _ in range(subscribers):
    made = listener.accept()[0]
    made.recv(65536)
    made.sendall(b"HTTP/1.1 200 OK\r\n\r\n: open\n\n")
    opened.append(made)
sent, until = 0, time.monotonic() + seconds
while time.monotonic() < until:
    blob = b'data: {"t":%d,"n":1,"pad":"%s"}\n\n' % (time.monotonic_ns(), b"x" * 156) * events
    for made in opened:
        made.sendall(blob)
        sent += events
print(sent)
"""

if __name__ == "__main__":
    source_core, own_core = cores()
    os.sched_setaffinity(0, {own_core})
    floods = [flood(events, 3.0, source_core) for events in (1, 4, 16, 64)]
    print(json.dumps({"bench": "subscribers", "flood": floods}))
