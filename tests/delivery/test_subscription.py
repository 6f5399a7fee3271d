"""The rule table: what a slow client gets, what it is told, and that no loss is silent."""

import pytest

from eco_actor.delivery.rule import MAX_WAITING, RESERVE
from eco_actor.delivery.subscription import Mode
from eco_actor.eventlog import Draft
from eco_actor.runtime.testing import run_virtual
from tests.delivery.follower import conserved
from tests.delivery.stage import soon, staged
from tests.delivery.stalling import go_on, ranges, stalled

RULES = ["buffer", "latest", "drop", "close", "coalesce"]
KINDS = ["sse", "json", "msgpack"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("overflow", "told", "gap"),
    [
        ("buffer", [2, 3, 4, 5, 6, 7, 8], None),
        ("latest", [6, 7, 8], (2, 6, 4, "overflow")),
        ("drop", [2, 3, 4], (5, 9, 4, "overflow")),
        ("coalesce", [6, 7, 8], (2, 6, 4, "overflow")),
    ],
)
def test_a_full_mailbox_does_what_its_rule_says(
    kind: str, overflow: str, told: list[int], gap: tuple[int, int, int, str] | None
) -> None:
    """Three places for seven events; the gap is told in its place, with what was lost exactly."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, overflow, 3, kind)
            for n in range(2, 9):
                await stage.publish("app:a", n)
            await go_on(client)
            assert client.numbers() == [0, 1, *told]
            assert ranges(client.gaps) == ([gap] if gap else [])
            if gap is not None:
                lost = await stage.log.page(["app:a"], gap[0])
                missing = [e.data["n"] for e in lost.events if e.position <= gap[1]]
                assert missing == [n for n in range(2, 9) if n not in told]
            await stage.publish("app:a", 9)
            await soon()
            assert client.numbers()[-1] == 9
            assert client.subscriptions[0].mode is Mode.IN_STEP

    run_virtual(main())


def test_close_ends_the_connection_and_the_cursor_brings_it_back() -> None:
    """The bye says so, as the last thing; nothing is lost over it."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, "close", 3)
            await stage.publish("app:a", 2, 3, 4)
            await soon()
            assert client.cell.alive
            await stage.publish("app:a", 5)
            await soon()
            await go_on(client)
            assert (client.bye.code, client.bye.reconnect) == ("slow_consumer", True)
            assert client.transport.closed
            assert stage.traffic.sse.ended["slow_consumer"] == 1
            again = await stage.connect("app:a", after=client.sse.last_id, overflow="close")
            await soon()
            assert [*client.numbers(), *again.numbers()] == [0, 1, 2, 3, 4, 5]

    run_virtual(main())


def test_coalesce_replaces_what_has_the_same_key() -> None:
    """The newest of a key goes to the tail; the gap says coalesced, and ids do not go back."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, "coalesce", 8)
            for n, key in enumerate("abac", start=2):
                await stage.publish("app:a", n, key=key)
            await go_on(client)
            assert client.numbers() == [0, 1, 3, 4, 5]
            assert ranges(client.gaps) == [(2, 3, 1, "coalesced")]
            assert client.sse.ids == sorted(client.sse.ids)

    run_virtual(main())


def test_pieces_of_one_text_become_one_and_leave_no_gap() -> None:
    """Transient deltas of a key that follow each other are joined."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, "coalesce", 4)
            for pos, delta in ((0, "Gl"), (2, "as"), (4, "s")):
                data = {"pos": pos, "delta": delta}
                stage.log.show(Draft("app:a", data, 1, key="text", transient=True))
            await go_on(client)
            assert client.events[-1].data == {"pos": 0, "delta": "Glass"}
            assert len(client.events) == 3
            assert not client.gaps

    run_virtual(main())


@pytest.mark.parametrize("overflow", ["buffer", "latest", "drop", "coalesce"])
def test_terminal_events_get_through_under_every_rule(overflow: str) -> None:
    """As many as the reserve holds, in their place among the others."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, overflow, 2)
            for n in range(2, 2 + RESERVE):
                await stage.publish("app:a", n, 100 + n)
                await stage.publish("app:a", 200 + n, terminal=True)
            await go_on(client)
            numbers = client.numbers()
            assert [n for n in numbers if n >= 200] == [200 + n for n in range(2, 2 + RESERVE)]
            at = [event.position for event in client.events]
            assert at == sorted(at, key=lambda each: each or 0)

    run_virtual(main())


@pytest.mark.parametrize("overflow", ["latest", "drop", "coalesce"])
def test_what_waits_is_bounded_in_bytes(overflow: str) -> None:
    """However large the capacity is: the rule speaks at the bound."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, overflow, 4096)
            pad = 50_000
            for n in range(2, 22):
                await stage.publish("app:a", n, pad=pad)
            (subscription,) = client.subscriptions
            statistics = subscription.statistics()
            assert isinstance(statistics["bytes"], int)
            assert MAX_WAITING - pad - 200 < statistics["bytes"] <= MAX_WAITING
            await go_on(client)
            kept = len(client.numbers()) - 2
            assert kept == MAX_WAITING // (pad + 100)
            (gap,) = client.gaps
            assert gap.dropped == 20 - kept

    run_virtual(main())


@pytest.mark.parametrize("overflow", ["buffer", "drop", "latest"])
def test_lost_transient_events_are_counted_in_a_gap_without_a_range(overflow: str) -> None:
    """They were in no log: from and to are equal, and `dropped` says how many."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, overflow, 2)
            stage.show("app:a", 10, 11, 12, 13, 14)
            await go_on(client)
            kept = [13, 14] if overflow == "latest" else [10, 11]
            assert client.numbers() == [0, 1, *kept]
            assert ranges(client.gaps) == [(2, 2, 3, "overflow")]

    run_virtual(main())


def test_losses_of_one_channel_are_one_gap_until_it_is_told() -> None:
    """Events that were kept in between lie in its range, and are told all the same."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, "latest", 2)
            await stage.publish("app:a", 2, 3, 4)
            await stage.publish("app:a", 5, terminal=True)
            await stage.publish("app:a", 6, 7)
            await go_on(client)
            (gap,) = client.gaps
            told = client.numbers()
            assert 5 in told
            assert set(range(2, 8)) - set(told) <= set(range(gap.begin, gap.end))
            assert gap.dropped == 6 - len(told[2:])
            assert client.sse.ids == sorted(client.sse.ids)

    run_virtual(main())


@pytest.mark.parametrize("overflow", RULES)
def test_counters_of_a_subscription_add_up(overflow: str) -> None:
    """In step, behind, paging, and after its end."""

    async def main() -> None:
        async with staged() as stage:
            client = await stalled(stage, overflow, 3)
            (subscription,) = client.subscriptions
            for n in range(2, 12):
                await stage.publish("app:a", n, key=str(n % 2))
                stage.show("app:a", 100 + n)
                assert conserved(subscription.statistics()), subscription.statistics()
            await go_on(client)
            if overflow != "close":
                await stage.publish("app:a", 12)
                await stage.publish("app:a", 13)
                (pending,) = client.counters()
                assert conserved(pending)
                assert pending["depth"] == 1
                await soon()
                (told,) = client.counters()
                assert conserved(told)
                assert told["handled"] == len(client.events)
            client.transport.vanish()
            await soon()
            assert conserved(subscription.statistics())

    run_virtual(main())
