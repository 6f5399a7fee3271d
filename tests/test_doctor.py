"""doctor as a process: what it says, what it leaves alone, and its exit status."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eco_actor.upkeep import DATABASE
from tests.test_cli import check_refused, run
from tests.test_cli_upkeep import polled, scanned
from tests.web.serving import Server

Start = Callable[..., Server]


def findings(*words: str | Path, status: int = 0, **env: str) -> dict[str, dict[str, Any]]:
    """What doctor found, by what it looked at."""
    done = run("doctor", "--vision", "off", "--json", *words, env=env)
    told = json.loads(done.stdout)
    assert done.returncode == status, told
    assert done.stderr == ""
    assert told["ok"] is (status == 0)
    return {each["what"]: each for each in told["findings"]}


def on_a_disk(tmp_path: Path) -> bool:
    """Whether temporary files are: elsewhere, doctor says what is missing for `full`."""
    words = ("--data-dir", tmp_path / "data", "--durability", "normal", "--port", "0")
    found = findings(*words)
    return bool(found["file system"]["level"] == "ok")


def test_doctor_finds_nothing_where_a_server_could_start(tmp_path: Path) -> None:
    """It says what would be, and makes nothing."""
    if not on_a_disk(tmp_path):
        pytest.skip("temporary files are on no local disk")
    found = findings("--data-dir", tmp_path / "data", "--port", "0")
    assert {each["level"] for each in found.values()} <= {"ok", "warn"}
    assert "makes it" in found["data directory"]["detail"]
    assert "a commit takes" in found["durability full"]["detail"]
    assert [*tmp_path.iterdir()] == []


def test_doctor_names_what_is_nearly_a_setting(tmp_path: Path) -> None:
    """As serve does in its log: it changes nothing."""
    words = ("--data-dir", tmp_path / "data", "--durability", "off", "--port", "0")
    found = findings(*words, ECO_DATADIR="x")["settings"]
    assert found["level"] == "warn"
    assert "ECO_DATADIR" in found["detail"]
    assert "ECO_DATA_DIR" in found["advice"]
    assert findings(*words, ECO_CACHE_DIR=str(tmp_path))["settings"]["level"] == "ok"


def test_doctor_leaves_a_running_server_alone(server: Start) -> None:
    """It finds it, asks it how it is, and changes no file."""
    running = server()
    task_id = scanned(running)
    before = {each.name: each.stat().st_size for each in running.data_dir.iterdir()}
    found = findings(
        "--data-dir", running.data_dir, "--port", str(running.port), "--durability", "normal"
    )
    assert str(running.pid) in found["server"]["detail"]
    assert "ready" in found["port"]["detail"]
    assert "position 5" in found["database"]["detail"]
    assert {each.name: each.stat().st_size for each in running.data_dir.iterdir()} == before
    assert polled(running, task_id)["done"] is True
    running.kill()
    found = findings("--data-dir", running.data_dir, "--durability", "normal")
    assert "none runs" in found["server"]["detail"]
    assert "position 5" in found["database"]["detail"]


def test_doctor_names_what_does_not_work_and_goes_on(tmp_path: Path, server: Start) -> None:
    """A spoilt database and a port that somebody has: two failures, exit 1, a line each."""
    (tmp_path / DATABASE).write_bytes(b"spoilt" * 1000)
    port = str(server(data_dir=tmp_path / "other").port)
    words = ("--data-dir", tmp_path, "--port", port, "--durability", "normal")
    found = findings(*words, status=1)
    assert [what for what, each in found.items() if each["level"] == "fail"] == ["database", "port"]
    done = run("doctor", "--vision", "off", *words)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAIL  ")]
    assert done.returncode == 1
    assert len(lines) == 2
    assert all(" -> " in line for line in lines)
    assert (tmp_path / DATABASE).read_bytes() == b"spoilt" * 1000


def test_doctor_looks_at_the_model_where_pictures_are_wanted(
    tmp_path: Path, vision_server: Server
) -> None:
    """It loads it; where it cannot be made, that is a failure, and what to do is said."""
    words = ("doctor", "--json", "--durability", "off", "--vision", "on", "--port", "0")
    told = {each["what"]: each for each in json.loads(run(*words).stdout)["findings"]}
    assert told["model"]["level"] == "ok"
    assert "loaded in" in told["model"]["detail"]
    (tmp_path / "taken").touch()
    done = run(*words, env={"ECO_CACHE_DIR": str(tmp_path / "taken" / "cache")})
    assert done.returncode == 1
    (model,) = [each for each in json.loads(done.stdout)["findings"] if each["what"] == "model"]
    assert model["level"] == "fail"
    assert "ECO_CACHE_DIR" in model["advice"]


def test_doctor_refuses_settings_that_cannot_be(tmp_path: Path) -> None:
    """As serve does: exit 2."""
    check_refused(run("doctor", "--port", "99999"), 2, "port")
    found = findings("--origin", "https://x/y", "--durability", "off", "--port", "0", status=1)
    assert found["settings"]["level"] == "fail"
