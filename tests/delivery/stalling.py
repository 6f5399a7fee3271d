"""A client that has read its opening and one event, and then reads nothing."""

from collections.abc import Sequence

from tests.delivery.stage import Client, Stage, soon
from tests.delivery.wire import Hole


async def stalled(stage: Stage, overflow: str, capacity: int, kind: str = "sse") -> Client:
    """A client that has read its opening and one event, `n` 0, and then reads nothing."""
    client = await stage.connect("app:a", kind=kind, overflow=overflow, capacity=capacity)
    await stage.publish("app:a", 0)
    await soon()
    client.transport.stall()
    await stage.publish("app:a", 1)  # fills the transport: what follows is behind
    await soon()
    assert client.actor.paused
    return client


async def go_on(client: Client) -> None:
    client.transport.allow(None)
    await soon()


def ranges(gaps: Sequence[Hole]) -> list[tuple[int, int, int, str]]:
    return [(gap.begin, gap.end, gap.dropped, gap.reason) for gap in gaps]
