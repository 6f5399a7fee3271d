"""Storage that fails as real storage does, for as long as a `with` lasts.

A small disk that is full, files that cannot be written, system calls that fail or hang. It takes
root, mounts or strace; where these are missing, the test is skipped with the reason.
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

PAGE: Final = 4096
DETACH_S: Final = 2.0
"""Seconds after which strace is killed; it knows no way out when its process ends meanwhile."""

_ATTACHED: Final = re.compile(r"strace: Process \d+ attached")


def _mount(*words: str) -> None:
    """`mount` with these words; without the right to, or the command, the test is skipped."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting takes root")
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


def _unmount(where: Path) -> None:
    subprocess.run(["umount", "--lazy", str(where)], check=True, capture_output=True)


@contextmanager
def small_disk(where: Path, size: int) -> Iterator[Path]:
    """A disk of *size* bytes, mounted at *where*."""
    where.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(where))
    try:
        yield where
    finally:
        _unmount(where)


@contextmanager
def read_only(where: Path) -> Iterator[None]:
    """Makes the file or folder *where* read-only, also for root. Nobody may have it open."""
    _mount("--bind", str(where), str(where))
    try:
        _mount("-o", "remount,ro,bind", str(where))
        yield
    finally:
        _unmount(where)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fills the disk on which *folder* is, up to the last byte."""
    filler = folder / "filler"
    opened = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        piece = bytes(1 << 20)
        while piece:
            try:
                os.write(opened, piece)
            except OSError:
                piece = piece[: len(piece) // 2]
        yield
    finally:
        os.close(opened)
        filler.unlink()


@contextmanager
def locked(path: Path, how: str = "IMMEDIATE") -> Iterator[None]:
    """Another program writes to the database at *path*, and does not come to an end."""
    # isolation_level None: the transaction is begun and ended by hand
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as db:
        db.execute(f"BEGIN {how}")
        try:
            yield
        finally:
            db.execute("ROLLBACK")


@contextmanager
def injected(pid: int, calls: str, fault: str, *paths: Path) -> Iterator[None]:
    """Lets these system calls of a process, on these files, end or begin as *fault* says.

    `error=EIO` fails them; `delay_enter=MICROSECONDS` holds them up, and at the end of the `with`
    they go on at once.
    """
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    words = ["strace", "-f", "-p", str(pid), "-o", "/dev/null", f"-etrace={calls}"]
    words += [word for path in paths for word in ("-P", str(path))]
    words.append(f"-einject={calls}:{fault}")
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        if not _ATTACHED.match(said):
            pytest.skip(f"tracing is not permitted here: {said.strip()}")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(DETACH_S)
        process.kill()
        process.wait()
        process.stderr.close()


def contents(paths: Sequence[Path]) -> list[bytes | None]:
    """The bytes of these files; None for one that there is not."""
    return [path.read_bytes() if path.exists() else None for path in paths]
