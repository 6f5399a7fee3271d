"""All open streams of a server, for whoever has to tell many of them to go."""

from collections.abc import Callable

from eco_actor.delivery.admission import Gate
from eco_actor.delivery.connection import Connection
from eco_actor.delivery.frames import Bye
from eco_actor.runtime import DynamicSupervisor


class Streams:
    """The connections below a supervisor, which may be down for a moment."""

    def __init__(self, supervisor: Callable[[], DynamicSupervisor | None], gate: Gate) -> None:
        self._supervisor = supervisor
        self._gate = gate

    def __len__(self) -> int:
        supervisor = self._supervisor()
        return 0 if supervisor is None else len(supervisor)

    def end_some(self, most: int) -> int:
        """Tell the *most* oldest to go, and when to come back; how many were told."""
        supervisor = self._supervisor()
        told = 0
        for cell in () if supervisor is None else supervisor.children():
            if told == most:
                break
            connection = cell.actor
            if isinstance(connection, Connection) and not connection.ended:
                connection.end(Bye.GOING_AWAY, self._gate.leave_ms(connection.now()))
                told += 1
        return told
