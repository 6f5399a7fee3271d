"""What an idle connection costs: memory, and the processor's time to accept it.

`python -m bench.connections` prints one JSON line. Each round starts a server on one core for each
kind of connection, ours and plain aiohttp in turn, opens N connections from the other core as fast
as they are answered, and looks; medians of the rounds are given.

rss_kib:   growth of the server's resident memory for each open connection, after 20 that warm it
           up; the kernel's socket buffers are not in it
accepts_s: connections a second, from the first connect to the last answer
accept_us: the server's processor time for each
refused:   what was not granted at once (0, or the figures are of fewer connections)
"""

import argparse
import json
import resource
import time
from contextlib import AbstractContextManager
from typing import Final

from bench.contenders import Contender, Figures, medians, ours, pinned, plain, ratio
from bench.server import Server
from bench.subscribers import Crowd

TRANSPORTS: Final = ("sse", "websocket")
WARM: Final = 20
SPARE_FILES: Final = 200
LOOK_S: Final = 0.3
SETTLED_S: Final = 10.0  # at most, until the server has nothing more to do


def one_round(contender: Contender, transport: str, count: int) -> Figures:
    server = contender.server
    warm = Crowd(server.host, server.port, transport)
    warm.connect(WARM)
    warm.close()
    settle(server)
    crowd = Crowd(server.host, server.port, transport)
    rss_mb, cpu_s = server.rss_mb(), server.cpu_s()
    try:
        seconds = crowd.connect(count)
        settle(server)
        opened = crowd.open
        assert opened, f"{contender.name} accepted nobody: {crowd.refusal!r}"
        return {
            "rss_kib": (server.rss_mb() - rss_mb) * 1e6 / 1024 / opened,
            "accepts_s": opened / seconds,
            "accept_us": (server.cpu_s() - cpu_s) * 1e6 / opened,
            "refused": crowd.refused,
            "ended": crowd.ended,
        }
    finally:
        crowd.close(reset=True)


def settle(server: Server) -> None:
    """Wait until the server has spent next to nothing for a while."""
    until = time.monotonic() + SETTLED_S
    while time.monotonic() < until:
        before = server.cpu_s()
        time.sleep(LOOK_S)
        if server.cpu_s() - before < 0.05 * LOOK_S:
            return


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=10_000, help="of each kind (10000)")
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument("--only", choices=["eco", "plain_aiohttp"], help="leave the other out")
    given = parser.parse_args(arguments)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if not 0 < given.connections <= files - SPARE_FILES:
        parser.error(f"--connections is 1 to {files - SPARE_FILES}: each is an open file")
    found: dict[str, object] = {"bench": "connections", "connections": given.connections}
    with pinned() as core:

        def start(name: str) -> AbstractContextManager[Contender]:
            if name == "eco":
                return ours(name, core, "off", given.connections)
            return plain(name, core, "loop")

        names = [given.only] if given.only else ["eco", "plain_aiohttp"]
        for transport in TRANSPORTS:
            rounds: dict[str, list[Figures]] = {name: [] for name in names}
            for _ in range(given.rounds):
                for name in names:
                    with start(name) as contender:
                        rounds[name].append(one_round(contender, transport, given.connections))
            found[transport] = {name: medians(done) for name, done in rounds.items()} | {
                f"{key}_to_plain": ratio(
                    [each[key] for each in rounds["eco"]],
                    [each[key] for each in rounds["plain_aiohttp"]],
                )
                for key in ("rss_kib", "accepts_s", "accept_us")
                if not given.only
            }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
