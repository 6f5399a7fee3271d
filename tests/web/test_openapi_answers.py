"""What is said of scans and channels is what `/openapi.json` says, to the last field."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from eco_actor.app import Eco
from eco_actor.scan.vision import Guess, Verdict
from tests.web.client import JPEG, Client, blocks
from tests.web.contract_world import channel
from tests.web.credentials import bearer
from tests.web.documented import Documented, check_event, check_schema, the_document
from tests.web.held import PICTURE, Held, Running, post

CLASSIFY = "/scan/classify"
SCAN = "/scan/{task_id}"
EVENTS = "/scan/{task_id}/events"
PUBLISH = "/channels/{channel}/events"

UNSURE = Verdict(None, 0.3, tuple(Guess(name, 0.3) for name in ("glass", "metal", "paper")), "held")


@pytest.fixture(autouse=True)
async def document() -> None:
    await asyncio.to_thread(the_document)  # reads the rules


@pytest.fixture
async def api(
    make: Callable[..., Eco], running: Running, held: Held
) -> AsyncIterator[tuple[Documented, Held]]:
    eco = await asyncio.to_thread(make, operator_token="a-token-of-this-test")
    async with running(eco) as client:
        yield Documented(client, bearer("a-token-of-this-test")), held


Api = tuple[Documented, Held]


async def ended(client: Client, task_id: str) -> None:
    """Follow a scan to its end; each of its messages is as documented."""
    for message in await client.events(task_id):
        if message.data is not None:
            check_event(message, "ScanEvent")


@pytest.mark.parametrize("lang", ["ko", "en"])
async def test_a_good_scan_is_documented(api: Api, lang: str) -> None:
    """Its acceptance, its snapshots and results on the way and at the end, its events."""
    asking, held = api
    task_id = await post(asking.client, f"?lang={lang}")
    await asking.get(SCAN, task_id=task_id)
    await asking.get(f"{SCAN}/result", 202, task_id=task_id)
    held.gate.set()
    await ended(asking.client, task_id)
    told = await asking.get(EVENTS, task_id=task_id)
    assert len(told["events"]) == 5
    assert (await asking.get(SCAN, task_id=task_id))["reward"]
    await asking.get(f"{SCAN}/result", task_id=task_id)
    await asking.ask("DELETE", SCAN, 409, task_id=task_id)
    query = f"?realtime=false&lang={lang}"
    await asking.post(CLASSIFY, 200, query, data=PICTURE, headers=JPEG)
    await asking.post(CLASSIFY, 202, json={"category": "food", "tags": ["soiled"]})


async def test_a_scan_that_is_unsure_is_documented(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without category and rule, with alternatives."""
    asking, _ = api
    monkeypatch.setattr(Held, "classify", lambda *_: UNSURE)
    told = await asking.post(CLASSIFY, 200, "?realtime=false", data=PICTURE, headers=JPEG)
    assert told["rule"] is None
    task_id = told["task_id"]
    await ended(asking.client, task_id)
    await asking.get(SCAN, task_id=task_id)
    await asking.get(EVENTS, task_id=task_id)
    again = {"category": "glass", "after_scan": task_id}
    await asking.post(CLASSIFY, 202, json=again)


async def test_scans_that_end_without_an_answer_are_documented(api: Api) -> None:
    """Those that fail, and those that are cancelled."""
    asking, held = api
    cancelled = await post(asking.client)
    await asking.ask("DELETE", SCAN, 202, task_id=cancelled)
    held.error = RuntimeError("broken")
    held.gate.set()
    failed = await post(asking.client)
    for task_id, status in ((cancelled, "cancelled"), (failed, "failed")):
        await ended(asking.client, task_id)
        assert (await asking.get(SCAN, task_id=task_id))["status"] == status
        await asking.get(EVENTS, task_id=task_id)
        await asking.get(f"{SCAN}/result", 409, task_id=task_id)
    await asking.post(CLASSIFY, 409, "?realtime=false", data=PICTURE, headers=JPEG)


@pytest.mark.parametrize(
    ("status", "given"),
    [
        (400, {"json": [1]}),
        (400, {"data": b"", "headers": JPEG}),
        (400, {"json": {"category": "glass"}, "headers": {"Idempotency-Key": "a b"}}),
        (403, {"json": {"category": "glass"}, "headers": {"Origin": "http://evil.example"}}),
        (413, {"data": "large", "headers": JPEG}),
        (415, {"data": b"x", "headers": {"Content-Type": "text/plain"}}),
        (417, {"json": {"category": "glass"}, "headers": {"Expect": "100-wrong"}}),
        (421, {"json": {"category": "glass"}, "headers": {"Host": "evil.example"}}),
        (422, {"data": b"no picture", "headers": JPEG}),
        (422, {"json": {"category": "unicorn"}}),
        (431, {"json": {"category": "glass"}, "headers": {"X": "y" * 9000}}),
    ],
)
async def test_what_is_refused_is_documented(api: Api, status: int, given: Any) -> None:
    """With the code of the problem among those that the document has for the status."""
    if given.get("data") == "large":
        given = {**given, "data": io.BytesIO(bytes(8 * 2**20 + 1))}
    await api[0].ask("POST", CLASSIFY, status, **given)


