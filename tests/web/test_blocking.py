"""What blocks the loop, and may not: each has its test here, and none is tolerated."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request
from blockbuster import BlockBuster, BlockingError, blockbuster_ctx

from eco_actor.eventlog import Durability, EventLog, SqliteStore
from eco_actor.provision import lock
from eco_actor.scan import reward
from eco_actor.scan.options import Options
from eco_actor.scan.rules import RuleBook
from eco_actor.scan.stages import Stage, StageInput, chosen, stages
from eco_actor.scan.tables import TABLES
from eco_actor.web.pages import PageRoutes


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """As for all tests, but without exceptions."""
    with blockbuster_ctx("eco_actor") as watching:
        yield watching


@pytest.fixture
def book() -> RuleBook:
    return RuleBook.load()


async def test_a_blocking_call_of_the_package_fails_a_test(tmp_path: Path) -> None:
    """The watch itself works: a function of ours that opens a file in the loop is caught."""
    with pytest.raises(BlockingError):
        lock(tmp_path / "data")


@pytest.fixture
def pages() -> PageRoutes:
    return PageRoutes()


async def test_the_page_is_found_without_asking_the_disk_in_the_loop(pages: PageRoutes) -> None:
    """The handler itself does no file access; sending the file is for aiohttp's threads."""
    await pages.index(make_mocked_request("GET", "/"))


async def test_closing_the_store_does_not_wait_in_the_loop(tmp_path: Path) -> None:
    """A reader that is still busy with a page holds up nobody else."""
    log = EventLog(SqliteStore(tmp_path / "eco.db", Durability.FULL, [TABLES]))
    await log.open()
    await log.query("SELECT 1")
    await log.close()


@pytest.fixture
def grant(book: RuleBook) -> Stage:
    reward.load.cache_clear()
    return stages(book, None, 1)[-1]


async def test_the_first_reward_does_not_read_its_file_in_the_loop(grant: Stage) -> None:
    """What rewards need is in memory before the first scan."""
    fields = grant.run(StageInput("task", Options(), None, chosen("glass")))
    assert fields["reward"]["points"] > 0
