"""`/actors/inspect`, `/actors/trace`, `/actors/suspend` and `/actors/resume`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.config import Config
from eco_actor.runtime import StopChild, System
from eco_actor.runtime.inspection import CUT, MOST_TRACED
from tests.web.checks import check_events, check_problem
from tests.web.client import Client
from tests.web.credentials import SECRET, bearer

OPERATOR: Final = bearer(SECRET)
WORKER: Final = "/eco/work/pipeline/rule/1"
RECOVERY: Final = "/eco/work/recovery"
NEVER: Final = (
    "/eco", "/eco/work", "/eco/work/connections", "/eco/work/pipeline", "/eco/work/pipeline/rule",
    "/eco/work/scans", "/eco/work/observer", "/eco/http",
)  # fmt: skip
DEEDS: Final[dict[str, dict[str, object]]] = {"suspend": {}, "resume": {}, "trace": {"most": 5}}


class Operated:
    """A server in this process, its system, and what its operator asks of it."""

    def __init__(self, system: System, client: Client) -> None:
        self.system = system
        self.client = client

    async def inspect(self, path: str = WORKER, more: str = "") -> dict[str, Any]:
        answer = await self.client.get(f"/actors/inspect?path={path}{more}", headers=OPERATOR)
        assert answer.status == 200, answer.body
        assert answer.headers["Cache-Control"] == "no-store"
        told: dict[str, Any] = answer.json()
        return told

    async def do(self, deed: str, path: str = WORKER, **more: object) -> dict[str, Any]:
        body = {"path": path, **more}
        answer = await self.client.post(f"/actors/{deed}", json=body, headers=OPERATOR)
        assert answer.status == 200, answer.body
        told: dict[str, Any] = answer.json()
        return told

    async def row(self, path: str = WORKER) -> dict[str, Any]:
        (found,) = [each for each in await self.client.actors() if each["path"] == path]
        return found

    async def refused(self, deed: str, status: int, code: str, **body: object) -> Any:
        """The problem that is the answer."""
        answer = await self.client.post(f"/actors/{deed}", json=body, headers=OPERATOR)
        return check_problem(answer, status, code)

    async def all_refused(self, status: int, code: str, path: str) -> None:
        """Whatever is asked of this one."""
        answer = await self.client.get(f"/actors/inspect?path={path}", headers=OPERATOR)
        check_problem(answer, status, code)
        for deed, more in DEEDS.items():
            await self.refused(deed, status, code, path=path, **more)

    async def kill(self, path: str = WORKER) -> None:
        body = {"path": path}
        assert (await self.client.post("/actors/kill", json=body, headers=OPERATOR)).status == 202

    async def until(self, is_so: Callable[[dict[str, Any]], bool], path: str = WORKER) -> None:
        """Until it is so, by the actor's row."""
        for _ in range(1000):
            if is_so(await self.row(path)):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(await self.row(path))


@asynccontextmanager
async def operating(data_dir: Path, session: aiohttp.ClientSession) -> AsyncIterator[Operated]:
    config = Config(port=0, data_dir=data_dir, vision=False, operator_token=SECRET)
    eco = Eco(config)
    async with eco.running(http=True) as system:
        yield Operated(system, Client(session, eco.address.url))


