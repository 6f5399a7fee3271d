"""The steps of a world of scans: what clients, the operator, the disk and the clock do."""

import asyncio
from typing import TYPE_CHECKING, Final

from bench.simulation_clients import Follower
from bench.simulation_disk import CODES
from bench.simulation_process import PICTURES, Process
from bench.simulation_requests import CATEGORY
from bench.simulation_steps import Weighted

if TYPE_CHECKING:
    from bench.simulation_scans import ScanWorld

STEPS: Final = {
    "category": 16, "picture": 12, "unwanted": 4, "keyed": 6, "again": 8, "burst": 3, "publish": 10,
    "soiled": 4, "about": 14,
    "cancel": 6, "follow": 12, "cut": 6, "come": 8, "stall": 2, "read": 4, "leave": 2, "pass": 14,
    "idle": 4, "wait": 16, "kill": 4, "crash": 3, "dies": 5, "power": 1, "stop": 3, "fault": 5,
    "hang": 2, "unreadable": 1, "mend": 4, "wall": 3, "down": 1, "age": 1,
}  # fmt: skip

APPS: Final = ("app:a", "app:b")

WAITS: Final = (0.001, 0.01, 0.1, 0.5, 2.0, 7.0)

JUMPS_H: Final = (-30.0, -5.0, -0.5, 0.5, 3.0, 100.0)

_STEPS: Final = Weighted(STEPS)
_PICTURES: Final = Weighted(PICTURES)


