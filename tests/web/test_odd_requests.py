"""Requests that nobody sends by mistake: answered as the contract says, and at little cost."""

import asyncio
import gc
from collections.abc import Callable

import pytest

from eco_actor.app import Eco
from eco_actor.delivery.connection import Connection
from eco_actor.delivery.subscription import Subscription
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
