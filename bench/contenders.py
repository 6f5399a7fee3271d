"""Who is measured by the delivery benchmarks: the server of this checkout, and plain aiohttp."""

import contextlib
import os
import resource
import secrets
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.server import Server, cores, eco, running

PLAIN: Final = [sys.executable, "-m", "bench.plain_aiohttp"]

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that runs, and how its publishers ask."""

    name: str
    server: Server
    token: str = ""
    query: str = ""


@contextlib.contextmanager
def ours(
    name: str, core: int, durability: str, connections: int, transient: bool = False
) -> Iterator[Contender]:
    """This server on *core* with room for so many connections, with a data directory of its own."""
    token = secrets.token_urlsafe(32)
    settings = {
        "ECO_OPERATOR_TOKEN": token,
        "ECO_MAX_CONNECTIONS": str(connections + 100),
        "ECO_CONNECT_BURST": str(connections + 1000),  # the gate is not what is measured
    }
    with (
        environment(settings),
        eco("--durability", durability, "--vision", "off", core=core) as server,
    ):
        yield Contender(name, server, token, "?transient=1" if transient else "")


@contextlib.contextmanager
def plain(name: str, core: int, kind: str) -> Iterator[Contender]:
    """The baseline on *core*; *kind* is loop or queues."""
    with running([*PLAIN, kind], core) as server:
        yield Contender(name, server)


@contextlib.contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def pinned() -> Iterator[int]:
    """This process on its core, with as many open files as it may have; gives the server's core."""
    affinity, files = os.sched_getaffinity(0), resource.getrlimit(resource.RLIMIT_NOFILE)
    server_core, client_core = cores()
    os.sched_setaffinity(0, {client_core})
    resource.setrlimit(resource.RLIMIT_NOFILE, (files[1], files[1]))
    try:
        yield server_core
    finally:
        os.sched_setaffinity(0, affinity)
        resource.setrlimit(resource.RLIMIT_NOFILE, files)


def medians(rounds: Sequence[Figures]) -> Figures:
    return {key: rounded(statistics.median(each[key] for each in rounds)) for key in rounds[0]}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The median of the rounds' ratios: a slow moment of the machine hits both. None by nothing."""
    pairs = [(one, other) for one, other in zip(ours, theirs, strict=True) if other]
    return rounded(statistics.median(one / other for one, other in pairs)) if pairs else None


def rounded(figure: float) -> float:
    """To four digits where that is less than the whole number."""
    return round(figure) if abs(figure) >= 1000 else float(f"{figure:.4g}")
