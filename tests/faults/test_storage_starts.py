"""A data directory that cannot be used as it is: the start says why, and changes nothing in it."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests import forking
from tests.faults.disks import contents, full, locked, read_only, small_disk
from tests.faults.troubled import TOKEN, Patron, rows
from tests.web.serving import RUN, Server, environment

BOUND_S: Final = 8.0
"""By then a start has been refused."""

FILES: Final = ("eco.db", "eco.db-wal")


def refused(data_dir: Path, *options: str) -> tuple[int, str]:
    """The exit status of a start that must fail, and all that it said."""
    words = [*RUN, "serve", "--port", "0", "--vision", "off", "--data-dir", str(data_dir)]
    done = forking.run([*words, *options], env=environment(), timeout=BOUND_S)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def check_refused(data_dir: Path, reason: str) -> None:
    """Refused with the name of the file and this reason; the files are as they were."""
    paths = [data_dir / name for name in FILES]
    before = contents(paths)
    found, said = refused(data_dir)
    assert found == 1, said
    assert reason in said, said
    assert str(data_dir) in said, said
    assert contents(paths) == before


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Data directories of a server with scans: one that was `stopped`, one that was `killed`."""
    made = {name: tmp_path_factory.mktemp(name) for name in ("stopped", "killed")}
    running = Server(made["stopped"]).start()

    async def scan() -> None:
        async with aiohttp.ClientSession() as session:
            patron = Patron(session, running)
            for task_id in [await patron.begin() for _ in range(10)]:
                await patron.check_end(task_id)

    try:
        asyncio.run(scan())
    except BaseException:
        running.kill()
        raise
    running.stop()
    running.start()
    asyncio.run(scan())
    running.kill()
    shutil.copytree(made["stopped"], made["killed"], dirs_exist_ok=True)
    running.start()
    running.stop()
    return made


