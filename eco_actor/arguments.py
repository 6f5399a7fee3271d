"""The commands and their options, as `--help` tells them."""

import argparse
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from eco_actor.config import LOG_LEVELS
from eco_actor.eventlog import Durability

ON_OFF: Final = {"on": True, "off": False}

_NUMBER: Final = re.compile("-?[0-9]{1,9}", re.ASCII)
_OPTION: Final = re.compile(r"--[a-z-]+")

ENVIRONMENT: Final = (
    "Each option is also read from the environment: --data-dir from ECO_DATA_DIR, and so on."
)


def read_arguments(words: Sequence[str]) -> argparse.Namespace:
    """A namespace with a `command` and its options. SystemExit, after the help, or with status 2
    and the usage of the command that was meant."""
    made, commands = _parsers()
    given, others = made.parse_known_args(words)
    if others:
        command = commands[given.command]
        near = get_close_matches(
            others[0].partition("=")[0], _OPTION.findall(command.format_help())
        )
        hint = f": is {near[0]} meant?" if near else ""
        command.error(f"unrecognized arguments: {' '.join(others)}{hint}")
    return given


def parser() -> argparse.ArgumentParser:
    """Reads a command line into a namespace with a `command` and its options."""
    return _parsers()[0]


def _parsers() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """That of a whole command line, and those of the commands."""
    made = argparse.ArgumentParser(
        description="Scan-to-answer server for recycling kiosks. Without a command: serve.",
        epilog="Exit status: 0; 1 when it failed; 2 when the settings cannot be.",
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND", dest="command")
    _add_serve(commands)
    _add_scan(commands)
    _add_doctor(commands)
    _add_backup(commands)
    _add_restore(commands)
    _add_events(commands)
    _add_counts(commands)
    _add_follow(commands)
    return made, commands.choices


def _add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="serve the page and the API (the default)",
        description=f"Serve the page and the API until SIGINT or SIGTERM. {ENVIRONMENT} "
        "ECO_OPERATOR_TOKEN, which is no option because other users see those, is the secret that "
        "operator calls need; without it one is made, and kept in the data directory.",
    )
    _add_settings(serve)
    serve.add_argument("--log-level", choices=LOG_LEVELS, help="(info)")
    serve.epilog = (
        "From the environment only: how much is kept of scans that are over, ECO_KEEP_SCANS"
        " (20000), ECO_KEEP_SCAN_HOURS since their end (24), ECO_KEEP_SCAN_MIB of events (256);"
        " and bounds: ECO_MAX_SCANS under way (256), ECO_MAX_CONNECTIONS (16000), ECO_SCAN_RATE of"
        " scans a second that one address may start (0: any), after ECO_SCAN_BURST at once (20);"
        " behind a proxy all are one address: let the proxy bound them (deploy/nginx.conf)."
        " ECO_CACHE_DIR is where the converted model is kept (~/.cache/eco_actor)."
    )


def _add_settings(command: argparse.ArgumentParser) -> None:
    """What a server is told, and whoever looks where one is to run."""
    command.add_argument("--host", help="address to listen on (127.0.0.1)")
    command.add_argument("--port", type=_port, help="port to listen on, 0 picks a free one (8080)")
    command.add_argument(
        "--insecure",
        action="store_true",
        default=None,
        help="allow an address that other machines can reach, without ECO_OPERATOR_TOKEN",
    )
    command.add_argument(
        "--allowed-host",
        action="append",
        metavar="NAME",
        help="a further name that the server is called by, as behind a proxy; may be repeated",
    )
    command.add_argument(
        "--origin",
        action="append",
        metavar="URL",
        help="another site whose pages may use the server: https://HOST[:PORT]; may be repeated",
    )
    _add_data_dir(command)
    command.add_argument(
        "--durability",
        choices=[promise.value for promise in Durability],
        help="what an answer promises: full, on disk (the default); normal, survives the process;"
        " off, in memory",
    )
    command.add_argument(
        "--vision",
        choices=list(ON_OFF),
        help="off: only categories are accepted, no pictures (on)",
    )
    _add_site(command)


