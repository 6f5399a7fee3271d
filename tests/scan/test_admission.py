"""The door: whole or not at all, and no place is ever lost."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from eco_actor.eventlog import Draft, Statement, StoreError, Write
from eco_actor.runtime.testing import run_virtual
from eco_actor.scan.admission import Busy
from eco_actor.scan.options import Options
from eco_actor.scan.picture import BadPicture, Picture
from eco_actor.scan.tables import ADD_PICTURE, ADD_SCAN
from tests.fakes import FakeStore
from tests.scan_world import NOW, PIXELS, World


def decode(body: bytes) -> Picture:
    if body == b"bad":
        raise BadPicture("not a picture")
    return Picture(PIXELS, body)


def test_an_accepted_scan_is_durable_and_under_way() -> None:
    """When `submit` returns, first event, row and picture are in the log and the actor runs."""

    async def main() -> None:
        async with World(FakeStore(delay=1), {"vision": [50]}, decode=decode).running() as world:
            options = Options(lang="en", tags=("soiled",))
            task_id = await world.admission.submit(b"jpeg", options)
            assert [event["seq"] for event in world.told(task_id)] == [1]
            assert world.store.rows(ADD_SCAN) == [(task_id, NOW, options.pack(), 0, None, 0)]
            assert world.store.rows(ADD_PICTURE) == [(task_id, b"jpeg")]
            assert world.admission.running(task_id)
            await asyncio.sleep(0)
            (work,) = world.seen["vision"]
            assert (work.given.options, work.given.pixels) == (options, PIXELS)

    run_virtual(main())


def test_a_scan_of_a_category_keeps_no_picture() -> None:
    """Nothing to decode, nothing to keep."""

    async def main() -> None:
        async with World(decode=decode).running() as world:
            task_id = await world.admission.submit(None, Options(category="glass"))
            assert world.store.rows(ADD_PICTURE) == []
            assert len(world.store.rows(ADD_SCAN)) == 1
            await asyncio.sleep(1)
            assert not world.admission.running(task_id)

    run_virtual(main())


def test_what_comes_with_an_acceptance_is_written_with_it() -> None:
    """Rows for its task id, in the same transaction; a keyed scan is known as one."""
    options = Options(category="glass")
    row = Statement("INSERT INTO mine VALUES ", "(?)")

    async def main() -> None:
        async with World(FakeStore(delay=1)).running() as world:
            ids: list[str] = []

            def rows(task_id: str) -> list[Write]:
                ids.append(task_id)
                return [Write(row, (task_id,))]

            asking = asyncio.ensure_future(world.admission.submit(None, options, rows, keyed=True))
            await asyncio.sleep(0.5)
            assert world.store.depth == 1
            assert await asking == ids[0]
            assert world.store.rows(row) == [(ids[0],)]
            assert [(each[0], each[3]) for each in world.store.rows(ADD_SCAN)] == [(ids[0], 1)]

    run_virtual(main())


def test_rows_that_cannot_be_made_leave_no_scan() -> None:
    """Whatever they raise is the caller's, and the place is free again."""

    def rows(task_id: str) -> list[Write]:
        raise LookupError(task_id)

    async def main() -> None:
        async with World(max_scans=1).running() as world:
            with pytest.raises(LookupError):
                await world.admission.submit(None, Options(category="glass"), rows)
            await asyncio.sleep(1)
            assert world.store.events == []
            assert world.admission.has_room()

    run_virtual(main())


def test_task_ids_are_never_the_same() -> None:
    """A thousand scans of one millisecond have a thousand names."""

    async def main() -> None:
        async with World(max_scans=1000).running() as world:
            options = Options(category="glass")
            ids = [await world.admission.submit(None, options) for _ in range(1000)]
            assert len(set(ids)) == 1000

    run_virtual(main())


def test_no_room_for_a_scan_is_busy_and_leaves_no_trace() -> None:
    """What waits for its commit counts like what runs; nothing reaches the store or the decoder."""

    async def main() -> None:
        world = World(FakeStore(delay=1), {"vision": [50] * 9}, max_scans=2)
        async with world.running():
            both = [asyncio.ensure_future(world.admission.submit(b"", Options())) for _ in "ab"]
            await asyncio.sleep(0.5)
            for _ in range(2):  # while both are on their way to the disk, and when they run
                assert not world.admission.has_room()
                with pytest.raises(Busy):
                    await world.admission.submit(b"", Options())
                with pytest.raises(Busy):
                    await world.admission.submit(None, Options(category="glass"))
                await asyncio.sleep(1)
            ids = await asyncio.gather(*both)
            assert {draft.data["task_id"] for draft in world.store.appended} == set(ids)
            world.admission.cancel(ids[0])
            await asyncio.sleep(2)
            assert world.admission.has_room()
            await world.admission.submit(b"", Options())

    run_virtual(main())


