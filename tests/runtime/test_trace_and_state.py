"""Looking into actors: trace, state and snapshot, none of which may hurt whom it shows."""

import asyncio
import dataclasses
import tracemalloc
from typing import Any

import pytest

from eco_actor.runtime import MailboxSpec, Restart
from eco_actor.runtime.inspection import CUT, MOST_TRACED, cut
from eco_actor.runtime.testing import run_virtual
from tests.runtime.inspected_actors import KINDS, Plain, at, tree

# ---- trace


@KINDS
def test_a_trace_keeps_the_last_messages_that_were_taken_over_restarts(kind: type[Plain]) -> None:
    """Signals and the message of a request included, oldest first, with the time and the kind."""

    async def main() -> None:
        async with tree([], kind) as system:
            ref = at(system)
            ref.tell("before")
            await asyncio.sleep(1)
            ref.trace(4)
            ref.tell("crash")
            await asyncio.sleep(1)
            assert await ref.ask(7, timeout=1) == 7
            assert [(t.at, t.kind, t.text) for t in ref.traced] == [
                (1, "str", "'crash'"),
                (2, "int", "7"),
            ]
            await ref.ask(lambda me: me.start_timer("t", 1, b"rang"), timeout=1)
            await asyncio.sleep(2)
            for n in range(2):
                assert await ref.ask(n, timeout=1) == n
            assert [t.kind for t in ref.traced] == ["function", "bytes", "int", "int"]
            assert (ref.traced[-1].text, ref.incarnation) == ("1", 2)

    run_virtual(main())


@pytest.mark.parametrize("most", [-1, MOST_TRACED + 1, 10**9])
def test_a_trace_has_a_bound(most: int) -> None:
    """A number that is out of it is refused with the bound, and the trace stays as it was."""

    async def main() -> None:
        async with tree([]) as system:
            ref = at(system)
            ref.trace(2)
            ref.tell("x")
            await asyncio.sleep(0.1)
            with pytest.raises(ValueError, match=f"1 to {MOST_TRACED} messages, not {most}"):
                ref.trace(most)
            assert len(ref.traced) == 1

    run_virtual(main())


# ---- what is shown


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no repr today")


class Loud:
    def __repr__(self) -> str:
        return "loud " * 100_000


@dataclasses.dataclass(frozen=True)
class Chunk:
    """As messages are."""

    data: bytes


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value] * 50
    return value


def endless() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["me"] = value
    return value


@pytest.mark.parametrize(
    "value",
    [
        Rude(),
        [Rude()],
        Loud(),
        {n: Loud() for n in range(50)},
        10**5000,
        "x" * 10**6,
        nested(9),
        endless(),
        list(range(10**5)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_shown_is_cut(value: object) -> None:
    """A repr that raises is told as such, a huge one cut, also in a trace of a running actor."""

    async def main() -> None:
        async with tree([]) as system:
            ref = at(system)
            ref.trace(1)
            await ref.ask(lambda me: setattr(me, "value", value), timeout=1)
            await ref.ask(value, timeout=1)
            shown = ref.actor_state()
            assert shown["value"] == ref.traced[0].text
            assert 0 < len(shown["value"]) <= CUT
            assert set(shown) == {"diary", "value"}
            assert ref.incarnation == 1

    run_virtual(main())


@pytest.mark.parametrize(
    "value",
    [
        bytes(4 << 20),
        bytearray(4 << 20),
        Chunk(bytes(4 << 20)),
        "x" * (4 << 20),
        list(range(1 << 19)),
        [bytes(9)] * 1000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_large_value_is_cut_without_formatting_all_of_it(value: object) -> None:
    """To show a picture must not take four times its memory, and the loop for as long."""
    tracemalloc.start()
    try:
        assert len(cut(value)) <= CUT
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_there_is_nothing_to_show_of_an_actor_that_is_not_there() -> None:
    """Dead: no state, nothing to suspend, but its snapshot and its trace still speak."""

    async def main() -> None:
        async with tree([], restart=Restart.TEMPORARY) as system:
            ref = at(system)
            ref.trace(3)
            ref.tell("crash")
            await asyncio.sleep(1)
            ref.suspend()
            ref.resume()
            assert (ref.suspended, ref.actor_state(), len(ref.traced)) == (False, {}, 1)
            shown = ref.snapshot()
            assert (shown["state"], shown["last_error"]) == ("dead", "crashed: ValueError: boom")

    run_virtual(main())


def test_a_snapshot_has_the_keys_of_the_interface() -> None:
    """As `/actors` documents them; where bytes are bounded, those too."""

    class Weighing(Plain):
        mailbox = MailboxSpec(3, max_bytes=10, size=lambda m: 4)

    async def main() -> None:
        async with tree([], Weighing) as system:
            ref = at(system)
            ref.tell("crash")
            await asyncio.sleep(1)
            ref.suspend()
            ref.tell("queued")
            assert ref.snapshot() == {
                "path": "/top/a",
                "kind": "Weighing",
                "incarnation": 2,
                "state": "running",
                "suspended": True,
                "restarts": 1,
                "last_error": "crashed: ValueError: boom",
                "mailbox": {
                    **dict.fromkeys(("handled", "refused", "dropped", "replaced", "coalesced"), 0),
                    **dict.fromkeys(("depth", "high_water", "dead"), 1),
                    "capacity": 3,
                    "overflow": "buffer",
                    "offered": 2,
                    "accepted": 2,
                    "expired": 0,
                    "bytes": 4,
                    "max_bytes": 10,
                },
            }
            mailbox = at(system, "b").snapshot()["mailbox"]
            assert isinstance(mailbox, dict)
            assert "bytes" not in mailbox
            assert [shown["path"] for shown in system.tree()] == ["/top", "/top/a", "/top/b"]

    run_virtual(main())
