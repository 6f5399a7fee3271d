"""A write that does not come back: what waits is taken back, who is in it is told, and it ends."""

import asyncio
from collections.abc import Callable

import pytest

from eco_actor.eventlog import (
    Chain,
    Event,
    EventLog,
    Excess,
    SqliteStore,
    StoreError,
    StoreUncertain,
    Write,
)
from eco_actor.eventlog.sqlite import GIVE_UP_S, HANG_S
from tests.eventlog.gate import Gate
from tests.eventlog.storage import (
    ADD,
    READ_ONLY,
    THINGS,
    Watcher,
    draft,
    make_unwritable,
    make_writable,
    recovery,
    stored,
)

MakeStore = Callable[..., SqliteStore]


class Hang:
    """An open log whose writer is held up in the append of the event `hangs`."""

    def __init__(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, at: str = "") -> None:
        self.store = store
        self.log = EventLog(store)
        self._patch = monkeypatch
        self._at = at
        self.told: dict[object, list[StoreError | None]] = {}

    async def begin(self, *writes: Write, chain: Chain | None = None) -> None:
        await self.log.open()
        await self.log.excesses(0)  # counted now: a store in memory is read by its writer
        self.watcher = Watcher(self.log)
        self.gate = Gate(self.store, self._at)
        self.append("hangs", *writes, chain=chain)
        await self.gate.held()

    def append(self, n: object, *writes: Write, chain: Chain | None = None) -> None:
        told = self.told.setdefault(n, [])
        self.log.append([draft(n)], writes, lambda _, error: told.append(error), chain)

    def look(self, seconds: float) -> None:
        """As the owner does once a second, when the write began so many seconds ago."""
        assert self.store._writer is not None
        with self._patch.context() as patched:
            patched.setattr(self.store._writer, "busy_s", lambda: seconds)
            self.log.check()

    async def end(self) -> None:
        """The write comes back, and what follows is told."""
        ended = recovery(self.log)
        self.gate.open()
        await ended


