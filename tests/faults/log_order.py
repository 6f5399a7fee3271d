"""When what a server stored was safe, and when it told somebody of it: pure, from its system calls.

Both sides are read from bytes alone: what went into the write-ahead log of SQLite, page by page,
and what went out of the sockets. They meet in facts, which are words such as "position 12".
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.faults.syscalls import SYNCS, WRITES, Call

WAL_HEADER: Final = 32
FRAME_HEADER: Final = 24
TABLE_LEAF: Final = 13  # the first byte of a page with rows of a table

_CHANNEL: Final = re.compile(rb"[a-z]+:[A-Za-z0-9_.-]{1,128}")
_ID: Final = rb"([0-9a-f]{11}[\w-]{22})"
# as JSON and as msgpack, which is also how the log has it
_SEQ: Final = re.compile(rb'"task_id":"' + _ID + rb'","seq":(\d+)')
_SEQ_PACKED: Final = re.compile(rb"\xa7task_id\xd9\x21" + _ID + rb"\xa3seq([\x01-\x7f])")
_RESULT: Final = re.compile(rb'"task_id":"' + _ID + rb'","classification":')
_RESULT_PACKED: Final = re.compile(rb"\xa7task_id\xd9\x21" + _ID + rb"\xaeclassification")
_TASK: Final = re.compile(rb'(?:"task_id":"|\xa7task_id\xd9\x21)' + _ID)
_CURSOR: Final = re.compile(
    rb'(?:id: |"cursor":"|\xa6cursor[\xa0-\xbf])[0-9a-zA-Z]{1,16}-([0-9a-f]{1,15})'
)


def position_fact(position: int) -> str:
    """That the log has an event at this position."""
    return f"position {position}"


def event_fact(task_id: str, seq: int) -> str:
    """That a scan has its event of this number; of the first: that it was accepted."""
    return f"scan {task_id}, event {seq}"


def result_fact(task_id: str) -> str:
    """That a scan has its result."""
    return f"scan {task_id}, result"


@dataclass(slots=True)
class Order:
    """Facts and moments: when each was *written* and *synced*, and each time that it was *sent*."""

    written: dict[str, int] = field(default_factory=dict)
    synced: dict[str, int] = field(default_factory=dict)
    sent: list[tuple[str, int]] = field(default_factory=list)


def order_of(made: Sequence[Call], wal: str) -> Order:
    """What is told by these calls of a server whose write-ahead log has the path *wal*."""
    order = Order(sent=list(_sent(made)))
    syncs = sorted((each.ended, each.began) for each in made if _is_sync(each, wal))
    for ended, facts in _transactions([each for each in made if _is_write(each, wal)]):
        safe = next((over for over, began in syncs if began > ended), None)
        for fact in facts:
            # a page is written again with its old rows; they are safe since the first time
            order.written.setdefault(fact, ended)
            if safe is not None:
                order.synced.setdefault(fact, safe)
    return order


def too_early(order: Order, safe: Mapping[str, int]) -> list[str]:
    """What was sent before it was safe, or though it never was; empty when all is well."""
    found = []
    for fact, sent in order.sent:
        since = safe.get(fact)
        if since is None or since >= sent:
            told = "never" if since is None else f"in line {since + 1}"
            found.append(f"{fact}: sent in line {sent + 1}, safe {told}")
    return found


# ---- into the log


def _is_write(call: Call, wal: str) -> bool:
    return call.name in WRITES and call.target == wal and call.result is not None


def _is_sync(call: Call, wal: str) -> bool:
    return call.name in SYNCS and call.target == wal and call.result == 0


def _transactions(writes: Iterable[Call]) -> Iterator[tuple[int, list[str]]]:
    """The facts of each transaction, and when the last of its pages, which commits, was written.

    ValueError when the log is not written as SQLite does: a header, then a page.
    """
    pages: dict[int, bytes] = {}  # as they are at the end of the transaction
    changed: list[int] = []
    header: tuple[int, int, bool] | None = None  # where its page goes, which, whether that commits
    for call in writes:
        data, offset = call.data, call.offset
        if header is None and (offset, len(data)) == (0, WAL_HEADER):
            continue
        if header is None and len(data) == FRAME_HEADER:
            header = (offset + FRAME_HEADER, int.from_bytes(data[:4], "big"), any(data[4:8]))
            continue
        if header is None or header[0] != offset:
            raise ValueError(f"line {call.began + 1}: {len(data)} bytes at {offset} are no frame")
        _, number, commits = header
        header = None
        pages[number] = data
        changed.append(number)
        if commits:
            yield call.ended, [fact for each in changed for fact in facts_in(each, pages)]
            changed = []


def facts_in(number: int, pages: Mapping[int, bytes]) -> Iterator[str]:
    """The facts of the events in one of the *pages* of the database; none in a page of others."""
    page = pages[number]
    if page[0] != TABLE_LEAF:
        return
    for cell in range(int.from_bytes(page[3:5], "big")):
        at = int.from_bytes(page[8 + 2 * cell : 10 + 2 * cell], "big")
        size, at = _varint(page, at)
        position, at = _varint(page, at)
        columns = _columns(_payload(page, at, size, pages))
        # position (in the key, so null here), channel, time, flags, data
        if len(columns) < 5 or columns[0] is not None or columns[4] is None:
            continue
        channel, data = columns[1], columns[4]
        if channel is not None and _CHANNEL.fullmatch(channel):
            yield position_fact(position)
            for fact, _ in _events(data):
                yield fact


def _payload(page: bytes, at: int, size: int, pages: Mapping[int, bytes]) -> bytes:
    """A row, also where it goes on in other pages, as far as those are known."""
    most, least = len(page) - 35, (len(page) - 12) * 32 // 255 - 23
    if size <= most:
        return page[at : at + size]
    here = least + (size - least) % (len(page) - 4)
    end = at + (here if here <= most else least)
    payload, following = page[at:end], int.from_bytes(page[end : end + 4], "big")
    while following in pages and len(payload) < size:
        more = pages[following]
        payload += more[4:]
        following = int.from_bytes(more[:4], "big")
    return payload[:size]


def _columns(record: bytes) -> list[bytes | None]:
    """The columns of a row: the bytes of texts and blobs, b"" of numbers, None of null."""
    size, at = _varint(record, 0)
    body, found = size, list[bytes | None]()
    while at < size:
        kind, at = _varint(record, at)
        width = (kind - 12) // 2 if kind >= 12 else (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind]
        whole = record[body : body + width]
        found.append(None if kind == 0 else whole if kind >= 12 else b"")
        body += width
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number as SQLite packs it, and where it ends."""
    value = 0
    for byte in data[at : at + 8]:
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | data[at], at + 1


