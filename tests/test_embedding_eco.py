"""`async with Eco(config) as eco`: scans from within the process, and everything given back."""

import asyncio
import contextlib
import errno
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.log import server_logger

from eco_actor import (
    BadPicture,
    BadStage,
    Busy,
    Classifier,
    Config,
    ConfigError,
    Eco,
    ModelUnavailable,
    Stage,
    Stopped,
    StoreError,
    Unavailable,
    UnknownScan,
    parts,
)
from eco_actor.runtime import StartFailed
from eco_actor.scan.tables import ALL_COUNTS
from eco_actor.web.server import HttpServer
from tests.embedded import Says, blind, free, memory, traces, traces_left
from tests.scan.site_files import UNREADABLE
from tests.web.handed_over import until
from tests.web.held import GLASS, PICTURE, Held


async def test_it_scans_a_picture_in_this_process(tmp_path: Path) -> None:
    """The result object of the API, in the language asked for."""
    async with Eco(Config(data_dir=tmp_path), classifier=Says(GLASS)) as eco:
        result = await eco.scan(PICTURE, lang="en")
    assert result["classification"] | {"alternatives": []} == {
        "category": "glass", "name": "Glass bottle or jar", "confidence": 0.9,
        "alternatives": [], "unsure": False, "backend": "held",
    }  # fmt: skip
    assert result["answer"]["lang"] == "en"
    assert result["rule"]["steps"]
    await free(tmp_path)


async def test_a_category_needs_no_picture_and_tags_change_the_rule() -> None:
    """As for POST /scan/classify; the order of tags means nothing."""
    async with Eco(memory(vision=False)) as eco:
        plain = await eco.scan(category="glass")
        assert plain["classification"]["backend"] == "user"
        broken = await eco.scan(category="glass", tags=["broken", "broken"], user_input="a jar")
        assert broken["rule"] != plain["rule"]
        for wrong in ({}, {"category": "gold"}, {"category": "glass", "tags": ["shiny"]}):
            with pytest.raises(ValueError, match=r"picture|gold|shiny"):
                await eco.submit(**wrong)
        with pytest.raises(ValueError, match="'fr' is none of"):
            await eco.submit(category="glass", lang="fr")
        with pytest.raises(BadPicture, match="does not look"):
            await eco.scan(PICTURE)


async def test_a_scan_that_is_asked_again_is_not_counted_again() -> None:
    """As for POST /scan/classify: `revises` is the id of a task."""
    async with Eco(memory(vision=False)) as eco:
        first = (await eco.scan(category="glass"))["task_id"]
        await eco.scan(category="glass", tags=["broken"], revises=first)
        assert [tuple(row) for row in await eco.log.query(ALL_COUNTS)] == [("glass", 1, 0, 0)]
        for wrong in ("", "x", f"{first}0"):
            with pytest.raises(ValueError, match="revises"):
                await eco.submit(category="glass", revises=wrong)


async def test_the_events_of_a_scan_are_those_of_the_wire(tmp_path: Path) -> None:
    """While it runs and after it, from the beginning or behind a cursor, to the last."""
    held = Held()
    async with Eco(Config(data_dir=tmp_path), classifier=held) as eco:
        task_id = await eco.submit(PICTURE)
        following = eco.events(task_id)
        first = await anext(following)
        assert (first["seq"], first["step"], first["status"]) == (1, "vision", "processing")
        snapshot = await eco.views.snapshot(task_id)
        assert snapshot is not None
        held.gate.set()
        rest = [event async for event in following]
        assert [event["step"] for event in rest] == ["vision", "rule", "answer", "reward"]
        assert [event async for event in eco.events(task_id)] == [first, *rest]
        assert [event async for event in eco.events(task_id, snapshot["cursor"])] == rest
        assert [event async for event in eco.events(task_id, "nonsense")] == [first, *rest]
        ended = await eco.views.snapshot(task_id)
        assert ended is not None
        assert [event async for event in eco.events(task_id, ended["cursor"])] == []
        for unknown in ("x", "0" * 33):
            with pytest.raises(UnknownScan):
                await anext(eco.events(unknown))
    async with Eco(Config(data_dir=tmp_path), classifier=held) as eco:
        assert [event async for event in eco.events(task_id)] == [first, *rest]


async def test_scans_that_wait_at_the_end_are_told_and_go_on_at_the_next_start(
    tmp_path: Path,
) -> None:
    """Stopped for who waits for an answer and who follows; the scan is done later."""
    held = Held()
    async with Eco(Config(data_dir=tmp_path), classifier=held) as eco:
        scanning = asyncio.ensure_future(eco.scan(PICTURE))
        task_id = await eco.submit(PICTURE)
        following = eco.events(task_id)
        await anext(following)
        reading = asyncio.ensure_future(anext(following))
        await until(lambda: len(eco.views._waiters) == 1 and len(eco.views._followers) == 1)
    for waiting in (scanning, reading):
        with pytest.raises(Stopped):
            await waiting
    held.gate.set()
    async with Eco(Config(data_dir=tmp_path), classifier=held) as eco:
        assert [event["seq"] async for event in eco.events(task_id)] == [1, 2, 3, 4, 5]