async def test_lists_of_what_there_is_are_documented(api: Api) -> None:
    """Categories, conditions and the place, in both languages."""
    for query in ("", "?lang=ko", "?lang=en"):
        assert (await api[0].get("/scan/categories", 200, query))["tags"]
        assert (await api[0].get("/site", 200, query))["bins"]
    await api[0].get("/site", 422, "?lang=tlh")


async def test_publishing_and_polls_of_channels_are_documented(api: Api) -> None:
    """Durable and transient events, a gap, and what is refused."""
    asking, _ = api
    name = channel()
    for number in range(3):
        await asking.post(PUBLISH, 202, channel=name, json={"n": number})
    await asking.post(PUBLISH, 202, "?transient=1", channel=name, json={})
    told = await asking.get(PUBLISH, 200, "?after=earliest", channel=name)
    assert len(told["events"]) == 3
    latest = "?after=earliest&overflow=latest"
    assert (await asking.get(PUBLISH, 200, latest, channel=name))["gap"]
    await asking.get(PUBLISH, 409, "?after=earliest&overflow=close&capacity=1", channel=name)
    await asking.get(PUBLISH, 404, channel="system:nothing")
    await asking.get(PUBLISH, 422, channel="nothing")
    await asking.post(PUBLISH, 403, channel="system:actors", json={})
    await asking.post(PUBLISH, 422, channel=name, json=[])
    await asking.post(PUBLISH, 413, channel=name, json={"x": "y" * 70_000})
    anybody = Documented(asking.client)
    await anybody.post(PUBLISH, 401, channel=name, json={})


async def test_a_stream_of_channels_is_documented(api: Api) -> None:
    """What it opens with, its events and its gap."""
    asking, _ = api
    name = channel()
    for number in range(5):
        await asking.post(PUBLISH, 202, channel=name, json={"n": number})
    query = f"?channel={name}&after=nothing&overflow=latest"
    async with asking.client.session.get(f"{asking.client.base}/stream{query}") as response:
        assert (
            response.content_type
            in the_document()["paths"]["/stream"]["get"]["responses"]["200"]["content"]
        )
        text = ""
        while '"n":4' not in text:
            text += (await response.content.readany()).decode()
    seen = [message for message in blocks(text) if message.data is not None]
    for message in seen:
        check_event(message, "StreamEnvelope")
    assert {message.event for message in seen} == {"eco.open", "eco.gap", None}


async def test_what_goes_over_a_websocket_is_documented(api: Api) -> None:
    """Each kind of message of both sides."""
    asking, _ = api
    messages = the_document()["paths"]["/ws"]["get"]["x-messages"]
    name = channel()
    sent: list[dict[str, Any]] = [
        {"op": "subscribe", "id": 1, "channel": name, "after": "x", "overflow": "buffer"},
        {"op": "publish", "id": 2, "channel": name, "data": {"n": 1}},
        {"op": "publish", "id": None, "channel": name, "data": {"n": 2}, "transient": True},
        {"op": "ping", "id": "3"},
        {"op": "nothing", "id": 4},
    ]
    last = {"op": "unsubscribe", "id": 5, "channel": name}
    heard: list[dict[str, Any]] = []
    async with asking.client.session.ws_connect(
        f"{asking.client.base}/ws", headers=asking.headers
    ) as socket:
        for command in sent:
            if command["op"] != "nothing":
                check_message(command, messages["client"])
            await socket.send_json(command)
        while sum(each["op"] in ("event", "error") for each in heard) < 3:
            heard.append(await socket.receive_json(timeout=20))
        check_message(last, messages["client"])
        await socket.send_json(last)
        while heard[-1]["op"] != "unsubscribed":
            heard.append(await socket.receive_json(timeout=20))
    for message in heard:
        check_message(message, messages["server"])
    told = {"subscribed", "gap", "published", "event", "pong", "error", "unsubscribed"}
    assert {message["op"] for message in heard} == told


def check_message(message: Any, schema: Any) -> None:
    """It is the kind that its op says it is, and one of these."""
    check_schema(message, {"$ref": schema["discriminator"]["mapping"][message["op"]]})
    check_schema(message, schema)
