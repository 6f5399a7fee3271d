"""The reading of recorded system calls, on records made by hand."""

import pytest

from tests.faults.recorded import (
    LOOP,
    WAL,
    Recorder,
    fd,
    hexed,
)
from tests.faults.syscalls import NEVER, Call, calls, touched, unsynced


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


# ---- the record itself


def test_calls_are_read_with_their_beginning_and_end(recorder: Recorder) -> None:
    """In the order in which they began, signals and exits left out."""
    parts = f"[{{iov_base={hexed(b'ab')}, iov_len=2}}, {{iov_base={hexed(b'cd')}, iov_len=2}}]"
    recorder.begin(LOOP, f"writev(23<TCP:[127.0.0.1:1->127.0.0.1:2]>, {parts}, 2")
    recorder.lines.append("10  --- SIGTERM {si_signo=SIGTERM} ---")
    recorder.sync("/a b")
    recorder.end(LOOP, "writev", "3")
    recorder.begin(LOOP, f"fsync({fd(3, WAL)}")
    recorder.lines.append("11  +++ exited with 0 +++")
    writev, sync, hanging = calls(recorder.lines)
    assert (writev.thread, writev.name, writev.began, writev.ended) == (LOOP, "writev", 0, 3)
    assert (writev.target, writev.data) == ("TCP:[127.0.0.1:1->127.0.0.1:2]", b"abc")
    assert (sync.target, sync.began, sync.ended, sync.result) == ("/a b", 2, 2, 0)
    assert (hanging.name, hanging.target, hanging.result, hanging.ended) == (
        "fsync", WAL, None, NEVER,
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "strace: something went wrong",
        "10  write(2<pipe:[1]>, \"\\x41\", 1",
        "10  <... write resumed>) = 1",
    ],
)  # fmt: skip
def test_a_record_that_is_none_is_refused(line: str) -> None:
    """Rather than read over: what is not understood might be what counts."""
    with pytest.raises((ValueError, KeyError)):
        calls([line])


def test_a_string_that_was_cut_off_is_refused() -> None:
    """What is behind its beginning might be an event."""
    (cut,) = calls(['10  write(2<pipe:[1]>, "\\x41"..., 9) = 9'])
    with pytest.raises(ValueError, match="only the beginning"):
        cut.data  # noqa: B018


# ---- what touches the disk


def test_what_touches_the_disk_is_told() -> None:
    """Files opened to be written, changes of directories, writes into files."""
    made = [
        Call(1, "openat", f"AT_FDCWD</x>, {hexed(b'/data/a')}, O_RDWR|O_CREAT, 0666", 3, 0, 0),
        Call(1, "mkdir", f"{hexed(b'/data')}, 0777", 0, 1, 1),
        Call(1, "write", f"{fd(3, '/data/a')}, {hexed(b'x')}, 1", 1, 2, 2),
        Call(1, "fsync", fd(3, "/data/a"), 0, 3, 3),
    ]
    assert list(touched(made)) == [
        "openat /data/a",
        "mkdir ['/data']",
        "write /data/a",
        "fsync /data/a",
    ]


def test_what_does_not_touch_the_disk_is_not_told() -> None:
    """Reading, devices, sockets, and what was refused."""
    made = [
        Call(1, "openat", f"AT_FDCWD</x>, {hexed(b'/data/a')}, O_RDONLY|O_CLOEXEC", 3, 0, 0),
        Call(1, "openat", f"AT_FDCWD</x>, {hexed(b'/data/b')}, O_RDWR|O_CREAT, 0666", -1, 1, 1),
        Call(1, "openat", f"AT_FDCWD</x>, {hexed(b'/dev/null')}, O_RDWR", 3, 2, 2),
        Call(1, "mkdir", f"{hexed(b'/data')}, 0777", -1, 3, 3),
        Call(1, "write", f"2<pipe:[1]>, {hexed(b'x')}, 1", 1, 4, 4),
    ]
    assert list(touched(made)) == []


def made_and_synced(*synced: str) -> list[Call]:
    """A directory and a file in it are made, then these directories synced."""
    made = [
        Call(1, "mkdir", f"{hexed(b'/data')}, 0777", 0, 0, 0),
        Call(1, "openat", f"AT_FDCWD</x>, {hexed(b'/data/a')}, O_RDWR|O_CREAT, 0666", 3, 1, 1),
    ]
    made += [Call(1, "fsync", fd(4, each), 0, n, n) for n, each in enumerate(synced, 2)]
    # made before, and so not made by this
    made.append(
        Call(1, "openat", f"AT_FDCWD</x>, {hexed(b'/data/a')}, O_RDWR|O_CREAT, 0666", 3, 8, 8)
    )
    return made


@pytest.mark.parametrize(
    ("synced", "left"),
    [
        (["/", "/data"], []),
        (["/data"], ["/data"]),
        (["/"], ["/data/a"]),
        (["/data/a", "/dat"], ["/data", "/data/a"]),
        (["/x", "/x", "/x", "/", "/data"], ["/data/a"]),  # the last is too late
    ],
)
def test_an_entry_lasts_when_its_directory_was_synced(synced: list[str], left: list[str]) -> None:
    """In time, behind the making of it; what is not asked for does not matter."""
    made = made_and_synced(*synced)
    assert unsynced(made, ["/data/a", "/data"], 6) == left
    assert unsynced(made, ["/data/b"], 6) == []
