"""Programs of this project as processes, forked from one that has imported them.

It is what `subprocess` does, without the time that an interpreter takes to import it all. What is
to be seen of a real start (arguments of the interpreter, what is imported) takes `subprocess`.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Final

ROOT: Final = Path(__file__).resolve().parents[1]


class _Forker:
    """The parent of all children of this process; they end with it, it ends with this one."""

    def __init__(self) -> None:
        self._asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.forker"]
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), cwd=ROOT)
        self._lock = threading.Lock()
        atexit.register(self.close)

    def fork(self, task: Mapping[str, object], files: Sequence[int]) -> int:
        """The pid of the new process."""
        with self._lock:
            socket.send_fds(self._asking, [json.dumps(task).encode()], files)
            return int(self._asking.recv(64))

    def close(self) -> None:
        self._asking.close()
        self._process.wait()


@cache
def _forker() -> _Forker:
    return _Forker()


class Forked:
    """A running program, whose file and arguments are `words`; much as `subprocess.Popen`.

    Its input is empty. Its outputs are pipes to read from as text; `stdout` may be a file that is
    open, or `subprocess.DEVNULL`. As a context it is killed at the end, if it still runs.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path = ROOT,
        stdout: int = subprocess.PIPE,
    ) -> None:
        nothing = os.open(os.devnull, os.O_RDWR)
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        self._end, told = os.pipe()
        self.stdout: IO[str] = open(out, encoding="utf-8")  # noqa: SIM115
        self.stderr: IO[str] = open(err, encoding="utf-8")  # noqa: SIM115
        given = {subprocess.PIPE: out_end, subprocess.DEVNULL: nothing}.get(stdout, stdout)
        task = {"words": list(words), "env": dict(env), "cwd": str(cwd)}
        try:
            self.pid = _forker().fork(task, (nothing, given, err_end, told))
        except BaseException:
            self.close()
            os.close(self._end)
            raise
        finally:
            for each in (nothing, out_end, err_end, told):
                os.close(each)
        self.returncode: int | None = None

    def __enter__(self) -> "Forked":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self.wait()
        self.close()

    def close(self) -> None:
        """Read no more of its outputs."""
        self.stdout.close()
        self.stderr.close()

    def poll(self) -> int | None:
        """The exit status (below 0: the signal), None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; `subprocess.TimeoutExpired` when that takes over *timeout* seconds."""
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            told = select.poll()
            told.register(self._end, select.POLLIN)
            if told.poll(None if timeout is None else timeout * 1000):
                status = os.read(self._end, 64)
                assert status, "the parent of this process has ended, and took it along"
                self.returncode = int(status)
                os.close(self._end)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing when it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Both outputs to their ends; after *timeout* seconds it is killed, and that raises, also
        when a process that it started holds on to them."""
        reader = ThreadPoolExecutor(2)
        until = time.monotonic() + timeout
        out, err = (reader.submit(each.read) for each in (self.stdout, self.stderr))
        reader.shutdown(wait=False)
        try:
            self.wait(timeout)
            return out.result(until - time.monotonic()), err.result(until - time.monotonic())
        finally:
            self.kill()


def run(
    words: Sequence[str], *, env: Mapping[str, str], cwd: Path = ROOT, timeout: float
) -> "subprocess.CompletedProcess[str]":
    """The program to its end, which comes within *timeout* seconds."""
    with Forked(words, env=env, cwd=cwd) as process:
        out, err = process.communicate(timeout)
    return subprocess.CompletedProcess(words, process.wait(), out, err)
