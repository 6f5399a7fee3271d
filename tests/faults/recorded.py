"""Records of system calls made by hand, as strace would write them of a server."""

import itertools
import sqlite3
from collections.abc import Sequence
from contextlib import closing

import msgpack

from tests.faults.log_order import FRAME_HEADER, WAL_HEADER, order_of, too_early
from tests.faults.syscalls import calls

WAL = "/data/eco.db-wal"
PAGE = 4096
TASK = "1a2035df0d5jAsqPYaAqRzUFd4sC--oHg"
ACCEPTED = b'HTTP/1.1 202 Accepted\r\n\r\n{"task_id":"%s","status":"processing"}' % TASK.encode()
SSE = b'id: 006513-%x\ndata: {"task_id":"%s","seq":%d,"step":"x"}\n\n'
WRITER, LOOP = 11, 10


def hexed(data: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


def fd(number: int, path: str) -> str:
    return f"{number}<{hexed(path.encode())[1:-1]}>"


class Recorder:
    """Writes a record as strace would. A call that is *begun* ends with `end`."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._frames = itertools.count()

    def call(self, thread: int, text: str, result: str) -> None:
        self.lines.append(f"{thread}  {text}) = {result}")

    def begin(self, thread: int, text: str) -> None:
        self.lines.append(f"{thread}  {text} <unfinished ...>")

    def end(self, thread: int, name: str, result: str) -> None:
        self.lines.append(f"{thread}  <... {name} resumed>)              = {result}")

    def frame(self, page: bytes, *, commits: bool, number: int = 2) -> None:
        """One page, appended to the write-ahead log."""
        at = WAL_HEADER + next(self._frames) * (FRAME_HEADER + PAGE)
        header = number.to_bytes(4, "big") + (16 if commits else 0).to_bytes(4, "big") + bytes(16)
        for data, offset in ((header, at), (page, at + FRAME_HEADER)):
            self.call(
                WRITER,
                f"pwrite64({fd(15, WAL)}, {hexed(data)}, {len(data)}, {offset}",
                str(len(data)),
            )

    def sync(self, path: str = WAL, result: str = "0") -> None:
        self.call(WRITER, f"fdatasync({fd(15, path)}", result)

    def send(self, data: bytes, taken: int | None = None, port: int = 50000) -> None:
        text = f"write(23<TCP:[127.0.0.1:8080->127.0.0.1:{port}]>, {hexed(data)}, {len(data)}"
        self.call(LOOP, text, str(len(data) if taken is None else taken))

    def early(self) -> list[str]:
        """What left before it was on disk."""
        order = order_of(calls(self.lines), WAL)
        return too_early(order, order.synced)


def page_of(positions: Sequence[int], channel: str = f"scan:{TASK}") -> bytes:
    """A page of the table of events, as SQLite makes it; an event's seq is its position."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"PRAGMA page_size={PAGE}")
        db.execute(
            "CREATE TABLE events (position INTEGER PRIMARY KEY, channel TEXT NOT NULL,"
            " at_ms INTEGER NOT NULL, flags INTEGER NOT NULL, data BLOB NOT NULL, key TEXT)"
        )
        for position in positions:
            data = msgpack.packb({"task_id": TASK, "seq": position, "step": "x"})
            row = (position, channel, 1_763_000_000_000, 0, data, None)
            db.execute("INSERT INTO events VALUES (?,?,?,?,?,?)", row)
        db.commit()
        whole = db.serialize()
    return whole[PAGE : 2 * PAGE]
