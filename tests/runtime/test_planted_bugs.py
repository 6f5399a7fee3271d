"""The test kit finds the bugs that are planted, and names the seed."""

import asyncio
from typing import Any

import pytest

from eco_actor.runtime import (
    Mailbox,
    MailboxSpec,
    Outcome,
    State,
    Strategy,
    Supervisor,
    child,
)
from eco_actor.runtime.testing import (
    Injected,
    Kit,
    conserved,
    seeds,
    simulate,
)
from tests.runtime.kit_actors import Counter, Echo, cell, loop

pytestmark = pytest.mark.usefixtures("no_seed")


class Planted(Mailbox[Any]):
    """One to which nothing comes but by its `offer`."""

    appendable = False


class Losing(Planted):
    """Says that it took the message, and has not."""

    def offer(self, message: Any) -> Outcome:
        return Outcome.ENQUEUED if message == 3 else super().offer(message)


class Doubling(Planted):
    """Hands a message out twice."""

    def offer(self, message: Any) -> Outcome:
        if message == 3:
            super().offer(message)
        return super().offer(message)


class Forgetful(Planted):
    """Counts a message as handled, and has it in hand still."""

    def done(self) -> None:
        self.handled += 1


class Secretive(Planted):
    """Does not count what it refuses."""

    def _refused(self) -> Outcome:
        return Outcome.FULL


class Boundless(Planted):
    """Has no bound."""

    def offer(self, message: Any) -> Outcome:
        self.capacity += 1
        outcome = super().offer(message)
        self.capacity -= 1
        return outcome


BUGS: dict[type[Mailbox[Any]], str] = {
    Losing: "senders were told that 7 messages were accepted, the mailbox accounts for 6",
    Doubling: "senders were told that 5 messages were accepted, the mailbox accounts for 6",
    Forgetful: "6 messages are in hand",
    Secretive: "senders were told that 1 messages were refused, the mailbox counts 0",
    Boundless: "7 messages are queued, more than the 6 it holds",
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_mailbox_with_a_bug_is_found(bug: type[Mailbox[Any]]) -> None:
    """The sentence names the actor and the numbers, and the seed is there."""

    class Victim(Echo):
        mailbox = MailboxSpec(6)

        async def init(self) -> None:
            self._life.cell.mailbox = bug(self.mailbox)

    async def main(kit: Kit) -> None:
        victim = await kit.start(Victim)
        victim.suspend()
        for number in range(7):
            victim.tell(number)
        if bug is not Forgetful:
            kit.assert_conserved(victim)
        victim.resume()
        await kit.advance(10)
        kit.assert_conserved()

    with pytest.raises(AssertionError, match=BUGS[bug]) as caught:
        simulate(main, 5)
    assert str(caught.value).startswith("/kit/victim: ")
    assert caught.value.__notes__[0].startswith("seed 5")


def test_conservation_can_be_asked_of_any_system() -> None:
    """Without a ledger only what a mailbox says of itself is looked at."""

    async def main(kit: Kit) -> None:
        counter = await kit.start(Counter)
        counter.tell(1)
        conserved(kit.system)
        await kit.settle()
        counter.mailbox.in_hand = 2
        with pytest.raises(AssertionError, match="/kit/counter: 2 messages are in hand"):
            conserved([counter])
        counter.mailbox.in_hand = 0

    simulate(main)


def test_two_hooks_of_one_actor_at_once_are_found() -> None:
    """One message at a time, even across an await: the kit watches."""

    async def main(kit: Kit) -> None:
        echo = await kit.start(Echo)
        echo.tell(1)
        await kit.settle()
        assert echo.actor is not None
        await echo.actor.handle(2)

    with pytest.raises(AssertionError, match="/kit/echo: handle begins while handle of incarn"):
        simulate(main)


@pytest.mark.parametrize("where", ["job", "callback"])
def test_what_is_raised_where_nobody_hears_it_fails_the_kit(where: str) -> None:
    """In a job, or in a callback of the loop."""

    async def failing() -> None:
        raise Injected("unheard")

    async def main(kit: Kit) -> None:
        if where == "job":
            kit.jobs.spawn(failing(), "mine")
        else:
            loop().call_soon(divmod, 1, 0)
        await kit.settle()

    with pytest.raises(AssertionError, match=r"nobody would have heard of: .*(unheard|ZeroDiv)"):
        simulate(main)


# ---- everything at once


def test_a_tree_survives_faults_of_all_kinds_in_any_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Crashes, kills, delays and stray cancellations by chance; afterwards all is as it was."""
    caplog.set_level("CRITICAL", "eco_actor.runtime")

    async def main(kit: Kit) -> None:
        specs = [
            child(strategy.value, Supervisor, [child(n, Echo) for n in "abc"], strategy,
                  intensity=1000)
            for strategy in Strategy
        ]  # fmt: skip
        await kit.supervise(child("top", Supervisor, specs, intensity=1000))
        places = [f"/kit/top/{strategy.value}/{n}" for strategy in Strategy for n in "abc"]
        for hook in ("init", "handle", "terminate"):
            for fault in (kit.faults.crash, kit.faults.kill, kit.faults.cancel):
                fault("?", hook, chance=0.05)
            kit.faults.delay("?", 0.05, hook, chance=0.2)
        asks = [cell(kit, place).ask(n, timeout=60) for place in places for n in range(5)]
        await asyncio.gather(*asks, return_exceptions=True)
        kit.faults.stop()
        await kit.advance(60)
        kit.assert_quiet()
        assert [cell(kit, place).state for place in places] == [State.RUNNING] * 9

    for seed in seeds(40):
        simulate(main, seed)
