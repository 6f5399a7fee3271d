"""What it takes to open a stream, whoever read the request: what is asked for, leave, an actor."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from eco_actor.delivery.admission import Gate
from eco_actor.delivery.connection import Connection, Delivery
from eco_actor.delivery.rule import Refused, Rule, rule_asked
from eco_actor.delivery.traffic import StreamTraffic
from eco_actor.delivery.websocket import CHANNELS
from eco_actor.runtime import Cell, DynamicSupervisor, Restart, child

LAST_EVENT_ID: Final = "last-event-id"


@dataclass(frozen=True, slots=True)
class Ask:
    """Channels, the cursor behind which they are to be read, if any, and the rule for each."""

    channels: tuple[str, ...]
    after: str | None
    rule: Rule

    @property
    def resuming(self) -> bool:
        return self.after is not None


def asked_of(options: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> Ask:
    """What the query and the headers ask for. Refused for what cannot be.

    The header with the cursor wins; of an option that is there twice, the first counts.
    """
    pairs = list(options)
    first: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name, value)
    channels = tuple(dict.fromkeys(value for name, value in pairs if name == "channel"))
    if len(channels) > CHANNELS:
        raise Refused("too_many_channels", f"channel: at most {CHANNELS} a connection")
    rule = rule_asked(first.get("overflow"), first.get("capacity"), first.get("interval_ms"))
    return Ask(channels, headers.get(LAST_EVENT_ID) or first.get("after") or None, rule)


class Opening:
    """Lets streams in, and starts a connection for each under the supervisor of all."""

    def __init__(
        self,
        delivery: Delivery,
        gate: Gate,
        connections: Callable[[], DynamicSupervisor | None],
    ) -> None:
        self.delivery = delivery
        self._gate = gate
        self._connections = connections
        self._numbers = itertools.count(1)

    def admit(self, traffic: StreamTraffic, *, resuming: bool) -> DynamicSupervisor | None:
        """The supervisor of a stream that may be opened now; None when it is to come back."""
        now = asyncio.get_running_loop().time()
        supervisor = self._connections()
        if supervisor is None or len(supervisor) >= supervisor.max_children:
            self._gate.refuse(now, resuming)
        elif self._gate.admit(now, resuming):
            return supervisor
        traffic.refuse(resuming=resuming)
        return None

    def retry_ms(self, transport: asyncio.BaseTransport | None, *, resuming: bool) -> int:
        """When the client that was just refused is to come back, in milliseconds from now."""
        # With the port: many may share an address.
        client = "" if transport is None else str(transport.get_extra_info("peername"))
        return self._gate.retry_ms(client, resuming)

    def start(
        self,
        supervisor: DynamicSupervisor,
        kind: type[Connection],
        transport: asyncio.Transport,
        paused: bool,
        *about: object,
    ) -> Connection:
        """A connection of *kind*, which owns *transport* from then on. TooManyChildren, ActorDead,
        and whatever its init raises."""
        name = str(next(self._numbers))
        spec = child(
            name, kind, transport, paused, self.delivery, *about, restart=Restart.TEMPORARY
        )
        cell = supervisor.start_child_nowait(spec)
        assert isinstance(cell, Cell)
        made = cell.actor
        assert isinstance(made, Connection)
        return made
