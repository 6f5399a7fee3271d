"""Subscribers that stand for polls that wait: for something to tell, or for the time to tell it."""

import asyncio

from eco_actor.delivery.poll import Answer, urgent
from eco_actor.eventlog import Event


class Waiter:
    """A subscriber that puts what it is offered into the answer, and is released with the first."""

    __slots__ = ("_answer", "released")

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.released: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def offer(self, event: Event) -> None:
        self._answer.add(event)
        if self._answer:
            self.release()

    def release(self) -> None:
        if not self.released.done():
            self.released.set_result(None)


class Holder(Waiter):
    """One that is released with what is urgent, and keeps *aside* what no log will have."""

    __slots__ = ()

    @property
    def aside(self) -> Answer:
        return self._answer

    def offer(self, event: Event) -> None:
        if event.transient:
            self._answer.add(event)
        if urgent(event):
            self.release()
