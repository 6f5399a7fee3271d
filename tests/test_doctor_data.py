"""What doctor says of the data: each state of it has its level and its advice."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from eco_actor.doctor import data
from eco_actor.doctor.finding import Level
from eco_actor.eventlog.clock import SET_MS
from eco_actor.eventlog.connecting import STAGED
from eco_actor.eventlog.copying import beside
from eco_actor.eventlog.schema import VERSION
from eco_actor.upkeep import DATABASE
from tests.eventlog.files_of_logs import closed, left, of_version_1


def after_kill(path: Path) -> None:
    left(path, 3)


def of_old(path: Path) -> None:
    of_version_1(path, 3)


def nonsense(path: Path) -> None:
    path.write_bytes(b"nonsense" * 1000)


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")


def newer(path: Path) -> None:
    closed(path, 1)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")


def newer_scans(path: Path) -> None:
    closed(path, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO schemas VALUES ('scan', 1000)")


def torn(path: Path) -> None:
    closed(path, 50)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def staged(path: Path) -> None:
    closed(beside(path, STAGED), 1)


@pytest.mark.parametrize(
    ("make", "level", "told"),
    [
        (lambda path: None, Level.OK, "makes it"),
        (Path.touch, Level.OK, "makes it"),
        (after_kill, Level.OK, "position 3"),
        (of_old, Level.OK, "version 1: the next start"),
        (nonsense, Level.FAIL, "restore a backup"),
        (torn, Level.FAIL, "restore a backup"),
        (foreign, Level.FAIL, "--data-dir"),
        (newer, Level.FAIL, "later one"),
        (newer_scans, Level.FAIL, "later one"),
        (staged, Level.WARN, "start the server"),
    ],
)
def test_each_state_of_the_database_has_its_word(
    tmp_path: Path, make: Callable[[Path], object], level: Level, told: str
) -> None:
    """And what to do about it."""
    make(tmp_path / DATABASE)
    found, _ = data.look_at_database(tmp_path)
    assert found.level is level, found
    assert told in found.detail + found.advice


def test_a_large_database_is_not_looked_through_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take a server's disk for long; what is known is told."""
    closed(tmp_path / DATABASE, 300)
    monkeypatch.setattr(data, "LOOK_SIZE", 1000)
    found, state = data.look_at_database(tmp_path)
    assert state is not None
    assert (found.level, state.looked_through, state.position) == (Level.OK, False, 300)


@pytest.mark.parametrize(
    ("wall_ms", "saved", "level"),
    [
        (SET_MS - 1, None, Level.WARN),
        (SET_MS + 10_000, None, Level.OK),
        (SET_MS + 10_000, (5, SET_MS + 9_000), Level.OK),
        (SET_MS + 10_000, (5, SET_MS + 11_000), Level.OK),
        (SET_MS + 10_000, (5, SET_MS + 70_000), Level.WARN),
    ],
)
def test_a_clock_that_cannot_be_right_is_told(
    wall_ms: int, saved: tuple[int, int] | None, level: Level
) -> None:
    """Never set, or behind what was written; a second may be an adjustment."""
    assert data.look_at_clock(wall_ms, saved).level is level


def test_an_old_sqlite_is_a_hint() -> None:
    """No failure: one process writes."""
    old, new = data.look_at_sqlite((3, 40, 1)), data.look_at_sqlite((3, 51, 3))
    assert (old.level, new.level) == (Level.OK, Level.OK)
    assert old.advice
    assert not new.advice


@pytest.mark.parametrize(
    ("content", "mode", "level"),
    [
        (None, 0, Level.OK),
        ("secret-secret", 0o600, Level.OK),
        ("secret-secret", 0o644, Level.WARN),
        ("", 0o600, Level.FAIL),
        ("two words", 0o600, Level.FAIL),
    ],
)
def test_the_token_is_looked_at_and_not_shown(
    tmp_path: Path, content: str | None, mode: int, level: Level
) -> None:
    """Whether it is one, and for its owner alone."""
    file = tmp_path / "operator-token"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    found = data.look_at_token(file, None)
    assert found.level is level
    assert "secret" not in found.detail + found.advice
    assert data.look_at_token(file, "secret-secret").level is Level.OK
    assert data.look_at_token(file, "not one").level is Level.FAIL


def test_old_databases_are_told_with_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else removes them: many bytes are a warning."""
    assert [*data.look_at_replaced(tmp_path)] == []
    closed(tmp_path / f"{DATABASE}.replaced-1", 1)
    (found,) = data.look_at_replaced(tmp_path)
    assert found.level is Level.OK
    monkeypatch.setattr(data, "MUCH_REPLACED", 1)
    (found,) = data.look_at_replaced(tmp_path)
    assert found.level is Level.WARN
    assert "replaced-1" in found.advice
