"""Which channels there are, who may publish on them, and where a client begins on each."""

from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from eco_actor.delivery.directory import REMEMBERED, Directory, Found
from eco_actor.delivery.live import LiveChannel
from eco_actor.delivery.rule import Refused
from eco_actor.eventlog import Draft, Durability, EventLog, Resume, SqliteStore
from eco_actor.eventlog.log import PAGE

LIVE = "system:actors"

WRONG_NAMES = (
    "", "app", "app:", ":a", "App:a", "app1:a", "app:a b", "app:ä", "app:a\n", "app:a:b", "app:/",
    "app:" + "a" * 129, " app:a", "scan:", "system:", "app:a\0",
)  # fmt: skip


@pytest.fixture(params=["disk", "memory"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    if request.param == "disk":
        store = SqliteStore(tmp_path / "log.db", Durability.FULL)
    else:
        store = SqliteStore(None, Durability.OFF)
    log = EventLog(store)
    await log.open()
    yield log
    await log.close()


@pytest.fixture
def directory(log: EventLog) -> Directory:
    return Directory(log, {LIVE: LiveChannel(LIVE, log)})


def at_once(coroutine: Coroutine[Any, Any, Found]) -> Found:
    """What it returns without ever waiting."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    found = ended.value.value
    assert isinstance(found, Found)
    return found


async def published(log: EventLog, channel: str, **how: Any) -> str:
    """The cursor of an event that is on the channel from now on."""
    (event,) = await log.commit([Draft(channel, {"n": 1}, 1, **how)])
    return str(event.cursor)


async def refused(directory: Directory, channel: str) -> str:
    with pytest.raises(Refused) as error:
        await directory.place(channel, None)
    assert error.value.detail
    assert len(error.value.detail) < 300
    return error.value.code


@pytest.mark.parametrize("name", WRONG_NAMES)
async def test_what_is_no_name_is_refused(directory: Directory, name: str) -> None:
    """Neither followed nor published on."""
    assert await refused(directory, name) == "bad_channel"
    with pytest.raises(Refused) as error:
        directory.publishable(name)
    assert error.value.code == "bad_channel"


@pytest.mark.parametrize("channel", ["app:a", "room:A.b_c-9", "user:" + "x" * 128])
async def test_an_open_channel_is_there_as_soon_as_it_is_named(
    log: EventLog, directory: Directory, channel: str
) -> None:
    """Without a cursor it is followed from now on, at once."""
    await published(log, "app:other")
    found = at_once(directory.place(channel, None))
    assert (found.channel, found.live, found.last) == (channel, None, None)
    assert (found.place.resume, found.place.position) == (Resume.FRESH, log.head)
    directory.publishable(channel)
    directory.publishable(channel)


async def test_a_cursor_says_where_an_open_channel_is_read_on(
    log: EventLog, directory: Directory
) -> None:
    """Behind it; from the beginning for `earliest`, and for a cursor that nobody knows."""
    first = await published(log, "app:a")
    await published(log, "app:a")
    placed = [at_once(directory.place("app:a", after)).place for after in (first, "earliest", "x")]
    assert [place.resume for place in placed] == [
        Resume.RECOVERED, Resume.RECOVERED, Resume.RESET,
    ]  # fmt: skip
    assert [place.position for place in placed] == [1, 0, 0]
    assert placed[2].missing is not None


async def test_a_scan_without_an_event_is_unknown(log: EventLog, directory: Directory) -> None:
    """Whatever is on other channels."""
    await published(log, "scan:other")
    assert await refused(directory, "scan:mine") == "unknown_task"


async def test_a_scan_is_read_from_its_beginning(log: EventLog, directory: Directory) -> None:
    """Without a cursor; with one, behind it. It comes from memory, so at once."""
    await published(log, "app:a")
    cursor = await published(log, "scan:mine", opens=True)
    found = at_once(directory.place("scan:mine", None))
    assert (found.place.resume, found.place.position) == (Resume.FRESH, 0)
    assert found.last is None
    found = at_once(directory.place("scan:mine", cursor))
    assert (found.place.resume, found.place.position) == (Resume.RECOVERED, 2)


@pytest.mark.parametrize("length", [1, 2, PAGE, PAGE + 1])
async def test_the_last_event_of_a_scan_that_is_over_is_found(
    log: EventLog, directory: Directory, length: int
) -> None:
    """However long the scan is, and only once it is over."""
    await log.commit([Draft("scan:mine", {}, 1) for _ in range(length - 1)])
    if length > 1:
        assert (await directory.place("scan:mine", None)).last is None
    cursor = await published(log, "scan:mine", final=True)
    last = (await directory.place("scan:mine", cursor)).last
    assert last is not None
    assert str(last.cursor) == cursor


async def test_a_scan_of_an_earlier_start_is_found_on_the_disk(tmp_path: Path) -> None:
    """What is not in memory any more is read."""
    for start in range(2):
        log = EventLog(SqliteStore(tmp_path / "log.db", Durability.FULL))
        await log.open()
        if start == 0:
            await published(log, "scan:mine", final=True)
        else:
            found = await Directory(log, {}).place("scan:mine", None)
            assert found.last is not None
            assert await refused(Directory(log, {}), "scan:other") == "unknown_task"
        await log.close()


async def test_a_live_channel_has_no_history(log: EventLog, directory: Directory) -> None:
    """Whatever cursor a client has, it goes on from now; one that nobody knows is told so."""
    cursor = await published(log, "app:a")
    await published(log, "app:a")
    here = log.cursor(log.head)
    for after, resume, missing in (
        (None, Resume.FRESH, None),
        (cursor, Resume.RECOVERED, None),
        ("earliest", Resume.RECOVERED, None),
        ("nonsense", Resume.RESET, (here, here)),
    ):
        found = at_once(directory.place(LIVE, after))
        assert found.live is not None
        assert found.live.name == LIVE
        assert found.place.position == log.head
        assert (found.place.resume, found.place.missing) == (resume, missing)


@pytest.mark.parametrize("channel", ["system:nothing", "news:today", "a" * 9999 + ":b"])
async def test_other_channels_are_unknown(directory: Directory, channel: str) -> None:
    """A system channel that is not served, and every other kind."""
    assert await refused(directory, channel) == "unknown_channel"


@pytest.mark.parametrize("channel", ["scan:mine", LIVE, "system:nothing", "news:today"])
def test_what_the_server_writes_is_closed_to_publishers(directory: Directory, channel: str) -> None:
    """Publishers have app, room and user."""
    with pytest.raises(Refused) as error:
        directory.publishable(channel)
    assert error.value.code == "not_publishable"


def test_names_are_remembered_within_a_bound(directory: Directory) -> None:
    """Publishing on ever new channels does not fill the memory."""
    for number in range(REMEMBERED + 10):
        directory.publishable(f"app:{number}")
    assert len(directory._publishable) <= REMEMBERED
