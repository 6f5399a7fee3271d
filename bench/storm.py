"""A server restarts under a thousand clients: how they come back, and what that costs.

`python -m bench.storm` prints one JSON line, and with --picture draws the attempts to connect over
time. The clients follow one channel over SSE, while events are published to it; the server gets
SIGTERM and is started again on its port and data. Once with each kind of clients:
jittered: what the server tells them about when to come back wins; without a word from it (nobody
          listens) anything up to a bound that doubles, as static/eco.js does
fixed:    FIXED seconds after every end and refusal, whatever they are told

down_s:         from SIGTERM until the server listens again
back_90_s:      from then until 90 % of the clients have their stream again; back_s: all; null
                when that took longer than SECONDS
peak_connects_s: the most attempts in 100 ms of all after SIGTERM, for a second
unreachable:    attempts while nobody listened
refused:        attempts that were told to come back later
post_p99_ms:    of the answers to the publisher, from listening again until all are back
lost, repeated: acknowledged events that a client did not get, and events that one got twice;
                gaps: what the server itself called lost

How many the server lets in at once is set by ECO_CONNECT_BURST and ECO_CONNECT_RATE: with less than
there are clients, some are told to come back later.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.contenders import environment, pinned, rounded
from bench.server import ROOT, Server, running
from bench.storm_clients import BUSY, OPENED, UNREACHABLE, Client, Probe, Record, until
from bench.storm_picture import STEP_S, Panel, picture

PROBE_S: Final = 0.05
GATHER_S: Final = 30.0  # at most, until all clients are there at the beginning
CALM_S: Final = 1.0  # before and after
CATCH_UP_S: Final = 10.0  # at most, until all have what they missed

Figures = dict[str, float | None]


class Storm:
    """One restart under one kind of clients."""

    def __init__(self, given: argparse.Namespace, core: int, fixed_s: float | None) -> None:
        self.record = Record()
        self._given = given
        self._core = core
        self._fixed_s = fixed_s
        self._token = os.environ["ECO_OPERATOR_TOKEN"]
        self.stopped = self.listening = self.over = 0.0

    async def run(self, directory: str) -> Figures:
        """Start on the data in *directory*, restart, wait until all are back; the figures."""
        async with self._server(directory, 0) as server:
            port = server.port
            chance = random.Random(1)
            clients = [
                Client(self.record, port, self._fixed_s, chance) for _ in range(self._given.clients)
            ]
            await self._gather(clients)
            probe = Probe(port, self._token, PROBE_S)
            publishing = asyncio.create_task(probe.run())
            await asyncio.sleep(CALM_S)
            self.stopped = time.monotonic()
            if self._given.crash:
                server.process.kill()
        async with self._server(directory, port):
            self.listening = time.monotonic()
            await until(lambda: self.record.open == len(clients), self._given.seconds)
            await asyncio.sleep(CALM_S)
            self.over = time.monotonic()
            publishing.cancel()
            await asyncio.wait([publishing])
            await until(lambda: not lost(clients, probe), CATCH_UP_S)
            for client in clients:
                client.close()
            await asyncio.sleep(0)
        return self._figures(clients, probe)

    @contextlib.asynccontextmanager
    async def _server(self, directory: str, port: int) -> AsyncIterator[Server]:
        command = [sys.executable, str(ROOT / "run.py"), "serve", "--vision", "off"]
        command += ["--port", str(port), "--data-dir", directory]
        with contextlib.ExitStack() as stack:
            start = stack.enter_context
            server = await asyncio.to_thread(start, running(command, self._core))
            try:
                yield server
            finally:
                await asyncio.to_thread(stack.close)

    async def _gather(self, clients: Sequence[Client]) -> None:
        """All have their streams before anything is published: evenly, that is not measured."""
        for client in clients:
            client.connect()
            await asyncio.sleep(1 / self._given.clients)
        if not await until(lambda: self.record.open == len(clients), GATHER_S):
            raise TimeoutError(f"{self.record.open} of {len(clients)} clients could connect")

    def steps(self, *outcomes: str) -> list[int]:
        """Attempts with these outcomes in each step since the stop."""
        counts = Counter(
            int((at - self.stopped) / STEP_S)
            for at, outcome in self.record.attempts
            if at >= self.stopped and outcome in outcomes
        )
        return [counts[step] for step in range(int((self.over - self.stopped) / STEP_S) + 1)]

    def _figures(self, clients: Sequence[Client], probe: Probe) -> Figures:
        opened = sorted(at for at in self.record.opened_at if at >= self.stopped)
        busy_until = opened[-1] if opened else self.over
        posts = [took for at, took in probe.answers if self.listening <= at <= busy_until]
        since = [(at, outcome) for at, outcome in self.record.attempts if at >= self.stopped]
        outcomes = Counter(outcome for _, outcome in since)

        def back_s(share: float) -> float | None:
            need = math.ceil(share * len(clients))
            return opened[need - 1] - self.listening if len(opened) >= need else None

        figures = {
            "down_s": self.listening - self.stopped,
            "back": len(opened),
            "back_90_s": back_s(0.9),
            "back_s": back_s(1.0),
            "attempts": len(since),
            "peak_connects_s": max(self.steps(OPENED, BUSY, UNREACHABLE)) / STEP_S,
            "unreachable": outcomes[UNREACHABLE],
            "refused": outcomes[BUSY],
            "post_p50_ms": quantile_ms(posts, 0.5),
            "post_p99_ms": quantile_ms(posts, 0.99),
            "events": len(probe.acknowledged),
            "lost": lost(clients, probe),
            "repeated": self.record.repeated,
            "gaps": self.record.gaps,
        }
        return {
            name: None if figure is None else rounded(figure) for name, figure in figures.items()
        }

    def panel(self, title: str, figures: Figures) -> Panel:
        back_s = figures["back_90_s"]
        said = "not back in time" if back_s is None else f"back {back_s:.1f} s after it listens"
        return Panel(
            title,
            f"90 % {said}, peak {figures['peak_connects_s']:,.0f} attempts/s",
            self.steps(OPENED),
            self.steps(BUSY, UNREACHABLE),
            (0.0, self.listening - self.stopped),
        )


def lost(clients: Sequence[Client], probe: Probe) -> int:
    """Acknowledged events that a client does not have."""
    return sum(len(probe.acknowledged - client.seen) for client in clients)


def quantile_ms(seconds: Sequence[float], share: float) -> float | None:
    return sorted(seconds)[int((len(seconds) - 1) * share)] * 1000 if seconds else None


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=1000, help="(1000)")
    parser.add_argument("--fixed", type=float, default=0.5, help="seconds of the stubborn (0.5)")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most, of coming back (60)")
    parser.add_argument("--crash", action="store_true", help="SIGKILL: nobody is told to go")
    parser.add_argument("--picture", type=Path, help="draw it there, as SVG")
    given = parser.parse_args(arguments)
    found: dict[str, Any] = {"bench": "storm", "clients": given.clients, "crash": given.crash}
    panels = []
    ways = {
        "jittered": ("Told when to come back, with jitter", None),
        "fixed": (f"Back every {given.fixed:g} s", given.fixed),
    }
    with pinned() as core, environment({"ECO_OPERATOR_TOKEN": secrets.token_urlsafe(32)}):
        for name, (title, fixed_s) in ways.items():
            storm = Storm(given, core, fixed_s)
            with tempfile.TemporaryDirectory(prefix="eco-bench-") as directory:
                found[name] = uvloop.run(storm.run(directory))
            panels.append(storm.panel(title, found[name]))
    if given.picture is not None:
        given.picture.write_text(picture(panels))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
