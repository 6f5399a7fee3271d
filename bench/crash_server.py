"""The server that the crash harness starts, ends and starts again on the same data and port."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.crash_board import Board
from bench.crash_points import POINTS
from bench.server import ROOT

PATIENCE_S: Final = 30.0
"""Whatever takes longer than this will never come."""

AGAIN_S: Final = 0.05
"""Seconds until a client tries again with a server that is up and did not serve it."""

BEGINS: Final = "--- server "
"""What a server says first, with its process id: all of them have one log."""

SAID: Final = 400
"""Lines of the server's log that are kept for a report."""


KEPT: Final = ("ECO_CACHE_DIR",)
"""What servers take over from the environment: where the model was converted to."""


class Violation(Exception):
    """The server broke a promise. The text tells which, and what went before."""


class Zygote:
    """The process that forks servers, and how it is talked to. One server at a time."""

    def __init__(self, process: asyncio.subprocess.Process, board: Board) -> None:
        self.board = board
        self.said: deque[str] = deque(maxlen=SAID)
        self.process = process
        self._speaker = self._listened = ""  # process ids: whose lines come now, who said so last
        self._listening = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip()
            self.said.append(text)
            if text.startswith(BEGINS):
                self._speaker = text.removeprefix(BEGINS)
            elif "listening on http://" in text:
                async with self._listening:
                    self._listened = self._speaker
                    self._listening.notify_all()

    async def listening(self, pid: int) -> None:
        """Wait until the server with this process id has said that it listens."""
        async with self._listening:
            await self._listening.wait_for(lambda: self._listened == str(pid))

    def tell(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")

    async def answer(self) -> Any:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the parent of the servers ended:\n" + "\n".join(self.said))
        return json.loads(line)

    async def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()
        await self._reading


@contextlib.asynccontextmanager
async def zygote(folder: Path) -> AsyncIterator[Zygote]:
    """A parent of servers, with its board in *folder*."""
    path = folder / "points"
    board = Board(path, [point.name for point in POINTS])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench.crash_zygote", str(path)),
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    made = Zygote(process, board)
    try:
        yield made
    finally:
        await made.close()
        board.close()


class Server:
    """One server process after the other. `url` stays; `life` counts the starts."""

    def __init__(
        self,
        parent: Zygote,
        data_dir: Path,
        *,
        durability: str = "full",
        vision: bool = False,
        environment: Mapping[str, str] | None = None,
        stand_ins: Sequence[str] = (),
    ) -> None:
        self.parent = parent
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.life = 0
        self.pid = 0
        self._task = {
            "arguments": [
                *("serve", "--port", str(self.port), "--data-dir", str(data_dir)),
                *("--durability", durability, "--vision", "on" if vision else "off"),
            ],
            "environment": dict(environment or {}),
            "stand_ins": list(stand_ins),
        }
        self._status: asyncio.Task[int] | None = None
        self._up = asyncio.Event()
        self._next = asyncio.Event()  # set at the next start

    @property
    def board(self) -> Board:
        return self.parent.board

    async def fork(self) -> None:
        """Begin a start."""
        assert self._status is None, "the server runs already"
        self.parent.tell(**self._task)
        self.pid = (await self.parent.answer())["pid"]
        self._status = asyncio.create_task(self._wait())

    async def _wait(self) -> int:
        status: int = (await self.parent.answer())["ended"]
        self._up.clear()
        return status

    async def listens(self) -> bool:
        """Wait until it listens, or has ended before it did: False."""
        assert self._status is not None
        hearing = asyncio.create_task(self.parent.listening(self.pid))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait((hearing, self._status), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            self.kill()
            raise Violation(f"no start within {PATIENCE_S:g} s:\n{self.log()}") from None
        finally:
            hearing.cancel()
        if self._status.done():
            return False
        self.life += 1
        self._up.set()
        self._next.set()
        self._next = asyncio.Event()
        return True

    async def start(self) -> None:
        """Start it, which nothing must prevent."""
        await self.fork()
        if not await self.listens():
            raise Violation(f"it did not start, status {await self.ended()}:\n{self.log()}")

    def kill(self) -> None:
        """SIGKILL, sent but not waited for."""
        self.parent.tell(signal=signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM, the same."""
        self.parent.tell(signal=signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for its end; its status, negative for a signal."""
        assert self._status is not None
        try:
            async with asyncio.timeout(PATIENCE_S):
                status = await asyncio.shield(self._status)
        except TimeoutError:
            self.kill()
            await self._status
            self._status = None
            raise
        self._status = None
        return status

    @property
    def runs(self) -> bool:
        return self._status is not None

    async def again(self, life: int) -> None:
        """Wait until a client that was let down in this life of the server may try again."""
        if self.life == life:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._next.wait()
        await self._up.wait()

    def log(self) -> str:
        """What it said last."""
        return "\n".join(self.parent.said)


def environment() -> dict[str, str]:
    """That of the harness, but for settings of servers."""
    return {k: v for k, v in os.environ.items() if not k.startswith("ECO_") or k in KEPT}


def free_port() -> int:
    """A port that is free, and that no client's connection is given while the server is down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
