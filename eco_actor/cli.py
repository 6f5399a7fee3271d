"""The command line: which command was meant, what it says, and its exit status."""

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final

import uvloop

from eco_actor import counted, following, scanned, upkeep
from eco_actor.app import Eco
from eco_actor.arguments import ON_OFF, read_arguments
from eco_actor.config import Config, ConfigError, Unavailable, no_setting, typos, unknown
from eco_actor.doctor import examine, report
from eco_actor.eventlog import Durability, StoreError
from eco_actor.notify import Notifier, NotifyError
from eco_actor.provision import lock
from eco_actor.runtime import NORMAL, StartFailed, settle_memory
from eco_actor.scan.model_cache import ModelUnavailable
from eco_actor.scan.site import Site, SiteError, SiteUnreadable
from eco_actor.scan.views import Stopped

log = logging.getLogger(__name__)

LISTENS: Final = "eco_actor.web.server"
"""Who logs where the server listens, once it does, and nothing else but faults."""

SWITCH_INTERVAL_S: Final = 0.0005
"""A busy loop starves the writer thread of the interpreter lock at the default of 5 ms."""

TELLING: Final = frozenset({"serve", "doctor"})
"""Commands that tell of variables which look like settings in ways of their own."""

SAYING_ALL: Final = (StoreError, ConfigError, Unavailable, ModelUnavailable)
"""Errors whose text needs no more to be understood."""

STUCK_S: Final = 1.0
"""Seconds after which a thread that has not ended by itself counts as stuck."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status. 2: the settings cannot be, and no later try will do;
    1: it failed."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "serve")
    given = read_arguments(words)
    before = threading.enumerate()
    for fault in typos(os.environ) if given.command not in TELLING else ():
        print(f"eco_actor: {fault}", file=sys.stderr)
    status = _status_of(lambda: COMMANDS[given.command](given))
    _leave_stuck_threads(status, before)
    return status


def _status_of(command: Callable[[], int]) -> int:
    """What *command* returns; when it raises, one line says why."""
    try:
        return command()
    except (ConfigError, SiteError, NotifyError) as error:
        # of a site file each line begins with the place of a fault, as editors know it
        places = isinstance(error.__cause__ or error, SiteError)
        print(error if places else f"eco_actor: {error}", file=sys.stderr)
        return 2
    except StartFailed as error:
        print(f"eco_actor: could not start: {_reason(error)}", file=sys.stderr)
    except (StoreError, Unavailable, SiteUnreadable, ModelUnavailable) as error:
        print(f"eco_actor: {error}", file=sys.stderr)
    except BrokenPipeError:  # whoever read it has enough; the interpreter would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        named = f"{error.filename}: " if error.filename is not None else ""
        print(f"eco_actor: {named}{error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("eco_actor: interrupted", file=sys.stderr)
    return 1


def _reason(failed: StartFailed) -> str:
    """What kept it from starting: by itself where it says all, else with who it was."""
    cause: BaseException = failed
    while isinstance(cause, StartFailed) and cause.__cause__ is not None:
        cause = cause.__cause__
    # those of the system have a number
    says_all = isinstance(cause, OSError) and cause.errno is None
    return str(cause if says_all or isinstance(cause, SAYING_ALL) else failed)


def _allow_open_files() -> None:
    """As many as the system lets us have: each client that waits is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run(main: Callable[[], Awaitable[int]]) -> int:
    """What *main* returns, run in a loop. A thread that hangs does not keep it."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)

    async def entry() -> int:
        loop = asyncio.get_running_loop()
        threads = ThreadPoolExecutor(thread_name_prefix="eco-loop")
        loop.set_default_executor(threads)
        try:
            return await main()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            # the end of the loop waits for those of its executor, however long that takes
            loop.set_default_executor(ThreadPoolExecutor())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(entry())


def _leave_stuck_threads(status: int, before: Sequence[threading.Thread]) -> None:
    """End the process here and now if its ordinary end would wait for a thread that hangs."""
    until = time.monotonic() + STUCK_S
    for thread in threading.enumerate():
        if thread.daemon or thread in before:
            continue
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            log.warning("thread %s is still busy, and left behind", thread.name)
            logging.shutdown()
            sys.stdout.flush()
            os._exit(status)


def _config(given: argparse.Namespace) -> Config:
    return Config.from_env(
        host=given.host,
        port=given.port,
        insecure=given.insecure,
        allowed_host=tuple(given.allowed_host) if given.allowed_host else None,
        origin=tuple(given.origin) if given.origin else None,
        data_dir=given.data_dir,
        durability=Durability(given.durability) if given.durability else None,
        vision=ON_OFF[given.vision] if given.vision else None,
        site=given.site,
        log_level=getattr(given, "log_level", None),
    )


# ---- serve


def _serve(given: argparse.Namespace) -> int:
    config = _config(given)
    logging.basicConfig(
        level=config.log_level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    # Whoever starts it waits for the line that says where it listens, however little else it logs.
    logging.getLogger(LISTENS).setLevel(min(logging.INFO, logging.root.level))
    for name, meant in unknown(os.environ).items():
        log.warning("%s", no_setting(name, meant))
    _allow_open_files()
    eco = Eco(config)
    eco.notifier = Notifier.from_env(os.environ, os.getpid())
    return _run(lambda: _serve_until_told(eco))


async def _serve_until_told(eco: Eco) -> int:
    """0 after a signal; 1 when the tree gave up by itself."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, eco.stop)
    try:
        async with eco.running(http=True) as system:
            settle_memory()
            reason = await system.wait_ended()
            log.info("stopping (%s)", reason)
            return 0 if reason is NORMAL else 1
    except Stopped as stopped:
        log.info("stopping (%s)", stopped)
        return 0


