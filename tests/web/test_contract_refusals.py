"""What cannot be followed is refused on every transport, with the same words."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.web.contract_clients import Declined, Follower, Sse
from tests.web.contract_sockets import CHANNELS, WsJson
from tests.web.contract_world import World, channel, numbers, world_of
from tests.web.serving import Server

KINDS = pytest.mark.parametrize("kind", CHANNELS)


@pytest.fixture
async def world(session: aiohttp.ClientSession, plain_server: Server) -> AsyncIterator[World]:
    async with world_of(session, plain_server) as world:
        yield world


@KINDS
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("app", 422, "bad_channel"),
        (":x", 422, "bad_channel"),
        ("app:", 422, "bad_channel"),
        ("App:x", 422, "bad_channel"),
        ("app:x y", 422, "bad_channel"),
        ("app:한국", 422, "bad_channel"),
        ("app:" + "x" * 129, 422, "bad_channel"),
        ("system:nothing", 404, "unknown_channel"),
        ("other:x", 404, "unknown_channel"),
        ("scan:" + "A" * 22, 404, "unknown_task"),
    ],
)
async def test_a_channel_that_there_is_not_is_refused(
    world: World, kind: type[Follower], name: str, status: int, code: str
) -> None:
    """422 for what is no name, 404 for what is not there; a WebSocket's command gets an error."""
    with pytest.raises(Declined) as declined:
        await world.open(kind, name)
    assert declined.value.status in (status, 0)
    assert declined.value.code == code


@KINDS
@pytest.mark.parametrize(
    "options",
    [
        {"overflow": "nonsense"},
        {"overflow": "BUFFER"},
        {"capacity": 0},
        {"capacity": 4097},
        {"capacity": -1},
        {"overflow": "latest", "interval_ms": 0},
        {"overflow": "buffer", "interval_ms": 100},
        {"overflow": "coalesce", "interval_ms": 3_600_001},
    ],
)
async def test_an_option_that_cannot_be_is_refused(
    world: World, kind: type[Follower], options: dict[str, Any]
) -> None:
    """bad_option, and its detail names the option."""
    with pytest.raises(Declined) as declined:
        await world.open(kind, channel(), **options)
    assert declined.value.status in (422, 0)
    assert declined.value.code == "bad_option"


async def test_one_bad_channel_refuses_the_whole_request(world: World) -> None:
    """Nothing is half opened; a WebSocket opened without channels answers each by itself."""
    good = channel()
    for kind in (Sse, WsJson):
        with pytest.raises(Declined) as declined:
            await world.open(kind, good, "scan:" + "B" * 22)
        assert (declined.value.status, declined.value.code) == (404, "unknown_task")
    with pytest.raises(Declined) as declined:
        await world.open(Sse)
    assert (declined.value.status, declined.value.code) == (422, "bad_option")
    many = [f"app:{n}" for n in range(101)]
    for kind in (Sse, WsJson):
        with pytest.raises(Declined) as declined:
            await world.open(kind, *many)
        assert declined.value.status == 422
    await world.open(Sse, *many[:100])


async def test_the_same_channel_twice_is_once(world: World) -> None:
    """Each of its events comes once."""
    name = channel()
    for kind in (Sse, WsJson):
        follower = await world.open(kind, name, name)
        await world.numbers(name, 1, 2)
        assert numbers(await follower.events(2)) == [1, 2]
