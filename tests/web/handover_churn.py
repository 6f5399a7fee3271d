"""Clients that come and go over a server that hands over; what stays behind of them, in numbers.

python -m tests.web.handover_churn 100000 --loop uvloop
"""

import argparse
import asyncio
import gc
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.web.handed_over import HEAD, LOOPS, World, get, run_on, until
from tests.ws_bytes import TEXT, masked, opening

AT_ONCE: Final = 50
WARM_UP: Final = 200


@dataclass(frozen=True)
class Held:
    """What the process holds: objects the collector knows, open files, KiB of memory."""

    objects: int
    files: int
    rss_kib: int

    @classmethod
    def now(cls) -> "Held":
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        kib = pages * os.sysconf("SC_PAGE_SIZE") // 1024
        return cls(len(gc.get_objects()), len(os.listdir("/proc/self/fd")), kib)


async def churn(world: World, count: int) -> None:
    """*count* clients, half with an upgrade and a frame behind it; a third of all reset.

    Returns once nobody is left.
    """
    numbers = iter(range(count))

    async def one_after_the_other() -> None:
        for number in numbers:
            frames = masked(TEXT, b"x")
            upgrade = number % 2 == 1
            peer = await world.asked(opening("/ws") + frames if upgrade else get("/sse"))
            if number % 6 > 1 or number % 12 > 5:  # the others do not wait to be answered
                assert await peer.read(len(HEAD)) == HEAD
            if number % 3 == 0:
                peer.reset()
            else:
                peer.close()

    async with asyncio.TaskGroup() as clients:
        for _ in range(AT_ONCE):
            clients.create_task(one_after_the_other())
    await until(world.at_rest)


async def measured(count: int) -> tuple[Held, Held]:
    """What was held before *count* clients, and what is held after them."""
    async with World.running() as world:
        await churn(world, WARM_UP)
        before = Held.now()
        made = world.made
        await churn(world, count)
        assert world.made - made > count // 2, "clients were turned away"
        return before, Held.now()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--loop", choices=LOOPS, default="uvloop")
    asked = parser.parse_args()
    before, after = run_on(asked.loop, measured(asked.count))
    print(json.dumps({"count": asked.count, "before": asdict(before), "after": asdict(after)}))


if __name__ == "__main__":
    main()
