"""Following with transports that do what the test says, in virtual time."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from typing import Any

import pytest

from eco_actor.client import Bounds, Event, Gap, Opened, Problem, Unreachable, Waiting
from eco_actor.client.ends import Ended, ended
from eco_actor.client.following import Following
from eco_actor.client.link import Asked, Choice, Link
from eco_actor.client.place import Heard, Place, Retry
from eco_actor.runtime.testing import run_virtual
from tests.client.ways import States

SCAN = "scan:t"
ROOM = "app:a"
OPEN = Opened("sse", "fresh")

Script = Sequence[Heard | Ended | float]


def room(number: int) -> Event:
    return Event(ROOM, f"c{number}", {"n": number})


def step(number: int, *, last: bool = False) -> Event:
    name = "reward" if last else "vision"
    data = {"seq": number, "step": name, "status": "completed"}
    return Event(SCAN, f"c{number}", data)


class Scripted:
    """Each connection does what its script says: tells, waits so many seconds, ends. Without an
    end it stays silent."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.opened: list[tuple[float, str | None]] = []  # when, and behind what
        self.closed = 0

    async def listen(self, place: Place) -> AsyncGenerator[Heard, None]:
        self.opened.append((asyncio.get_running_loop().time(), place.joint))
        script = self.scripts.pop(0) if self.scripts else [ended("unreachable")]
        try:
            for each in script:
                if isinstance(each, Ended):
                    raise each
                if isinstance(each, float):
                    await asyncio.sleep(each)
                    continue
                if isinstance(each, Event):
                    place.at(each.channel, each.cursor)
                yield each
            await asyncio.Event().wait()
        finally:
            self.closed += 1


def following(
    sse: Scripted,
    channel: str = ROOM,
    *,
    states: States | None = None,
    transport: Asked = "sse",
    give_up_s: float | None = None,
    poll: Scripted | None = None,
) -> Following:
    """All chances are the worst."""

    def link() -> Link:
        now = asyncio.get_running_loop().time()
        return Link(now, Bounds(), lambda: 1.0, give_up_s)

    ways = {"sse": sse, "poll": poll or Scripted()}
    return Following(Place([channel]), Choice(transport), ways, link, states)


def virtually(main: Coroutine[Any, Any, None]) -> None:
    run_virtual(main)


def test_the_waits_grow_until_something_comes_through() -> None:
    """And start over then; each try goes on behind the last event."""

    async def main() -> None:
        nothing: Script = [ended("unreachable")]
        source = Scripted(
            nothing, nothing, nothing, [OPEN, room(1), ended("cut")], nothing, [room(2)]
        )
        states = States()
        events = following(source, states=states)
        assert await anext(events) == room(1)
        assert await anext(events) == room(2)
        await events.aclose()
        assert source.opened == [(0, None), (1, None), (3, None), (7, None), (8, "c1"), (10, "c1")]
        waits = [each.seconds for each in states if isinstance(each, Waiting)]
        assert waits == [1, 2, 4, 1, 2]
        assert source.closed == 6

    virtually(main())


def test_a_hint_of_the_server_is_waited_instead() -> None:
    """That of a bye as well as the stream's retry."""

    async def main() -> None:
        hint = ended("going_away", wait_s=2.5)
        source = Scripted([OPEN, hint], [Retry(500), ended("cut")], [room(1)])
        assert await anext(following(source)) == room(1)
        assert [when for when, _ in source.opened] == [0, 2.5, 3.5]

    virtually(main())


def test_it_is_given_up_in_time_and_may_be_tried_again() -> None:
    """Unreachable, before the wait that would be too long; iterated again, it goes on."""

    async def main() -> None:
        source = Scripted([OPEN, room(1), ended("cut")])
        events = following(source, give_up_s=20.0)
        assert await anext(events) == room(1)
        with pytest.raises(Unreachable, match="unreachable"):
            await anext(events)
        assert asyncio.get_running_loop().time() == 15  # after waits of 1, 2, 4 and 8 s
        source.scripts = [[room(2)]]
        assert await anext(events) == room(2)
        assert source.opened[-1] == (15, "c1")

    virtually(main())


def test_a_consumer_that_takes_its_time_is_no_failure() -> None:
    """What is waited for the consumer does not count."""

    async def main() -> None:
        source = Scripted([OPEN, room(1), ended("cut")], [ended("unreachable")], [room(2)])
        events = following(source, give_up_s=20.0)
        await anext(events)
        await asyncio.sleep(1000)
        assert await anext(events) == room(2)

    virtually(main())


def test_cancelled_in_a_wait_it_goes_on_behind_the_last_event() -> None:
    """The connection is gone at once; nothing is lost, nothing is told twice."""

    async def main() -> None:
        source = Scripted([room(1), 50.0, room(2)], [room(2), ended("complete")])
        events = following(source)
        assert await anext(events) == room(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await anext(events)
        assert source.closed == 1
        assert [each async for each in events] == [room(2)]
        assert [behind for _, behind in source.opened] == [None, "c1"]
        assert [each async for each in events] == []

    virtually(main())


def test_closing_ends_it_for_whoever_waits() -> None:
    """Another task's iteration is over, quietly, also in the wait for the next try."""

    async def main() -> None:
        for script in ([OPEN], [ended("unreachable", wait_s=3000.0)]):
            source = Scripted(script)
            events = following(source)

            async def read(events: Following = events) -> list[Event | Gap]:
                return [each async for each in events]

            reading = asyncio.create_task(read())
            await asyncio.sleep(5)
            await events.aclose()
            await events.aclose()
            assert await reading == []
            assert source.closed == len(source.opened) == 1

    virtually(main())


def test_a_scan_told_again_after_a_reset_is_not_told_again() -> None:
    """By the numbers of its events; and it is over with its last, without a bye."""

    async def main() -> None:
        gap = Gap(SCAN, "a", "b", 0, "reset")
        source = Scripted(
            [step(1), step(2), ended("cut")],
            [gap, step(1), step(2), step(3), step(4, last=True), step(5)],
        )
        told = [each async for each in following(source, SCAN)]
        assert told == [step(1), step(2), gap, step(3), step(4, last=True)]
        assert source.closed == 2

    virtually(main())


def test_auto_polls_on_behind_what_a_stream_brought() -> None:
    """At once, and for good."""

    async def main() -> None:
        silence: Script = [OPEN, ended("silent")]
        stream = Scripted([OPEN, room(1), ended("silent")], silence, silence)
        poll = Scripted([room(2), ended("cut")], [room(3)])
        states = States()
        events = following(stream, transport="auto", poll=poll, states=states)
        assert [await anext(events) for _ in range(3)] == [room(1), room(2), room(3)]
        assert (events.transport, events.cursor) == ("poll", "c3")
        assert poll.opened == [(3, "c1"), (4, "c2")]
        assert len(stream.opened) == 3

    virtually(main())


def test_what_is_refused_is_raised_once_the_connection_is_gone() -> None:
    """Problem, with what the server said."""

    async def main() -> None:
        source = Scripted([ended("refused", "no", status=410, said="gone")])
        with pytest.raises(Problem) as caught:
            await anext(following(source))
        assert (caught.value.status, caught.value.code, caught.value.detail) == (410, "gone", "no")
        assert str(caught.value) == "410 gone: no"
        assert source.closed == 1

    virtually(main())
