"""`run.py follow`, as a process: what it says, where, its exit status; and the README example."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eco_actor.cli import main
from eco_actor.client import Client, Event, Gap
from eco_actor.following import Story, follow, shown
from tests.client.odd_servers import Sayings, saying, serving
from tests.client.ways import QUICK, STEPS, open_gates, token_of
from tests.forking import Forked
from tests.web.pictures import drawn, encoded
from tests.web.serving import ROOT, Server, environment

FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def begin(*words: str, **env: str) -> Forked:
    """The command, running."""
    return Forked([str(ROOT / "run.py"), "follow", *words], env=environment(**env))


def run(*words: str, **env: str) -> tuple[int, list[str], list[str]]:
    """Exit status, and the lines of both outputs."""
    with begin(*words, **env) as process:
        out, err = process.communicate(timeout=50)
    assert "Traceback" not in err, err
    return process.wait(), out.splitlines(), err.splitlines()


async def finished(server: Server) -> tuple[str, str]:
    """A scan that is over, and the text of its answer."""
    async with Client(server.url, bounds=QUICK) as client:
        result = await client.scan(category="glass", lang="en")
        async with client.follow(result["task_id"]) as events:
            async for _ in events:
                pass
    return result["task_id"], result["answer"]["text"]


@pytest.mark.parametrize("transport", ["auto", "poll"])
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
    words = [task, "--url", plain_server.url, "--after", told[-1]["cursor"]]
    status, out, _ = await asyncio.to_thread(run, *words)
    assert (status, out) == (0, [answer])
    said: list[str] = []
    client = Client(plain_server.url)
    assert await follow(client, task, said.append, print, after=told[2]["cursor"]) == 0
    assert (len(said), said[-1]) == (3, answer)


def test_a_scan_is_followed_over_a_restart(gated_server: Server, gates: Path) -> None:
    """Killed in the middle: that is said on standard error, and it goes on."""

    async def start() -> str:
        async with Client(gated_server.url, bounds=QUICK) as client:
            return (await client.start(category="glass")).task_id

    with begin(asyncio.run(start()), "--url", gated_server.url) as process:
        first = process.stdout.readline()
        gated_server.kill()
        assert "trying again " in process.stderr.readline()
        open_gates(gates)
        gated_server.start()
        # not `communicate`, which knows nothing of what was read ahead with the first line
        lines = [first, *process.stdout]
        process.stderr.read()
        assert process.wait(timeout=50) == 0
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
    status, _, err = run("x", "--url", "http://h:99999")
    assert (status, len(err), err[0][:16]) == (2, 1, "eco_actor: --url")


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "soon"])
def test_a_time_that_is_none_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, naming the option."""
    with pytest.raises(SystemExit) as ended:
        main(["follow", "x", "--timeout", wrong])
    assert ended.value.code == 2
    assert "--timeout" in capsys.readouterr().err.splitlines()[-1]


async def told_of(url: str, **how: Any) -> tuple[int, list[str]]:
    """Exit status and notes of following a scan at this address."""
    notes: list[str] = []
    status = await follow(Client(url, bounds=QUICK), "x", print, notes.append, **how)
    return status, notes


@pytest.mark.parametrize("how", [{"unanswered_s": 0.3}, {"seconds": 0.3}])
async def test_where_nothing_ever_answers_it_gives_up_soon(how: dict[str, float]) -> None:
    """One line names the address and how to name another; none speaks of TLS where there is none.
    A --timeout of one's own is kept to."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    status, notes = await told_of(url, **how)
    assert status == 1
    assert len(notes) > 1
    assert notes[-1] == f"nothing answers at {url}: --url names another server"
    for line in notes[:-1]:
        assert line.startswith(
            f"unreachable: no connection to 127.0.0.1:{port}: Connection refused;"
        )


async def test_a_server_that_has_no_room_is_an_answer() -> None:
    """It is tried again for longer: here until the answer is another."""
    busy = saying(503, Retry_After="0")
    source = Sayings(*[busy] * 5, saying(404, '{"code":"unknown_task"}'))
    async with serving(source) as url:
        status, notes = await told_of(url, unanswered_s=0.25)
    assert status == 1
    assert notes[-1].startswith("404 unknown_task")


async def test_a_channel_is_followed_until_it_is_interrupted(plain_server: Server) -> None:
    """Each event a line, at once; SIGINT ends it without a fuss."""
    token = await asyncio.to_thread(token_of, plain_server)
    async with Client(plain_server.url, token=token) as client:
        cursor = await client.publish("app:command", {"n": 1, "text": "한 \x1b[31m\x9b"})
        words = ("app:command", "--url", plain_server.url, "--after", "earliest")

        def follow() -> tuple[str, str, str, int]:
            with begin(*words) as process:
                first = process.stdout.readline()
                process.send_signal(signal.SIGINT)
                rest, err = process.communicate(timeout=50)
                return first, rest, err, process.wait()

        first, rest, err, status = await asyncio.to_thread(follow)
    assert cursor is not None
    assert first == 'app:command {"n": 1, "text": "한 \\u001b[31m\N{REPLACEMENT CHARACTER}"}\n'
    assert (rest, err, status) == ("", "eco_actor: interrupted\n", 1)


def test_help_says_what_may_be_followed(capsys: pytest.CaptureFixture[str]) -> None:
    """Options, environment, exit status."""
    with pytest.raises(SystemExit) as ended:
        main(["follow", "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for word in ("TASK", "app:news", "--url", "ECO_URL", "--transport", "--after", "--json",
                 "--timeout", "ECO_OPERATOR_TOKEN", "Exit", "10 s"):  # fmt: skip
        assert word in out


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