async def test_one_too_many_is_busy_and_nothing_is_accepted() -> None:
    """The bound of the configuration."""
    held = Held()
    async with Eco(memory(max_scans=1), classifier=held) as eco:
        task_id = await eco.submit(PICTURE)
        with pytest.raises(Busy):
            await eco.submit(PICTURE)
        held.gate.set()
        assert [event["seq"] async for event in eco.events(task_id)] == [1, 2, 3, 4, 5]


# ---- beginnings and ends


@contextlib.asynccontextmanager
async def without_a_trace(*but: str) -> AsyncIterator[None]:
    before, known = traces(), threading.enumerate()
    yield
    after = await traces_left(known)
    for name in before.keys() - {*but}:
        assert after[name] == before[name], name


async def fail_inside(config: Config) -> None:
    async with Eco(config) as eco:
        await eco.scan(category="glass")
        raise RuntimeError("mine")


async def test_everything_is_given_back_at_the_end(tmp_path: Path) -> None:
    """Also when what is inside fails."""
    async with without_a_trace():
        with pytest.raises(RuntimeError, match="mine"):
            await fail_inside(blind(tmp_path))
    await free(tmp_path)


async def test_a_server_of_its_own_gives_everything_back_too(tmp_path: Path) -> None:
    """What it hangs on aiohttp's logger is there while it serves."""
    eco = Eco(Config(data_dir=tmp_path, vision=False, port=0))
    async with without_a_trace(), eco.running(http=True):
        assert len(server_logger.filters) == 1
    await free(tmp_path)


async def test_a_port_that_may_not_be_used_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As 80 for whoever is not root: which port, and what to do."""

    async def refuse(_: HttpServer) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(HttpServer, "_listen", refuse)
    eco = Eco(Config(data_dir=tmp_path, vision=False, port=80))
    async with without_a_trace():
        with pytest.raises(StartFailed, match="port 80 may not be used by this user: --port"):
            async with eco.running(http=True):
                raise AssertionError("it started")


async def test_a_directory_that_is_in_use_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    """The second one fails with the reason; the first one goes on."""
    async with Eco(blind(tmp_path)) as eco:
        async with without_a_trace("tasks", "threads", "files"):  # it has some
            with pytest.raises(Unavailable, match="in use"):
                async with Eco(blind(tmp_path)):
                    raise AssertionError("it started")
        assert (await eco.scan(category="glass"))["rule"]
    await free(tmp_path)


async def test_a_start_that_fails_half_way_gives_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a model; with a log that cannot be opened; with a site file broken, or not read."""

    def no_model() -> Classifier:
        raise ModelUnavailable("no model")

    monkeypatch.setattr(parts, "load_classifier", no_model)
    await asyncio.to_thread((tmp_path / "site.yaml").write_text, "region: [")
    bad = tmp_path / "bad"
    await asyncio.to_thread(bad.mkdir)
    await asyncio.to_thread((bad / "eco.db").write_bytes, b"no database" * 100)
    for config, error in (
        (Config(data_dir=tmp_path), ModelUnavailable),
        (blind(bad), Exception),
        (Config(data_dir=tmp_path, vision=False, site=tmp_path / "site.yaml"), ConfigError),
        (Config(data_dir=tmp_path, vision=False, site=UNREADABLE), Unavailable),
    ):
        async with without_a_trace():
            with pytest.raises(error):
                async with Eco(config):
                    raise AssertionError("it started")
        await free(config.data_dir)


async def test_told_to_stop_while_the_model_loads_it_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped; the directory is free at once, the thread ends when it is done."""
    loading, go_on = threading.Event(), threading.Event()

    def load() -> Classifier:
        loading.set()
        assert go_on.wait(30)
        return Says(GLASS)

    monkeypatch.setattr(parts, "load_classifier", load)
    eco = Eco(Config(data_dir=tmp_path))
    starting = asyncio.ensure_future(eco.__aenter__())
    await until(loading.is_set)
    eco.stop()
    with pytest.raises(Stopped):
        await starting
    await free(tmp_path)
    go_on.set()
    await until(lambda: not any(t.name.startswith("eco-work") for t in threading.enumerate()))


async def test_cancelled_while_it_starts_it_gives_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any moment of the start."""
    monkeypatch.setattr(parts, "load_classifier", lambda: Says(GLASS))
    for rounds in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55):
        before = traces()
        starting = asyncio.ensure_future(Eco(Config(data_dir=tmp_path)).__aenter__())
        for _ in range(rounds):
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await free(tmp_path)
        # the thread that opens the log cannot be stopped, and ends by itself
        await until(lambda was=before: traces() == was)  # type: ignore[misc]


async def test_it_runs_once() -> None:
    """Another start takes another one."""
    eco = Eco(memory(vision=False))
    async with eco:
        pass
    with pytest.raises(RuntimeError, match="runs once"):
        await eco.__aenter__()
    with pytest.raises((StoreError, Busy)):
        await eco.submit(category="glass")


def test_what_cannot_be_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    """A bad stage, a bad name: no directory is made."""
    with pytest.raises(BadStage):
        Eco(blind(tmp_path / "data"), stages=[Stage("Weigh", 60, lambda given: {})])
    with pytest.raises(ConfigError):
        Eco(Config(data_dir=tmp_path / "data", allowed_host=("http://x",)))
    assert not (tmp_path / "data").exists()
