"""A part of a crash run: a data directory, some kills, clients that go through all, a judgement."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.crash_judge import Tally, judge, read, unfinished
from bench.crash_load import CHANNELS, TOKEN, Load
from bench.crash_points import POINTS, Phase, Point
from bench.crash_readers import CHANNELS as CHANNEL_TRANSPORTS
from bench.crash_readers import SCANS, Reader, Transport, poll, position, sse, ws_json, ws_msgpack
from bench.crash_server import PATIENCE_S, Server, Violation, Zygote

BY_NAME: Final = {point.name: point for point in POINTS}

MOST_HITS: Final = 12
"""Which time that a point is passed is the end of the process, at most."""

LATEST_S: Final = {Phase.STARTING: 0.05, Phase.SERVING: 0.05, Phase.CLOSING: 0.03}
"""The latest random instant, from the fork, the first requests, the SIGTERM."""

LEAVES_WORK: Final = "before the answer step"
"""A point that leaves a scan unfinished."""

STARTS: Final = (Phase.STARTING, Phase.RESUMING)


@dataclass(frozen=True, slots=True)
class Kill:
    """At the *nth* time that a point is passed; without one, *delay* seconds into the phase."""

    phase: Phase
    point: str | None = None
    nth: int = 1
    delay: float = 0.0

    def __str__(self) -> str:
        if self.point is None:
            return f"{self.delay * 1000:.1f} ms into {self.phase.value}"
        return f"{self.point} ({self.nth})"


def at_points(
    rng: random.Random, points: Sequence[Point], times: int = 1, most_hits: int = MOST_HITS
) -> list[Kill]:
    """Each point so many times. A start is never killed twice in a row, so that no step of a scan
    is ended three times, which would be the end of the scan."""
    kills: list[Kill] = []
    for _ in range(times):
        for point in rng.sample(points, len(points)):
            if point.phase is Phase.RESUMING or (kills and kills[-1].phase in STARTS):
                kills.append(Kill(Phase.SERVING, LEAVES_WORK))
            nth = 1 if point.phase is not Phase.SERVING else rng.randint(1, most_hits)
            kills.append(Kill(point.phase, point.name, nth))
    return kills


def at_random(rng: random.Random, count: int) -> list[Kill]:
    """Random instants of all phases, most while it serves."""
    kills: list[Kill] = []
    while len(kills) < count:
        phase = rng.choice((Phase.SERVING, Phase.SERVING, Phase.STARTING, Phase.CLOSING))
        if phase is Phase.STARTING and kills and kills[-1].phase is phase:
            phase = Phase.SERVING
        kills.append(Kill(phase, delay=rng.random() * LATEST_S[phase]))
    return kills


def posters(rng: random.Random) -> list[tuple[Sequence[Transport], int]]:
    """By what clients follow the scans that they post, and how many at a time."""
    wandering = rng.sample(SCANS, len(SCANS))
    several = [([sse], 2), ([ws_json], 2), ([ws_msgpack], 3)]
    return [*(([each], 1) for each in SCANS), *several, (wandering, 1)]


class Run:
    """The kills of one phase, one after the other, under load."""

    def __init__(self, server: Server, load: Load, rng: random.Random) -> None:
        self.server = server
        self.load = load
        self._rng = rng
        self._work: list[asyncio.Task[None]] = []  # ends once the load is told so
        self._followers: list[Reader] = []  # of channels, which have no end
        self._following: list[asyncio.Task[None]] = []
        self._left: set[str] = set()  # scans that an end left unfinished
        self.history: list[Kill] = []
        self.left: Counter[int] = Counter()  # see `Tally`

    async def through(self, kills: Sequence[Kill]) -> None:
        """Start, go through all kills, let everybody finish, and stop in order."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            await self.server.start()
            self._begin()
            for kill in kills:
                await self._one(kill)
            if not self.server.runs:
                await self.server.start()
            await self._finish()
            for each in self._following:
                each.cancel()
        self.server.terminate()
        status = await self.server.ended()
        if status != 0:
            raise Violation(f"it stopped with status {status}")

    def _begin(self) -> None:
        load = self.load
        for transports, count in posters(self._rng):
            self._spawn(load.post_scans(transports, count))
        for _ in range(2):
            self._spawn(load.publish())
        wandering = self._rng.sample(CHANNEL_TRANSPORTS, len(CHANNEL_TRANSPORTS))
        followers: list[tuple[str, tuple[str, ...], Sequence[Transport], bool]] = [
            ("sse 1", CHANNELS, [sse], True),
            ("sse 2", CHANNELS, [sse], True),
            ("ws json", CHANNELS, [ws_json], False),
            ("ws msgpack", CHANNELS, [ws_msgpack], False),
            ("poll", CHANNELS[:1], [poll], True),
            ("wanderer", CHANNELS[1:], wandering, True),
        ]
        for name, channels, transports, ordered in followers:
            reader = Reader(load.http, self.server, channels, transports, name, ordered)
            load.book.readers.append(reader)
            self._followers.append(reader)
            self._following.append(self._tasks.create_task(reader.run()))

    def _spawn(self, what: Any) -> None:
        self._work.append(self._tasks.create_task(what))

    async def _one(self, kill: Kill) -> None:
        server, board = self.server, self.server.board
        board.disarm()
        if kill.phase in STARTS:
            if server.runs:  # it is the first kill
                await self._end(Kill(Phase.SERVING))
            await self._end_start(kill)
        else:
            if not server.runs:
                await server.start()
            await self._drained()
            await self._end(kill)

    async def _end_start(self, kill: Kill) -> None:
        server = self.server
        if kill.point is not None:
            server.board.arm(kill.point, kill.nth)
            await server.fork()
            await server.listens()
        else:
            await server.fork()
            await asyncio.sleep(kill.delay)
            server.kill()
        await self._ended(kill)

    async def _end(self, kill: Kill) -> None:
        server = self.server
        if kill.point is not None:
            server.board.arm(kill.point, kill.nth)
        if kill.phase is Phase.CLOSING:
            server.terminate()
        if kill.point is None:
            await asyncio.sleep(kill.delay)
            server.kill()
        await self._ended(kill)

    async def _ended(self, kill: Kill) -> None:
        try:
            status = await self.server.ended()
        except TimeoutError:
            raise Violation(f"{kill} was not passed within {PATIENCE_S:g} s") from None
        self.history.append(kill)
        fired = self.server.board.fired
        if kill.point is not None and fired != kill.point:
            raise Violation(f"{kill}: it ended before, with status {status}")
        if status == 0 and kill.phase is Phase.CLOSING and kill.point is None:
            return  # it was faster
        if status != -9:
            raise Violation(f"{kill}: it ended with status {status}")
        book = self.load.book
        book.kills += 1
        found = unfinished(self.server.data_dir)
        self._left.update(found)
        self.left.update(found.values())
        for task_id in self._left - book.followed.keys():
            self._spawn(self.load.reader([task_id]).run())  # its client was never told

    async def _drained(self) -> None:
        """Wait until everybody is back, and the scans of before are over: one that is killed three
        times in a step fails."""
        for reader in self._followers:
            joins = reader.joins(self.server.life)
            await self._within(joins, f"{reader.name} does not come back: {reader.cut}")
        for task_id in self._left:
            reader = self.load.book.followed[task_id]
            await self._within(reader.over.wait(), f"scan {task_id} does not end: {reader.cut}")
        self._left.clear()

    async def _finish(self) -> None:
        load = self.load
        load.closing = True
        await self._drained()
        for each in self._work:
            await self._within(each, "not all that was begun ends")
        last = load.last_published()
        for reader in load.book.readers:
            for channel in last.keys() & {*reader.channels}:
                told = reader.reaches(channel, position(last[channel]))
                await self._within(told, f"{reader.name} is not told all: {reader.cut}")
        await load.finish()

    async def _within(self, what: Awaitable[Any], otherwise: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await what
        except TimeoutError:
            raise Violation(otherwise) from None


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server of a phase is started; *photos*: what is looked at; without, vision is off."""

    durability: str = "full"
    photos: tuple[bytes, ...] = ()
    stand_ins: tuple[str, ...] = ()


async def phase(
    parent: Zygote, data_dir: Path, kills: Sequence[Kill], seed: int, settings: Settings
) -> tuple[Tally, list[Kill]]:
    """Go through *kills* on a new data directory; the figures, and the kills that came about."""
    rng = random.Random(seed)
    server = Server(
        parent,
        data_dir,
        durability=settings.durability,
        vision=bool(settings.photos),
        environment={"ECO_OPERATOR_TOKEN": TOKEN},
        stand_ins=settings.stand_ins,
    )
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        load = Load(http, server, rng, settings.photos)
        load.book.one_epoch = settings.durability == "full"
        run = Run(server, load, rng)
        try:
            await run.through(kills)
        except* Violation as several:
            load.book.wrong += [str(each) for each in leaves(several)]
        finally:
            if server.runs:
                server.kill()
                await server.ended()
    tally = judge(read(data_dir), load.book)
    tally.left = run.left
    return tally, run.history


def leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    """What a group, and those in it, consist of."""
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from leaves(each)
        else:
            yield each
