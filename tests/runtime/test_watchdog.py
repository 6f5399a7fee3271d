"""The watchdog, in real time: slow turns, messages that wait, a loop that stands still."""

import asyncio
import logging
import math
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from blockbuster import BlockBuster

from eco_actor.runtime import (
    Actor,
    MailboxSpec,
    StartFailed,
    Supervisor,
    System,
    Watchdog,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.dispatcher import Dispatcher

NEVER = 1000.0
HEART = "eco-watchdog"


@pytest.fixture(autouse=True)
def may_block(blockbuster: BlockBuster) -> None:
    """To block is what these handlers are for; no thread of an earlier test is left."""
    blockbuster.functions["time.sleep"].deactivate()
    for thread in threading.enumerate():
        if thread.name == HEART:
            thread.join(5)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What the watchdog wrote to the log, as it comes."""
    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    log, collect = logging.getLogger("eco_actor.runtime.watchdog"), Collect()
    log.addHandler(collect)
    yield lines
    log.removeHandler(collect)


class Blocker(Actor[float]):
    """Holds up the loop for so long."""

    mailbox = MailboxSpec(1024)

    def handle(self, message: float) -> float:
        time.sleep(message)
        return message


class Waiter(Blocker):
    """Waits for so long, and holds up nobody."""

    async def handle(self, message: float) -> float:  # type: ignore[override]
        await asyncio.sleep(message)
        return message


def tree(watchdog: Watchdog | None, kind: type[Blocker] = Blocker) -> System:
    return System(child("top", Supervisor, [child("a", kind), child("b", kind)]), watchdog=watchdog)


def at(system: System, name: str = "a") -> Cell:
    found = system.find(f"/top/{name}")
    assert found is not None
    return found


def late(said: list[str]) -> list[str]:
    return [line for line in said if "queue delay" in line]


def hearts() -> int:
    return sum(thread.name == HEART for thread in threading.enumerate())


async def until(condition: Any, within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_a_slow_turn_is_named_once_and_counted_each_time(said: list[str]) -> None:
    """Who held up all others, for how long; what follows soon is counted without a line."""

    async def main() -> None:
        watchdog = Watchdog(slow_turn=0.03, queue_delay=NEVER, loop_stall=NEVER)
        async with tree(watchdog) as system:
            await at(system).ask(0, timeout=5)
            for _ in range(3):
                await at(system).ask(0.04, timeout=5)
            await at(system, "b").ask(0.04, timeout=5)
            assert watchdog.counted.slow_turns == 4

    asyncio.run(main())
    assert [line.split(" took ")[0] for line in said] == [
        "/top/a: slow turn:",
        "/top/b: slow turn:",
    ]
    assert "and held up all others" in said[0]


def test_a_message_that_waits_for_a_plain_actor_is_warned_of_while_it_waits(
    said: list[str],
) -> None:
    """It has several turns before that one; the line says how long it waited, how many queue."""

    async def main() -> None:
        watchdog = Watchdog(slow_turn=NEVER, queue_delay=0.1, loop_stall=0.02)
        async with tree(watchdog) as system:
            for _ in range(1024):
                at(system).tell(0.0003)
            await until(lambda: watchdog.counted.long_delays)

    asyncio.run(main())
    assert re.fullmatch(
        r"/top/a: queue delay: a message waited [0-9.]+ s, [1-9][0-9]* are queued", late(said)[0]
    )


@pytest.mark.parametrize("later", [False, True])
def test_a_message_that_waits_for_a_busy_async_actor_is_warned_of_while_it_waits(
    said: list[str], later: bool
) -> None:
    """The loop goes round all the while; so it does when the message came to an actor long busy."""

    async def main() -> None:
        watchdog = Watchdog(slow_turn=NEVER, queue_delay=0.1, loop_stall=0.04)
        async with tree(watchdog, Waiter) as system:
            ref = at(system)
            ref.tell(NEVER)
            for _ in range(5 if later else 0):
                await asyncio.sleep(0.05)
            ref.tell(0.0)
            try:
                await until(lambda: late(said), within=5.0)
            finally:
                ref.kill()

    asyncio.run(main())
    assert late(said)[0].startswith("/top/a: queue delay: a message waited ")
    assert late(said)[0].endswith(", 1 are queued")


def test_who_was_held_up_by_others_is_late_as_well(said: list[str]) -> None:
    """A message to b that came at once waited for the long turn of a."""

    async def main() -> None:
        watchdog = Watchdog(slow_turn=NEVER, queue_delay=0.05, loop_stall=NEVER)
        async with tree(watchdog) as system:
            asked = [at(system).ask(0.1, timeout=5), at(system, "b").ask(0.0, timeout=5)]
            await asyncio.gather(*asked)
            assert watchdog.counted.long_delays == 1

    asyncio.run(main())
    assert [line.split(" a message")[0] for line in late(said)] == ["/top/b: queue delay:"]


def test_a_loop_that_stands_still_is_reported_with_the_place_while_it_does(
    said: list[str],
) -> None:
    """The line comes before the stall is over and names the function that does not return."""
    during: list[str] = []

    class Stuck(Blocker):
        def handle(self, message: float) -> float:
            gives_up = time.monotonic() + 5
            while not said and time.monotonic() < gives_up:
                time.sleep(0.01)  # as long as it takes
            during.extend(said)
            return 0

    async def main() -> None:
        watchdog = Watchdog(slow_turn=NEVER, queue_delay=NEVER, loop_stall=0.05)
        async with tree(watchdog, Stuck) as system:
            await at(system).ask(0, timeout=9)
            await until(lambda: watchdog.counted.loop_stalls)
            assert watchdog.counted.loop_stalls == 1

    asyncio.run(main())
    assert during[0].startswith("the loop has stood still for 0.")
    assert "in handle (" in during[0]
    assert "test_watchdog.py:" in during[0]
    assert sum("has stood still" in line for line in said) == 1
    assert said[-1].startswith("the loop stood still for 0.")


def test_a_healthy_system_gives_no_cause_for_warnings(said: list[str]) -> None:
    """Idle or busy: nothing is written of turns that are short and messages that are taken."""

    async def main() -> None:
        watchdog = Watchdog(slow_turn=5, queue_delay=5, loop_stall=5)
        async with tree(watchdog) as system:
            for _ in range(200):
                await at(system).ask(0, timeout=5)
            counted = watchdog.counted
            assert (counted.slow_turns, counted.long_delays, counted.loop_stalls) == (0, 0, 0)

    asyncio.run(main())
    assert said == []


def test_without_a_watchdog_none_of_it_runs(said: list[str]) -> None:
    """No thread, no look at the clock, no line, however long a turn takes."""

    async def main() -> None:
        async with tree(None) as system:
            before = hearts()
            assert type(system.dispatcher) is Dispatcher
            await at(system).ask(0.12, timeout=5)
            assert hearts() == before == 0

    asyncio.run(main())
    assert said == []


@pytest.mark.parametrize("fails", [False, True])
def test_its_thread_ends_with_the_system(fails: bool) -> None:
    """Also with one whose start failed."""

    class Stillborn(Blocker):
        def init(self) -> None:
            if fails:
                raise RuntimeError("no start")

    async def main() -> None:
        try:
            async with tree(Watchdog(loop_stall=0.05), Stillborn):
                assert not fails
                assert hearts() == 1
        except StartFailed:
            assert fails
        await until(lambda: not hearts())

    asyncio.run(main())


@pytest.mark.parametrize("name", ["slow_turn", "queue_delay", "loop_stall"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_threshold_that_is_none_is_refused(name: str, value: float) -> None:
    """The sentence names it and what it was."""
    with pytest.raises(ValueError, match=f"{name} is a number of seconds above 0, not"):
        Watchdog(**{name: value})


@pytest.mark.parametrize("value", [None, "1"])
def test_a_threshold_that_is_no_number_is_refused_with_the_same_sentence(value: Any) -> None:
    """None is no way to switch it off, and a string from a file is no number."""
    with pytest.raises((ValueError, TypeError), match="slow_turn is a number of seconds above 0"):
        Watchdog(slow_turn=value)


def test_an_endless_threshold_is_refused_or_means_never(said: list[str]) -> None:
    """What is accepted must not end the thread that listens, silently, at its first look."""

    async def main() -> None:
        try:
            watchdog = Watchdog(slow_turn=math.inf, queue_delay=math.inf, loop_stall=math.inf)
        except ValueError:
            return
        hook, threading.excepthook = threading.excepthook, lambda args: None
        try:
            async with tree(watchdog) as system:
                await at(system).ask(0, timeout=5)
                await asyncio.sleep(0.05)
                assert hearts() == 1
        finally:
            threading.excepthook = hook

    asyncio.run(main())
