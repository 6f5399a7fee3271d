"""What is under way is counted right: after whatever went wrong, transient events do not wait.

And they never come before what was appended in front of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_actor.eventlog import Chain, Durability, EventLog, SqliteStore, StoreError, Write
from eco_actor.eventlog.sqlite import GIVE_UP_S, HANG_S
from eco_actor.eventlog.writer import Read
from tests.eventlog.gate import Gate
from tests.eventlog.storage import (
    ADD,
    THINGS,
    Watcher,
    draft,
    make_unwritable,
    make_writable,
    on_writer,
    recovery,
    stored,
)

MakeStore = Callable[..., SqliteStore]
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def probing_soon(monkeypatch: Patch) -> None:
    monkeypatch.setattr("eco_actor.eventlog.writer.PROBE_S", 0.01)


async def bad_data(log: EventLog, store: SqliteStore, patch: Patch) -> None:
    with pytest.raises(StoreError):
        await log.commit([draft("lost")], [Write(ADD, ("a",)), Write(ADD, ("a",))])


async def storage_fails(log: EventLog, store: SqliteStore, patch: Patch) -> None:
    await make_unwritable(store)
    results = await asyncio.gather(
        *(log.commit([draft("lost")]) for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(result, StoreError) for result in results)


async def refused_in_trouble(log: EventLog, store: SqliteStore, patch: Patch) -> None:
    await storage_fails(log, store, patch)
    for _ in range(3):
        with pytest.raises(StoreError):
            log.append([draft("refused")])
        with pytest.raises(StoreError):
            await log.forget(["app:z"])


async def trouble_is_over(log: EventLog, store: SqliteStore, patch: Patch) -> None:
    await refused_in_trouble(log, store, patch)
    ended = recovery(log)
    await make_writable(store)
    await ended


async def broken_story(log: EventLog, store: SqliteStore, patch: Patch) -> None:
    chain = Chain()
    for _ in range(3):
        log.append([draft("lost")], [Write(ADD, ("a",)), Write(ADD, ("a",))], chain=chain)
    await log.commit([])


async def unpackable(log: EventLog, store: SqliteStore, patch: Patch) -> None:
    with pytest.raises(TypeError):
        log.append([draft(object())])
    with pytest.raises(ValueError, match="64 bits"):
        log.append([draft(2**64)])


async def taken_back(
    log: EventLog, store: SqliteStore, patch: Patch, seconds: float = HANG_S
) -> None:
    gate = Gate(store)
    log.append([])  # costs no statement, and is in hand or gone
    log.append([draft("hangs", "app:z")])
    await gate.held()
    for _ in range(3):
        log.append([draft("lost"), draft("lost", transient=True)])
    log.show(draft("lost", transient=True))
    removal = asyncio.ensure_future(log.forget(["app:y"]))
    await asyncio.sleep(0)
    assert store._writer is not None
    with patch.context() as patched:
        patched.setattr(store._writer, "busy_s", lambda: seconds)
        log.check()
        log.check()
    with pytest.raises(StoreError):
        await removal
    ended = recovery(log)
    gate.open()
    await ended


async def given_up(log: EventLog, store: SqliteStore, patch: Patch) -> None:
    await taken_back(log, store, patch, GIVE_UP_S)


async def removed(log: EventLog, store: SqliteStore, patch: Patch) -> None:
    await log.forget(["app:z"])
    removal = asyncio.ensure_future(log.forget(["app:z"]))
    await asyncio.sleep(0)
    removal.cancel()
    await asyncio.wait([removal])
    await log.commit([])


async def opened_again(log: EventLog, store: SqliteStore, patch: Patch) -> None:
    await log.close()
    await log.open()


@pytest.mark.parametrize(
    "went",
    [
        bad_data,
        storage_fails,
        refused_in_trouble,
        trouble_is_over,
        broken_story,
        unpackable,
        taken_back,
        given_up,
        removed,
        opened_again,
    ],
)
async def test_a_transient_event_does_not_wait_for_what_went_wrong(
    make_store: MakeStore,
    monkeypatch: Patch,
    went: Callable[[EventLog, SqliteStore, Patch], Awaitable[None]],
) -> None:
    """It is seen before `show` returns: nothing is under way any more."""
    store = make_store([THINGS])
    log = EventLog(store)
    await log.open()
    watcher = Watcher(log)
    await went(log, store, monkeypatch)
    log.show(draft("shown", transient=True))
    assert watcher.seen == ["shown"]
    await log.close()


KINDS = ("append", "append", "append", "bad", "mixed", "show", "show", "forget")
EVENTS = ("fault", "mend", "hang", "turn", "wait")

STEPS = st.lists(st.sampled_from(KINDS + EVENTS), max_size=40)


class World:
    """A log, what was said to it, and what became of that."""

    def __init__(self) -> None:
        self.store = SqliteStore(None, Durability.OFF, [THINGS])
        self.log = EventLog(self.store)
        self.said: list[int] = []
        self.became: dict[int, bool | None] = {}  # whether it was written; None: shown alone
        self.chain = Chain()

    def say(self, what: str) -> None:
        n = len(self.said)
        self.said.append(n)
        transient = what == "show"
        drafts = [draft(n, transient=transient)]
        if what == "mixed":
            drafts.append(draft(n, transient=True))
        writes = [Write(ADD, ("a",)), Write(ADD, ("a",))] if what == "bad" else []

        def note(_: Any, error: StoreError | None) -> None:
            assert n not in self.became
            self.became[n] = error is None

        try:
            if transient:
                self.log.show(*drafts)
                self.became[n] = None
            else:
                self.log.append(drafts, writes, note, self.chain if what == "mixed" else None)
        except StoreError:
            self.became[n] = False

    def put(self, sql: str) -> None:
        """Have it done in the writer's thread, in turn."""
        assert self.store._writer is not None
        answer = asyncio.get_running_loop().create_future()
        self.store._writer.put(Read(lambda db: db.execute(sql), answer))

    def hang(self, patch: Patch) -> None:
        """Take a look as in the middle of a long write; the next one is soon over."""
        writer = self.store._writer
        assert writer is not None
        with patch.context() as patched:
            patched.setattr(writer, "busy_s", lambda: GIVE_UP_S - 1)
            self.log.check()
        writer.probe()

    async def do(self, step: str, patch: Patch) -> None:
        match step:
            case "forget":
                removal = asyncio.ensure_future(self.log.forget(["app:z"]))
                removal.add_done_callback(lambda done: done.cancelled() or done.exception())
                await asyncio.sleep(0)
            case "fault":
                self.put("PRAGMA query_only=ON")
            case "mend":
                self.put("PRAGMA query_only=OFF")
            case "hang":
                self.hang(patch)
            case "turn":
                await asyncio.sleep(0)
            case "wait":
                await on_writer(self.store, lambda db: None)
            case _:
                self.say(step)


async def play(steps: list[str]) -> None:
    world = World()
    log, store = world.log, world.store
    await log.open()
    watcher = Watcher(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eco_actor.eventlog.writer.PROBE_S", 0.001)
        for step in steps:
            await world.do(step, patch)
    world.put("PRAGMA query_only=OFF")
    await on_writer(store, lambda db: None)
    if log.trouble is not None:
        ended = recovery(log)
        assert store._writer is not None
        store._writer.probe()
        await ended
    log.show(draft("end", transient=True))
    assert watcher.seen.pop() == "end"
    assert sorted(world.became) == world.said
    written = [n for n in world.said if world.became[n]]
    assert await stored(store) == written
    seen = [n for n in watcher.seen if isinstance(n, int)]
    assert seen == sorted(seen)  # in the order in which they were said
    assert set(written) <= set(seen)
    assert not {n for n in seen if world.became[n] is False}
    await log.close()


@settings(deadline=None, max_examples=150)
@given(STEPS)
def test_all_is_shown_in_the_order_in_which_it_was_said(steps: list[str]) -> None:
    """What was written and what was only shown, among failures, troubles and hangs of any kind."""
    asyncio.run(play(steps))
