"""`python run.py` alone, set by its environment, and the defaults that the contract names."""

import configparser
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from eco_actor.config import Config
from eco_actor.eventlog import Durability
from tests.web.serving import ROOT, environment

SITE = "name: {ko: 창구, en: Desk}\n"
TOKEN = "a-secret-of-the-operator"
IMAGE = b'{"image":"data:image/png;base64,AAAA"}'


def test_the_defaults_are_those_of_the_contract() -> None:
    """Port 8080 on loopback, full durability, vision on, nobody's site."""
    config = Config()
    assert (config.host, config.port) == ("127.0.0.1", 8080)
    assert (config.durability, config.vision, config.site) == (Durability.FULL, True, None)
    assert config.sync_wait_s == 30.0
    assert (config.keep_scans, config.keep_scan_hours) == (20_000, 24.0)


def test_the_package_is_typed() -> None:
    """It says so, and takes the file that says so along into its wheel."""
    assert (ROOT / "eco_actor" / "py.typed").is_file()
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert "py.typed" in setup["options.package_data"]["*"]


def test_everything_may_be_set_by_the_environment(tmp_path: Path) -> None:
    """Without a word it serves: each option is a variable, a secret lets it out of loopback."""
    site, data = tmp_path / "site.yaml", tmp_path / "data"
    site.write_text(SITE, encoding="utf-8")
    env = environment(
        ECO_HOST="0.0.0.0",
        ECO_PORT="0",
        ECO_DATA_DIR=str(data),
        ECO_DURABILITY="normal",
        ECO_VISION="off",
        ECO_SITE=str(site),
        ECO_LOG_LEVEL="warning",
        ECO_OPERATOR_TOKEN=TOKEN,
        ECO_ALLOWED_HOST="eco.example",
        ECO_ORIGIN="https://app.example",
    )
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py")], stderr=subprocess.PIPE, text=True, env=env
    )
    try:
        assert server.stderr is not None
        lines = iter(server.stderr)
        found = None
        while found is None:  # however little it logs
            found = re.search(r"listening on http://\S+:(\d+)", next(lines))
        base = f"http://127.0.0.1:{found[1]}"
        with urlopen(f"{base}/readyz", timeout=20) as answer:
            assert json.load(answer)["durability"] == "normal"
        with urlopen(Request(f"{base}/site?lang=en", headers={"Host": "eco.example"})) as answer:
            assert json.load(answer)["name"] == "Desk"
        origin = {"Origin": "https://app.example", "Authorization": f"Bearer {TOKEN}"}
        with urlopen(Request(f"{base}/operator", headers=origin)) as answer:
            assert json.load(answer) == {"operator": True}
            assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(f"{base}/scan/classify", IMAGE, {"Content-Type": "application/json"}))
        with refused.value:
            assert json.load(refused.value)["code"] == "vision_off"
        assert (data / "eco.db").exists()
        assert not (data / "operator-token").exists()
        assert not stat.S_IMODE(os.stat(data).st_mode) & stat.S_IWOTH
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
    finally:
        server.kill()
        server.communicate()