@pytest.fixture(params=["stopped", "killed"])
def data_dir(request: pytest.FixtureRequest, left: dict[str, Path], tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    copy = tmp_path / "data"
    shutil.copytree(left[request.param], copy)
    return copy


def test_a_truncated_database_is_refused(data_dir: Path) -> None:
    """Half of it is gone, whether there is a write-ahead log beside it or not."""
    path = data_dir / "eco.db"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    check_refused(data_dir, "the database is damaged: stop the server and restore a backup")


def test_a_database_with_garbage_in_its_head_is_refused(data_dir: Path) -> None:
    """It is no database at all."""
    with (data_dir / "eco.db").open("r+b") as file:
        file.write(b"\xa5" * 4096)
    check_refused(data_dir, "the database is damaged: stop the server and restore a backup")


def test_an_empty_file_beside_a_log_is_refused(left: dict[str, Path], tmp_path: Path) -> None:
    """A database that lost all its pages is not taken for a new one."""
    copy = tmp_path / "data"
    shutil.copytree(left["killed"], copy)
    (copy / "eco.db").write_bytes(b"")
    check_refused(copy, "damaged")


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


FOREIGN: Final = {
    "other tables": ("CREATE TABLE notes (text)",),
    "a table of the same name": ("CREATE TABLE events (day, what)", "PRAGMA user_version=2"),
    "its own id": ("PRAGMA application_id=252006674", "CREATE TABLE events (day, what)"),
    "a log of writes": ("PRAGMA journal_mode=WAL", "CREATE TABLE notes (text)"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_the_database_of_another_program_is_left_alone(tmp_path: Path, kind: str) -> None:
    """Whatever it has in it."""
    changed(tmp_path / "eco.db", *FOREIGN[kind])
    check_refused(tmp_path, "it is the database of another program: pick another data directory")


@pytest.mark.parametrize(
    ("newer", "said"),
    [
        ("PRAGMA user_version=99", "the data is of version 99"),
        ("UPDATE schemas SET version = 99 WHERE name = 'scan'", "'scan' is of version 99"),
        ("UPDATE schemas SET version = 99 WHERE name = 'answers'", "'answers' is of version 99"),
    ],
)
def test_data_of_a_newer_version_is_left_alone(
    left: dict[str, Path], tmp_path: Path, newer: str, said: str
) -> None:
    """Be it of the log, or of the tables of a package."""
    copy = tmp_path / "data"
    shutil.copytree(left["stopped"], copy)
    changed(copy / "eco.db", newer)
    check_refused(copy, said)


def test_data_of_a_newer_version_that_was_killed_is_left_alone(
    left: dict[str, Path], tmp_path: Path
) -> None:
    """What the newer program has in its write-ahead log stays there, too."""
    copy, other = tmp_path / "data", tmp_path / "other"
    shutil.copytree(left["stopped"], copy)
    with closing(sqlite3.connect(copy / "eco.db", isolation_level=None)) as db:
        db.execute("PRAGMA user_version=99")
        shutil.copytree(copy, other)  # as a kill would leave it
    check_refused(other, "the data is of version 99")


def readonly_folder(data_dir: Path) -> AbstractContextManager[None]:
    return read_only(data_dir)


def readonly_file(data_dir: Path) -> AbstractContextManager[None]:
    return read_only(data_dir / "eco.db")


@pytest.mark.parametrize(
    ("place", "reason"),
    [(readonly_folder, "Read-only file system"), (readonly_file, "disk is read-only")],
    ids=["folder", "file"],
)
def test_what_cannot_be_written_is_refused(
    left: dict[str, Path],
    tmp_path: Path,
    place: Callable[[Path], AbstractContextManager[None]],
    reason: str,
) -> None:
    """A data directory or a database file that is read-only."""
    copy = tmp_path / "data"
    shutil.copytree(left["stopped"], copy)
    with place(copy):
        check_refused(copy, reason)


@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_database_that_another_program_has_locked_is_refused(
    left: dict[str, Path], tmp_path: Path, how: str
) -> None:
    """The start does not wait for it for ever."""
    copy = tmp_path / "data"
    shutil.copytree(left["stopped"], copy)
    with locked(copy / "eco.db", how):
        status, said = refused(copy)
    assert status == 1
    assert "another program has locked the database: end it" in said
    assert str(copy / "eco.db") in said


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4 << 20) as folder:
        yield folder


@pytest.mark.parametrize("known", ["new", "stopped", "killed"])
async def test_a_start_on_a_full_disk_says_so_and_works_once_there_is_room(
    session: aiohttp.ClientSession,
    server: Callable[..., Server],
    left: dict[str, Path],
    disk: Path,
    known: str,
) -> None:
    """On a new data directory as on one with scans in it; what was there is there afterwards."""
    data_dir = disk / "data"
    before = 0
    if known == "new":
        data_dir.mkdir()
    else:
        await asyncio.to_thread(shutil.copytree, left[known], data_dir)
        before = len(rows(left[known], "SELECT task_id FROM scans"))
    with ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, full(disk))
        status, said = await asyncio.to_thread(refused, data_dir)
        assert status in (1, 2), said
        assert "full" in said or "No space left on device" in said, said
        assert str(data_dir) in said
        await asyncio.to_thread(stack.close)
    running = await asyncio.to_thread(server, data_dir, env=TOKEN)
    patron = Patron(session, running)
    await patron.check_end(await patron.begin())
    await asyncio.to_thread(running.stop)
    assert len(rows(data_dir, "SELECT task_id FROM scans")) == before + 1


def test_damage_inside_is_found_after_an_end_that_was_not_an_orderly_one(
    left: dict[str, Path], tmp_path: Path
) -> None:
    """As a loss of power leaves it on a cheap card: pages in the middle are not what they were."""
    copy = tmp_path / "data"
    shutil.copytree(left["stopped"], copy)
    path = copy / "eco.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO opened VALUES ('full')")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xa5" * 8192)
    check_refused(copy, "the database is damaged")
