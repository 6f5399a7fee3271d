"""Everything that a server of some settings needs, looked at in order."""

import logging
import resource
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from eco_actor.config import Config
from eco_actor.doctor import data, disk, machine
from eco_actor.doctor.finding import Finding, fail, ok, warn
from eco_actor.doctor.model import look_at_model
from eco_actor.doctor.site import look_at_site
from eco_actor.eventlog import Durability
from eco_actor.eventlog.clock import wall_ms
from eco_actor.web.server import Address
from eco_actor.web.trust import Trust

log = logging.getLogger(__name__)


def examine(config: Config, near: Mapping[str, str | None] | None = None) -> list[Finding]:
    """What works with these settings, here and now, and what does not. Blocks for seconds.

    *near*: names that look like settings and are none, and those that may be meant.
    Changes nothing, and makes no data directory: what is written for a try is removed again. Never
    raises: what cannot be looked at is a finding, too.
    """
    kept = config.durability is not Durability.OFF
    found = [*_try("settings", lambda: _look_at_settings(config, near or {}))]
    found += _try("site", lambda: look_at_site(config.site))
    runs = False
    if kept:
        finding, runs = machine.look_at_server(config.data_dir)
        found += [
            finding,
            *_try("data directory", lambda: [disk.look_at_data_dir(config.data_dir)]),
        ]
        found += _try("disk", lambda: _look_at_disk(config))
        found += _try("database", lambda: _look_at_data(config))
    else:
        found.append(ok("durability off", "nothing is kept beyond the process, and no disk needed"))
        found.append(data.look_at_clock(wall_ms(), None))
    address = Address(config.host, config.port)
    promise = config.durability.value
    found += _try("port", lambda: [machine.look_at_port(address, runs=runs, durability=promise)])
    found += _try("streams", lambda: [machine.look_at_handover()])
    found += _try("open files", lambda: [_look_at_open_files(config)])
    found += _try("model", lambda: [look_at_model(vision=config.vision)])
    return found


def _try(what: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except OSError as error:
        yield fail(what, f"{error.filename or ''} {error.strerror}".strip(), "see to that")
    except Exception as error:
        log.debug("%s", what, exc_info=True)
        yield fail(what, f"it could not be looked at: {error!r}", "this is an error of doctor")


def _look_at_settings(config: Config, near: Mapping[str, str | None]) -> Iterator[Finding]:
    what, python = "settings", ".".join(map(str, sys.version_info[:3]))
    for name, meant in near.items():
        advice = f"is {meant} meant?" if meant is not None else "serve --help has all that are"
        yield warn(what, f"{name} is no setting, and changes nothing", advice)
    try:
        Trust(config.host, config.allowed_host, config.origin)
    except ValueError as error:
        yield fail(what, str(error), "serve refuses that")
        return
    if not near:
        yield ok(what, f"they can be (Python {python})")


def _look_at_disk(config: Config) -> Iterator[Finding]:
    folder = disk.existing(config.data_dir).resolve()
    mount = disk.mount_of(folder, _mounts())
    yield disk.look_at_file_system(mount, config.durability)
    room = disk.look_at_room(*disk.room_of(folder))
    yield room
    try:
        times = disk.measure_commits(folder)
    except (OSError, sqlite3.Error, RuntimeError) as error:
        yield fail(f"durability {config.durability.value}", str(error), "see to the disk")
        return
    yield disk.look_at_promise(times, config.durability, mount.kind if mount else "")


def _mounts() -> str:
    try:
        return disk.MOUNTS.read_text()
    except OSError:
        return ""


def _look_at_data(config: Config) -> Iterator[Finding]:
    finding, state = data.look_at_database(config.data_dir)
    yield finding
    yield from data.look_at_replaced(config.data_dir)
    yield data.look_at_sqlite(sqlite3.sqlite_version_info)
    yield data.look_at_clock(wall_ms(), state.clock if state is not None else None)
    yield data.look_at_token(Path(config.data_dir) / "operator-token", config.operator_token)


def _look_at_open_files(config: Config) -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    return machine.look_at_open_files(sys.maxsize if unlimited else hard, config.max_connections)
