"""Everything that can be set, with its default, its bound and its unit; read once at the start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self

from eco_actor.eventlog import Durability

LOG_LEVELS: Final = ("debug", "info", "warning", "error")

MAX_HOURS: Final = 1_000_000  # a century, and a number that clocks can take

OTHERS: Final = frozenset({"ECO_CACHE_DIR", "ECO_URL", "ECO_TRASHNET"})
"""Variables that others here read: the model's cache, `follow`, the training of the head."""

_COUNTS: Final = (
    "max_scans",
    "max_decodes",
    "max_connections",
    "scan_burst",
    "vision_workers",
    "keep_scans",
    "keep_scan_mib",
)


class ConfigError(ValueError):
    """A setting that cannot be; the text names it and says what would do."""


class Unavailable(Exception):
    """What a setting names cannot be had now; the text says why. A later start may find it.

    The data directory is in use, or the system fails to give it, or to read the site file.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of one server; `from_env` reads each from `ECO_` + its name in capitals, too."""

    host: str = "127.0.0.1"
    port: int = 8080  # 0 picks a free one
    insecure: bool = False  # whether an address that others can reach is meant, without a secret
    allowed_host: tuple[str, ...] = ()  # names it is called by, beside its own
    origin: tuple[str, ...] = ()  # other sites whose pages may use it
    operator_token: str | None = field(default=None, repr=False)  # None: it makes one
    data_dir: Path = Path("data")
    durability: Durability = Durability.FULL
    vision: bool = True
    site: Path | None = None  # what its operator says about the kiosk, see scan/site.py
    log_level: str = "info"

    max_scans: int = 256  # under way at a time; one more is answered 503
    max_decodes: int = 32  # pictures that wait to be decoded, or are
    max_connections: int = 16_000
    connect_rate: float = 2000.0  # streams opened a second, once the burst is used up
    connect_burst: int = 12_000  # streams opened at once; those that resume may have the last tenth
    scan_rate: float = 0.0  # scans a second that one address may start; 0: as many as there is room
    scan_burst: int = 20  # scans it may start at once, where there is a scan_rate
    vision_workers: int = 1
    sync_wait_s: float = 30.0  # how long a POST with realtime=false waits for its answer

    # what is kept of scans that are over; one with an Idempotency-Key stays for a day at least
    keep_scans: int = 20_000
    keep_scan_hours: float = 24.0  # since its end
    keep_scan_mib: int = 256  # of all their events

    def __post_init__(self) -> None:
        if not self.host.strip():
            raise ConfigError("host is an address to listen on, such as 127.0.0.1, not empty")
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is at least 1, not {getattr(self, name)}")
        if not 0 < self.keep_scan_hours < MAX_HOURS:
            raise ConfigError(
                f"keep_scan_hours is above 0 and below {MAX_HOURS}, not {self.keep_scan_hours}"
            )
        if not self.connect_rate > 0 or self.connect_burst < 1:
            raise ConfigError("connect_rate is above 0, connect_burst at least 1")
        if not 0 <= self.scan_rate < float("inf"):
            raise ConfigError(f"scan_rate is 0 or more, not {self.scan_rate}")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port is 0 to 65535, not {self.port}")
        if self.log_level not in LOG_LEVELS:
            raise ConfigError(
                f"log_level is one of {', '.join(LOG_LEVELS)}, not {self.log_level!r}"
            )
        if not self.sync_wait_s > 0:
            raise ConfigError(f"sync_wait_s is above 0, not {self.sync_wait_s}")
        if not (self.insecure or self.operator_token or _is_loopback(self.host)):
            raise ConfigError(
                f"{self.host} can be reached from other machines: use a loopback address behind a"
                " proxy, or set ECO_OPERATOR_TOKEN to a secret of yours, or --insecure if you mean"
                " it"
            )

    @classmethod
    def from_env(cls, **given: Any) -> Self:
        """What is *given*, else what the environment says, else the defaults. ConfigError.

        A variable that is empty says nothing, but an empty token is refused.
        """
        values = {name: value for name, value in given.items() if value is not None}
        for each in fields(cls):
            text = os.environ.get(f"ECO_{each.name.upper()}")
            if text == "" and each.name != "operator_token":  # for that it was meant to be a secret
                text = None
            if text is not None and each.name not in values:
                values[each.name] = _parse(each.name, text, each.default)
        return cls(**values)


def unknown(environ: Mapping[str, str]) -> Mapping[str, str | None]:
    """Names in *environ* that look like a setting and are none, each with the one that it nearly
    is."""
    known = OTHERS | {f"ECO_{each.name.upper()}" for each in fields(Config)}
    near = {
        name: get_close_matches(name, known, 1, cutoff=0.85)
        for name in environ
        if name.startswith("ECO_") and name not in known
    }
    return {name: found[0] if found else None for name, found in near.items()}


def no_setting(name: str, meant: str | None) -> str:
    """What to tell of a name that is unknown."""
    hint = f": is {meant} meant?" if meant is not None else ""
    return f"{name} is no setting, and changes nothing{hint}"


def typos(environ: Mapping[str, str]) -> list[str]:
    """What to tell of names that nearly are settings; other programs may have such, too."""
    found = unknown(environ).items()
    return [no_setting(name, meant) for name, meant in found if meant is not None]


def _parse(name: str, text: str, default: Any) -> Any:
    try:
        match default:
            case bool():
                return {
                    "1": True,
                    "true": True,
                    "on": True,
                    "0": False,
                    "false": False,
                    "off": False,
                }[text.lower()]
            case tuple():
                return tuple(word.strip() for word in text.split(",") if word.strip())
            case None if name == "site":
                return Path(text)
            case None:
                return text
            case _:
                return type(default)(text)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"ECO_{name.upper()} cannot be {text!r}: {_wanted(default)}") from error


def _wanted(default: Any) -> str:
    match default:
        case bool():
            return "it is on or off"
        case int():
            return "it is a whole number"
        case float():
            return "it is a number"
        case Durability():
            return f"it is one of {', '.join(each.value for each in Durability)}"
        case _:
            return "it is something else"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
