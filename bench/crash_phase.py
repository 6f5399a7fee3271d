"""A part of a crash run: a data directory, some kills, clients that go through all, a judgement."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench import crash_small
from bench.crash_copies import Copier, go_on
from bench.crash_judge import Tally, judge
from bench.crash_kept import NAME, parts, read, unfinished
from bench.crash_kills import STARTS, Kill
from bench.crash_load import CHANNELS, TOKEN, Load
from bench.crash_points import Phase
from bench.crash_readers import Reader, Transport, position
from bench.crash_server import PATIENCE_S, Server, Violation, Zygote
from bench.crash_transports import CHANNELS as CHANNEL_TRANSPORTS
from bench.crash_transports import SCANS, poll, sse, ws_json, ws_msgpack


def posters(rng: random.Random) -> list[tuple[Sequence[Transport], int]]:
    """By what clients follow the scans that they post, and how many at a time."""
    wandering = rng.sample(SCANS, len(SCANS))
    several = [([sse], 2), ([ws_json], 2), ([ws_msgpack], 3)]
    return [*(([each], 1) for each in SCANS), *several, (wandering, 1)]


class Run:
    """The kills of one phase, one after the other, under load."""

    def __init__(
        self, server: Server, load: Load, rng: random.Random, copier: Copier | None
    ) -> None:
        self.server = server
        self.load = load
        self._rng = rng
        self._copier = copier
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
        if self._copier is not None:
            self._spawn(self._copier.run())
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
            reader = load.follower(channels, transports, name, ordered)
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
            self._spawn(self.load.come_late(self._rng.choice(CHANNEL_TRANSPORTS)))
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
        database = self.server.data_dir / NAME
        found = unfinished(database)
        book.wrong += [f"{kill}: {each}" for each in parts(database)]
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
            for channel in last.keys() & {*reader.channels} - reader.ends.keys():
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
    """How the server of a phase is started.

    *photos*: what is looked at; without, vision is off. *small*: it keeps little. *copies*: backups
    are taken all the while, and the last one restored in the end.
    """

    durability: str = "full"
    photos: tuple[bytes, ...] = ()
    stand_ins: tuple[str, ...] = ()
    small: bool = False
    copies: bool = False

    def server(self, parent: Zygote, data_dir: Path) -> Server:
        more = crash_small.ENVIRONMENT if self.small else {}
        return Server(
            parent,
            data_dir,
            durability=self.durability,
            vision=bool(self.photos),
            environment={"ECO_OPERATOR_TOKEN": TOKEN, **more},
            stand_ins=((crash_small.SMALL,) if self.small else ()) + self.stand_ins,
        )


async def phase(
    parent: Zygote, data_dir: Path, kills: Sequence[Kill], seed: int, settings: Settings
) -> tuple[Tally, list[Kill]]:
    """Go through *kills* on a new data directory; the figures, and the kills that came about."""
    rng = random.Random(seed)
    server = settings.server(parent, data_dir)
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        load = Load(http, server, rng, settings.photos, small=settings.small)
        load.book.one_epoch = settings.durability == "full"
        copier = Copier(load, data_dir.with_suffix(".backup"))
        run = Run(server, load, rng, copier if settings.copies else None)
        try:
            await run.through(kills)
        except* Violation as several:
            load.book.wrong += [str(each) for each in leaves(several)]
        finally:
            await _killed(server)
    kept = read(data_dir)
    tally = judge(kept, load.book)
    tally.left = run.left
    if copier.taken:
        last = [f"{channel} {cursor}" for channel, cursor in load.last_published().items()]
        other = settings.server(parent, data_dir.with_suffix(".restored"))
        try:
            again = await go_on(copier, other, kept, last)
        finally:
            await _killed(other)
        tally.copies = again.copies
        tally.faults += again.faults
        tally.said += [f"in a copy: {text}" for text in again.said]
    return tally, run.history


async def _killed(server: Server) -> None:
    if server.runs:
        server.kill()
        await server.ended()


def leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    """What a group, and those in it, consist of."""
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from leaves(each)
        else:
            yield each
