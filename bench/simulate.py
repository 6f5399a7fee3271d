"""A simulation of random worlds of actors, in virtual time: does anything break a rule?

`python -m bench.simulate --seed N --steps M` prints one JSON line. A run is made of worlds of some
hundred steps; should one break a rule, that is printed with the last steps and the command that
shows this world again, and the exit status is 1. The same seed gives the same trace.
"""

import argparse
import hashlib
import json
import random
import sys
import time

from bench.simulation import WORLD_STEPS, Told, Violation, World, worlds


def simulate(seed: int, steps: int, each: int = WORLD_STEPS, only: int | None = None) -> list[Told]:
    """The worlds of a run, or one of them. Raises Violation."""
    todo = worlds(steps, each) if only is None else [(only, each)]
    return [World(seed, number, count).run() for number, count in todo]


def line(seed: int, told: list[Told], seconds: float) -> str:
    steps = sum(each.steps for each in told)
    traces = "".join(each.trace for each in told)
    return json.dumps(
        {
            "bench": "simulate",
            "seed": seed,
            "steps": steps,
            "worlds": len(told),
            "restarts": sum(each.restarts for each in told),
            "messages": sum(each.messages for each in told),
            "checks": sum(each.checks for each in told),
            "violations": 0,
            "trace": hashlib.blake2b(traces.encode(), digest_size=8).hexdigest(),
            "steps_s": round(steps / seconds),
        }
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="default: a fresh one")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--world", type=int, default=None, help="only this one of the run")
    parser.add_argument("--world-steps", type=int, default=WORLD_STEPS, help="steps of each world")
    parser.add_argument("--quiet", action="store_true", help="print nothing if no rule is broken")
    chosen = parser.parse_args()
    seed = random.randrange(2**32) if chosen.seed is None else chosen.seed
    began = time.perf_counter()
    try:
        told = simulate(seed, chosen.steps, chosen.world_steps, chosen.world)
    except Violation as violation:
        print(violation)
        return 1
    if not chosen.quiet:
        print(line(seed, told, time.perf_counter() - began))
    return 0


if __name__ == "__main__":
    sys.exit(main())
