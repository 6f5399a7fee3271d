"""Requests that nobody sends by mistake: answered as the contract says, and at little cost."""

import asyncio
import gc
import io
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest

from eco_actor.app import Eco
from eco_actor.delivery.connection import Connection
from eco_actor.delivery.subscription import Subscription
from eco_actor.scan.admission import Busy
from tests.web.checks import check_problem
from tests.web.client import JPEG, Client, say
from tests.web.held import PICTURE, Held, Running, post

JSON = {"Content-Type": "application/json"}
LIMIT = 8 * 2**20
GLASS = b'{"category":"glass","user_input":"'


@pytest.mark.parametrize("capacity", ["00001" + "9" * 5000, "0000199999", "00001", "+1", "1_0"])
async def test_a_capacity_is_a_number_of_few_digits(plain: Client, capacity: str) -> None:
    """422 for what begins like one and goes on: nothing of it is cut off and nothing ignored."""
    task_id, _ = await plain.scanned()
    answer = await plain.get(f"/scan/{task_id}/stream?capacity={capacity}")
    assert "capacity" in check_problem(answer, 422, "bad_option")["detail"]


@pytest.mark.parametrize("text", [b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"a\x80b", b"\xf8\x88"])
async def test_json_that_is_no_utf_8_is_no_json(plain: Client, text: bytes) -> None:
    """400 bad_json, where its structure is right and the text in it is not."""
    answer = await plain.post(data=GLASS + text + b'"}', headers=JSON)
    check_problem(answer, 400, "bad_json")


@pytest.mark.parametrize("kind", [JSON, JPEG], ids=["json", "jpeg"])
async def test_a_body_that_cannot_be_unpacked_is_the_senders_mistake(
    plain: Client, kind: dict[str, str]
) -> None:
    """415, whether the body is what its Content-Encoding says or not: nobody unpacks it."""
    headers = kind | {"Content-Encoding": "gzip"}
    answer = await plain.post("/scan/classify?category=glass", data=b"abc", headers=headers)
    check_problem(answer, 415, "unsupported_encoding")


@pytest.mark.parametrize("query", ["category=glass&category=metal", "lang=ko&lang=en"])
@pytest.mark.parametrize("as_json", [False, True])
async def test_an_option_that_is_given_twice_is_a_problem(
    plain: Client, query: str, as_json: bool
) -> None:
    """422 that names it: none of the two is taken without a word."""
    body, kind = (b'{"category":"glass"}', JSON) if as_json else (PICTURE, JPEG)
    answer = await plain.post(f"/scan/classify?{query}", data=body, headers=kind)
    name = query.partition("=")[0]
    assert name in check_problem(answer, 422, "bad_option")["detail"]


@pytest.mark.parametrize("name", ["a" * 5000, "a" * 255, "a" * 256, "%00", "..%2frun.py", ""])
async def test_a_file_that_is_not_there_is_a_404_whatever_its_name(
    plain: Client, name: str
) -> None:
    """Also one that no file system can have: the disk is not asked."""
    check_problem(await plain.get(f"/static/{name}"), 404)


async def test_the_answer_that_ends_an_event_source_is_not_stored(plain: Client) -> None:
    """204 with no-store: a cache that kept it would end the streams of others."""
    task_id, messages = await plain.scanned()
    cursor = messages[-2].id
    assert cursor
    answer = await plain.get(f"/scan/{task_id}/stream?after={cursor}")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/scan/classify", "POST"),
        ("DELETE", "/scan/classify", "POST"),
        ("DELETE", "/scan/categories", "GET,HEAD"),
    ],
)
async def test_a_path_of_its_own_is_no_task_id(
    plain: Client, method: str, path: str, allowed: str
) -> None:
    """405 with what is allowed, rather than 404 for a scan of that name."""
    answer = await plain.ask(method, path)
    check_problem(answer, 405)
    assert answer.headers["Allow"] == allowed


def head(length: int, kind: str = "image/jpeg") -> bytes:
    return (
        f"POST /scan/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def test_a_full_server_says_so_before_it_has_read_the_body(
    one_scan: Eco, running: Running
) -> None:
    """503 to the head of a request whose body never comes."""
    async with running(one_scan) as client:
        await post(client)
        answer = await say(client, head(LIMIT), patience=5)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"application/problem+json" in answer


@asynccontextmanager
async def uploads(client: Client, count: int) -> AsyncIterator[None]:
    """So many requests that have sent the beginning of a large body."""
    address = urlsplit(client.base)
    writers = []
    try:
        for _ in range(count):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writers.append(writer)
            writer.write(head(LIMIT) + PICTURE[:100])
            await writer.drain()
        yield
    finally:
        for writer in writers:
            writer.close()
            await writer.wait_closed()


async def status_until(client: Client, wanted: int) -> int:
    """The status of pictures, at the first that is *wanted* or after three seconds."""
    status = 0
    for _ in range(60):
        status = (await client.post(data=io.BytesIO(PICTURE + bytes(2**16)), headers=JPEG)).status
        if status == wanted:
            break
        await asyncio.sleep(0.05)
    return status


async def test_bodies_on_their_way_in_are_bounded(eco: Eco, running: Running) -> None:
    """With eight large ones under way a further one is turned away, a small one never."""
    async with running(eco) as client:
        for _ in range(2):
            async with uploads(client, 8):
                assert await status_until(client, 503) == 503
                assert (await client.post(json={"category": "glass"})).status == 202
                assert (await client.get("/healthz")).status == 200
            assert await status_until(client, 202) == 202
        async with uploads(client, 7):
            assert await status_until(client, 202) == 202


@pytest.mark.parametrize("length", [None, LIMIT, 3 * LIMIT, LIMIT // 2])
def test_room_for_uploads_comes_back_however_they_end(length: int | None) -> None:
    """An unknown length counts as the longest; Busy takes nothing, an exception keeps nothing."""
    from eco_actor.web.uploads import SMALL_BODY, Uploads

    room = Uploads(2 * LIMIT)
    fit = 2 * LIMIT // min(length or LIMIT, LIMIT)
    for _ in range(3):
        with ExitStack() as held:
            for _ in range(fit):
                held.enter_context(room.admit(length))
            assert room._left == 0
            for refused in (None, SMALL_BODY + 1, LIMIT):
                with pytest.raises(Busy), room.admit(refused):
                    pass
            for small in (0, 1, SMALL_BODY):
                with room.admit(small):
                    assert room._left == 0
        assert room._left == 2 * LIMIT
        with pytest.raises(asyncio.CancelledError), room.admit(length):
            raise asyncio.CancelledError
        assert room._left == 2 * LIMIT


def alive() -> int:
    """Connections and subscriptions in memory."""
    return sum(type(each) in (Connection, Subscription) for each in gc.get_objects())


async def test_streams_that_have_ended_leave_nothing_behind(
    make: Callable[..., Eco], running: Running, held: Held
) -> None:
    """Of twenty scans and their streams no object waits for the collector of cycles."""
    eco = await asyncio.to_thread(make)
    held.gate.set()
    async with running(eco) as client:
        await client.scanned()
        gc.collect()
        gc.disable()
        try:
            before = alive()
            for _ in range(20):
                await client.scanned()
            for _ in range(50):  # the last one's handler is ending
                if alive() <= before:
                    break
                await asyncio.sleep(0.02)
            assert alive() <= before
        finally:
            gc.enable()
