"""One event to a thousand subscribers: how fast, how late, and what it costs.

`python -m bench.fanout` prints one JSON line. One channel; the server has one core, subscribers and
publishers the other. Each round asks each of these in turn, and medians of the rounds are given:
transient:     --durability off, events that are not logged: both sides keep nothing
full:          --durability full: a publisher is answered when its event is on disk
plain_aiohttp: a loop over the subscribers, no log, nothing to resume from (bench.plain_aiohttp)

steady:    RATE events a second; the clock of an event starts when it is due
saturated: 4 publishers that post their next event when the last is answered

Deliveries are events times subscribers; delivered_share is of what was asked for, lost what was
acknowledged and not delivered. cpu_s_per_million: of the server, for a million deliveries; with a
cpu_share near 1 it can do no more. events_per_write: of the server, its answers and its log
included. other_cpu_share: what anything else on the machine used, in cores: well above 0.1, measure
again. Ratios are ours to plain aiohttp's of the same round.
The client is `bench.subscribers`, whose docstring says where its own limit lies.
"""

import argparse
import contextlib
import json
from typing import Final

from bench.contenders import Contender, Figures, medians, ours, pinned, plain, ratio
from bench.publishing import Load
from bench.subscribers import Crowd

OURS: Final = ("transient", "full")
PLAIN: Final = "plain_aiohttp"
LONGEST_S: Final = 10.0  # the subscribers do not answer pings

Round = dict[str, Figures]


def one_round(contender: Contender, given: argparse.Namespace) -> Round:
    """Connect the subscribers, put both loads on, let go."""
    server = contender.server
    crowd = Crowd(server.host, server.port, given.transport)
    loads = {
        "steady": Load(given.size, given.seconds, given.rate, query=contender.query),
        "saturated": Load(given.size, given.seconds, None, given.publishers, contender.query),
    }
    try:
        crowd.connect(given.subscribers)
        assert crowd.open == given.subscribers, f"{contender.name} refused: {crowd.refusal!r}"
        found = {
            name: load.put_on(server, crowd, contender.token).figures()
            for name, load in loads.items()
        }
        assert not crowd.ended, f"{contender.name} closed {crowd.ended} subscribers"
        return found
    finally:
        crowd.close()


def summary(rounds: dict[str, list[Round]]) -> dict[str, object]:
    """Medians, and ratios of ours to plain."""
    found: dict[str, object] = {
        name: {load: medians([each[load] for each in done]) for load in done[0]}
        for name, done in rounds.items()
    }
    measured_ours = [name for name in OURS if name in rounds and PLAIN in rounds]
    for name in measured_ours:
        found[f"{name}_to_plain"] = {
            f"{load}_{key}": ratio(
                [each[load][key] for each in rounds[name]],
                [each[load][key] for each in rounds[PLAIN]],
            )
            for load, key in (("saturated", "deliveries_s"), ("steady", "cpu_s_per_million"))
        }
    return found


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--subscribers", type=int, default=1000, help="(1000)")
    parser.add_argument("--transport", default="sse", choices=["sse", "websocket"], help="(sse)")
    parser.add_argument("--rate", type=float, default=100.0, help="events a second, steady (100)")
    parser.add_argument("--size", type=int, default=200, help="bytes of an event (200)")
    parser.add_argument("--publishers", type=int, default=4, help="at saturation (4)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load, up to 10 (3)")
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*OURS, PLAIN],
        help="leave the others out; may be repeated",
    )
    given = parser.parse_args(arguments)
    if not 0 < given.seconds <= LONGEST_S:
        parser.error(f"--seconds is above 0, at most {LONGEST_S:g}")
    return given


def main(arguments: list[str] | None = None) -> None:
    given = parse(arguments)
    names = given.only or [*OURS, PLAIN]
    with contextlib.ExitStack() as stack:
        core = stack.enter_context(pinned())
        room = given.subscribers + given.publishers
        every = {
            "transient": lambda: ours("transient", core, "off", room, transient=True),
            "full": lambda: ours("full", core, "full", room),
            PLAIN: lambda: plain(PLAIN, core, "loop"),
        }
        contenders = [stack.enter_context(every[name]()) for name in names]
        rounds: dict[str, list[Round]] = {name: [] for name in names}
        for _ in range(given.rounds):
            for contender in contenders:
                rounds[contender.name].append(one_round(contender, given))
    asked = {key: getattr(given, key) for key in ("transport", "subscribers", "size", "rate")}
    print(json.dumps({"bench": "fanout", **asked, **summary(rounds)}))


if __name__ == "__main__":
    main()
