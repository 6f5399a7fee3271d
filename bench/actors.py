"""What an actor costs: messages, round trips, starts and memory, through the public interface.

`python -m bench.actors` prints one JSON line: medians of some rounds, each measurement in a process
of its own, on one core. All actors are supervised, no mailbox holds more than 1,024 messages, and
a round in which a message was lost, refused or handled twice is an error, not a figure.

fan_in_msg_s    messages a second from one actor to another: the sender tells as many as there is
                room for, one message each, then lets others run (a timer of zero seconds); from
                the first tell until the last was handled, in order
ping_pong_rt_s  round trips a second of one message between two actors
spawn_s         children that a dynamic supervisor starts a second, each with a name of its own
idle_bytes      growth of the resident memory by each of them, all garbage collected

The collector is set as the server sets it (`settle_memory`), for peers in Python as well.

`async_` before a name: the same with `async def` handlers. With --peers the same rounds also
measure the BEAM with one scheduler, Pykka, and asyncio.Queue with a task; `ratio` is our figure
by theirs, median of the rounds: above 1 ours is faster, or for idle_bytes larger. Pykka is no
dependency: name the folder it is in with PYTHONPATH.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from bench.actor_peers import (
    CAPACITY,
    LOOPS,
    PATIENCE_S,
    PEERS,
    Contestant,
    Figures,
    apart,
    finished,
    medians,
    one_round,
    positive,
    ratios,
    rss_bytes,
)
from eco_actor.runtime import (
    Actor,
    ChildSpec,
    DynamicSupervisor,
    MailboxSpec,
    Ref,
    Supervisor,
    System,
    child,
    settle_memory,
)

END: Final = -1


@dataclass(slots=True)
class Shared:
    """What the two actors of a measurement know; the refs are set before the first message."""

    count: int
    over: "asyncio.Future[float]"  # when, or what went wrong
    begun: float = 0.0
    sink: Ref[int] = field(init=False)
    ping: Ref[int] = field(init=False)
    pong: Ref[int] = field(init=False)


# ---- fan-in


class Sink(Actor[int]):
    """Takes the numbers below `count`, in order and each once, and then END."""

    mailbox = MailboxSpec(CAPACITY)

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.expected = 0

    def handle(self, message: int) -> Any:
        if message == self.expected:
            self.expected = message + 1
        else:
            self.unexpected(message)

    def unexpected(self, message: int) -> None:
        over, count = self.shared.over, self.shared.count
        if message == END and self.expected == count:
            over.set_result(time.perf_counter())
        elif not over.done():
            over.set_exception(AssertionError(f"{message} instead of {self.expected} of {count}"))


class AsyncSink(Sink):
    async def handle(self, message: int) -> None:
        if message == self.expected:
            self.expected = message + 1
        else:
            self.unexpected(message)


class Sender(Actor[str]):
    """Tells the sink as much as there is room for, then lets others run."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.told = 0

    def handle(self, message: str) -> Any:
        self.go_on(message)

    def go_on(self, message: str) -> None:
        shared = self.shared
        tell, mailbox = shared.sink.tell, shared.sink.mailbox
        if self.told == 0:
            shared.begun = time.perf_counter()
        room = mailbox.capacity - len(mailbox)
        told = min(self.told + room, shared.count)
        for number in range(self.told, told):
            tell(number)
        if told - self.told < room:
            tell(END)
        else:
            self.start_timer("go on", 0, message)
        self.told = told


class AsyncSender(Sender):
    async def handle(self, message: str) -> None:
        self.go_on(message)


async def fan_in(sender: type[Sender], sink: type[Sink], messages: int) -> Figures:
    shared = Shared(messages, asyncio.get_running_loop().create_future())
    async with tree(child("sink", sink, shared), child("sender", sender, shared)) as system:
        shared.sink = at(system, "/bench/sink")
        start = at(system, "/bench/sender")
        start.tell("go on")
        over = await asyncio.wait_for(shared.over, PATIENCE_S)
        check(start, handled=1)
        check(shared.sink, handled=messages + 1)
    return {"fan_in_msg_s": messages / (over - shared.begun)}


# ---- ping-pong


class Ping(Actor[int]):
    mailbox = MailboxSpec(CAPACITY)

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def handle(self, message: int) -> Any:
        if message == self.shared.count:
            self.shared.over.set_result(time.perf_counter())
        else:
            self.shared.pong.tell(message + 1)


class Pong(Ping):
    def handle(self, message: int) -> Any:
        self.shared.ping.tell(message + 1)


class AsyncPing(Ping):
    async def handle(self, message: int) -> None:
        if message == self.shared.count:
            self.shared.over.set_result(time.perf_counter())
        else:
            self.shared.pong.tell(message + 1)


class AsyncPong(Ping):
    async def handle(self, message: int) -> None:
        self.shared.ping.tell(message + 1)


