"""Who is looked at when, and who is given up: the wheel, and clients that do not read."""

import asyncio

import pytest

from eco_actor.delivery.liveness import AGE, PATIENCE, SLOTS, TICK, Wheel
from eco_actor.delivery.websocket import PING_S, PONG_S
from eco_actor.runtime.testing import run_virtual
from tests.delivery.stage import soon, staged


def tick(wheel: Wheel, now: float) -> None:
    """A second has come, and all that it brings is looked at."""
    wheel.turn(now)
    while wheel.look(now, 1):
        pass


class Beater:
    """Is due every *rhythm* seconds, and has so much unsent."""

    def __init__(self, rhythm: float = 15.0, unsent: int = 0) -> None:
        self.slot = -1
        self.rhythm = rhythm
        self.left = unsent
        self.beats: list[float] = []
        self.given_up: str | None = None
        self.fault: Exception | None = None

    def beat(self, now: float) -> float:
        self.beats.append(now)
        if self.fault is not None:
            raise self.fault
        return now + self.rhythm

    def unsent(self) -> int:
        if self.fault is not None:
            raise self.fault
        return self.left

    def give_up(self, why: str) -> None:
        self.given_up = why


def turn(wheel: Wheel, begin: int, end: int) -> None:
    for second in range(begin, end):
        tick(wheel, float(second))


def test_each_is_looked_at_when_it_is_due() -> None:
    """Every so many seconds, wherever the wheel stands; nobody else is."""
    wheel = Wheel()
    often, seldom = Beater(3.0), Beater(50.0)
    turn(wheel, 0, 10)
    wheel.put(often, 12.5)
    wheel.put(seldom, 20.0)
    turn(wheel, 10, 121)
    assert often.beats == [float(n) for n in range(12, 121, 3)]
    assert seldom.beats == [20.0, 70.0, 120.0]
    assert len(wheel) == 2
    wheel.remove(often)
    wheel.remove(often)
    wheel.put(seldom, 125.0)
    turn(wheel, 121, 130)
    assert seldom.beats[-1] == 125.0
    assert len(often.beats) == 37


def test_seconds_without_a_turn_are_made_up_for() -> None:
    """A loop that was held up looks at all that were due meanwhile, once."""
    wheel = Wheel()
    beaters = [Beater() for _ in range(SLOTS - 1)]
    tick(wheel, 100.0)
    for n, beater in enumerate(beaters):
        wheel.put(beater, 101.0 + n)
    tick(wheel, 500.0)
    assert all(beater.beats == [500.0] for beater in beaters)


def test_a_beat_that_fails_is_nobody_elses() -> None:
    """Nor is a transport that cannot say what is unsent."""
    wheel = Wheel()
    bad, good = Beater(unsent=5), Beater(unsent=5)
    for beater in (bad, good):
        wheel.put(beater, 5.0)
        wheel.block(beater, 0.0)
    bad.fault = ValueError("a closed file has no number")
    turn(wheel, 0, int(PATIENCE) + 1)
    assert good.beats == [5.0, 20.0]
    assert good.given_up == "progress"


def test_without_a_byte_of_progress_a_client_is_given_up() -> None:
    """After PATIENCE, and not a second before; progress begins it anew; AGE ends it anyway."""
    wheel = Wheel()
    stuck, slow, well = Beater(unsent=10), Beater(unsent=1000), Beater(unsent=10)
    for beater in (stuck, slow, well):
        wheel.block(beater, 0.0)
    assert wheel.stuck == 3
    wheel.unblock(well)
    for second in range(1, int(AGE) + 1):
        slow.left -= 1
        tick(wheel, float(second))
        assert (stuck.given_up is not None) == (second >= PATIENCE)
        assert (slow.given_up is not None) == (second >= AGE)
    assert (stuck.given_up, slow.given_up, well.given_up) == ("progress", "age", None)
    assert wheel.stuck == 0


@pytest.mark.parametrize("kind", ["sse", "json"])
def test_a_stalled_client_is_dropped_and_holds_up_nobody(kind: str) -> None:
    """Others get everything at once; it goes after PATIENCE, whatever its rule."""

    async def main() -> None:
        async with staged() as stage:
            good = await stage.connect("app:a", kind=kind)
            stalled = await stage.connect("app:a", kind=kind, overflow="latest")
            stalled.transport.stall()
            for n in range(10):
                await stage.publish("app:a", n)
                await asyncio.sleep(1)
            assert good.numbers() == list(range(10))
            assert stalled.cell.alive
            await asyncio.sleep(PATIENCE - 10 + 3)
            assert not stalled.cell.alive
            assert stalled.transport.aborted
            assert good.cell.alive
            traffic = stage.traffic.sse if kind == "sse" else stage.traffic.websocket
            assert traffic.ended["progress"] == 1
            assert stage.wheel.stuck == 0

    run_virtual(main())


def test_a_client_that_reads_a_byte_now_and_then_goes_in_the_end() -> None:
    """Each byte is progress, but one write may take AGE altogether."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a")
            client.transport.stall()
            await stage.publish("app:a", 1, pad=1000)
            for _ in range(int(AGE / 5) - 1):
                client.transport.allow(1)
                await asyncio.sleep(5)
            assert client.cell.alive
            await asyncio.sleep(5 + 3)
            assert not client.cell.alive
            assert stage.traffic.sse.ended["age"] == 1

    run_virtual(main())


def test_pings_are_sent_in_silence_and_who_does_not_answer_goes() -> None:
    """One every PING_S, none at the opening; without a pong it is over after PONG_S."""

    async def main() -> None:
        async with staged() as stage:
            await asyncio.sleep(0.4)
            good = await stage.connect("app:a", kind="json")
            mute = await stage.connect("app:a", kind="json")
            mute.answers_pings = False
            await asyncio.sleep(PING_S - 2 * TICK)
            assert (good.ws.pings, mute.ws.pings) == ([], [])
            await asyncio.sleep(4 * TICK)
            assert len(mute.ws.pings) == 1
            await asyncio.sleep(PONG_S - 4 * TICK)
            assert mute.cell.alive
            await asyncio.sleep(4 * TICK)
            assert not mute.cell.alive
            assert stage.traffic.websocket.ended["pong"] == 1
            await asyncio.sleep(4 * PING_S)
            assert good.cell.alive
            assert len(good.ws.pings) == 5

    run_virtual(main())


def test_a_client_that_stalled_is_not_blamed_for_a_ping_it_could_not_get() -> None:
    """While it cannot be written to it is not pinged; its pong may come late then."""

    async def main() -> None:
        async with staged() as stage:
            client = await stage.connect("app:a", kind="json")
            await asyncio.sleep(PING_S - 3)
            client.transport.stall(0)
            await stage.publish("app:a", 1, pad=1000)
            for _ in range(4):
                await asyncio.sleep(8)
                client.transport.allow(10)
            assert client.cell.alive
            client.transport.allow(None)
            await soon()
            await asyncio.sleep(3 * PING_S)
            assert client.cell.alive
            assert client.numbers() == [1]

    run_virtual(main())


def test_what_is_due_before_a_late_first_look_is_not_forgotten() -> None:
    """A busy loop may come round to it a second later than it was asked to."""
    wheel, early = Wheel(), Beater(15.0)
    wheel.begin(0.5)
    wheel.put(early, 1.6)
    tick(wheel, 2.4)
    assert early.beats == [2.4]