class ScanSteps:
    def __init__(self, world: "ScanWorld") -> None:
        self.world = world
        self.rng = world.rng
        self._followers = 0

    async def one(self) -> str:
        """Do something; what it was."""
        world = self.world
        process = world.serving
        if process is None and self.rng.random() < 0.7:
            return f"start: {await world.start()}"
        kind = _STEPS.pick(self.rng)
        match kind:
            case "pass":
                for _ in range(self.rng.randint(1, 12)):
                    await asyncio.sleep(0)
            case "idle":
                await world.loop.idle()
            case "wait":
                await asyncio.sleep(self.rng.choice(WAITS))
            case "wall":
                return self._set_wall()
            case "dies":
                world.disk.dies_in = self.rng.randint(1, 12)
            case "down":
                return await self._down()
            case _ if process is None:
                return f"{kind}: nobody serves"
            case "age":
                await asyncio.sleep(self.rng.choice((60, 400, 1000)))
            case "fault" | "hang" | "unreadable" | "mend":
                return self._disk(process, kind)
            case "kill" | "crash" | "power" | "stop":
                return await self._end(process, kind)
            case "follow" | "cut" | "come" | "stall":
                return self._stream(process, kind)
            case _:
                return await self._ask(process, kind)
        return kind

    # ---- clients

    async def _ask(self, process: Process, kind: str) -> str:
        rng, requests = self.rng, self.world.requests
        match kind:
            case "category":
                return requests.scan(process, CATEGORY)
            case "picture":
                return requests.scan(process, _PICTURES.pick(rng))
            case "soiled":
                return requests.scan(process, CATEGORY, tags=("soiled",))
            case "about":
                return self._about(process)
            case "unwanted":
                return requests.unwanted_scan(process, _PICTURES.pick(rng), rng.choice(WAITS))
            case "keyed":
                kind = rng.choice((CATEGORY, _PICTURES.pick(rng)))
                return requests.keyed_scan(process, kind, realtime=rng.random() < 0.6)
            case "again" if requests.keyed:
                return requests.again(process, *rng.choice(requests.keyed[-4:]))
            case "burst":
                for _ in range(rng.choice((5, 30, 500))):
                    requests.publish(process, rng.choice(APPS), None)
                for _ in range(rng.randint(0, 6)):
                    requests.scan(process, rng.choice((CATEGORY, "good")))
            case "publish":
                return requests.publish(process, rng.choice(APPS), rng.choice((None, "k")))
            case "leave" if requests.open:
                rng.choice(list(requests.open)).cancel()
            case "cancel" | "read":
                return await self._one_scan(process, kind)
        return kind

    def _about(self, process: Process) -> str:
        """Ask about a thing again, a few times at once, or answer what was unsure."""
        rng, told = self.rng, []
        stories = list(self.world.truth.stories.values())
        if not stories:
            return "about: nothing"
        for _ in range(rng.choice((1, 1, 2, 4))):
            before = rng.choice(stories[-4:])
            kind = rng.choice((CATEGORY, CATEGORY, "good", "unsure"))
            how = "after_scan" if before.unsure and kind == CATEGORY else "revises"
            what = self.world.requests.scan(process, kind, **{how: before.task_id})
            told.append(f"{what} {how} {before.marker}")
        return ", ".join(told)

    async def _one_scan(self, process: Process, kind: str) -> str:
        stories = list(self.world.truth.stories.values())
        under_way = [story for story in stories if not story.over]
        if not stories:
            return kind
        # those that are over are of less interest
        story = self.rng.choice(under_way if under_way else stories[-3:])
        try:
            if kind == "cancel":
                return f"cancel {story.marker}: {process.eco.admission.cancel(story.task_id)}"
            self.world.requests.go(process, self._read(process, story.task_id))
        except Exception as error:
            return f"{kind} {story.marker}: {type(error).__name__}"
        return f"read {story.marker}"

    async def _read(self, process: Process, task_id: str) -> None:
        truth = self.world.truth
        try:
            view = await process.eco.views.snapshot(task_id)
        except Exception as error:
            truth.note(f"read: {type(error).__name__}")
            return
        story = truth.stories.get(task_id)
        if view is None or story is None or process.severed:
            return
        seen = view["cursor"].partition("-")[2]
        truth.expect(int(seen, 16) in truth.events, f"{task_id} is shown at {seen}")

    def _stream(self, process: Process, kind: str) -> str:
        rng, world = self.rng, self.world
        if kind == "follow":
            self._followers += 1
            stories = list(world.truth.stories.values())[-4:]
            channel = rng.choice(APPS)
            if stories and rng.random() < 0.75:
                channel = f"scan:{rng.choice(stories).task_id}"
            follower = Follower(world.truth, self._followers, channel)
            world.followers.append(follower)
            world.come(follower, process)
            return f"follow {follower.number} {channel}"
        fitting = [each for each in world.followers if each.here == (kind != "come")]
        fitting = [each for each in fitting if not each.over]
        if not fitting:
            return kind
        follower = rng.choice(fitting)
        if kind == "come":
            world.come(follower, process)
        elif kind == "cut":
            follower.leave()
        elif follower.wire is not None:
            if follower.wire.stalled:
                follower.wire.go_on()
            else:
                follower.wire.stalled = True
        return f"{kind} {follower.number}"

    # ---- the operator, the machine

    def _disk(self, process: Process, kind: str) -> str:
        rng, disk = self.rng, self.world.disk
        match kind:
            case "fault":
                disk.code = rng.choice(list(CODES))
                disk.faulty = rng.choice((1, 1, 2, 5, 12))
                return f"fault {disk.code} {disk.faulty} times"
            case "hang":
                process.hang = rng.choice((1.0, 4.0, 6.0, 12.0, 30.0))
                return f"hang {process.hang} s"
            case "unreadable":
                process.reads_fail = True
            case _:
                disk.faulty = 0
                process.reads_fail = False
        return kind

    async def _end(self, process: Process, kind: str) -> str:
        rng, world = self.rng, self.world
        if kind == "crash" and world.disk.forgetful and rng.random() < 0.7:
            kind = "power"
        match kind:
            case "kill":
                assert process.system is not None
                cells = [*process.system.walk()]
                if not cells:
                    return f"{kind}: nobody is there"
                below = [cell for cell in cells if cell.path.count("/") > 2]
                scans = [cell for cell in cells if "/scans/" in cell.path]
                cell = rng.choice(rng.choice((scans or below, below, below, cells)) or cells)
                cell.kill()
                return f"kill {cell.path}"
            case "stop":
                process.stop()
                if rng.random() < 0.8:
                    await world.end()
            case "crash":
                process.crash()
            case "power":
                process.crash()
                await world.end()
                world.disk.lose_power()
                world.truth.power_lost()
                world.followers = [each for each in world.followers if not each.over]
        return kind

    def _set_wall(self) -> str:
        hours = self.rng.choice(JUMPS_H)
        before = self.world.wall_ms()
        if self.rng.random() < 0.1 or before + hours * 3_600_000 < 0:
            self.world.wall_ahead -= before - 86_400_000  # as if it had never been set
        else:
            self.world.wall_ahead += int(hours * 3_600_000)
        moved = self.world.wall_ms() - before
        self.world.audit.jumps()
        return f"the wall clock moves by {moved / 3_600_000:.1f} h"

    async def _down(self) -> str:
        """Nobody is there for hours."""
        if self.world.process is not None:
            self.world.process.stop()
        await self.world.end()
        hours = self.rng.choice((0.01, 1.0, 26.0))
        await asyncio.sleep(hours * 3600)
        return f"down for {hours} h"
