"""A server as its users have it: a process with a port and a data directory."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.forking import ROOT as ROOT
from tests.forking import Forked

RUN: Final = (str(ROOT / "run.py"),)
GATED: Final = (str(Path(__file__).with_name("gated.py")),)

START_S: Final = 150.0  # making the model for the first time takes a while
STOP_S: Final = 10.0

_LISTENING: Final = re.compile(r"listening on (http://\S+:(\d+))")


def environment(**extra: str) -> dict[str, str]:
    """The environment without any setting of this project, but those of *extra*."""
    kept = ("ECO_CACHE_DIR", "ECO_TRASHNET")
    plain = {k: v for k, v in os.environ.items() if not k.startswith("ECO_") or k in kept}
    return plain | extra


class Server:
    """One process of `serve` after the other on the same data directory.

    `program` is what python is given: run.py, or a stand-in that starts the same with something
    of it replaced.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        vision: bool = False,
        port: int = 0,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = RUN,
    ) -> None:
        self.data_dir = data_dir
        self.port = port
        self._vision = "on" if vision else "off"
        self._options = options
        self._env = environment(**(env or {}))
        self._program = program
        self._process: Forked | None = None
        self._lines: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def _running(self) -> Forked:
        assert self._process is not None, "the server does not run"
        return self._process

    def start(self) -> "Server":
        """Start it, on the port of the time before if there was one; returns once it listens."""
        assert self._process is None, "the server runs already"
        asked = ["--port", str(self.port), "--data-dir", str(self.data_dir)]
        asked += ["--vision", self._vision, *self._options]
        words = [*self._program, "serve", *asked]
        self._process = Forked(words, env=self._env, stdout=subprocess.DEVNULL)
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read_log, args=(self._process,), daemon=True)
        self._reader.start()
        known = self._listening.wait(START_S) and self._process.poll() is None
        if not known:
            self.kill()
            raise AssertionError(f"the server did not start:\n{self.log_text()}")
        return self

    def _read_log(self, process: Forked) -> None:
        for line in process.stderr:
            self._lines.append(line)
            if found := _LISTENING.search(line):
                self.port = int(found[2])
                self._listening.set()
        self._listening.set()  # or it ended before

    def log_text(self) -> str:
        """What it logged so far, over all its starts."""
        return "".join(self._lines)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to stop: it does so in time, and is content."""
        self._running.send_signal(number)
        self.end()

    def end(self) -> None:
        """It was asked to stop: it does so in time, and is content."""
        try:
            status = self._running.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not stopped in {STOP_S} s:\n{self.log_text()}") from None
        self._forget()
        assert status == 0, f"exit status {status}:\n{self.log_text()}"

    def kill(self) -> None:
        """SIGKILL: the process has no say in it. Harmless when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def _forget(self) -> None:
        process, self._process = self._running, None
        self._reader.join()
        process.close()
