"""How fast events become durable: writers that share a transaction, beside one for each event.

`python -m bench.log` prints one JSON line. Tasks in one process commit one event after another
through `EventLog.commit`, in a process that is set as the server is, on two cores, and wait until
each is as durable as the promise says. Medians of rounds; each round asks everybody in turn.

rows_s:          events a second that became durable
p50_ms, p99_ms:  from handing one over until it is durable and was shown
one_each:        the same log, thread and tables, with one transaction for each event
ratio:           rows_s by that of one_each, of the same round
fsync_ms:        of one page in a file in the same place: for another disk, such as an SD card,
                 a row alone takes about as much longer as its fsync does
busy_loop:       `full`, WRITERS, while turns of 1 to 5 ms keep the loop busy without a pause, as
                 sending to many does; with the server's switch interval, and with Python's own.
                 loop_share: what the loop gets done meanwhile, of what it does when nobody writes;
                 who still waits when the load ends is counted with the wait so far.
                 rows_s_least: of the rounds; starving comes and goes
fs:              the file system it was measured on; on tmpfs and the like an fsync costs nothing
other_cpu_share: what anything else on the machine used, in cores: above 0.1, measure again
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.contenders import Figures, medians, ratio
from bench.log_writers import (
    DEFAULT_INTERVAL_S,
    Load,
    as_the_server,
    quantile_ms,
    spins_alone,
)
from bench.publishing import busy_s
from bench.server import ROOT, cores
from eco_actor.cli import SWITCH_INTERVAL_S
from eco_actor.eventlog import Durability

WRITERS: Final = (1, 10, 100)
BUSY_WRITERS: Final = 100
BUSY: Final = {"server_interval": SWITCH_INTERVAL_S, "default_interval": DEFAULT_INTERVAL_S}
PAGE: Final = 4096
SYNCS: Final = 200
SYNCS_S: Final = 1.0
"""What is measured of fsync: so many, or as many as so many seconds have."""

Rounds = dict[str, list[Figures]]


def in_new(directory: Path, load: Load) -> Figures:
    """Its figures, with a log that is new and gone afterwards."""
    with tempfile.TemporaryDirectory(dir=directory) as place:
        return load.put_on(Path(place))


def writers_round(directory: Path, given: argparse.Namespace, rounds: dict[str, Rounds]) -> None:
    """Each promise and number of writers, sharing transactions and not, once."""
    for promise in Durability:
        for writers in WRITERS:
            found = rounds.setdefault(f"{promise.value} {writers}", {"shared": [], "alone": []})
            for name, each in found.items():
                load = Load(promise, writers, given.seconds, given.size, alone=name == "alone")
                each.append(in_new(directory, load))


def busy_round(directory: Path, given: argparse.Namespace, rounds: Rounds) -> None:
    """The busy loop, with either switch interval, once."""
    for name, interval_s in BUSY.items():
        with as_the_server(interval_s):
            load = Load(Durability.FULL, BUSY_WRITERS, given.seconds, given.size, busy=True)
            found = in_new(directory, load)
            found["loop_share"] = found["spins_s"] / spins_alone(given.seconds / 2)
            rounds.setdefault(name, []).append(found)


def summary(rounds: dict[str, Rounds], busy: Rounds) -> dict[str, Any]:
    found: dict[str, Any] = {promise.value: {} for promise in Durability}
    for name, ways in rounds.items():
        promise, writers = name.split()
        rates = {way: [each["rows_s"] for each in done] for way, done in ways.items()}
        found[promise][writers] = {
            **figures(ways["shared"]),
            "one_each": figures(ways["alone"]),
            "ratio": ratio(rates["shared"], rates["alone"]),
        }
    found["busy_loop"] = {
        "writers": BUSY_WRITERS,
        **{
            name: figures(done, "loop_share") | {"rows_s_least": min(e["rows_s"] for e in done)}
            for name, done in busy.items()
        },
    }
    return found


def figures(rounds: Sequence[Figures], *more: str) -> Figures:
    names = ("rows_s", "p50_ms", "p99_ms", *more)
    return medians([{name: each[name] for name in names} for each in rounds])


def fsync_ms(directory: Path) -> Figures:
    """What it costs to have one more page of a file on disk."""
    took: list[int] = []
    with tempfile.TemporaryFile(dir=directory) as file:
        until = time.monotonic() + SYNCS_S
        while len(took) < SYNCS and (not took or time.monotonic() < until):
            os.write(file.fileno(), bytes(PAGE))
            begun = time.perf_counter_ns()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter_ns() - begun)
    took.sort()
    return medians([{"p50": quantile_ms(took, 0.5), "p99": quantile_ms(took, 0.99)}])


def file_system(directory: Path, mounts: str) -> str:
    """The kind of file system that *directory* is on, by the text of /proc/mounts."""
    kind, longest = "unknown", -1
    for line in mounts.splitlines():
        _, place, found, *_ = line.split(" ")
        place = place.replace("\\040", " ")
        inside = directory == Path(place) or Path(place) in directory.parents
        if inside and len(place) >= longest:  # the last one mounted is what is seen
            kind, longest = found, len(place)
    return kind


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--dir", type=Path, default=ROOT, help="where to write (the checkout)")
    parser.add_argument("--size", type=int, default=300, help="bytes of an event's data (300)")
    parser.add_argument("--seconds", type=float, default=0.6, help="of each measurement (0.6)")
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it runs")
    given = parser.parse_args(arguments)
    if given.quick:
        given.seconds, given.rounds = 0.05, 1
    if not given.dir.is_dir():
        parser.error(f"--dir {given.dir}: there is no such directory")
    return given


def main(arguments: list[str] | None = None) -> None:
    given = parse(arguments)
    rounds: dict[str, Rounds] = {}
    busy: Rounds = {}
    began, before = time.monotonic(), busy_s() - time.process_time()
    with as_the_server(), tempfile.TemporaryDirectory(prefix=".bench-log-", dir=given.dir) as made:
        directory = Path(made).resolve()
        syncs = [fsync_ms(directory)]
        for _ in range(given.rounds):
            writers_round(directory, given, rounds)
            busy_round(directory, given, busy)
        syncs.append(fsync_ms(directory))
        fs = file_system(directory, Path("/proc/mounts").read_text())
    others = (busy_s() - time.process_time() - before) / (time.monotonic() - began)
    found = {
        "bench": "log",
        "fs": fs,
        "size": given.size,
        "cores": len(set(cores())),
        "fsync_ms": medians(syncs),
        **summary(rounds, busy),
        "other_cpu_share": max(0.0, round(others, 2)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
