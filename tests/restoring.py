"""The data of a server that was killed, a backup of another, and what the next server has."""

from pathlib import Path

from eco_actor.eventlog import Durability
from eco_actor.eventlog.copying import copy_database
from eco_actor.eventlog.database import Database
from eco_actor.upkeep import DATABASE, finish_restore
from tests.eventlog.files_of_logs import closed, left

OLD, NEW = 20, 5  # events


def quiet(done: int, pages: int) -> None:
    """Nobody wants to know how far it is."""


def data_of_a_killed_server(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    left(made / DATABASE, OLD)
    return made


def backup_of_another(tmp_path: Path) -> Path:
    copy_database(closed(tmp_path / "other.db", NEW), tmp_path / "backup.db")
    return tmp_path / "backup.db"


def started(data_dir: Path) -> tuple[int, int]:
    """What the next server has: how many events and epochs."""
    finish_restore(data_dir)
    database = Database(data_dir / DATABASE, Durability.FULL, ())
    (check,) = database.connection.execute("PRAGMA integrity_check").fetchone()
    assert check == "ok"
    database.close()
    return database.position, len(database.epochs)
