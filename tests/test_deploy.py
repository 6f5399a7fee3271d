"""The files in deploy/: what systemd says to them, and that their numbers are those of the code."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest

from eco_actor.config import Config
from eco_actor.delivery.liveness import HEARTBEAT
from eco_actor.delivery.websocket import PING_S
from eco_actor.doctor.machine import OTHER_FILES
from eco_actor.progress import PROBE_S
from eco_actor.web.json_scans import JSON_BODY
from eco_actor.web.polls import MAX_WAIT_S
from eco_actor.web.server import KEEPALIVE_S
from tests.web.serving import ROOT, STOP_S

DEPLOY: Final = ROOT / "deploy"
UNIT: Final = DEPLOY / "eco-actor.service"
PROGRAM: Final = "/opt/eco-actor/.venv/bin/eco-actor"

EXPOSED: Final = 15
"""Tenths of the ten that `systemd-analyze security` gives to a service without any protection."""

ANALYZE: Final = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def set_in(unit: str, name: str) -> list[str]:
    """All values that the unit file gives to *name*."""
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


def analyze(words: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """What systemd says to the unit, whose program is here and not in /opt."""
    text = UNIT.read_text()
    assert text.count(PROGRAM) == 1
    unit = folder / UNIT.name
    unit.write_text(text.replace(PROGRAM, sys.executable))
    assert ANALYZE is not None
    return subprocess.run(
        [ANALYZE, *words, unit], capture_output=True, text=True, timeout=60, check=False
    )


@needs_systemd
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    """No error and no warning: no option that this version does not know."""
    done = analyze(["verify", "--man=no"], tmp_path)
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, said) == (0, []), done.stderr


@needs_systemd
def test_systemd_finds_the_unit_well_protected(tmp_path: Path) -> None:
    """An exposure of 1.5 at most."""
    done = analyze(["security", "--offline=yes", f"--threshold={EXPOSED}"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_goes_with_the_server() -> None:
    """Its settings exist, its bounds hold what the server may need, a stop has its time."""
    unit = UNIT.read_text()
    known = {f"ECO_{each.name.upper()}" for each in fields(Config)} | {"ECO_CACHE_DIR"}
    used = {*re.findall(r"ECO_[A-Z_]+", unit)}
    assert used <= known
    assert {"ECO_DATA_DIR", "ECO_CACHE_DIR"} <= used
    assert set_in(unit, "Type") == ["notify"]
    (watchdog,) = set_in(unit, "WatchdogSec")
    assert int(watchdog) >= 2 * PROBE_S
    (stop,) = set_in(unit, "TimeoutStopSec")
    assert int(stop) > STOP_S
    (files,) = set_in(unit, "LimitNOFILE")
    assert int(files) >= Config().max_connections + OTHER_FILES


def test_nginx_goes_with_the_server() -> None:
    """Nothing that the server takes or waits for is cut short by the proxy."""
    site = (DEPLOY / "nginx.conf").read_text()
    (largest,) = re.findall(r"client_max_body_size (\d+)m;", site)
    assert int(largest) * 2**20 >= JSON_BODY
    (patience,) = re.findall(r"proxy_read_timeout (\d+)s;", site)
    assert int(patience) > max(MAX_WAIT_S, HEARTBEAT, PING_S, Config().sync_wait_s)
    assert KEEPALIVE_S > 60, "nginx keeps connections for a minute, and has to be the first to end"
    assert f"server 127.0.0.1:{Config().port};" in site


def test_the_kiosk_may_use_the_camera_for_the_server_alone() -> None:
    """The policy names the page as the browser calls it, and lets it go nowhere else."""
    policy = json.loads((DEPLOY / "kiosk-chromium.json").read_text())
    page = f"http://localhost:{Config().port}"
    assert policy["VideoCaptureAllowedUrls"] == policy["URLAllowlist"] == [page]
    assert policy["URLBlocklist"] == ["*"]


def test_what_the_deploy_readme_names_exists() -> None:
    """Each file of deploy/ is in it, and each that it names is there."""
    text = (DEPLOY / "README.md").read_text()
    named = {*re.findall(r"deploy/([a-z.-]+\.[a-z]+)", text)}
    assert named == {each.name for each in DEPLOY.iterdir()} - {"README.md"}
    unit = UNIT.read_text()
    assert PROGRAM in text or "/opt/eco-actor/.venv" in text
    assert "/etc/eco-actor.env" in text
    assert "/etc/eco-actor.env" in unit
