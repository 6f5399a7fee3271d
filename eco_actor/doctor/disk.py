"""The data directory: its file system, its room, how fast it is, and who may write there."""

import os
import re
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eco_actor.doctor.finding import Finding, fail, ok, warn
from eco_actor.eventlog import Durability

MOUNTS: Final = Path("/proc/self/mountinfo")

IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
LAYERED: Final = frozenset({"overlay", "aufs"})
REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "fuse.glusterfs"}
)

COMMITS: Final = 8
"""Transactions that are timed."""

SLOW_MS: Final = 50.0
UNBELIEVABLE_MS: Final = 0.02
"""A commit that is faster was not on any disk."""

MIB: Final = 1 << 20
LEAST_ROOM: Final = 32 * MIB
LITTLE_ROOM: Final = 512 * MIB


@dataclass(frozen=True, slots=True)
class Mount:
    """The file system that a directory is on."""

    point: Path
    kind: str
    read_only: bool


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if each.exists())


def mount_of(folder: Path, mounts: str) -> Mount | None:
    """Where *folder*, which has no links in it, is mounted, given the text of mountinfo(5)."""
    best: Mount | None = None
    for mount in _mounts(mounts):
        # of two at one point the later hides the earlier
        if folder.is_relative_to(mount.point) and (
            best is None or mount.point.is_relative_to(best.point)
        ):
            best = mount
    return best


def _mounts(text: str) -> Iterator[Mount]:
    for line in text.splitlines():
        before, dash, behind = line.partition(" - ")
        fields = before.split(" ")
        if dash and len(fields) >= 6:
            point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
            options = {*fields[5].split(","), *behind.split(" ")[-1].split(",")}
            yield Mount(Path(point), behind.split(" ")[0], "ro" in options)


def look_at_file_system(mount: Mount | None, durability: Durability) -> Finding:
    """Whether what is written there stays written."""
    what = "file system"
    if durability is Durability.OFF:
        return ok(what, "not used: durability is off")
    if mount is None:
        return warn(what, "its kind cannot be told", "make sure that it is a local disk")
    detail = f"{mount.kind} on {mount.point}"
    strict = fail if durability is Durability.FULL else warn
    if mount.read_only:
        return fail(what, f"{detail}, read-only", "mount it for writing, or --data-dir elsewhere")
    if mount.kind in IN_MEMORY:
        return strict(
            what,
            f"{detail} is memory: a restart of the machine loses everything",
            "--data-dir on a disk, or --durability off if that is meant",
        )
    if mount.kind in REMOTE or mount.kind.startswith("fuse."):
        return strict(
            what,
            f"{detail} is no local disk: SQLite's log may not work there, nor its locks",
            "--data-dir on a local disk",
        )
    if mount.kind in LAYERED:
        return warn(
            what,
            f"{detail} goes with its container",
            "mount a volume, and --data-dir on it, to keep what is promised",
        )
    return ok(what, detail)


def look_at_room(free: int, files: int | None) -> Finding:
    """Bytes and, where they are counted, files that there is room for."""
    what, detail = "disk room", f"{free / MIB:,.0f} MiB free"
    if files is not None and files < 100:
        return fail(what, f"room for {files} more files", "remove files that nobody needs")
    if free < LEAST_ROOM:
        return fail(what, detail, "free some: without, nothing can be accepted")
    if free < LITTLE_ROOM:
        return warn(what, detail, "free some before it is full: nothing is accepted then")
    return ok(what, detail)


def room_of(folder: Path) -> tuple[int, int | None]:
    """Bytes and files that are free for us. OSError."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize, disk.f_favail if disk.f_files else None


def measure_commits(folder: Path) -> Sequence[float]:
    """Milliseconds of some commits to a database in *folder*, which is removed again.

    As a server does it under `full`. OSError, sqlite3.Error; RuntimeError without a log.
    """
    times = []
    with (
        tempfile.TemporaryDirectory(prefix="eco-doctor-", dir=folder) as scratch,
        closing(sqlite3.connect(Path(scratch) / "try.db", isolation_level=None)) as db,
    ):
        (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise RuntimeError(f"no write-ahead log here (journal mode {mode})")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE tries (data BLOB)")
        for _ in range(COMMITS):
            begun = time.perf_counter()
            db.execute("INSERT INTO tries VALUES (zeroblob(2000))")
            times.append((time.perf_counter() - begun) * 1000)
    return times


def look_at_promise(times: Sequence[float], durability: Durability, kind: str) -> Finding:
    """What the durability means here, given the milliseconds of some commits."""
    what, usual = f"durability {durability.value}", statistics.median(times)
    timed = f"a commit takes {usual:.2g} ms here, at worst {max(times):.2g}"
    if durability is Durability.NORMAL:
        return ok(what, f"outlives the process; a loss of power takes the newest ({timed})")
    if usual > SLOW_MS:
        return warn(
            what,
            f"on disk before it is answered; {timed}",
            "a faster disk, or --durability normal, which loses the newest with the power",
        )
    if usual < UNBELIEVABLE_MS and kind not in IN_MEMORY:
        return warn(
            what,
            f"{timed}: no disk is that fast",
            "see that its cache is not lost with the power",
        )
    return ok(what, f"on disk before it is answered; {timed}")


def look_at_data_dir(data_dir: Path) -> Finding:
    """Whether a server can have it: that it is there, or can be made, and may be written."""
    what, place = "data directory", existing(data_dir)
    if not place.is_dir():
        return fail(what, f"{place} is no directory", "--data-dir picks another")
    if not os.access(place, os.W_OK | os.X_OK):
        return fail(
            what, f"{place} may not be written by this user", "chown it, or run as its owner"
        )
    if not data_dir.exists():
        return ok(what, f"{data_dir.absolute()} is not there yet: the first start makes it")
    foreign = [
        each.name
        for each in sorted(data_dir.iterdir())
        if each.name.startswith(("eco.db", "lock", "operator-token"))
        and not each.name.startswith("eco.db.")
        and not os.access(each, os.R_OK | os.W_OK)
    ]
    if foreign:
        return fail(
            what,
            f"{', '.join(foreign)} in {data_dir} may not be written by this user",
            "chown them to the server's user",
        )
    owner = data_dir.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        detail = f"{data_dir.absolute()}, of user {owner}"
        return warn(what, detail, "run doctor as that user: root may do what it may not")
    return ok(what, f"{data_dir.absolute()}, can be written")