def test_no_room_for_a_picture_is_busy() -> None:
    """More than the bound wait for the decoder: the next is refused, a category is not."""

    async def main() -> None:
        async with World(max_decodes=2).running() as world:
            world.threads.held = True
            waiting = [asyncio.ensure_future(world.admission.submit(b"", Options())) for _ in "ab"]
            await asyncio.sleep(0)
            with pytest.raises(Busy, match="decoded"):
                await world.admission.submit(b"", Options())
            await world.admission.submit(None, Options(category="glass"))
            world.threads.let_go()
            await asyncio.gather(*waiting)
            await world.admission.submit(b"", Options())
            await asyncio.sleep(1)
            assert len(world.store.rows(ADD_SCAN)) == 4
            assert world.admission._reserved == world.admission._decoding == 0

    run_virtual(main())


@pytest.mark.parametrize("fault", ["bad picture", "commit", "full", "closed"])
def test_what_is_not_accepted_never_was(fault: str) -> None:
    """The error says why; nothing is in the log, no actor runs, the place is free again."""
    errors: dict[str, type[Exception]] = {"bad picture": BadPicture, "full": Busy}

    async def main() -> None:
        async with World(decode=decode, max_scans=1).running() as world:
            if fault == "commit":
                world.store.fails = _failing
            elif fault == "full":
                world.store.refuses = _yes
            elif fault == "closed":
                world.store.closed = True
            with pytest.raises(errors.get(fault, StoreError)):
                await world.admission.submit(b"bad" if fault == "bad picture" else b"", Options())
            await asyncio.sleep(1)
            assert world.store.events == []
            assert world.count == 0
            assert world.admission.has_room()

    run_virtual(main())


@pytest.mark.parametrize(("when", "runs"), [("decoding", False), ("committing", True)])
def test_a_caller_that_goes_away_leaves_a_scan_once_it_is_on_its_way_to_the_disk(
    when: str, runs: bool
) -> None:
    """Before that nothing remains of it; afterwards the scan runs to its end without the caller."""

    async def main() -> None:
        async with World(FakeStore(delay=1), max_scans=1).running() as world:
            world.threads.held = when == "decoding"
            caller = asyncio.ensure_future(world.admission.submit(b"", Options()))
            await asyncio.sleep(0.5)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            world.threads.let_go()
            await asyncio.sleep(10)
            assert [event.data["seq"] for event in world.store.events] == [1, 2, 3, 4, 5] * runs
            assert world.count == 0
            assert world.admission.has_room()

    run_virtual(main())


def test_a_commit_that_fails_after_the_caller_went_away_frees_the_place() -> None:
    """Nobody is told, nothing is started, nothing is left."""

    async def main() -> None:
        async with World(FakeStore(delay=1), max_scans=1).running() as world:
            world.store.fails = _failing
            caller = asyncio.ensure_future(world.admission.submit(b"", Options()))
            await asyncio.sleep(0.5)
            caller.cancel()
            await asyncio.sleep(1)
            assert world.admission.has_room()
            assert world.count == 0

    run_virtual(main())


def _failing(drafts: Sequence[Draft]) -> str | None:
    return "no space left"


def _writing(drafts: Sequence[Draft]) -> str | None:
    return None


def _yes(drafts: Sequence[Draft]) -> bool:
    return True


def _no(drafts: Sequence[Draft]) -> bool:
    return False


OUTCOMES = st.lists(
    st.tuples(
        st.sampled_from([b"good", b"bad", None]),
        st.sampled_from(["", "cancel now", "cancel soon", "cancel late"]),
        st.sampled_from(["", "fails", "refused"]),
        st.sampled_from([0.0, 0.4, 2.0]),
    ),
    max_size=12,
)


@seed(1)
@settings(max_examples=80, deadline=None)
@given(OUTCOMES, st.integers(1, 4), st.integers(1, 3))
def test_places_are_never_lost(
    outcomes: list[tuple[bytes | None, str, str, float]], max_scans: int, max_decodes: int
) -> None:
    """After any mix of acceptances, refusals, failures and callers that go away, all are free.

    Never more than the bound are under way, and what is in the log is what was accepted.
    """
    plan = {"cancel now": 0.0, "cancel soon": 0.5, "cancel late": 1.2}

    async def main() -> None:
        world = World(
            FakeStore(delay=1), max_scans=max_scans, max_decodes=max_decodes, decode=decode
        )
        world.scripts["vision"] = [0.7] * 20
        async with world.running():
            callers: list[asyncio.Future[str]] = []
            loop = asyncio.get_running_loop()
            for body, leaves, fault, pause in outcomes:
                world.store.fails = _failing if fault == "fails" else _writing
                world.store.refuses = _yes if fault == "refused" else _no
                options = Options(category=None if body else "glass")
                caller = asyncio.ensure_future(world.admission.submit(body, options))
                callers.append(caller)
                if leaves:
                    loop.call_later(plan[leaves], caller.cancel)
                await asyncio.sleep(pause)
                assert world.count + world.admission._reserved <= max_scans
            world.store.fails, world.store.refuses = _writing, _no
            results = await asyncio.gather(*callers, return_exceptions=True)
            await asyncio.sleep(300)
            assert world.admission._reserved == world.admission._decoding == 0
            assert world.count == 0
            assert world.admission.has_room()
            accepted = {result for result in results if isinstance(result, str)}
            opened = {e.data["task_id"] for e in world.store.events if e.opens}
            assert accepted <= opened

    run_virtual(main())