@pytest.fixture
async def operated(tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[Operated]:
    async with operating(tmp_path, session) as operated:
        yield operated


async def test_only_the_operator_looks_inside(operated: Operated) -> None:
    """401 for anybody else, whatever they ask, and nothing is done."""
    client = operated.client
    check_problem(await client.get(f"/actors/inspect?path={WORKER}"), 401, "operator_only")
    for deed, more in DEEDS.items():
        answer = await client.post(f"/actors/{deed}", json={"path": WORKER, **more})
        check_problem(answer, 401, "operator_only")
    told = await operated.inspect()
    assert (told["suspended"], told["trace"]["most"]) == (False, 0)


async def test_what_an_actor_holds_is_told_as_text(operated: Operated) -> None:
    """Its attributes, each cut to a size, and never what ties it to the runtime."""
    told = await operated.inspect(RECOVERY)
    assert {name: told[name] for name in told if name != "attributes"} == {
        "path": RECOVERY, "kind": "Recovery", "state": "running", "incarnation": 1,
        "suspended": False, "trace": {"most": 0, "messages": []},
    }  # fmt: skip
    assert told["attributes"].keys() >= {"_log", "_admission", "_views", "_suspects"}
    for each in await operated.client.actors():
        held = (await operated.inspect(each["path"]))["attributes"]
        assert "_life" not in held
        assert all(type(text) is str and len(text) <= CUT for text in held.values())
    assert "cells" in "".join((await operated.inspect("/eco"))["attributes"])


async def test_a_state_that_cannot_be_written_out_hurts_nobody(operated: Operated) -> None:
    """A repr that raises, recurses or makes no text that can be sent: the rest is told."""

    class Raises:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    class Unsendable:
        def __repr__(self) -> str:
            return "\udcff"

    class Endless:
        def __repr__(self) -> str:
            return f"<{self!r}>"

    cell = operated.system.find(WORKER)
    actor: Any = cell.actor if cell is not None else None
    actor.raises, actor.unsendable, actor.endless = Raises(), Unsendable(), Endless()
    actor.huge = dict.fromkeys(range(10_000), "x" * 1000)
    held = (await operated.inspect())["attributes"]
    assert held["raises"] == "<Raises whose repr raised RuntimeError>"
    assert held["unsendable"] == r"\udcff"
    assert held["endless"] == "<Endless whose repr raised RecursionError>"
    assert len(held["huge"]) == CUT


async def test_a_trace_shows_what_was_taken(operated: Operated) -> None:
    """The last so many messages, oldest first, with their time; none when it is off again."""
    client = operated.client
    told = await operated.do("trace", most=2)
    assert told["trace"] == {"most": 2, "messages": []}
    tasks = [(await client.scanned())[0] for _ in range(3)]
    trace = (await operated.inspect())["trace"]
    assert trace["most"] == 2
    assert [task in each["text"] for task, each in zip(tasks[1:], trace["messages"], strict=True)]
    for each in trace["messages"]:
        assert each.keys() == {"at", "kind", "text", "ago_s"}
        assert (each["kind"], each["text"][:5]) == ("Work", "Work(")
        taken = datetime.fromisoformat(each["at"]) + timedelta(seconds=each["ago_s"])
        assert abs(datetime.now(UTC) - taken) < timedelta(seconds=2)
        assert len(each["text"]) <= CUT
    again = (await operated.inspect())["trace"]["messages"]
    assert [each["at"] for each in again] == [each["at"] for each in trace["messages"]]
    (last,) = (await operated.inspect(more="&last=1"))["trace"]["messages"]
    assert tasks[2] in last["text"]
    assert (await operated.inspect(more="&last=0"))["trace"] == {"most": 2, "messages": []}
    off = {"most": 0, "messages": []}
    assert (await operated.do("trace", most=0))["trace"] == off
    await client.scanned()
    assert (await operated.inspect())["trace"] == off


async def test_a_trace_goes_on_over_a_restart(operated: Operated) -> None:
    """What an actor took before it died is what one wants to see of it."""
    await operated.do("trace", most=MOST_TRACED)
    task_id, _ = await operated.client.scanned()
    await operated.kill()
    await operated.until(lambda row: row["incarnation"] == 2)
    (taken,) = (await operated.inspect())["trace"]["messages"]
    assert task_id in taken["text"]


async def test_who_is_suspended_lets_messages_wait_until_it_is_resumed(operated: Operated) -> None:
    """Scans stand still before it, its mailbox fills; afterwards all of them finish."""
    client = operated.client
    for _ in range(2):  # the second time changes nothing
        assert (await operated.do("suspend"))["suspended"] is True
    tasks = [await client.accepted() for _ in range(3)]
    await operated.until(lambda row: row["mailbox"]["depth"] == 3)
    for task_id in tasks:
        assert (await client.get(f"/scan/{task_id}")).json()["status"] == "processing"
    assert (await operated.row())["mailbox"]["handled"] == 0
    for _ in range(2):
        assert (await operated.do("resume"))["suspended"] is False
    for task_id in tasks:
        check_events(await client.events(task_id), task_id)
    assert (await operated.row())["mailbox"]["handled"] == 3


@pytest.mark.parametrize("path", NEVER)
async def test_who_is_needed_to_resume_or_to_restart_cannot_be_suspended(
    operated: Operated, path: str
) -> None:
    """409 with a sentence; it goes on, and to resume it is harmless."""
    problem = await operated.refused("suspend", 409, "not_suspendable", path=path)
    assert problem["detail"].startswith(f"{path} cannot be suspended: ")
    assert (await operated.inspect(path))["suspended"] is False
    assert (await operated.do("resume", path))["suspended"] is False


async def test_there_is_always_a_way_back(operated: Operated) -> None:
    """With everybody suspended who can be, even a client's connection: all can be resumed."""
    client = operated.client
    async with client.session.get(f"{client.base}/stream?channel=system:actors") as response:
        await response.content.readline()
        actors = [each for each in await client.actors() if "Supervisor" not in each["kind"]]
        assert "SseConnection" in {each["kind"] for each in actors}
        paths = [each["path"] for each in actors if each["path"] not in NEVER]
        for path in paths:
            assert (await operated.do("suspend", path))["suspended"] is True
        for path in paths:
            assert (await operated.inspect(path))["suspended"] is True
            assert (await operated.do("resume", path))["suspended"] is False
        await client.scanned()


async def test_a_server_with_suspended_actors_stops_in_time(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """An end reaches also who takes nothing; the scan that waited goes on at the next start."""
    async with operating(tmp_path, session) as first:
        for path in (WORKER, RECOVERY, "/eco/store"):
            await first.do("suspend", path)
        task_id = await first.client.accepted()
        await first.until(lambda row: row["mailbox"]["depth"] == 1)
        stopping = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopping < 3
    async with operating(tmp_path, session) as second:
        check_events(await second.client.events(task_id), task_id)


async def test_a_killed_actor_comes_back_resumed(operated: Operated) -> None:
    """A suspension is of an incarnation: what waited is handled by the next one."""
    await operated.do("suspend")
    task_id = await operated.client.accepted()
    await operated.until(lambda row: row["mailbox"]["depth"] == 1)
    await operated.kill()
    check_events(await operated.client.events(task_id), task_id)
    told = await operated.inspect()
    assert (told["incarnation"], told["suspended"]) == (2, False)


async def test_who_does_not_run_has_no_inside(operated: Operated) -> None:
    """409 while its supervisor keeps it stopped."""
    supervisor = operated.system.find("/eco/work/pipeline/rule")
    assert supervisor is not None
    await supervisor.ask(StopChild("1"), 5)
    await operated.all_refused(409, "not_running", WORKER)


@pytest.mark.parametrize(
    "path", ["", "/", "eco", "/eco/", "/eco//http", "/eco/nobody", "/eco/http/x", "x" * 2000]
)
async def test_who_is_not_there_has_no_inside(operated: Operated, path: str) -> None:
    """404, also for ways of writing the path of somebody who is."""
    await operated.all_refused(404, "unknown_actor", path)


@pytest.mark.parametrize(
    "query",
    ["", "path=/eco&path=/eco", "path=/eco&last=-1", "path=/eco&last=10001", "path=/eco&last=",
     "path=/eco&last=x", "path=/eco&last=1&last=1", "path=/eco&last=%D9%A1"],
)  # fmt: skip
async def test_a_question_that_is_none_is_a_problem(operated: Operated, query: str) -> None:
    """422 that names the option."""
    answer = await operated.client.get(f"/actors/inspect?{query}", headers=OPERATOR)
    problem = check_problem(answer, 422, "bad_option")
    assert problem["detail"].startswith("last" if "last" in query else "path")


@pytest.mark.parametrize(
    "more",
    [{"most": n} for n in (-1, MOST_TRACED + 1, 10**30, 1.5, "5", True, None)]
    + [{}, {"most": 1, "more": 1}, {"most": 1, "path": 7}],
)
async def test_a_trace_that_cannot_be_is_a_problem(
    operated: Operated, more: dict[str, object]
) -> None:
    """422, and what was traced before goes on to be."""
    await operated.do("trace", most=7)
    await operated.refused("trace", 422, "bad_body", **{"path": WORKER, **more})
    assert (await operated.inspect())["trace"]["most"] == 7


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"path":"/eco/store","x":1}', b'{"path":1}'])
@pytest.mark.parametrize("deed", ["suspend", "resume", "trace"])
async def test_a_wish_that_is_none_is_a_problem(operated: Operated, deed: str, body: bytes) -> None:
    """400 or 422."""
    answer = await operated.client.post(f"/actors/{deed}", data=body, headers=OPERATOR)
    check_problem(answer, 400 if body in (b"", b"{") else 422)