@pytest.fixture
def hang(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> Hang:
    return Hang(make_store([THINGS]), monkeypatch)


async def test_a_write_may_take_its_time(hang: Hang) -> None:
    """Before HANG_S nothing is refused and nobody is told anything."""
    await hang.begin()
    hang.append("waits")
    hang.look(HANG_S - 0.1)
    assert hang.log.trouble is None
    assert hang.told == {"hangs": [], "waits": []}
    hang.gate.open()
    await hang.log.commit([draft("next")])
    assert hang.watcher.seen == ["hangs", "waits", "next"]
    await hang.log.close()


async def test_what_waits_behind_a_write_that_hangs_is_never_written(hang: Hang) -> None:
    """It is told so at once with the reason; when the write comes back only that is in the log."""
    await hang.begin()
    for n in range(3):
        hang.append(n)
    hang.look(HANG_S)
    assert hang.log.trouble == "a write has not come back for 5 s"
    for n in range(3):
        (error,) = hang.told[n]
        assert type(error) is StoreError
        assert error.reason == hang.log.trouble
    assert hang.told["hangs"] == []
    await hang.end()
    assert hang.told["hangs"] == [None]
    assert hang.watcher.seen == await stored(hang.store) == ["hangs"]
    (event,) = await hang.log.commit([draft("next")])
    assert event.position == 2
    await hang.log.close()


async def test_while_a_write_hangs_appends_are_refused_at_once(hang: Hang) -> None:
    """StoreError with the reason, nothing is queued; after its end they are taken again."""
    await hang.begin()
    hang.look(HANG_S)
    for n in ("a", "b"):
        with pytest.raises(StoreError, match="not come back"):
            hang.append(n)
    assert hang.store.depth == 0
    await hang.end()
    assert hang.log.trouble is None
    await hang.log.commit([draft("next")])
    assert await stored(hang.store) == ["hangs", "next"]
    await hang.log.close()


async def test_who_is_in_a_write_that_hangs_is_told_once_that_nobody_knows(hang: Hang) -> None:
    """StoreUncertain at GIVE_UP_S, not before and not again; the event is still shown."""
    await hang.begin()
    hang.look(GIVE_UP_S - 0.1)
    assert hang.told["hangs"] == []
    for seconds in (GIVE_UP_S, GIVE_UP_S + 1, 3600):
        hang.look(seconds)
        (error,) = hang.told["hangs"]
        assert isinstance(error, StoreUncertain)
    await hang.end()
    assert len(hang.told["hangs"]) == 1
    assert hang.watcher.seen == await stored(hang.store) == ["hangs"]
    assert hang.log.head == 1
    await hang.log.close()


async def test_the_stories_of_what_was_taken_back_or_refused_are_broken(hang: Hang) -> None:
    """Nothing of theirs is written behind the hole; a story whose write comes back goes on."""
    whole, queued, refused = Chain(), Chain(), Chain()
    await hang.begin(chain=whole)
    hang.append("queued", chain=queued)
    hang.look(HANG_S)
    with pytest.raises(StoreError):
        hang.append("refused", chain=refused)
    await hang.end()
    for name, chain in (("whole", whole), ("queued", queued), ("refused", refused)):
        hang.append(f"then {name}", chain=chain)
    await hang.log.commit([])
    assert await stored(hang.store) == ["hangs", "then whole"]
    assert hang.told["then whole"] == [None]
    for name in ("queued", "refused"):
        (error,) = hang.told[f"then {name}"]
        assert error is not None
        assert "earlier event of the same story" in error.reason
    await hang.log.close()


async def test_a_hang_that_ends_with_bad_data_is_over(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data's own fault is told to its owner; the storage works."""
    hang = Hang(make_store([THINGS]), monkeypatch, at="BEGIN")
    await hang.begin(Write(ADD, ("same",)), Write(ADD, ("same",)))
    hang.look(HANG_S)
    await hang.end()
    (error,) = hang.told["hangs"]
    assert error is not None
    assert "UNIQUE" in error.reason
    assert hang.log.trouble is None
    (event,) = await hang.log.commit([draft("next")])
    assert event.position == 1
    await hang.log.close()


async def test_a_hang_that_ends_with_a_fault_of_the_storage_is_a_trouble_of_its_own(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is then that fault; it ends when a write works."""
    monkeypatch.setattr("eco_actor.eventlog.writer.PROBE_S", 0.01)
    hang = Hang(make_store([THINGS]), monkeypatch, at="BEGIN")
    await hang.log.open()
    await make_unwritable(hang.store)
    hang.gate = Gate(hang.store, "BEGIN")
    failed = asyncio.ensure_future(hang.log.commit([draft(1)], [Write(ADD, ("a",))]))
    await hang.gate.held()
    hang.look(HANG_S)
    assert "not come back" in str(hang.log.trouble)
    hang.gate.open()
    with pytest.raises(StoreError, match=READ_ONLY):
        await failed
    assert READ_ONLY in str(hang.log.trouble)
    ended = recovery(hang.log)
    await make_writable(hang.store)
    await ended
    assert hang.log.trouble is None
    await hang.log.commit([draft("next")])
    assert await stored(hang.store) == ["next"]
    await hang.log.close()


async def test_a_trim_that_hangs_is_noticed_and_ends(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a write like any: when its step comes back, appends are taken again."""
    store = make_store()
    log = EventLog(store)
    await log.open()
    await log.commit([draft(n) for n in range(4)])
    gate = Gate(store, at="DELETE")
    trim = asyncio.ensure_future(log.trim(Excess("app:a", events=2)))
    await gate.held()
    waits = asyncio.ensure_future(log.commit([draft("waits")]))
    await asyncio.sleep(0)
    assert store._writer is not None
    with monkeypatch.context() as patched:
        patched.setattr(store._writer, "busy_s", lambda: HANG_S)
        log.check()
    with pytest.raises(StoreError, match="not come back"):
        await waits
    gate.open()
    assert await trim
    await log.query("SELECT 1")
    assert log.trouble is None
    await log.commit([draft("next")])
    assert await stored(store) == [2, 3, "next"]
    await log.close()


async def test_a_trim_behind_a_write_that_hangs_is_taken_back(hang: Hang) -> None:
    """Its owner is told why, and may try again."""
    await hang.begin()
    trim = asyncio.ensure_future(hang.log.trim(Excess("app:a", events=1)))
    await asyncio.sleep(0)
    hang.look(HANG_S)
    with pytest.raises(StoreError, match="not come back"):
        await trim
    await hang.end()
    assert await hang.log.trim(Excess("app:a", events=1))
    assert await stored(hang.store) == []
    await hang.log.close()


async def test_what_follows_an_append_in_a_hang_may_append_as_soon_as_it_is_told(
    hang: Hang,
) -> None:
    """The write has come back, so it is over: neither done nor subscribers are refused any more."""
    await hang.begin()
    then: list[object] = []

    class Eager:
        def offer(self, event: Event) -> None:
            if event.data["n"] == "hangs":
                hang.log.show(draft("from an offer", transient=True))

    hang.log.subscribe("app:a", Eager())
    hang.log.append([draft("second")])
    hang.look(HANG_S)  # takes that one back
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def follow(events: object, error: StoreError | None) -> None:
        try:
            hang.log.append([draft("from done")], done=lambda *_: done.set_result(None))
        except StoreError as refused:
            then.append(refused.reason)
            done.set_result(None)

    assert hang.store._writer is not None
    hang.store._writer._in_hand[0].done = follow
    await hang.end()
    await done
    assert then == []
    assert hang.watcher.seen == ["hangs", "from an offer", "from done"]
    await hang.log.close()
