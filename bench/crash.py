"""Is anything lost when the server is killed? It is, at named points and at random instants.

`python -m bench.crash --kills N` prints one JSON line. The real server process is ended by SIGKILL
and started again on the same data directory and port, while clients on all transports follow and
resume, post scans and publish. Then what the log holds is compared with what clients were promised
and told. Should anything be wrong, that is printed and the exit status is 1.

lost: scans that were accepted and did not end     holes, repeats: in the log, or at a client
points: named points that ended a process          resumes: clients that went on behind a cursor
left: scans that a kill left unfinished, by the number of events that they had then
removed: scans that are gone: some of the data directories keep little
gone, gaps: how often clients were told of that, and of what was trimmed
copies: backups that were taken meanwhile, restored elsewhere and gone on from
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench.crash_judge import Tally
from bench.crash_kills import MOST_HITS, Kill, at_points, at_random
from bench.crash_phase import Settings, phase
from bench.crash_points import POINTS
from bench.crash_server import zygote
from bench.crash_stages import SPREAD

PHASE: Final = 40
"""Kills of one data directory: what is in it is judged as a whole."""

FEW_HITS: Final = 2
"""The same as MOST_HITS where pictures are looked at, which takes its time."""

PHOTOS: Final = 16
"""Photographs that are sent, at most."""


COPIED: Final = PHASE // 4
"""Kills from which on backups are taken meanwhile."""


def plan(rng: random.Random, kills: int, *, vision: bool, small: bool) -> list[Kill]:
    """About as many kills: each point in turn, and as many random instants between them."""
    points = [point for point in POINTS if vision >= point.vision and small >= point.small]
    made: list[Kill] = []
    while len(made) < kills:
        some = rng.sample(points, min(len(points), PHASE // 2))
        made += at_points(rng, some, most_hits=FEW_HITS if vision else MOST_HITS)
        made += at_random(rng, PHASE // 2)
    return made[:kills]


async def run(
    folder: Path, kills: int, seed: int, settings: Settings
) -> tuple[Tally, list[Kill], list[str]]:
    """At least so many kills, unless something is wrong; the end of the server's log, then."""
    tally, history = Tally(), list[Kill]()
    rng = random.Random(seed)
    async with zygote(folder) as parent:
        while tally.kills < kills and not tally.faults:
            data_dir = folder / f"data{len(history)}"
            count, small = min(PHASE, kills - tally.kills), rng.random() < 0.5
            todo = plan(rng, count, vision=bool(settings.photos), small=small)
            spread = (SPREAD,) if rng.random() < 0.5 else ()
            how = replace(settings, stand_ins=spread, small=small, copies=count >= COPIED)
            figures, came = await phase(parent, data_dir, todo, rng.getrandbits(32), how)
            tally.add(figures)
            history += came
            if not tally.faults:
                shutil.rmtree(data_dir)
        return tally, history, list(parent.said)


def line(
    tally: Tally, history: Sequence[Kill], seed: int, settings: Settings, seconds: float
) -> str:
    figures: dict[str, Any] = {"bench": "crash"}
    figures |= {name: getattr(tally, name) for name in Tally.__slots__ if name != "said"}
    figures["points"] = len({kill.point for kill in history if kill.point})
    figures |= {"durability": settings.durability, "vision": bool(settings.photos)}
    return json.dumps(figures | {"seed": seed, "seconds": round(seconds, 1)})


def report(tally: Tally, history: Sequence[Kill], said: Sequence[str]) -> str:
    """What was wrong, and what came before."""
    kills = [f"  {number}: {kill}" for number, kill in enumerate(history, start=1)]
    first, *others = tally.said
    return "\n".join((first, *others, "the last kills:", *kills[-10:], "the log:", *said[-30:]))


def photographs(folder: Path, rng: random.Random) -> tuple[bytes, ...]:
    found = sorted(folder.rglob("*.jpg"))
    return tuple(each.read_bytes() for each in rng.sample(found, min(PHOTOS, len(found))))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="at least so many (200)")
    parser.add_argument("--seed", type=int, default=None, help="default: a fresh one")
    parser.add_argument("--durability", default="full", choices=["full", "normal"])
    parser.add_argument("--vision", default="off", choices=["on", "off"])
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs, for --vision on")
    given = parser.parse_args(arguments)
    seed = random.randrange(2**32) if given.seed is None else given.seed
    photos: tuple[bytes, ...] = ()
    if given.vision == "on":
        photos = photographs(given.photos, random.Random(seed)) if given.photos else ()
        if not photos:
            parser.error("--vision on needs --photos with JPEGs in it")
    settings = Settings(given.durability, photos)
    folder = Path(tempfile.mkdtemp(prefix="eco-crash-"))
    began = time.perf_counter()
    tally, history, said = asyncio.run(run(folder, given.kills, seed, settings))
    print(line(tally, history, seed, settings, time.perf_counter() - began))
    if tally.faults:
        print(f"seed {seed}, data in {folder}:\n{report(tally, history, said)}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