async def ping_pong(ping: type[Ping], pong: type[Ping], round_trips: int) -> Figures:
    shared = Shared(2 * round_trips, asyncio.get_running_loop().create_future())
    async with tree(child("ping", ping, shared), child("pong", pong, shared)) as system:
        shared.ping = at(system, "/bench/ping")
        shared.pong = at(system, "/bench/pong")
        begun = time.perf_counter()
        shared.ping.tell(0)
        over = await asyncio.wait_for(shared.over, PATIENCE_S)
        check(shared.ping, handled=round_trips + 1)
        check(shared.pong, handled=round_trips)
    return {"ping_pong_rt_s": round_trips / (over - begun)}


# ---- many that do nothing


class Idle(Actor[object]):
    def handle(self, message: object) -> Any:
        pass


class AsyncIdle(Actor[object]):
    async def handle(self, message: object) -> None:
        pass


async def spawn(idle: type[Actor[object]], actors: int) -> Figures:
    """Start, look at the memory, and only then see whether they work."""
    async with tree(child("idle", DynamicSupervisor, max_children=actors)) as system:
        supervisor = at(system, "/bench/idle").actor
        assert isinstance(supervisor, DynamicSupervisor)
        before, begun = rss_bytes(), time.perf_counter()
        for number in range(actors):
            supervisor.start_child_nowait(child(f"idle-{number}", idle))
        seconds = time.perf_counter() - begun
        grown = rss_bytes() - before
        children: list[Ref[Any]] = list(supervisor.children())
        assert sum(each.alive for each in children) == actors
        for each in children[::100]:
            await each.ask(None, PATIENCE_S)
            check(each, handled=1)
    return {"spawn_s": actors / seconds, "idle_bytes": grown / actors}


# ---- what all of them need


def tree(*children: ChildSpec) -> System:
    return System(child("bench", Supervisor, children))


def at(system: System, path: str) -> Any:
    """The actor's cell, as a ref or for inspection."""
    found = system.find(path)
    assert found is not None
    return found


def check(ref: Ref[Any], handled: int) -> None:
    """Every message is accounted for: nothing was refused or lost, all of it was handled."""
    box = ref.mailbox
    ways = (box.handled, box.replaced, box.coalesced, box.dead, box.expired, box.in_hand, len(box))
    assert box.offered == box.accepted + box.refused, (ref, box.statistics())
    assert box.accepted == sum(ways), (ref, box.statistics())
    assert box.offered == box.handled == handled, (ref, box.statistics())
    assert box.capacity <= CAPACITY


OURS: Final = Contestant(
    {
        "fan_in": partial(fan_in, Sender, Sink),
        "ping_pong": partial(ping_pong, Ping, Pong),
        "spawn": partial(spawn, Idle),
        "async_fan_in": partial(fan_in, AsyncSender, AsyncSink),
        "async_ping_pong": partial(ping_pong, AsyncPing, AsyncPong),
        "async_spawn": partial(spawn, AsyncIdle),
    },
    fewer={"async_fan_in": 3, "async_ping_pong": 10},
)
CONTESTANTS: Final = {"ours": OURS, **PEERS}


def measure(loop: str, name: str, kind: str, count: int) -> Figures:
    settle_memory()  # as the server does; for the peers that are Python, too
    return finished(CONTESTANTS[name].measures[kind](count), loop)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.actors",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--messages", type=positive, default=3_000_000, help="told (3000000)")
    parser.add_argument("--round-trips", type=positive, default=300_000, help="(300000)")
    parser.add_argument("--actors", type=positive, default=100_000, help="that idle (100000)")
    parser.add_argument("--rounds", type=positive, default=3, help="of each measurement (3)")
    parser.add_argument("--peers", action="store_true", help="measure others in the same rounds")
    parser.add_argument("--loop", choices=LOOPS, default="uvloop")
    given = parser.parse_args(arguments)
    counts = {"fan_in": given.messages, "ping_pong": given.round_trips, "spawn": given.actors}
    asked = CONTESTANTS if given.peers else {"ours": OURS}
    missing = {name: each.missing for name, each in asked.items() if each.missing}
    present = {name: each for name, each in asked.items() if not each.missing}
    rounds: list[dict[str, Figures]] = []
    for done in range(given.rounds):
        print(f"round {done + 1} of {given.rounds}", file=sys.stderr, flush=True)
        rounds.append(one_round(present, counts, partial(apart, measure, given.loop)))
    by_name = {name: [each[name] for each in rounds] for name in present}
    ours = by_name.pop("ours")
    found: dict[str, Any] = {"bench": "actors"} | vars(given) | medians(ours)
    if found.pop("peers"):
        measured = {name: medians(of) | {"ratio": ratios(ours, of)} for name, of in by_name.items()}
        found |= {"peers": dict.fromkeys(missing) | measured, "missing": missing}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
