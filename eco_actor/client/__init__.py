"""The contract with the outside, from Python: scan, follow over any transport, resume, publish.

    async with Client("http://127.0.0.1:8080") as client:
        result = await client.scan(Path("bottle.jpg"), lang="en")

client        Client: what it holds, and following; calls: all else that it can do
following     Following: what is followed, over one connection after the other
sse, ws, poll   the transports; event_stream is the parser
http          requests and their answers
link, ends    when to try again, and over which transport; place: how far it was read. Pure
told, errors  what comes back

It stands alone: aiohttp, and nothing of the rest; msgpack where it is asked for.
"""

from eco_actor.client.client import Client
from eco_actor.client.errors import EcoError, Problem, ScanFailed, Unreachable
from eco_actor.client.following import Following
from eco_actor.client.link import Bounds
from eco_actor.client.told import Event, Gap, Opened, State, Task, Waiting

__all__ = [
    "Bounds",
    "Client",
    "EcoError",
    "Event",
    "Following",
    "Gap",
    "Opened",
    "Problem",
    "ScanFailed",
    "State",
    "Task",
    "Unreachable",
    "Waiting",
]
