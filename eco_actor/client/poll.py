"""Following by long polling."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any, Final
from urllib.parse import quote

from eco_actor.client.ends import Ended, ended
from eco_actor.client.http import Http, Request
from eco_actor.client.link import jittered
from eco_actor.client.place import Heard, Place
from eco_actor.client.told import Event, Gap, Opened

LIMIT: Final = 100
"""Events of an answer, at most."""

SOON_S: Final = 1.0
"""Seconds that an answer has to take which has nothing, or those before the next are waited."""

STEP: Final = 4
"""By how much less is asked for when an answer was lost, and more when one came."""


class Poll:
    """One request for each channel at a time, and one answer of each in memory."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._limit = LIMIT  # over a line that is cut all the time only little comes through
        self._idle: dict[str, int] = {}  # answers in a row that came at once, and had nothing

    async def listen(self, place: Place) -> AsyncGenerator[Heard, None]:
        """What is told, until a request fails. The next request for a channel waits until all of
        the answer before was asked for; where somebody in between answers at once with nothing, it
        waits longer and longer, as after a failure. Ended."""
        self._idle = {}
        asked = {self._ask(place, name): name for name in place.channels}
        told: set[str] = set()  # channels that were opened
        try:
            while asked:
                done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    channel = asked.pop(each)
                    answer = each.result()
                    if channel not in told:
                        told.add(channel)
                        yield Opened("poll", str(answer.get("resume")))
                    for heard in _heard(place, channel, answer):
                        yield heard
                    if answer.get("done"):
                        place.over(channel)
                    elif channel in place.channels:
                        asked[self._ask(place, channel)] = channel
            raise ended("complete")
        finally:
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    def _ask(self, place: Place, channel: str) -> "asyncio.Task[dict[str, Any]]":
        """Ends with `listen`, which waits for it."""
        return asyncio.get_running_loop().create_task(self._answer(place, channel))

    async def _answer(self, place: Place, channel: str) -> dict[str, Any]:
        """Ended."""
        bounds = self._http.bounds
        if idle := self._idle.get(channel):
            first_s, most_s = bounds.first_s, bounds.most_s
            await asyncio.sleep(jittered(idle, first_s, most_s, self._http.random()))
        cursor = place.cursors[channel]
        # without a cursor it is from now on: should this answer be lost, then from later on
        wait_s = 0.0 if cursor is None else bounds.poll_s
        query = [("wait", f"{wait_s:g}"), ("limit", str(self._limit)), *place.query()]
        if cursor is not None:
            query.append(("after", cursor))
        path = f"/channels/{quote(channel, safe=':')}/events"
        now = asyncio.get_running_loop().time
        asked_at = now()
        try:
            answer = await self._http.once(
                Request("GET", path, query), bounds.poll_s + bounds.connect_s
            )
        except Ended:
            self._limit = max(1, self._limit // STEP)
            raise
        self._limit = min(LIMIT, self._limit * STEP)
        told = answer.json()
        if not isinstance(told, dict):
            raise ended("not_a_stream", "an answer that is no object", status=answer.status)
        soon = now() - asked_at < min(SOON_S, bounds.poll_s)
        nothing = not told.get("events") and told.get("cursor") == cursor
        self._idle[channel] = self._idle.get(channel, 0) + 1 if soon and nothing else 0
        return told


def _heard(place: Place, channel: str, told: dict[str, Any]) -> Iterator[Heard]:
    """What an answer says: a gap stands where its events would have. Ended."""
    try:
        gap = None if told["gap"] is None else Gap.of(told["gap"])
        behind = gap is not None and gap.reason == "overflow" and place.overflow == "drop"
        if gap is not None and not behind:
            yield gap
        for each in told["events"]:
            place.at(channel, each["cursor"])
            yield Event(channel, each["cursor"], each["data"])
        if gap is not None and behind:
            yield gap
        place.at(channel, told["cursor"])
    except (ValueError, TypeError, KeyError) as error:
        raise ended("not_a_stream", "an answer that is none") from error