# ---- out of the sockets


def _sent(made: Iterable[Call]) -> Iterator[tuple[str, int]]:
    """Each fact that a client was sent, and when the write began in which it begins."""
    streams: dict[str, list[Call]] = defaultdict(list)
    for call in made:
        if call.name in WRITES and (target := call.target).startswith("TCP"):
            streams[target].append(call)
    for writes in streams.values():
        parts = [call.data for call in writes]
        starts = [0]
        for part in parts[:-1]:
            starts.append(starts[-1] + len(part))
        for fact, at in _told(b"".join(parts)):
            yield fact, writes[bisect_right(starts, at) - 1].began


def _told(data: bytes) -> Iterator[tuple[str, int]]:
    """What is known to whoever reads *data*, and where it begins."""
    yield from _events(data)
    for found in _CURSOR.finditer(data):
        if position := int(found[1], 16):  # 0 is the place before the first event
            yield position_fact(position), found.start()
    for found in _TASK.finditer(data):  # who hears of a scan at all believes that there is one
        yield event_fact(found[1].decode(), 1), found.start()


# ---- both


def _events(data: bytes) -> Iterator[tuple[str, int]]:
    """The events and results of scans in *data*, and where each begins."""
    for found in _SEQ.finditer(data):
        yield event_fact(found[1].decode(), int(found[2])), found.start()
    for found in _SEQ_PACKED.finditer(data):
        yield event_fact(found[1].decode(), found[2][0]), found.start()
    for pattern in (_RESULT, _RESULT_PACKED):
        for found in pattern.finditer(data):
            yield result_fact(found[1].decode()), found.start()
