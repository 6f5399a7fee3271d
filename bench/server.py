"""Starting the server that a benchmark measures, on a core of its own, and reading what it used."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    process: subprocess.Popen[str]
    host: str
    port: int

    def cpu_s(self) -> float:
        """User and system time of all its threads so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mb(self) -> float:
        """Resident memory now, in MB (10^6 bytes)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024 / 1e6

    def peak_rss_mb(self) -> float:
        """The most resident memory it ever had, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024 / 1e6

    def disk_bytes(self) -> int:
        """Bytes that it has caused to be written to storage so far."""
        found = re.search(
            r"^write_bytes: (\d+)", Path(f"/proc/{self.process.pid}/io").read_text(), re.M
        )
        assert found is not None
        return int(found[1])


def cores() -> tuple[int, int]:
    """One for the server, another for the client, where there are two."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


@contextlib.contextmanager
def running(command: Sequence[str], core: int | None = None) -> Iterator[Server]:
    """Run *command* until it says where it listens; stop it afterwards."""
    reader: threading.Thread | None = None
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            host, port = _listening(process)
            # What it says from now on is read, or a full pipe would hold it up.
            reader = threading.Thread(target=_swallow, args=(process,), daemon=True)
            reader.start()
            yield Server(process, host, port)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            if reader is not None:
                reader.join()


@contextlib.contextmanager
def eco(*options: str, core: int | None = None) -> Iterator[Server]:
    """The server of this checkout, on a port and a data directory of its own."""
    with tempfile.TemporaryDirectory(prefix="eco-bench-") as directory:
        command = [sys.executable, "run.py", "serve", "--port", "0", "--data-dir", directory]
        with running([*command, *options], core) as server:
            yield server


def _swallow(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    for _ in process.stderr:
        pass


def _listening(process: "subprocess.Popen[str]") -> tuple[str, int]:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        found = re.search(r"listening on http://([^:/]+):(\d+)", line)
        if found:
            return found[1], int(found[2])
    raise RuntimeError("the server did not start:\n" + "".join(said))
