"""The ways to be told, on which one suite runs, and what it looks at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from eco_actor.client import Bounds, Client, Event, Following, Gap, State
from eco_actor.client.link import Asked
from tests.web.serving import Server

QUICK: Final = Bounds(first_s=0.02, most_s=0.05)
"""Waits that a test can wait for; all else is as it is."""

LONG_S: Final = 20.0

STEPS: Final = [
    ("vision", "processing"),
    ("vision", "completed"),
    ("rule", "completed"),
    ("answer", "completed"),
    ("reward", "completed"),
]


@dataclass(frozen=True)
class Way:
    transport: Asked
    packed: bool = False

    def follow(self, client: Client, target: Any, **options: Any) -> Following:
        return client.follow(target, transport=self.transport, packed=self.packed, **options)


WAYS: Final = {
    "sse": Way("sse"),
    "ws": Way("ws"),
    "packed": Way("ws", packed=True),
    "poll": Way("poll"),
}

each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


class States(list[State]):
    """Given as `on_state`, remembers them."""

    def __call__(self, state: State) -> None:
        self.append(state)

    @property
    def codes(self) -> list[str]:
        """Of the ends."""
        return [each.code for each in self if hasattr(each, "code")]


def steps(told: list[Event | Gap]) -> list[tuple[str, str]]:
    """Step and status of each event; there is no gap, and the numbers have no hole."""
    events = [each for each in told if isinstance(each, Event)]
    assert len(events) == len(told), told
    assert [each.data["seq"] for each in events] == list(
        range(events[0].data["seq"], events[0].data["seq"] + len(events))
    )
    assert all(each.cursor for each in events)
    return [(each.data["step"], each.data["status"]) for each in events]


def token_of(server: Server) -> str:
    return (server.data_dir / "operator-token").read_text().strip()


def open_gates(gates: Path, *names: str) -> None:
    """Let these steps be done; without names all of them."""
    for name in names or ("vision", "rule", "answer", "reward"):
        (gates / name).touch()


def close_gates(gates: Path) -> None:
    """Let no step be done from now on."""
    for gate in gates.iterdir():
        gate.unlink()
