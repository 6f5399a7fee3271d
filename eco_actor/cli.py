"""`serve` and `scan` from the command line."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import uvloop

from eco_actor.app import Eco, load_classifier, lock
from eco_actor.config import LOG_LEVELS, Config, ConfigError
from eco_actor.eventlog import Durability, StoreError
from eco_actor.runtime import NORMAL, StartFailed, settle_memory
from eco_actor.scan.model_cache import ModelUnavailable
from eco_actor.scan.picture import BadPicture
from eco_actor.scan.state import ScanState

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S: Final = 0.0005
"""A busy loop starves the writer thread of the interpreter lock at the default of 5 ms."""

ON_OFF: Final = {"on": True, "off": False}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status. 2: the settings cannot be; 1: it failed."""
    parser = _parser()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "serve")
    given = parser.parse_args(words)
    try:
        status: int = given.run(given)
    except (ConfigError, ModelUnavailable) as error:
        print(f"eco_actor: {error}", file=sys.stderr)
        return 2
    except (StartFailed, StoreError) as error:
        print(f"eco_actor: could not start: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Scan-to-answer server for recycling kiosks. Without a command: serve.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="serve the page and the API (the default)",
        description="Serve the page and the API until SIGINT or SIGTERM. "
        "Each option is also read from the environment: --data-dir from ECO_DATA_DIR, and so on. "
        "ECO_OPERATOR_TOKEN, which is no option because other users see those, is the secret that "
        "operator calls need; without it one is made, and kept in the data directory.",
    )
    serve.set_defaults(run=_serve)
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on, 0 picks a free one (8080)")
    serve.add_argument(
        "--insecure",
        action="store_true",
        default=None,
        help="allow an address that other machines can reach, without ECO_OPERATOR_TOKEN",
    )
    serve.add_argument(
        "--allowed-host",
        action="append",
        metavar="NAME",
        help="a further name that the server is called by, as behind a proxy; may be repeated",
    )
    serve.add_argument(
        "--origin",
        action="append",
        metavar="URL",
        help="another site whose pages may use the server: https://HOST[:PORT]; may be repeated",
    )
    serve.add_argument("--data-dir", type=Path, metavar="DIR", help="where scans are kept (data)")
    serve.add_argument(
        "--durability",
        choices=[promise.value for promise in Durability],
        help="what an answer promises: full, on disk (the default); normal, survives the process;"
        " off, in memory",
    )
    serve.add_argument(
        "--vision", choices=list(ON_OFF), help="off: only categories are accepted, no pictures (on)"
    )
    serve.add_argument("--log-level", choices=LOG_LEVELS, help="(info)")
    scan = commands.add_parser(
        "scan",
        help="classify photographs on this machine, without a server",
        description="Classify photographs through the same pipeline, in memory, without a server.",
    )
    scan.set_defaults(run=_scan)
    scan.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    scan.add_argument("--lang", choices=["ko", "en"], default="ko", help="of the answer (ko)")
    scan.add_argument("--json", action="store_true", help="one result a line, as the API gives it")
    return parser


def _allow_open_files() -> None:
    """As many as the system lets us have: each client that waits is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run(main: Callable[[], Awaitable[int]]) -> int:
    sys.setswitchinterval(SWITCH_INTERVAL_S)

    async def entry() -> int:
        return await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(entry())


# ---- serve


def _serve(given: argparse.Namespace) -> int:
    config = Config.from_env(
        host=given.host,
        port=given.port,
        insecure=given.insecure,
        allowed_host=tuple(given.allowed_host) if given.allowed_host else None,
        origin=tuple(given.origin) if given.origin else None,
        data_dir=given.data_dir,
        durability=Durability(given.durability) if given.durability else None,
        vision=ON_OFF[given.vision] if given.vision else None,
        log_level=given.log_level,
    )
    logging.basicConfig(
        level=config.log_level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
    _allow_open_files()
    with contextlib.ExitStack() as stack:
        if config.durability is not Durability.OFF:
            stack.enter_context(lock(config.data_dir))
        eco = Eco(config, load_classifier(config))
        status = _run(lambda: _serve_until_told(eco))
        if eco.has_stuck_threads():
            log.warning("a stage is still busy in its thread, which is left behind")
            logging.shutdown()
            os._exit(status)  # an ordinary exit would wait for it
        return status


async def _serve_until_told(eco: Eco) -> int:
    """0 after a signal; 1 when the tree gave up by itself."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, eco.stop)
    async with eco.running(http=True) as system:
        settle_memory()
        reason = await system.wait_ended()
        log.info("stopping (%s)", reason)
        return 0 if reason is NORMAL else 1


# ---- scan


def _scan(given: argparse.Namespace) -> int:
    logging.basicConfig(level="WARNING")
    config = Config(durability=Durability.OFF)
    eco = Eco(config, load_classifier(config))
    return _run(lambda: _scan_all(eco, given.photos, given.lang, given.json))


async def _scan_all(eco: Eco, photos: Sequence[Path], lang: str, as_json: bool) -> int:
    """Classify one after the other; 1 when one of them could not be."""
    failed = False
    async with eco.running(http=False):
        for photo in photos:
            try:
                state = await eco.scan(photo.read_bytes(), lang=lang)
            except (OSError, BadPicture) as error:
                print(f"{photo}: {error}", file=sys.stderr)
                failed = True
                continue
            if state.result is None:
                print(f"{photo}: {state.error}", file=sys.stderr)
                failed = True
            elif as_json:
                print(json.dumps({"photo": str(photo), **state.result}, ensure_ascii=False))
            else:
                print(_sentence(photo, state))
    return int(failed)


def _sentence(photo: Path, state: ScanState) -> str:
    assert state.result is not None
    seen, said = state.result["classification"], state.result["answer"]["text"]
    if seen["unsure"]:
        return f"{photo}: ? {said}"
    return f"{photo}: {seen['name']} ({seen['confidence']:.0%}): {said}"
