"""A real server under a manager with a real socket: what it hears, and when it would act."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import pytest

from tests.manager import LONG_S, Manager, abstract, managing
from tests.web.pictures import drawn, encoded
from tests.web.serving import ROOT, Server, environment

HANGING: Final = (str(Path(__file__).with_name("hanging.py")),)

PATIENCE_S: Final = 0.4


class Watched:
    """A server that hangs on request, and the manager that watches it."""

    def __init__(self, server: Server, manager: Manager, hangs: Path) -> None:
        self.server = server
        self.manager = manager
        self._hangs = hangs

    @contextmanager
    def hang(self, where: str) -> Iterator[None]:
        """What is done next hangs there, while this lasts."""
        (self._hangs / f"{where}-hangs").unlink(missing_ok=True)
        (self._hangs / where).touch()
        try:
            yield
        finally:
            (self._hangs / where).unlink()

    def until_it_hangs(self, where: str) -> None:
        until = time.monotonic() + LONG_S
        while not (self._hangs / f"{where}-hangs").exists():
            assert time.monotonic() < until, f"the {where} does not hang"
            self.manager.next(PATIENCE_S / 10)

    @contextmanager
    def posted(self, kind: str, body: bytes) -> Iterator[None]:
        """It is sent, and nothing is waited for."""
        sent = socket.create_connection(("127.0.0.1", self.server.port))
        head = (
            f"POST /scan/classify HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with sent:
            sent.sendall(head.encode() + body)
            yield


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    hangs = tmp_path_factory.mktemp("hangs")
    with managing(hangs.with_name("notify")) as manager:
        given = manager.environment(WATCHDOG_USEC=str(int(PATIENCE_S * 1e6)))
        env = {**given, "ECO_HANGS": str(hangs), "PYTHONFAULTHANDLER": "1"}
        data = tmp_path_factory.mktemp("watched")
        server = Server(data, program=HANGING, vision=True, env=env).start()
        try:
            manager.until("READY")
            yield Watched(server, manager, hangs)
            server.stop()
        finally:
            server.kill()


@pytest.fixture
def watched(shared: Watched) -> Watched:
    """The shared one, which is well and has said nothing yet; a test leaves it so."""
    shared.manager.waiting()
    shared.manager.heard.clear()
    return shared


def get(url: str) -> tuple[int, object]:
    with urlopen(url, timeout=10) as answer:
        return answer.status, json.load(answer)


def test_a_server_says_when_it_begins_works_and_ends(
    tmp_path: Path, server: Callable[..., Server]
) -> None:
    """The start may take its time; ready means ready; streams are in the status; then the end."""
    with managing(tmp_path / "n") as manager:
        env = {**manager.environment(WATCHDOG_USEC="200000"), "ECO_HANGS": str(tmp_path)}
        running = server(program=HANGING, env=env)
        ready = manager.until("READY")
        assert ready["STATUS"] == "ready; 0 scans under way, 0 streams"
        assert get(f"{running.url}/readyz")[0] == 200
        before = manager.heard[:-1]
        assert [each["STATUS"] for each in before if "EXTEND_TIMEOUT_USEC" in each] == [
            "the model is loaded",
            "the log is opened",
        ]
        assert not any("WATCHDOG" in each for each in before)
        for _ in range(3):
            manager.until("WATCHDOG", "1")
        with urlopen(f"{running.url}/stream?channel=app:a", timeout=10):
            manager.until("STATUS", "ready; 0 scans under way, 1 streams")
        running.stop()
        told = manager.waiting()
        assert {"STOPPING": "1", "STATUS": "stopping"} in told
        assert "READY" not in {name for each in told for name in each}


def test_a_loop_that_is_blocked_gives_no_sign_of_life(watched: Watched) -> None:
    """The manager would kill it; when the loop comes round again, signs come again."""
    with watched.hang("loop"), watched.posted("application/json", b'{"category": "glass"}'):
        watched.until_it_hangs("loop")
        watched.manager.waiting()
        assert watched.manager.would_kill(PATIENCE_S)
    watched.manager.until("WATCHDOG")


def test_a_thread_that_hangs_gives_no_sign_of_life(watched: Watched) -> None:
    """The loop lives and answers, and the status says who hangs; afterwards all is well again."""
    with watched.hang("vision"), watched.posted("image/jpeg", encoded(drawn())):
        told = watched.manager.until("STATUS", "stuck: ", " for more than 0.5 s")
        assert "vision/1: " in told["STATUS"]
        assert watched.manager.would_kill(PATIENCE_S)
        assert get(f"{watched.server.url}/healthz") == (200, {"status": "ok"})
    watched.manager.until("STATUS", "ready")
    watched.manager.until("WATCHDOG")


def test_one_that_is_killed_for_it_says_where_it_hung_and_comes_back(watched: Watched) -> None:
    """SIGABRT, as the manager sends it: the log has the stack; the next start is ready again."""
    with watched.hang("vision"), watched.posted("image/jpeg", encoded(drawn())):
        watched.manager.until("STATUS", "stuck: ")
        os.kill(watched.server.pid, signal.SIGABRT)
        with pytest.raises(AssertionError, match="exit status -6"):
            watched.server.end()
        said = watched.server.log_text()
    assert "Fatal Python error: Aborted" in said
    assert " in classify" in said
    watched.server.start()
    watched.manager.until("READY")


def test_work_that_gets_on_is_no_reason_to_be_silent(watched: Watched) -> None:
    """Scans with pictures, one after the other: signs of life all the while."""
    body = encoded(drawn())
    headers = {"Content-Type": "image/jpeg"}
    for _ in range(5):
        url = f"{watched.server.url}/scan/classify?realtime=false"
        with urlopen(Request(url, body, headers), timeout=10) as answer:
            assert answer.status == 200
        watched.manager.until("WATCHDOG")
    assert not any("stuck" in each.get("STATUS", "") for each in watched.manager.heard)


def test_a_database_that_was_taken_away_is_left_to_the_manager(
    tmp_path: Path, server: Callable[..., Server]
) -> None:
    """Nothing is written before a restart, so no sign of life comes; after one all is well."""
    with managing(tmp_path / "n") as manager:
        patience = {"WATCHDOG_USEC": str(int(PATIENCE_S * 1e6)), "ECO_HANGS": str(tmp_path)}
        running = server(program=HANGING, env={**manager.environment(), **patience})
        manager.until("READY")
        (running.data_dir / "eco.db").rename(running.data_dir / "aside.db")
        posted = Watched(running, manager, tmp_path).posted
        with posted("application/json", b'{"category": "glass"}'):
            told = manager.until("STATUS", "nothing can be written: ", "restart the server")
        assert "stuck" not in told["STATUS"]
        manager.waiting()
        assert manager.would_kill(PATIENCE_S)
        running.kill()
        running.start()
        manager.until("READY")
        manager.until("WATCHDOG")
        running.stop()


def test_without_a_watchdog_it_is_only_told_how_it_is(
    tmp_path: Path, server: Callable[..., Server]
) -> None:
    """As with one that is meant for another process; here at an abstract address."""
    with managing(abstract()) as manager:
        given = manager.environment(WATCHDOG_USEC="100000", WATCHDOG_PID="1")
        running = server(program=HANGING, env={**given, "ECO_HANGS": str(tmp_path)})
        manager.until("READY")
        with urlopen(f"{running.url}/stream?channel=app:a", timeout=10):
            manager.until("STATUS", "1 streams")
        running.stop()
        told = manager.waiting()
        assert {"STOPPING": "1", "STATUS": "stopping"} in told
        assert not any("WATCHDOG" in each for each in manager.heard)


@pytest.mark.parametrize(
    ("name", "value"), [("NOTIFY_SOCKET", "vsock:2:1"), ("WATCHDOG_USEC", "soon")]
)
def test_a_manager_that_could_never_hear_of_it_is_refused(
    tmp_path: Path, name: str, value: str
) -> None:
    """Exit 2, and one line that names the variable, instead of a start that is given up later."""
    given = {"NOTIFY_SOCKET": str(tmp_path / "nobody"), name: value}
    done = subprocess.run(
        [sys.executable, ROOT / "run.py", "--data-dir", tmp_path / "data", "--vision", "off"],
        capture_output=True, text=True, timeout=60, env=environment(**given), check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"eco_actor: {name}={value}: ")


def test_a_manager_that_is_not_there_is_no_fault(
    tmp_path: Path, server: Callable[..., Server]
) -> None:
    """One warning, and the server works."""
    running = server(env={"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "100000"})
    assert get(f"{running.url}/readyz")[0] == 200
    running.stop()
    assert running.log_text().count("the service manager cannot be told") == 1
