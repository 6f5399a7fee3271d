"""Ten of a thousand subscribers stop reading: what the others notice, and what it costs in memory.

`python -m bench.slow` prints one JSON line. Each round starts a server of its own for each figure:
without the slow ones, then with them, for ours and for plain aiohttp in turn. 8 KiB 16 times a
second are due for each subscriber; the clock of an event starts when it is due.
eco:           --durability off: what a slow one has not read can be read from the log's memory
plain_loop:    plain aiohttp, the publisher's request writes to one after the other
plain_queues:  plain aiohttp, a bounded queue and a task for each subscriber

delivered_share: of what was due to those who read, with the slow ones there
p99_ms, p99_ms_without: of those who read, with the slow ones and without; p99_ratio: with to
               without, the median of the rounds' pairs. Where the share is below 1, latencies are
               only of what arrived.
rss_growth_mb, rss_growth_mb_without: the most resident memory over that with idle subscribers
readers_ended: of those who read, how many the server closed
other_cpu_share: what anything else on the machine used, in cores; well above 0.1, measure again
"""

import argparse
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from bench.contenders import Contender, Figures, medians, ours, pinned, plain, ratio, rounded
from bench.publishing import Load
from bench.server import Server
from bench.subscribers import Crowd

LONGEST_S: Final = 15.0  # the subscribers do not answer pings


def one_run(contender: Contender, load: Load, given: argparse.Namespace, slow: int) -> Figures:
    server = contender.server
    crowd = Crowd(server.host, server.port, given.transport)
    try:
        crowd.connect(given.subscribers, slow)
        readers = given.subscribers - slow
        assert crowd.open == readers, f"{contender.name} refused: {crowd.refusal!r}"
        rss_mb = forget_peak(server)
        measured = load.put_on(server, crowd, contender.token)
        found = measured.figures()
        return {
            "delivered_share": found["delivered_share"],
            "p99_ms": found["p99_ms"],
            "rss_growth_mb": server.peak_rss_mb() - rss_mb,
            "ended": crowd.ended,
            "other_cpu_share": found["other_cpu_share"],
        }
    finally:
        crowd.close(reset=True)


def forget_peak(server: Server) -> float:
    """Let the peak of resident memory begin anew; the memory now, in MB."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    return server.rss_mb()


def summary(pairs: list[tuple[Figures, Figures]]) -> dict[str, float | None]:
    """Of rounds, each without the slow ones and with them."""
    without, with_slow = medians([pair[0] for pair in pairs]), medians([pair[1] for pair in pairs])
    assert not without["ended"], "subscribers that read were closed"
    return {
        "delivered_share": with_slow["delivered_share"],
        "delivered_share_without": without["delivered_share"],
        "p99_ms": with_slow["p99_ms"],
        "p99_ms_without": without["p99_ms"],
        "p99_ratio": ratio([p[1]["p99_ms"] for p in pairs], [p[0]["p99_ms"] for p in pairs]),
        "rss_growth_mb": with_slow["rss_growth_mb"],
        "rss_growth_mb_without": without["rss_growth_mb"],
        "readers_ended": rounded(with_slow["ended"]),
        "other_cpu_share": max(without["other_cpu_share"], with_slow["other_cpu_share"]),
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--subscribers", type=int, default=1000, help="with the slow ones (1000)")
    parser.add_argument("--slow", type=int, default=10, help="of them, that stop reading (10)")
    parser.add_argument("--transport", default="sse", choices=["sse", "websocket"], help="(sse)")
    parser.add_argument("--rate", type=float, default=16.0, help="events a second (16)")
    parser.add_argument("--size", type=int, default=8192, help="bytes of an event (8192)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each load, up to 15 (6)")
    parser.add_argument("--rounds", type=int, default=2, help="pairs of each (2)")
    parser.add_argument("--only", choices=["eco", "plain_loop", "plain_queues"])
    given = parser.parse_args(arguments)
    if not 0 < given.seconds <= LONGEST_S:
        parser.error(f"--seconds is above 0, at most {LONGEST_S:g}")
    if not 0 < given.slow < given.subscribers:
        parser.error("--slow is above 0 and below --subscribers")
    return given


def main(arguments: list[str] | None = None) -> None:
    given = parse(arguments)
    load = Load(given.size, given.seconds, given.rate)
    with pinned() as core:
        every: dict[str, Callable[[], AbstractContextManager[Contender]]] = {
            "eco": lambda: ours("eco", core, "off", given.subscribers),
            "plain_loop": lambda: plain("plain_loop", core, "loop"),
            "plain_queues": lambda: plain("plain_queues", core, "queues"),
        }
        names = [given.only] if given.only else list(every)
        pairs: dict[str, list[tuple[Figures, Figures]]] = {name: [] for name in names}
        for _ in range(given.rounds):
            for name in names:
                runs = []
                for slow in (0, given.slow):
                    with every[name]() as contender:
                        runs.append(one_run(contender, load, given, slow))
                pairs[name].append((runs[0], runs[1]))
    asked = {key: getattr(given, key) for key in ("transport", "subscribers", "slow")}
    found = {name: summary(done) for name, done in pairs.items()}
    print(json.dumps({"bench": "slow", **asked, **found}))


if __name__ == "__main__":
    main()
