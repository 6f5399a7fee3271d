"""A classifier that waits, and what runs a server with it in this process."""

import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from eco_actor.app import Eco
from eco_actor.scan.vision import Guess, Pixels, Verdict
from tests.web.client import JPEG, Client
from tests.web.pictures import drawn, encoded

PICTURE = encoded(drawn())
GLASS = Verdict("glass", 0.9, (Guess("glass", 0.9),), "held")

Running = Callable[[Eco], AbstractAsyncContextManager[Client]]


class Held:
    """Answers once `gate` is open, or raises `error`."""

    backend = "held"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.error: Exception | None = None

    def classify(self, pixels: Pixels) -> Verdict:
        assert self.gate.wait(30), "nobody opened the gate"
        if self.error is not None:
            raise self.error
        return GLASS


async def post(client: Client, query: str = "") -> str:
    answer = await client.post(f"/scan/classify{query}", data=PICTURE, headers=JPEG)
    assert answer.status == 202, answer.body
    return str(answer.json()["task_id"])
