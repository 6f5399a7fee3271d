"""What a server needs from its surroundings to start: its directory, its store, its model."""

import asyncio
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Final

from eco_actor import upkeep
from eco_actor.config import Config, ConfigError, Unavailable
from eco_actor.eventlog import Durability, SqliteStore
from eco_actor.runtime import Watchdog
from eco_actor.scan.model_cache import ModelUnavailable, default_cache_dir
from eco_actor.scan.picture import BadPicture, Picture
from eco_actor.scan.tables import TABLES
from eco_actor.scan.vision import Classifier
from eco_actor.scan.volume import Keep
from eco_actor.web.idempotency import TABLES as ANSWERS
from eco_actor.web.trust import Trust

log = logging.getLogger(__name__)

LOOK_S: Final = 0.002
"""Seconds between two looks whether the threads have ended, which takes them about as long."""


class DataDirectory:
    """Holds the data directory of *config* for one server; in memory there is none to hold."""

    def __init__(self, config: Config) -> None:
        self._path = None if config.durability is Durability.OFF else config.data_dir
        self._mutex = threading.Lock()
        self._held: IO[str] | None = None
        self._released = False

    def take(self) -> None:
        """Lock it, and finish a restore that was cut short. Blocks. Unavailable, StoreError.

        Released while this is under way, in another thread, it is free once this returns.
        """
        if self._path is None:
            return
        held = lock(self._path)
        try:
            if (replaced := upkeep.finish_restore(self._path)) is not None:
                log.warning("a restore was cut short and is finished now; before: %s", replaced)
        except BaseException:
            held.close()
            raise
        with self._mutex:
            if self._released:
                held.close()
            else:
                self._held = held

    def release(self) -> None:
        """Let others have it. Harmless when it is not held."""
        with self._mutex:
            self._released = True
            held, self._held = self._held, None
        if held is not None:
            held.close()


def lock(data_dir: Path) -> Any:
    """Make *data_dir* and keep others out of it until the returned file is closed. Unavailable."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        held = (data_dir / "lock").open("a+")
    except OSError as error:
        why = error.strerror
        if data_dir.is_file():
            why = "it is a file, not a directory"
        raise Unavailable(f"data directory {data_dir}: {why}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise Unavailable(
            f"data directory {data_dir} is in use by another server: give each its own (--data-dir,"
            " Config.data_dir)"
        ) from error
    return held


def store_of(config: Config) -> SqliteStore:
    """The store, not open yet."""
    if config.durability is Durability.OFF:
        return SqliteStore(None, Durability.OFF, [TABLES, ANSWERS])
    return SqliteStore(config.data_dir / "eco.db", config.durability, [TABLES, ANSWERS])


def token_file(config: Config) -> Path | None:
    """Where the operator's token is kept; None where nothing is."""
    return None if config.durability is Durability.OFF else config.data_dir / "operator-token"


def trust_of(config: Config) -> Trust:
    """Who may call. ConfigError."""
    try:
        return Trust(config.host, config.allowed_host, config.origin)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def keep_of(config: Config) -> Keep:
    """How much is kept of scans that are over."""
    age_ms = int(config.keep_scan_hours * 3_600_000)
    return Keep(config.keep_scans, config.keep_scan_mib << 20, age_ms)


def decoder(*, vision: bool) -> Callable[[bytes], Picture]:
    """What decodes pictures, in a thread. Only vision needs it: others do not load it."""
    return _decode if vision else _cannot_look


def _decode(body: bytes) -> Picture:
    from eco_actor.scan.decode import decode

    return decode(body)


def _cannot_look(body: bytes) -> Picture:
    raise BadPicture("this server does not look at pictures")


def load_classifier() -> Classifier:
    """The vision back end of the device, warm. Blocks for some tenths of a second, or for minutes
    where the model has to be made first. ModelUnavailable when it can be neither found nor made;
    ConfigError when that is because no directory can be where it is to be kept.
    """
    from eco_actor.scan.lite0 import Lite0

    cache = default_cache_dir()
    try:
        return Lite0.load(cache)
    except ModelUnavailable as error:
        if (why := _cannot_be(cache)) is not None:
            what = f"the model cannot be kept in {cache}: {why}: ECO_CACHE_DIR names another place"
            raise ConfigError(what) from error
        raise


def _cannot_be(folder: Path) -> str | None:
    """Why *folder* neither is a directory to write in nor can be made one; None: it may be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return "something else is in the way"
    except PermissionError:
        return "there is no right to make it"
    except OSError:
        return None
    return None if os.access(folder, os.W_OK | os.X_OK) else "there is no right to write there"


async def threads_ended(
    threads: ThreadPoolExecutor, watchdog: Watchdog | None, patience: float
) -> None:
    """Wait until the threads of a server that has ended have, too; at most *patience* seconds.

    Those that still block then are named in the log, and end whenever they are done.
    """
    until = time.monotonic() + patience
    while busy := _alive(threads, watchdog):
        if time.monotonic() >= until:
            names = ", ".join(sorted(thread.name for thread in busy))
            log.warning("still busy, and left behind: %s", names)
            return
        await asyncio.sleep(LOOK_S)


def _alive(threads: ThreadPoolExecutor, watchdog: Watchdog | None) -> list[threading.Thread]:
    own = list(threads._threads)
    if watchdog is not None and watchdog.thread is not None:
        own.append(watchdog.thread)
    return [thread for thread in own if thread.is_alive()]
