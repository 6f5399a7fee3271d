"""Polls that are answered before their time, in virtual time: no busy loop comes of it."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, cast

from eco_actor.client import Bounds, Event
from eco_actor.client.http import Answer, Http, Request
from eco_actor.client.place import Place
from eco_actor.client.poll import SOON_S, Poll
from eco_actor.runtime.testing import run_virtual

ROOM = "app:a"
PATIENCE_S = 1000.0


class Answers:
    """In place of `Http`: says what it is told to, so many seconds after it was asked; the last
    saying for ever. All chances are the worst."""

    def __init__(self, *sayings: tuple[float, dict[str, Any]]) -> None:
        self.bounds = Bounds()
        self.random = lambda: 1.0
        self.asked: list[float] = []
        self._sayings = list(sayings)

    async def once(self, request: Request, seconds: float) -> Answer:
        self.asked.append(asyncio.get_running_loop().time())
        after_s, told = self._sayings.pop(0) if len(self._sayings) > 1 else self._sayings[0]
        await asyncio.sleep(after_s)
        return Answer(200, {}, json.dumps({"resume": "recovered", "gap": None} | told).encode())


def answer(*numbers: int, cursor: str | None) -> dict[str, Any]:
    events = [{"cursor": f"c{n}", "data": {"n": n}} for n in numbers]
    return {"events": events, "cursor": cursor}


async def heard(answers: Answers, after: str | None, channels: int = 1) -> list[int]:
    """The numbers that come while it is listened for PATIENCE_S."""
    names = [f"{ROOM}{n}" for n in range(channels)]
    found: list[int] = []
    listening = Poll(cast("Http", answers)).listen(Place(names, after))
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for each in listening:
                found += [each.data["n"]] if isinstance(each, Event) else []
    except TimeoutError:
        return found
    finally:
        await listening.aclose()
    raise AssertionError("it ended")


def virtually(main: Coroutine[Any, Any, None]) -> None:
    run_virtual(main)


def test_empty_answers_that_come_at_once_are_waited_out() -> None:
    """As after failures: the waits double, up to the same bound; also where no cursor ever comes,
    and each channel by itself."""

    async def main() -> None:
        for cursor in ("c1", None):
            begin = asyncio.get_running_loop().time()
            answers = Answers((0.01, answer(cursor=cursor)))
            await heard(answers, cursor)
            asked = [round(each - begin) for each in answers.asked]
            assert asked[:8] == [0, 1, 3, 7, 15, 31, 61, 91]
            several = Answers((0.01, answer(cursor=cursor)))
            await heard(several, cursor, channels=3)
            assert len(several.asked) == 3 * len(answers.asked)

    virtually(main())


def test_news_and_answers_that_took_their_time_are_asked_on_at_once() -> None:
    """An event, a cursor that is another, or a wait as it should be: the next wait is the first."""

    async def main() -> None:
        idle = (0.0, answer(cursor="c1"))
        answers = Answers(
            idle,
            idle,
            (0.0, answer(2, cursor="c2")),
            (0.0, answer(cursor="c3")),
            (SOON_S, answer(cursor="c3")),
            (0.0, answer(cursor="c3")),
            (PATIENCE_S, answer(cursor="c3")),
        )
        assert await heard(answers, "c1") == [2]
        assert answers.asked == [0, 1, 3, 3, 3, 4, 5]

    virtually(main())
