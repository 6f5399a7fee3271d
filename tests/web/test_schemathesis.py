"""Requests made of `/openapi.json`, right and wrong ones: no answer is a fault, none undocumented.

schemathesis runs as a program, against a server in a process of its own. What is answered is held
against the schemas with nothing allowed in them that they do not name.

Left out: `GET /ws`, because after a handshake its connection speaks another protocol; other tests
have its answers. Streams that do not end by themselves are left after their first event.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from eco_actor.scan.state import STEPS
from tests.web.credentials import SECRET, bearer
from tests.web.documented import strict
from tests.web.raw import told
from tests.web.serving import GATED, Server

pytestmark = pytest.mark.timeout(240)

EXAMPLES: Final = 10
"""Requests for an operation beyond those that go through its schemas systematically."""

FEWEST: Final = 500
"""Requests of a run: fewer, and something is wrong with it."""

LIMIT_S: Final = 200.0

MOUNTED: Final = (str(Path(__file__).with_name("mounted.py")),)

CONFIG: Final = """
request-timeout = 70.0
max-stream-events = 1
request-retries = 0

[generation]
database = "none"

[dictionaries.tasks]
values = TASKS

[dictionaries.actors]
values = ["/eco", "/eco/store", "/eco/work/scans"]

[dictionaries.channels]
values = ["system:actors", "scan:COMPLETED"]

[parameters]
"path.channel" = { dictionary = "channels", probability = 0.5 }
task_id = { dictionary = "tasks", probability = 0.5 }
path = { dictionary = "actors", probability = 0.5 }
under = { dictionary = "actors", probability = 0.5 }

# documented: full, draining, not ready
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]

[checks.negative_data_rejection]
expected-statuses = ["4xx", "503"]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "303", "401", "404", "409"]

[[operations]]
include-name = "GET /ws"
enabled = false

# an interval without the rule that it belongs to, a number that needs more than 64 bits
[[operations]]
include-path-regex = "/(stream|events)$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "404", "409", "422"]

# bytes that are no picture, an option in the query and in the body
[[operations]]
include-name = "POST /scan/classify"
checks.positive_data_acceptance.expected-statuses = ["2xx", "409", "422"]

# a whole number that is written as 1.0
[[operations]]
include-name = "POST /actors/trace"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "404", "409", "422"]

[[operations]]
include-name = "GET /readyz"
checks.positive_data_acceptance.expected-statuses = ["200", "503"]

# an actor that there is would not be there for the other requests
[[operations]]
include-path-regex = "/actors/(kill|suspend)$"
phases.coverage.extra-data-sources.responses = false
phases.fuzzing.extra-data-sources.responses = false
"""


@dataclass(frozen=True)
class Target:
    """A server, the path below which everything is, and scans that are over, the last with a
    result."""

    server: Server
    prefix: str
    tasks: list[str]

    def told(self, line: str, body: bytes = b"") -> Any:
        """What the JSON of the answer says. *line* is a method and a path."""
        method, path = line.split()
        head = f"{method} {self.prefix}{path} HTTP/1.1\r\nHost: localhost"
        if body:
            head += "\r\nContent-Type: application/json"
        status, _, said = told(self.server.url, head, body)
        assert status < 300, said
        return json.loads(said)

    def scan(self, query: str = "") -> str:
        """The task id of a new scan."""
        return str(self.told(f"POST /scan/classify{query}", b'{"category":"glass"}')["task_id"])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server of its own; one of the scans was cancelled."""
    gates = tmp_path_factory.mktemp("gates")
    env = {"ECO_GATES": str(gates), "ECO_OPERATOR_TOKEN": SECRET}
    server = Server(gates / "data", program=GATED, env=env).start()
    target = Target(server, "", [])
    target.tasks.append(target.scan())
    target.told(f"DELETE /scan/{target.tasks[0]}")
    for step in STEPS:
        (gates / step).touch()
    target.tasks.append(target.scan("?realtime=false"))
    yield target
    server.kill()


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server in another application."""
    env = {"ECO_OPERATOR_TOKEN": SECRET}
    server = Server(tmp_path_factory.mktemp("mounted"), program=MOUNTED, env=env).start()
    target = Target(server, "/eco", [])
    target.tasks.append(target.scan("?realtime=false"))
    yield target
    server.kill()


@pytest.mark.parametrize(
    ("where", "headers"),
    [("alone", {}), ("alone", bearer(SECRET)), ("mounted", bearer(SECRET))],
    ids=["anybody", "the operator", "mounted"],
)
def test_no_answer_is_a_fault_and_none_is_undocumented(
    request: pytest.FixtureRequest, where: str, headers: dict[str, str], tmp_path: Path
) -> None:
    """Statuses, media types, headers and bodies are as documented; wrong requests are refused."""
    target: Target = request.getfixturevalue(where)
    done = requests_made(target, headers, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    made = re.search(r"^ +([0-9]+) generated, ", done.stdout, re.M)
    assert made is not None, done.stdout
    assert int(made[1]) >= FEWEST
    assert target.told("GET /healthz") == {"status": "ok"}
    # what is no HTTP is logged with one by aiohttp, where the server is not ours
    assert "Traceback" not in target.server.log_text() or where == "mounted"


def requests_made(
    target: Target, headers: dict[str, str], folder: Path
) -> "subprocess.CompletedProcess[str]":
    """What schemathesis says of them."""
    config = CONFIG.replace("TASKS", json.dumps(target.tasks))
    (folder / "schemathesis.toml").write_text(config.replace("COMPLETED", target.tasks[-1]))
    document = strict(target.told("GET /openapi.json"))
    (folder / "openapi.json").write_text(json.dumps(document))
    shown = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    phases = "coverage" if target.prefix else "coverage,fuzzing"
    return subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "schemathesis.cli"),
            *("run", "openapi.json", "--url", target.server.url + document["servers"][0]["url"]),
            *("--phases", phases, "--max-examples", str(EXAMPLES), *shown),
            *("--seed", "1", "--no-color"),
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
