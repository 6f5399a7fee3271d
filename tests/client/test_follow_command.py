"""`run.py follow`, as a process: what it says, where, its exit status; and the README example."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from eco_actor.client import Client, Event, Gap
from eco_actor.following import Story, shown
from tests.client.ways import QUICK, STEPS, open_gates, token_of
from tests.web.pictures import drawn, encoded
from tests.web.serving import GATED, ROOT, Server, environment

FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def begin(*words: str, **env: str) -> "subprocess.Popen[str]":
    """The command, running."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "follow", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**env),
    )


def run(*words: str, **env: str) -> tuple[int, list[str], list[str]]:
    """Exit status, and the lines of both outputs."""
    with begin(*words, **env) as process:
        out, err = process.communicate(timeout=50)
    assert "Traceback" not in err, err
    return process.returncode, out.splitlines(), err.splitlines()


async def finished(server: Server) -> tuple[str, str]:
    """A scan that is over, and the text of its answer."""
    async with Client(server.url, bounds=QUICK) as client:
        result = await client.scan(category="glass", lang="en")
        async with client.follow(result["task_id"]) as events:
            async for _ in events:
                pass
    return result["task_id"], result["answer"]["text"]


@pytest.mark.parametrize("transport", ["auto", "sse", "ws", "poll"])
async def test_a_scan_is_told_step_by_step_and_its_answer_last(
    plain_server: Server, transport: str
) -> None:
    """Exit 0; nothing on standard error."""
    task, answer = await finished(plain_server)
    words = (task, "--url", plain_server.url, "--transport", transport)
    status, out, err = await asyncio.to_thread(run, *words)
    assert (status, err) == (0, [])
    assert [tuple(line.split()[:2]) for line in out[:-1]] == STEPS
    assert "glass" in out[1]
    assert out[-1] == answer


async def test_events_are_lines_of_json_with_cursors(plain_server: Server) -> None:
    """ECO_URL names the server; --after goes on behind a cursor, also behind the last."""
    task, answer = await finished(plain_server)
    status, out, _ = await asyncio.to_thread(run, task, "--json", ECO_URL=plain_server.url)
    told = [json.loads(line) for line in out]
    assert status == 0
    assert [(each["data"]["step"], each["data"]["status"]) for each in told] == STEPS
    words = [task, "--url", plain_server.url, "--after"]
    status, out, _ = await asyncio.to_thread(run, *words, told[2]["cursor"])
    assert (status, len(out), out[-1]) == (0, 3, answer)
    status, out, _ = await asyncio.to_thread(run, *words, told[-1]["cursor"])
    assert (status, out) == (0, [answer])


def test_a_scan_is_followed_over_a_restart(server: Callable[..., Server], gates: Path) -> None:
    """Killed in the middle: that is said on standard error, and it goes on."""
    made = server(env={"ECO_GATES": str(gates)}, program=GATED)

    async def start() -> str:
        async with Client(made.url, bounds=QUICK) as client:
            return (await client.start(category="glass")).task_id

    with begin(asyncio.run(start()), "--url", made.url) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        made.kill()
        assert "trying again in" in process.stderr.readline()
        open_gates(gates)
        made.start()
        out, _ = process.communicate(timeout=50)
    assert process.returncode == 0
    lines = [first, *out.splitlines()]
    assert [tuple(line.split()[:2]) for line in lines[:-1]] == STEPS


async def test_a_cancelled_scan_is_a_failure(gated_server: Server) -> None:
    """Exit 1, and the last line says what it was."""
    async with Client(gated_server.url, bounds=QUICK) as client:
        task = await client.start(category="glass")
        await client.cancel(task)
    words = (task.task_id, "--url", gated_server.url)
    status, out, _ = await asyncio.to_thread(run, *words)
    assert status == 1
    assert "cancelled" in out[-1]


def test_what_cannot_be_followed_is_said_in_a_line(plain_server: Server) -> None:
    """Exit 1 for what is not there or takes too long, 2 for what cannot be meant."""
    url = plain_server.url
    status, out, err = run("nobody", "--url", url)
    assert (status, out, err) == (
        1, [], ["eco_actor: 404 unknown_task: there is no scan 'nobody'"],
    )  # fmt: skip
    status, out, err = run("app:quiet", "--url", url, "--timeout", "0.1")
    assert (status, out, err) == (1, [], ["eco_actor: it was not over within 0.1 s"])
    status, _, err = run("x", "--url", "localhost:8080")
    assert (status, err[0][:16]) == (2, "eco_actor: --url")
    for wrong in ("0", "-1", "nan", "soon"):
        status, _, err = run("x", "--timeout", wrong)
        assert status == 2
        assert "--timeout" in err[-1]


async def test_a_channel_is_followed_until_it_is_interrupted(plain_server: Server) -> None:
    """Each event a line, at once; SIGINT ends it without a fuss."""
    token = await asyncio.to_thread(token_of, plain_server)
    async with Client(plain_server.url, token=token) as client:
        cursor = await client.publish("app:command", {"n": 1, "text": "한 \x1b[31m\x9b"})
        words = ("app:command", "--url", plain_server.url, "--after", "earliest")

        def follow() -> tuple[str, str, str, int]:
            with begin(*words) as process:
                assert process.stdout is not None
                first = process.stdout.readline()
                process.send_signal(signal.SIGINT)
                rest, err = process.communicate(timeout=50)
            return first, rest, err, process.returncode

        first, rest, err, status = await asyncio.to_thread(follow)
    assert cursor is not None
    assert first == 'app:command {"n": 1, "text": "한 \\u001b[31m\N{REPLACEMENT CHARACTER}"}\n'
    assert (rest, err, status) == ("", "eco_actor: interrupted\n", 1)


def test_help_says_what_may_be_followed() -> None:
    """Options, environment, exit status."""
    status, out, _ = run("--help")
    assert status == 0
    for word in ("TASK", "app:news", "--url", "ECO_URL", "--transport", "--after", "--json",
                 "--timeout", "ECO_OPERATOR_TOKEN", "Exit"):  # fmt: skip
        assert word in "\n".join(out)


def test_gaps_failures_and_text_have_lines() -> None:
    """What seldom happens is told as well, for people and as JSON."""
    gap = Gap("app:a", "c1", "c3", 2, "overflow")
    failed = {"step": "vision", "status": "failed", "progress": 10}
    event = Event("scan:t", "c", {**failed, "error": {"code": "x", "detail": "y"}})
    delta = Event("scan:t", None, {"step": "answer", "status": "processing", "delta": "Gl\nass"})
    story = Story(as_json=False)
    assert story.line(gap) == "-- 2 events of app:a are missing here: overflow"
    assert story.line(event).endswith("10 %  x: y")
    assert story.line(delta).endswith(f"Gl{shown(chr(10))}ass")
    assert (story.status, story.answer) == ("failed", None)
    assert json.loads(Story(as_json=True).line(gap)) == {
        "gap": {"channel": "app:a", "from": "c1", "to": "c3", "dropped": 2, "reason": "overflow"}
    }


def test_the_example_of_the_readme_works(vision_server: Server, tmp_path: Path) -> None:
    """As it stands there, but for the address of the server."""
    found = [code for code in FENCE.findall((ROOT / "README.md").read_text("utf-8"))
             if "eco_actor.client" in code]  # fmt: skip
    if not found:
        pytest.skip("the README has no such example yet")
    (tmp_path / "bottle.jpg").write_bytes(encoded(drawn()))
    code = found[0].replace("http://127.0.0.1:8080", vision_server.url)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        env={**environment(), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "vision 10"
    assert len(done.stdout.splitlines()) == len(STEPS) + 1
