"""backup, restore and events as processes, beside a server, after a kill, and alone."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from eco_actor.eventlog.connecting import STAGED
from eco_actor.upkeep import DATABASE
from tests.test_cli import check_refused, run
from tests.web.serving import ROOT, Server, environment

Start = Callable[..., Server]


def scanned(server: Server) -> str:
    """The id of a scan that is over."""
    request = Request(
        f"{server.url}/scan/classify?realtime=false",
        json.dumps({"category": "glass"}).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30) as answer:
        task_id = str(json.load(answer)["task_id"])
    with urlopen(f"{server.url}/scan/{task_id}/stream", timeout=30) as stream:
        stream.read()  # to the reward
    return task_id


def fetched(url: str) -> Any:
    with urlopen(url, timeout=30) as answer:
        return json.load(answer)


def polled(server: Server, task_id: str, after: str = "") -> Any:
    """What a client gets that comes with a cursor."""
    return fetched(f"{server.url}/scan/{task_id}/events?wait=0&after={after}")


def events_of(data_dir: Path, name: str) -> list[Any]:
    done = run("events", name, "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_log_is_read_beside_a_server_and_after_its_kill(server: Start) -> None:
    """What the lines say is what clients got, and their cursors are good for clients."""
    running = server()
    task_id = scanned(running)
    shown = polled(running, task_id)["events"]
    lines = events_of(running.data_dir, task_id)
    assert [line["data"] for line in lines] == shown
    assert polled(running, task_id, lines[2]["cursor"])["events"] == shown[3:]
    assert [line["position"] for line in lines] == sorted(line["position"] for line in lines)
    running.kill()
    before = {each.name for each in running.data_dir.iterdir()}
    assert events_of(running.data_dir, f"scan:{task_id}") == lines
    assert {each.name for each in running.data_dir.iterdir()} == before
    running.start().stop()
    assert events_of(running.data_dir, task_id) == lines
    assert (running.data_dir / f"{DATABASE}-wal").exists() is False


def test_an_unknown_task_is_said(server: Start, tmp_path: Path) -> None:
    """Exit 1 and one line; where there is no database too."""
    running = server()
    running.stop()
    check_refused(run("events", "nope", "--data-dir", running.data_dir), 1, "scan:nope")
    check_refused(run("events", "nope", "--data-dir", tmp_path / "nowhere"), 1, "no such database")
    assert not (tmp_path / "nowhere").exists()


def test_a_reader_that_has_enough_is_no_error_of_ours(server: Start) -> None:
    """As with `head`: the output ends, and nothing complains."""
    running = server()
    task_id = scanned(running)
    command = [sys.executable, str(ROOT / "run.py"), "events", task_id]
    command += ["--data-dir", str(running.data_dir)]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, timeout=60, env=environment(), check=False
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 1


def test_a_backup_of_a_running_server_is_restored_into_another(
    server: Start, tmp_path: Path
) -> None:
    """Its scans are there, cursors of then are good, later ones are reset; the token is not."""
    first = server()
    task_id = scanned(first)
    shown = polled(first, task_id)
    done = run("backup", tmp_path / "backup.db", "--data-dir", first.data_dir)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "backup.db" in done.stdout
    token = (first.data_dir / "operator-token").read_bytes().strip()
    assert token not in (tmp_path / "backup.db").read_bytes()
    beyond = polled(first, scanned(first))["cursor"]
    first.stop()
    done = run("restore", tmp_path / "backup.db", env={"ECO_DATA_DIR": str(tmp_path / "new")})
    assert done.returncode == 0, done.stderr
    second = server(data_dir=tmp_path / "new")
    assert polled(second, task_id, shown["cursor"])["resume"] == "recovered"
    assert polled(second, task_id)["events"] == shown["events"]
    assert polled(second, task_id, beyond)["resume"] == "reset"
    assert (tmp_path / "new" / "operator-token").read_bytes().strip() != token


def test_a_restore_beside_a_server_is_refused(server: Start, tmp_path: Path) -> None:
    """Exit 1, and the server goes on; once it is stopped, or killed, the restore works."""
    running = server()
    task_id = scanned(running)
    words = ("restore", tmp_path / "backup.db", "--data-dir", running.data_dir)
    assert run("backup", tmp_path / "backup.db", "--data-dir", running.data_dir).returncode == 0
    check_refused(run(*words), 1, "in use", "stop the server")
    scanned(running)
    running.kill()
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert f"{DATABASE}.replaced-1" in done.stdout
    running.start()
    assert len(polled(running, task_id)["events"]) == 5


def test_a_restore_of_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    """Exit 1, and no data directory for it."""
    done = run("restore", tmp_path / "none.db", "--data-dir", tmp_path / "data")
    check_refused(done, 1, "none.db", "no such file")
    assert [*tmp_path.iterdir()] == []


def test_a_server_finishes_a_restore_that_was_cut_short(server: Start, tmp_path: Path) -> None:
    """It says so, and starts on what was restored."""
    running = server()
    task_id = scanned(running)
    assert run("backup", tmp_path / "backup.db", "--data-dir", running.data_dir).returncode == 0
    later = scanned(running)
    running.kill()
    shutil.copy(tmp_path / "backup.db", running.data_dir / (DATABASE + STAGED))
    running.start()
    assert "a restore was cut short" in running.log_text()
    assert len(polled(running, task_id)["events"]) == 5
    assert (running.data_dir / f"{DATABASE}.replaced-1").exists()
    with pytest.raises(OSError, match="404"):
        polled(running, later)


def test_a_backup_that_is_there_already_is_kept(server: Start, tmp_path: Path) -> None:
    """Exit 1 without --force."""
    running = server()
    words = ("backup", tmp_path / "backup.db", "--data-dir", running.data_dir)
    (tmp_path / "backup.db").write_text("precious")
    check_refused(run(*words), 1, "backup.db", "--force")
    assert (tmp_path / "backup.db").read_text() == "precious"
    assert run(*words, "--force").returncode == 0
    assert (tmp_path / "backup.db").read_bytes().startswith(b"SQLite format 3")


def test_what_is_wrong_with_other_settings_keeps_nobody_from_a_backup(
    server: Start, tmp_path: Path
) -> None:
    """Only the data directory counts."""
    running = server()
    env = {"ECO_PORT": "nonsense", "ECO_DATA_DIR": str(running.data_dir)}
    assert run("backup", tmp_path / "backup.db", env=env).returncode == 0


INTERRUPTED = """
import os, signal, sys
from eco_actor import cli, upkeep
upkeep.backup = lambda *args, **how: os.kill(os.getpid(), signal.SIGINT)
sys.exit(cli.main())
"""


def test_an_interrupted_command_says_so(tmp_path: Path) -> None:
    """One line, exit 1, no traceback."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "backup", str(tmp_path / "backup.db")],
        capture_output=True, text=True, timeout=60, cwd=ROOT, check=False,
    )  # fmt: skip
    check_refused(done, 1, "interrupted")


# ---- threads that hang


HANGING = """
import asyncio, logging, sys, threading
from eco_actor import cli
logging.basicConfig(level="WARNING")
async def main():
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    {how}
cli.COMMANDS = {{"serve": lambda given: cli._run(main)}}
sys.exit(cli.main(["serve"]))
"""


@pytest.mark.parametrize(
    ("how", "status"), [("return 0", 0), ("raise cli.StartFailed('store', 'it hangs')", 1)]
)
def test_a_thread_that_hangs_does_not_keep_the_process(how: str, status: int) -> None:
    """It ends with its status, and says which thread it was; a failure is told before."""
    done = subprocess.run(
        [sys.executable, "-c", HANGING.format(how=how)],
        capture_output=True, text=True, timeout=30, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert "still busy" in done.stderr