# ---- scan


def _scan(given: argparse.Namespace) -> int:
    logging.basicConfig(level="WARNING")
    eco = Eco(Config(durability=Durability.OFF, site=_site_file(given)))

    async def scan_all() -> int:
        async with eco:
            return await scanned.tell(eco, given.photos, given.lang, given.json)

    return _run(scan_all)


# ---- what is kept, and what works


def _data_dir(given: argparse.Namespace) -> Path:
    # not `from_env`: what else is in the environment must not keep anybody from a backup
    return given.data_dir or Path(os.environ.get("ECO_DATA_DIR") or Config().data_dir)


def _site_file(given: argparse.Namespace) -> Path | None:
    text = os.environ.get("ECO_SITE")
    return given.site or (Path(text) if text else None)


def _doctor(given: argparse.Namespace) -> int:
    findings = examine(_config(given), unknown(os.environ))
    print(report(findings, as_json=given.json))
    return int(any(each.failed for each in findings))


@contextlib.contextmanager
def _meter(what: str) -> Iterator[upkeep.Meter]:
    meter = upkeep.Meter(what, sys.stderr)
    try:
        yield meter
    finally:
        meter.end()


def _backup(given: argparse.Namespace) -> int:
    with _meter("backup") as meter:
        copied = upkeep.backup(_data_dir(given), given.file, meter, force=given.force)
    print(f"{given.file}: {upkeep.summary(copied)}")
    return 0


def _stopped(data_dir: Path) -> IO[str]:
    """The lock of the directory. StoreError while a server has it, Unavailable."""
    try:
        held: IO[str] = lock(data_dir)
    except Unavailable as error:
        if isinstance(error.__cause__, BlockingIOError):
            raise StoreError(
                f"data directory {data_dir} is in use: stop the server first"
            ) from error
        raise
    if os.geteuid() == 0:  # it may be new, and whose server it is needs it, too
        folder = data_dir.stat()
        os.fchown(held.fileno(), folder.st_uid, folder.st_gid)
    return held


def _restore(given: argparse.Namespace) -> int:
    data_dir = _data_dir(given)
    if not given.file.exists():
        raise StoreError(f"{given.file}: there is no such file")
    if not data_dir.exists():  # before one is made for it
        upkeep.check_backup(given.file)
    with _stopped(data_dir), _meter("restore") as meter:
        restored = upkeep.restore(data_dir, given.file, meter)
    print(f"{upkeep.database_in(data_dir)}: {upkeep.summary(restored.copied)}")
    if restored.replaced is not None:
        print(f"the database of before is {restored.replaced}: delete it once it is not needed")
    return 0


def _events(given: argparse.Namespace) -> int:
    channel = upkeep.channel_of(given.name)

    def note(text: str) -> None:
        print(f"eco_actor: {text}", file=sys.stderr)

    return int(upkeep.tell_events(_data_dir(given), channel, print, note) == 0)


def _follow(given: argparse.Namespace) -> int:
    return _run(lambda: following.run(given))


def _counts(given: argparse.Namespace) -> int:
    file = _site_file(given)
    site = Site.load(file) if file is not None else Site.none()
    print(counted.report(_data_dir(given), site.book, as_json=given.json))
    return 0


COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "serve": _serve,
    "scan": _scan,
    "doctor": _doctor,
    "backup": _backup,
    "restore": _restore,
    "events": _events,
    "counts": _counts,
    "follow": _follow,
}
