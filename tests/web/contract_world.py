"""What the tests of the contract do to a server, and how they know that nothing was lost."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp

from tests.web.client import Client
from tests.web.contract_clients import Follower, Item, Lost, Sse, Told
from tests.web.credentials import bearer
from tests.web.serving import Server

F = TypeVar("F", bound=Follower)


def channel(kind: str = "app") -> str:
    """One that nobody else uses."""
    return f"{kind}:{uuid4().hex}"


class World:
    """A server, and its operator who publishes."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self.client = Client(session, url)
        self.url = url
        self.operator = bearer(token)
        self.followers: list[Follower] = []

    async def open(
        self,
        kind: type[F],
        *channels: str,
        after: str | None = None,
        headers: Mapping[str, str] | None = None,
        small: bool = False,
        **options: object,
    ) -> F:
        """Follow *channels* under these options (overflow, capacity, interval_ms). Declined.

        With *small*, its kernel takes little. It is closed with this world.
        """
        made = kind(self.url, channels)
        self.followers.append(made)
        asked = {"after": after, **options}
        chosen = {name: value for name, value in asked.items() if value is not None}
        await made.begin(chosen, headers or {}, small)
        return made

    def close(self) -> None:
        """Let all its clients leave."""
        for follower in self.followers:
            follower.close()

    async def publish(self, channel: str, data: Any, **options: object) -> str | None:
        """The cursor of an event that was taken."""
        path = f"/channels/{channel}/events?{urlencode(options)}"
        answer = await self.client.post(path, json=data, headers=self.operator)
        assert answer.status == 202, answer.body
        cursor = answer.json()["cursor"]
        assert cursor is None or isinstance(cursor, str)
        return cursor

    async def numbers(self, channel: str, *numbers: int, **options: object) -> list[str]:
        """Publishes {"n": number} one after the other; their cursors."""
        told = [await self.publish(channel, {"n": number}, **options) for number in numbers]
        return [cursor for cursor in told if cursor is not None]

    async def flood(
        self, channel: str, number: int, size: int = 30_000, key: str | None = None
    ) -> str:
        """Publishes many, together more than any socket takes; the cursor of the last."""
        options = {} if key is None else {"key": key}
        pad = "x" * size
        await asyncio.gather(
            *(self.publish(channel, {"n": n, "pad": pad}, **options) for n in range(number - 1))
        )
        last = await self.publish(channel, {"n": number - 1, "pad": pad}, **options)
        assert last is not None
        return last

    async def behind(
        self, kind: type[Follower], channel: str, after: str, upto: str
    ) -> list[tuple[str, Any]]:
        """What the log has of *channel* behind *after*, up to the cursor *upto*."""
        found: list[tuple[str, Any]] = []
        follower = await self.open(kind, channel, after=after)
        assert follower.verdict == "recovered"
        while not found or found[-1][0] != upto:
            told = await follower.event()
            assert told.cursor is not None
            found.append((told.cursor, told.data))
        follower.close()
        return found

    async def check_accounted(
        self, kind: type[Follower], channel: str, after: str, upto: str, seen: Sequence[Item]
    ) -> list[Lost]:
        """What was published behind *after* up to *upto* was told, once and in order, or lies in a
        gap.

        Each gap can be read again, and counts just what is missing. Returns the gaps.
        """
        told = [(each.cursor, each.data) for each in seen if isinstance(each, Told)]
        gaps = [each for each in seen if isinstance(each, Lost)]
        everything = await self.behind(Sse, channel, after, upto)
        order = [cursor for cursor, _ in everything]
        assert [pair for pair in everything if pair[0] in dict(told)] == told
        covered: set[str] = set()
        for gap in gaps:
            assert gap.channel == channel
            lies = [cursor for cursor, _ in await self.behind(kind, channel, gap.begin, gap.end)]
            missing = [cursor for cursor in lies if cursor not in dict(told)]
            assert missing[0] == lies[0], "it begins just before the first that is missing"
            assert missing[-1] == lies[-1], "it ends with the last"
            assert len([each for each in missing if each not in covered]) == gap.dropped
            covered.update(missing)
        assert {*order} == {*dict(told)} | covered
        return gaps


async def until(follower: Follower, cursor: str) -> list[Item]:
    """Items up to the event of this cursor, or to all that comes with a gap that ends there."""
    seen: list[Item] = []
    ends = False
    while not ends or follower.waiting:
        item = await follower.next()
        seen.append(item)
        assert isinstance(item, Told | Lost), seen
        ends = ends or cursor in (getattr(item, "cursor", None), getattr(item, "end", None))
    return seen


def numbers(items: Sequence[Item]) -> list[int]:
    return [each.data["n"] for each in items if isinstance(each, Told)]


@asynccontextmanager
async def world_of(
    session: aiohttp.ClientSession, server: Server, token: str | None = None
) -> AsyncIterator[World]:
    """*server*, and the token that it was given, or else has made."""
    if token is None:
        token = await asyncio.to_thread((server.data_dir / "operator-token").read_text)
    world = World(session, server.url, token.strip())
    try:
        yield world
    finally:
        world.close()


def go_on(gates: Path) -> None:
    """Let all steps be done."""
    for step in ("vision", "rule", "answer", "reward"):
        (gates / step).touch()
