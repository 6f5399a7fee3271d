"""Stores of every kind, as a test wants them: made, closed, opened again."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from eco_actor.eventlog import Durability, SqliteStore, Tables

MakeStore = Callable[..., SqliteStore]


@pytest.fixture(params=[Durability.FULL, Durability.NORMAL, Durability.OFF], ids=lambda d: d.value)
def durability(request: pytest.FixtureRequest) -> Durability:
    made: Durability = request.param
    return made


@pytest.fixture
def make_store(durability: Durability, tmp_path: Path) -> Iterator[MakeStore]:
    """Makes a store; with a path, each is made on the same file."""
    made: list[SqliteStore] = []

    def make(tables: Sequence[Tables] = (), capacity: int = 10_000) -> SqliteStore:
        path = None if durability is Durability.OFF else tmp_path / "log.db"
        made.append(SqliteStore(path, durability, tables, capacity))
        return made[-1]

    yield make
    for store in made:
        if store._writer is not None:  # a test has failed: its thread ends all the same
            store._writer.close()
