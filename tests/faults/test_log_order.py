"""What left before it was safe is found, in records made by hand."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgpack
import pytest

from tests.faults.log_order import (
    FRAME_HEADER,
    WAL_HEADER,
    event_fact,
    facts_in,
    order_of,
    position_fact,
    result_fact,
    too_early,
)
from tests.faults.recorded import (
    ACCEPTED,
    LOOP,
    PAGE,
    SSE,
    TASK,
    WAL,
    WRITER,
    Recorder,
    fd,
    hexed,
    page_of,
)
from tests.faults.syscalls import calls


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


# ---- the order


def test_what_leaves_after_its_sync_is_in_order(recorder: Recorder) -> None:
    """Written, synced, told: nothing is found, and all of it was looked at."""
    recorder.frame(page_of([1]), commits=True)
    recorder.sync()
    recorder.send(ACCEPTED)
    recorder.send(SSE % (1, TASK.encode(), 1))
    order = order_of(calls(recorder.lines), WAL)
    assert too_early(order, order.synced) == []
    assert {fact for fact, _ in order.sent} == {position_fact(1), event_fact(TASK, 1)}
    assert order.written.keys() == order.synced.keys() == {position_fact(1), event_fact(TASK, 1)}


def test_what_leaves_between_write_and_sync_is_found(recorder: Recorder) -> None:
    """Both the answer and the event, by scan and by position."""
    recorder.frame(page_of([1]), commits=True)
    recorder.send(ACCEPTED)
    recorder.send(SSE % (1, TASK.encode(), 1))
    recorder.sync()
    early = recorder.early()
    assert len(early) == 4  # the event tells of its scan as well
    assert f"{event_fact(TASK, 1)}: sent in line 3, safe in line 5" in early
    assert f"{position_fact(1)}: sent in line 4, safe in line 5" in early


def test_what_was_never_written_is_found(recorder: Recorder) -> None:
    """An event that is in no page that was written."""
    recorder.frame(page_of([1]), commits=True)
    recorder.sync()
    recorder.send(SSE % (2, TASK.encode(), 2))
    assert sorted(recorder.early()) == [
        f"{position_fact(2)}: sent in line 4, safe never",
        f"{event_fact(TASK, 2)}: sent in line 4, safe never",
    ]


def test_a_sync_that_began_before_the_write_was_over_is_none(recorder: Recorder) -> None:
    """It may not have seen the page."""
    recorder.begin(12, f"fdatasync({fd(15, WAL)}")
    recorder.frame(page_of([1]), commits=True)
    recorder.end(12, "fdatasync", "0")
    recorder.send(ACCEPTED)
    assert recorder.early() == [f"{event_fact(TASK, 1)}: sent in line 5, safe never"]


def test_a_sync_that_has_not_returned_is_none_yet(recorder: Recorder) -> None:
    """Begun is not done, be it at the time of the answer or for ever."""
    recorder.frame(page_of([1]), commits=True)
    recorder.begin(WRITER, f"fdatasync({fd(15, WAL)}")
    recorder.send(ACCEPTED)
    assert recorder.early() == [f"{event_fact(TASK, 1)}: sent in line 4, safe never"]
    recorder.end(WRITER, "fdatasync", "0")
    assert recorder.early() == [f"{event_fact(TASK, 1)}: sent in line 4, safe in line 5"]


@pytest.mark.parametrize(
    ("path", "result"),
    [("/data/eco.db", "0"), (WAL, "-1 EIO (Input/output error)"), (WAL, "?")],
    ids=["another file", "failed", "no result"],
)
def test_a_sync_that_is_none_does_not_count(recorder: Recorder, path: str, result: str) -> None:
    """Of another file, or one that did not succeed."""
    recorder.frame(page_of([1]), commits=True)
    recorder.sync(path, result)
    recorder.send(ACCEPTED)
    assert len(recorder.early()) == 1


def test_a_page_is_as_safe_as_the_end_of_its_transaction(recorder: Recorder) -> None:
    """A sync in the middle of a transaction makes nothing of it last."""
    recorder.frame(page_of([1]), commits=False)
    recorder.sync()
    recorder.frame(page_of([], "app:x"), commits=True, number=3)
    recorder.send(ACCEPTED)
    recorder.sync()
    assert len(recorder.early()) == 1


def test_a_row_that_is_written_again_stays_safe(recorder: Recorder) -> None:
    """The next transaction rewrites the page: only its new row waits for the next sync."""
    recorder.frame(page_of([1]), commits=True)
    recorder.sync()
    recorder.frame(page_of([1, 2]), commits=True)
    recorder.send(SSE % (1, TASK.encode(), 1))
    recorder.send(SSE % (2, TASK.encode(), 2))
    recorder.sync()
    assert {each.split(":")[0] for each in recorder.early()} == {
        position_fact(2),
        event_fact(TASK, 2),
    }


# ---- what is sent


def test_an_event_in_two_writes_left_with_the_first(recorder: Recorder) -> None:
    """A short write, one that was refused, the rest later: the beginning counts."""
    event = SSE % (1, TASK.encode(), 1)
    recorder.frame(page_of([1]), commits=True)
    recorder.send(event, taken=30)
    recorder.send(event[30:], taken=-1)
    recorder.sync()
    recorder.send(event[30:])
    recorder.send(event, port=50001)  # another client is told in time
    told = [each.partition(": ")[2].partition(",")[0] for each in recorder.early()]
    assert told == ["sent in line 3"] * 3


@pytest.mark.parametrize(
    "sent",
    [
        b'{"op":"event","channel":"app:x","cursor":"006513-7","data":{}}',
        b'{"cursor":"006513-7"}',
        msgpack.packb({"op": "published", "id": 1, "cursor": "006513-7"}),
        b'event: eco.open\nid: 006513-7\ndata: {"resume":"fresh"}\n\n',
    ],
    ids=["ws json", "answer", "ws msgpack", "sse"],
)
def test_a_cursor_tells_of_a_position_on_every_transport(recorder: Recorder, sent: bytes) -> None:
    """However it is packed."""
    recorder.send(sent)
    assert recorder.early() == [f"{position_fact(7)}: sent in line 1, safe never"]


def test_a_result_is_an_event_that_was_written(recorder: Recorder) -> None:
    """A 200 with the result, and an event in msgpack, tell of more than of a scan."""
    told = {"task_id": TASK, "classification": {"category": "glass"}}
    recorder.send(json.dumps(told, separators=(",", ":")).encode())
    recorder.send(msgpack.packb({"op": "event", "data": {"task_id": TASK, "seq": 4, "r": told}}))
    assert {each.partition(": ")[0] for each in recorder.early()} == {
        result_fact(TASK),
        event_fact(TASK, 1),
        event_fact(TASK, 4),
    }


def test_what_is_no_socket_of_a_client_is_not_sent(recorder: Recorder) -> None:
    """What is logged on a pipe, or wakes the loop."""
    recorder.call(LOOP, f"write(2<pipe:[123]>, {hexed(ACCEPTED)}, 80", "80")
    recorder.call(LOOP, f"write(13<UNIX-STREAM:[1->2]>, {hexed(ACCEPTED)}, 80", "80")
    assert recorder.early() == []


# ---- what is stored


def test_a_log_that_is_written_otherwise_is_refused(recorder: Recorder) -> None:
    """Bytes that are neither a header nor the page behind it."""
    recorder.call(WRITER, f"pwrite64({fd(15, WAL)}, {hexed(bytes(PAGE))}, {PAGE}, 32", str(PAGE))
    with pytest.raises(ValueError, match="no frame"):
        order_of(calls(recorder.lines), WAL)


@pytest.mark.parametrize("size", [1024, 4096])
def test_the_rows_of_a_real_log_are_read(tmp_path: Path, size: int) -> None:
    """Pages that SQLite wrote, of this size: rows that need several, and other tables."""
    path = tmp_path / "eco.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA page_size={size}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA wal_autocheckpoint=0")  # or the log would begin anew
        db.execute(
            "CREATE TABLE events (position INTEGER PRIMARY KEY, channel TEXT, at_ms INTEGER,"
            " flags INTEGER, data BLOB, key TEXT)"
        )
        db.execute("CREATE TABLE other (a INTEGER PRIMARY KEY, b TEXT, c, d, e BLOB)")
        db.execute("INSERT INTO other VALUES (77, 'no channel', 1, 2, x'00')")
        for n in range(1, 301):
            data = msgpack.packb({"pad": "x" * (n * 37), "task_id": TASK, "seq": 1 + n % 127})
            row = (n << 33, "app:x", 1, 0, data, "k")
            db.execute("INSERT INTO events VALUES (?,?,?,?,?,?)", row)
        log = Path(f"{path}-wal").read_bytes()
    pages = dict(_pages(log, size))
    expected = {position_fact(n << 33) for n in range(1, 301)}
    assert {fact for number in pages for fact in facts_in(number, pages)} == expected | {
        event_fact(TASK, seq) for seq in range(1, 128)
    }


def _pages(log: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """The pages in a write-ahead log, by number; of each the newest is the last."""
    for at in range(WAL_HEADER, len(log), FRAME_HEADER + size):
        page = at + FRAME_HEADER
        yield int.from_bytes(log[at : at + 4], "big"), log[page : page + size]
