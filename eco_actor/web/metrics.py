"""`/metrics`: what the server counts, as Prometheus or OpenMetrics text.

The figures are taken in one turn of the loop, in a time that does not grow with the number of
connections or scans: they are counters that somebody keeps, and the size of each dynamic supervisor
in place of a look at its children. The text, and what the operating system knows of the process, is
made in a thread. No label has a value that a client chooses.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from eco_actor.delivery.admission import Gate
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import EventLog
from eco_actor.runtime import System
from eco_actor.web.drain import Drained
from eco_actor.web.figures import (
    ScanCounts,
    actor_figures,
    admission_figures,
    log_figures,
    loop_figures,
    loss_figures,
    scan_figures,
    stream_figures,
    subscription_figures,
)
from eco_actor.web.problems import NO_STORE

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OPENMETRICS_TYPE: Final = "application/openmetrics-text"
OPENMETRICS_VERSIONS: Final = ("", "0.0.1", "1.0.0")

_QVALUE: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures come from. `system` finds the running one; None while there is none."""

    traffic: Traffic
    gate: Gate
    drained: Drained
    log: EventLog
    system: Callable[[], System | None]
    scans: ScanCounts | None = None


class MetricsRoutes:
    """Open to read, as `GET /actors` is."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/metrics", self.metrics)

    async def metrics(self, request: web.Request) -> web.Response:
        """In the format that `Accept` asks for; the text of Prometheus when it does not say."""
        accept = ",".join(request.headers.getall("Accept", []))
        as_openmetrics = prefers_openmetrics(accept)
        lag = await _round_of_the_loop()
        families = [*figures(self._sources), *loop_figures(lag)]
        body = await asyncio.to_thread(_written, families, as_openmetrics)
        kind = OPENMETRICS if as_openmetrics else TEXT
        return web.Response(body=body, headers={**NO_STORE, "Content-Type": kind, "Vary": "Accept"})


def figures(sources: Sources) -> Iterable[Metric]:
    """What the server counts, as it is in this turn of the loop; nothing of it changes later."""
    yield from stream_figures(sources.traffic)
    yield from subscription_figures(sources.traffic)
    yield from loss_figures(sources.traffic)
    yield from admission_figures(sources.gate, sources.drained)
    yield from log_figures(sources.log)
    if sources.scans is not None:
        yield from scan_figures(sources.scans)
    system = sources.system()
    if system is not None:
        yield from actor_figures(system)


def prefers_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics is named by an Accept header, with no less weight than plain text."""
    weights = {OPENMETRICS_TYPE: 0.0, "text/plain": 0.0}
    for each in accept.split(","):
        kind, *rest = (part.strip().lower() for part in each.split(";"))
        given = dict(part.partition("=")[::2] for part in rest)
        if kind == OPENMETRICS_TYPE and given.get("version", "") not in OPENMETRICS_VERSIONS:
            continue
        if kind in weights:
            weights[kind] = max(weights[kind], _weight(given.get("q", "1")))
    return 0 < weights[OPENMETRICS_TYPE] >= weights["text/plain"]


def _weight(text: str) -> float:
    return float(text) if _QVALUE.fullmatch(text) else 0.0


async def _round_of_the_loop() -> float:
    """Seconds that everybody who is ready now takes."""
    begun = time.monotonic()  # the loop's own clock may be coarse
    await asyncio.sleep(0)
    return time.monotonic() - begun


class _Taken:
    """Families that were made before, as a collector."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _written(families: Iterable[Metric], as_openmetrics: bool) -> bytes:
    """The text. Blocks: the operating system is asked about the process."""
    registry = CollectorRegistry()
    registry.register(_Taken(families))
    ProcessCollector(registry=registry)
    write: Callable[[Any], bytes] = (
        openmetrics.generate_latest if as_openmetrics else generate_latest
    )
    return write(registry)
