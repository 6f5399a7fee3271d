"""A simulation of random worlds in virtual time: does anything break a rule?

`python -m bench.simulate --seed N --steps M` prints one JSON line. There are worlds of actors, for
the runtime alone, and worlds of scans: the server over its log, on a disk that fails, crashing and
restarting. A run is made of worlds of some hundred steps, half of the steps for each kind; should
one break a rule, that is printed with the last steps and the command that shows this world again,
and the exit status is 1. The same seed gives the same trace.
"""

import argparse
import hashlib
import json
import random
import sys
import time
from collections.abc import Sequence

from bench import simulation_scans as scans
from bench.simulation import WORLD_STEPS, Told, Violation, World, worlds
from bench.simulation_scans import ScansTold, ScanWorld

WHAT = ("actors", "scans", "both")


def simulate(seed: int, steps: int, each: int = WORLD_STEPS, only: int | None = None) -> list[Told]:
    """The worlds of actors of a run, or one of them. Raises Violation."""
    todo = worlds(steps, each) if only is None else [(only, each)]
    return [World(seed, number, count).run() for number, count in todo]


def simulate_scans(
    seed: int, steps: int, each: int = scans.WORLD_STEPS, only: int | None = None
) -> list[ScansTold]:
    """The worlds of scans of a run, or one of them. Raises Violation."""
    todo = worlds(steps, each) if only is None else [(only, each)]
    return [ScanWorld(seed, number, count).run() for number, count in todo]


def line(
    seed: int, actors: Sequence[Told], scans: Sequence[ScansTold], seconds: float
) -> dict[str, object]:
    told: list[Told | ScansTold] = [*actors, *scans]
    steps = sum(each.steps for each in told)
    traces = "".join(each.trace for each in told)
    return {
        "bench": "simulate",
        "seed": seed,
        "steps": steps,
        "worlds": len(told),
        "restarts": sum(each.restarts for each in actors),
        "messages": sum(each.messages for each in actors),
        "scans": sum(each.scans for each in scans),
        "events": sum(each.events for each in scans),
        "crashes": sum(each.crashes for each in scans),
        "checks": sum(each.checks for each in told),
        "violations": 0,
        "trace": hashlib.blake2b(traces.encode(), digest_size=8).hexdigest(),
        "steps_s": round(steps / seconds),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="default: a fresh one")
    parser.add_argument("--steps", type=int, default=10_000, help="of all worlds together")
    parser.add_argument("--what", choices=WHAT, default="both", help="default: both")
    parser.add_argument("--world", type=int, default=None, help="only this one of the run")
    parser.add_argument("--world-steps", type=int, default=None, help="steps of each world")
    parser.add_argument("--quiet", action="store_true", help="print nothing if no rule is broken")
    chosen = parser.parse_args()
    seed = random.randrange(2**32) if chosen.seed is None else chosen.seed
    for_scans = {"actors": 0, "scans": chosen.steps, "both": chosen.steps // 2}[chosen.what]
    actors: list[Told] = []
    of_scans: list[ScansTold] = []
    began = time.perf_counter()
    try:
        if chosen.what != "scans":
            each = chosen.world_steps or WORLD_STEPS
            actors = simulate(seed, chosen.steps - for_scans, each, chosen.world)
        if chosen.what != "actors":
            each = chosen.world_steps or scans.WORLD_STEPS
            of_scans = simulate_scans(seed, for_scans, each, chosen.world)
    except Violation as violation:
        print(violation)
        return 1
    if not chosen.quiet:
        print(json.dumps(line(seed, actors, of_scans, time.perf_counter() - began)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
