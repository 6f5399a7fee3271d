"""The room that bodies have, and how fast they have to arrive."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor import routes
from eco_actor.app import Eco
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.admission import Busy
from eco_actor.web.classify import ClassifyRoute
from eco_actor.web.problems import Problem
from eco_actor.web.requests import BOUNDS, JSON
from eco_actor.web.uploads import (
    GRACE_S,
    LEAST_RATE,
    MAX_BODY,
    SMALL_BODY,
    TINY_BODY,
    UPLOAD_S,
    Bound,
    Pace,
    Uploads,
    read_content,
)
from tests.web.client import JPEG, Client
from tests.web.held import PICTURE, Held, Running
from tests.web.keyed_scans import scans

MIB: Final = 2**20
ROOM: Final = MIB
SMALL_ROOM: Final = 4 * SMALL_BODY
LARGE: Final = PICTURE + bytes(MIB * 3 // 4)
LONG_S: Final = 20.0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3 * SMALL_BODY)), max_size=60),
    st.sampled_from([1.0, 1.75]),
)
def test_what_bodies_hold_is_within_the_room_and_comes_back(
    pieces: list[tuple[int, int]], memory: float
) -> None:
    """However four of them grow: what is held is what is here; Busy takes nothing."""
    room, small = 6 * SMALL_BODY, 2 * SMALL_BODY
    uploads, sizes = Uploads(room, small), [0] * 4
    with ExitStack() as all_of_them:
        bound = Bound(MAX_BODY, memory)
        rooms = [all_of_them.enter_context(uploads.admit(None, bound)) for _ in sizes]
        for which, more in pieces:
            left = uploads.large.left, uploads.small.left
            try:
                rooms[which].grow(sizes[which] + more)
                sizes[which] += more
            except Busy:
                assert left == (uploads.large.left, uploads.small.left)
            large = sum(int(each * memory) for each in sizes if each > SMALL_BODY)
            few = sum(each for each in sizes if TINY_BODY < each <= SMALL_BODY)
            assert (uploads.large.left, uploads.small.left) == (room - large, small - few)
            assert min(uploads.large.left, uploads.small.left) >= 0
    assert (uploads.large.left, uploads.small.left) == (room, small)


@pytest.mark.parametrize("length", [None, 0, SMALL_BODY, MAX_BODY, 3 * MAX_BODY])
def test_a_body_of_which_nothing_is_here_holds_nothing(length: int | None) -> None:
    """Whatever it says of its length, also when it is given up."""
    uploads = Uploads(MAX_BODY)
    with ExitStack() as silent:
        for _ in range(100):
            silent.enter_context(uploads.admit(length))
        assert uploads.large.left == MAX_BODY
    with suppress(asyncio.CancelledError), uploads.admit(length) as room:
        room.grow(SMALL_BODY + 1)
        raise asyncio.CancelledError
    assert uploads.large.left == MAX_BODY


def test_a_length_for_which_there_is_no_room_is_refused_at_once() -> None:
    """Before a byte of it is read; small ones have their own room, tiny ones always have some."""
    uploads = Uploads(MAX_BODY, SMALL_BODY)
    with uploads.admit(None) as large, uploads.admit(None) as small:
        large.grow(MAX_BODY)
        with pytest.raises(Busy), uploads.admit(SMALL_BODY + 1):
            pass
        small.grow(SMALL_BODY)
        with pytest.raises(Busy), uploads.admit(SMALL_BODY):
            pass
        with uploads.admit(TINY_BODY) as tiny:
            tiny.grow(TINY_BODY)
    with uploads.admit(None, BOUNDS[JSON]) as in_json, pytest.raises(Busy):
        in_json.grow(MAX_BODY)  # with the picture that is in it, it is more


class Arriving:
    """A body as it comes: pieces, each after so many seconds."""

    def __init__(self, pieces: Sequence[tuple[float, bytes]]) -> None:
        self._pieces = iter(pieces)

    def is_eof(self) -> bool:
        return False

    def exception(self) -> None:
        return None

    async def readany(self) -> bytes:
        wait_s, piece = next(self._pieces, (0.0, b""))
        await asyncio.sleep(wait_s)
        return piece


def read(pieces: Sequence[tuple[float, bytes]], pace: Pace) -> tuple[float, bytes | Problem]:
    """What becomes of such a body, and when, in virtual time."""

    async def main() -> tuple[float, bytes | Problem]:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            told: bytes | Problem = await read_content(Arriving(pieces), MAX_BODY, pace)
        except Problem as problem:
            told = problem
        return clock() - began, told

    return run_virtual(main())


@given(st.lists(st.tuples(st.floats(0.01, 8), st.integers(1, 60_000)), max_size=30))
def test_a_body_is_read_as_long_as_it_is_fast_enough(pieces: list[tuple[float, int]]) -> None:
    """408 at the moment at which it is too slow on the average, and not a moment before."""
    pace, here, now, slow_at = Pace(), 0, 0.0, None
    for wait_s, size in pieces:
        until = min(UPLOAD_S, max(GRACE_S, here / LEAST_RATE))
        now += wait_s
        if now > until - 1e-6:
            slow_at = until
            break
        here += size
    at, told = read([(wait_s, bytes(size)) for wait_s, size in pieces], pace)
    if slow_at is None:
        assert told == bytes(here)
    else:
        assert isinstance(told, Problem)
        assert (told.status, told.code) == (408, "too_slow")
        assert at == pytest.approx(slow_at, abs=1e-6)


def test_the_answer_says_which_bound_it_was() -> None:
    """Slower than the least rate, or longer than the whole time."""
    for pieces, said, at in (
        ([(99.0, b"x")], "slower than 8192 bytes a second", GRACE_S),
        ([(0.5, bytes(10_000))] * 99, "longer than 30 s", UPLOAD_S),
    ):
        ended, told = read(pieces, Pace())
        assert isinstance(told, Problem)
        assert said in told.detail
        assert ended == pytest.approx(at, abs=1e-6)


@pytest.fixture
def uploads() -> Uploads:
    return Uploads(ROOM, SMALL_ROOM)


@pytest.fixture
def narrow(
    make: Callable[..., Eco], uploads: Uploads, held: Held, monkeypatch: pytest.MonkeyPatch
) -> Eco:
    """Has little room for bodies."""
    held.gate.set()
    monkeypatch.setattr(routes, "ClassifyRoute", partial(ClassifyRoute, uploads=uploads))
    return make()


@pytest.fixture
def strict(make: Callable[..., Eco], held: Held, monkeypatch: pytest.MonkeyPatch) -> Eco:
    """Bodies have to come at once, but may take long."""
    held.gate.set()
    pace = Pace(seconds=LONG_S, grace_s=0.1, least_rate=1e12)
    monkeypatch.setattr(routes, "ClassifyRoute", partial(ClassifyRoute, pace=pace))
    return make()


class Peer:
    """A request of which not all is sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def chunk(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data) if data else b"0\r\n\r\n")
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(LONG_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ")[1]), head


@asynccontextmanager
async def begun(client: Client, kind: str, length: int | None = None) -> AsyncIterator[Peer]:
    """A request to scan that the server has begun to read."""
    address = urlsplit(client.base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = (
        f"POST /scan/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{size}\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    try:
        writer.write(head.encode())
        async with asyncio.timeout(LONG_S):
            assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        yield Peer(reader, writer)
    finally:
        writer.close()


async def until(client: Client, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():
            await client.get("/healthz")


@pytest.mark.parametrize("length", [None, MIB // 2])
@pytest.mark.parametrize("kind", ["application/json", "image/jpeg"])
async def test_who_sends_nothing_keeps_nobody_out(
    narrow: Eco, running: Running, kind: str, length: int | None
) -> None:
    """Whatever a crowd of silent ones says of the length of its bodies."""
    async with running(narrow) as client, AsyncExitStack() as silent:
        for _ in range(20):
            await silent.enter_async_context(begun(client, kind, length))
        answer = await client.post(data=LARGE, headers=JPEG)
        assert answer.status == 202, answer.body


async def test_a_body_for_which_there_is_no_room_is_refused_and_nothing_is_accepted(
    narrow: Eco, running: Running, uploads: Uploads
) -> None:
    """503 with Retry-After in the middle of it; the one that has room goes on to its end."""
    async with running(narrow) as client:
        async with begun(client, "image/jpeg") as first, begun(client, "image/jpeg") as second:
            await first.chunk(LARGE)
            await until(client, lambda: uploads.large.left == ROOM - len(LARGE))
            await second.chunk(LARGE)
            status, head = await second.answer()
            assert status == 503
            assert b"Retry-After: " in head
            assert b"application/problem+json" in head
            assert (await client.post(data=LARGE, headers=JPEG)).status == 503
            assert await scans(narrow) == []
            assert (await client.post(data=PICTURE, headers=JPEG)).status == 202
            await first.chunk(b"")
            assert (await first.answer())[0] == 202
        await until(client, lambda: (uploads.large.left, uploads.small.left) == (ROOM, SMALL_ROOM))
        assert (await client.post(data=LARGE, headers=JPEG)).status == 202


async def test_small_bodies_are_bounded_and_tiny_ones_always_come_in(
    narrow: Eco, running: Running, uploads: Uploads
) -> None:
    """With their room used up small ones are turned away; large ones and a category come in."""
    async with running(narrow) as client, AsyncExitStack() as slow:
        for _ in range(4):
            peer = await slow.enter_async_context(begun(client, "image/jpeg"))
            await peer.chunk(bytes(SMALL_BODY))
        await until(client, lambda: uploads.small.left == 0)
        async with begun(client, "image/jpeg") as one_more:
            await one_more.chunk(bytes(SMALL_BODY))
            assert (await one_more.answer())[0] == 503
        assert (await client.post(json={"category": "glass"})).status == 202
        assert (await client.post(data=LARGE, headers=JPEG)).status == 202


@pytest.mark.parametrize("length", [None, MIB])
async def test_a_body_that_comes_too_slowly_is_ended(
    strict: Eco, running: Running, length: int | None
) -> None:
    """408 long before its time is over, and nothing is accepted."""
    async with running(strict) as client:
        async with begun(client, "image/jpeg", length) as peer:
            if length is None:
                await peer.chunk(PICTURE)
            status, head = await peer.answer()
            assert status == 408
            assert b"application/problem+json" in head
        assert await scans(strict) == []