def _add_data_dir(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data-dir", type=Path, metavar="DIR", help="where scans are kept (data)")


def _add_scan(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    scan = commands.add_parser(
        "scan",
        help="classify photographs on this machine, without a server",
        description="Classify photographs through the same pipeline, in memory, without a server.",
    )
    scan.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    scan.add_argument("--lang", choices=["ko", "en"], default="ko", help="of the answer (ko)")
    _add_site(scan)
    scan.add_argument("--json", action="store_true", help="one result a line, as the API gives it")


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what works here, and what to do about what does not",
        description="Look at everything that serve needs, with the same options, beside a running "
        "server or without one. Nothing is changed. Exit status 1 when something does not work; "
        f"a warning is no failure. {ENVIRONMENT}",
    )
    _add_settings(doctor)
    doctor.add_argument("--json", action="store_true", help="one object instead of lines")


def _add_backup(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    backup = commands.add_parser(
        "backup",
        help="copy everything that is kept to a file, with the server running or not",
        description="Copy the database to FILE, as it is at one moment, with the server running or "
        "not. FILE is checked; it is one whole file, or not there. It holds what people asked, so "
        "only its owner may read it; the operator's token is not in it.",
    )
    backup.add_argument("file", type=Path, metavar="FILE")
    _add_data_dir(backup)
    backup.add_argument("--force", action="store_true", help="replace FILE if it exists")


def _add_restore(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    restore = commands.add_parser(
        "restore",
        help="go on from a backup; the server must be stopped",
        description="Put a copy of the backup FILE in the place of the database; the server must "
        "be stopped. FILE is checked first. The database of before is kept beside it, as "
        "eco.db.replaced-1 and so on: delete it once it is not needed. Clients that come back "
        "with a cursor of what the backup does not have are told so (reset).",
    )
    restore.add_argument("file", type=Path, metavar="FILE")
    _add_data_dir(restore)


def _add_events(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    events = commands.add_parser(
        "events",
        help="read the log of a scan or a channel, with the server running or not",
        description="Print each event of a scan or a channel that is in the log, oldest first, as "
        "a line of JSON: its cursor, its position, the time in the log's own milliseconds (at_ms), "
        "its data.",
    )
    events.add_argument("name", metavar="TASK", help="a task_id, or a channel, such as app:news")
    _add_data_dir(events)


def _add_counts(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    counts = commands.add_parser(
        "counts",
        help="how many scans there were for each bin, and how many stayed unsure",
        description="Print, for each bin, how many scans got it as their answer; how many were not "
        "recognised, by where the best guess would have gone; and how many of these were answered "
        "by somebody, by where that sent them. Since the log was begun, also of scans that are no "
        "longer kept; with the server running or not.",
    )
    _add_data_dir(counts)
    _add_site(counts)
    counts.add_argument("--json", action="store_true", help="one object instead of lines")


def _add_site(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--site",
        type=Path,
        metavar="FILE",
        help="what its operator says about the kiosk: its bins, rules and texts; also ECO_SITE",
    )


def _seconds(text: str) -> float:
    """Argparse names the option in its error."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of seconds above 0, not {text!r}")
    return seconds


def _port(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"a number from 0 to 65535, not {text!r}")
    return int(text)  # whether it can be is checked with all else


def _add_follow(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    follow = commands.add_parser(
        "follow",
        help="follow a scan or a channel of a running server, live",
        description="Print each step of a scan as it happens, from the first, and the answer as "
        "the last line; or what is published on a channel from now on, until it is interrupted. "
        "It comes back by itself when the connection is lost or the server restarts, goes on "
        "behind what it had, and says so on standard error. "
        "It gives up after 10 s when nothing has ever answered, or when nothing has come through "
        "for 5 minutes. "
        "Exit status: 0 when the scan is completed, 1 when it failed, was cancelled or could not "
        "be followed to its end. ECO_OPERATOR_TOKEN is sent along if it is set.",
    )
    follow.add_argument("task", metavar="TASK", help="a task_id, or a channel, such as app:news")
    follow.add_argument("--url", help="of the server; also ECO_URL (http://127.0.0.1:8080)")
    follow.add_argument(
        "--transport",
        choices=["auto", "sse", "ws", "poll"],
        default="auto",
        help="auto: event streams, or polling where these do not come through (auto)",
    )
    follow.add_argument(
        "--after",
        metavar="CURSOR",
        help="go on behind this event, as --json prints it; earliest: all that is kept",
    )
    follow.add_argument("--json", action="store_true", help="one event a line, with its cursor")
    follow.add_argument(
        "--timeout", type=_seconds, metavar="S", help="give up when it is not over by then"
    )
