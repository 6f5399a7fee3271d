"""Reading scans: from the log, which alone knows what others may be shown."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from eco_actor.eventlog import Event, EventLog
from eco_actor.scan.events import channel
from eco_actor.scan.state import ScanState
from eco_actor.scan.tables import GONE
from eco_actor.scan.task_id import is_task_id
from eco_actor.scan.volume import GONE_MS


class Stopped(Exception):
    """The server stopped before what was waited for was there."""


class Views:
    """What is durable of each scan; None for one that is unknown."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._waiters: set[_Waiter] = set()
        self._followers: set[_Follower] = set()
        self._stopped = False

    def release(self) -> None:
        """Let everybody who waits for an answer go without it: the server stops."""
        for waiter in self._waiters:
            waiter.release()

    def stop(self) -> None:
        """The same, for good, and for those who follow scans."""
        self._stopped = True
        self.release()
        for follower in self._followers:
            follower.woken.set()

    async def events(self, task_id: str) -> list[Event]:
        """All events of a scan so far; none for one that does not exist. StoreError."""
        if not is_task_id(task_id):
            return []
        return (await self._log.page([channel(task_id)], after=0)).events

    async def gone(self, task_id: str) -> bool:
        """Whether there was such a scan, and retention removed it in the last 30 days. StoreError.

        To be asked where `events` has none.
        """
        if not is_task_id(task_id):
            return False
        since_ms = self._log.now_ms() - GONE_MS
        return bool(await self._log.query(GONE, (task_id, since_ms)))

    async def state(self, task_id: str) -> ScanState | None:
        events = await self.events(task_id)
        return ScanState.fold(event.data for event in events) if events else None

    async def ended_unsure(self, task_id: str) -> bool:
        """Whether its answer is out, and is that the picture was not recognised. StoreError."""
        state = await self.state(task_id)
        if state is None or state.status != "completed" or state.classification is None:
            return False
        return bool(state.classification["unsure"])

    async def snapshot(self, task_id: str) -> dict[str, Any] | None:
        """The scan as `GET /scan/{task_id}` shows it, with the cursor of its last event."""
        events = await self.events(task_id)
        if not events:
            return None
        state = ScanState.fold(event.data for event in events)
        return {
            "task_id": task_id,
            "status": state.status,
            "step": state.step,
            "progress": state.progress,
            "result": state.result,
            "reward": state.reward,
            "error": state.error,
            "cursor": str(events[-1].cursor),
        }

    async def follow(self, task_id: str, after: int) -> AsyncIterator[Event]:
        """The events of a scan behind the position *after*, as they become durable, to its last.

        None for a scan of which the log has nothing. What the reader has not taken is not kept in
        memory. StoreError; Stopped, when `stop` was called and there is nothing more for now.
        """
        if not is_task_id(task_id):
            return
        name, follower = channel(task_id), _Follower()
        self._followers.add(follower)
        self._log.subscribe(name, follower)
        begun = False  # whether there is anything to wait for
        try:
            while True:
                follower.woken.clear()
                events = (await self._log.page([name], after)).events
                for event in events:
                    yield event
                    if event.final:
                        return
                    after = event.position
                if events:
                    continue
                if self._log.forgotten(name) or not (begun or await self._goes_on(task_id, after)):
                    return
                begun = True
                if self._stopped:
                    raise Stopped("the server stops before the scan is over")
                await follower.woken.wait()
        finally:
            self._followers.discard(follower)
            self._log.unsubscribe(name, follower)

    async def _goes_on(self, task_id: str, after: int) -> bool:
        """Whether anything of the scan may come behind the position *after*."""
        events = await self.events(task_id)
        return bool(events) and (not events[-1].final or events[-1].position > after)

    async def wait_answer(self, task_id: str, timeout: float | None) -> ScanState | None:
        """The state once the answer is out or the scan is over.

        None when *timeout* seconds pass before, or `release` is called.
        """
        waiter = _Waiter()
        if self._stopped:
            waiter.release()
        self._waiters.add(waiter)
        self._log.subscribe(channel(task_id), waiter)
        try:
            state = await self.state(task_id)
            if state is not None and state.status != "processing":
                return state
            async with asyncio.timeout(timeout):
                await waiter.answered
            state = await self.state(task_id)
            return state if state is not None and state.status != "processing" else None
        except TimeoutError:
            return None
        finally:
            self._waiters.discard(waiter)
            self._log.unsubscribe(channel(task_id), waiter)


class _Waiter:
    """A subscriber that waits for the first event that cannot be dropped: the answer or the end."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def offer(self, event: Event) -> None:
        if event.terminal:
            self.release()

    def release(self) -> None:
        if not self.answered.done():
            self.answered.set_result(None)


class _Follower:
    """A subscriber that wants to know that there is something to read."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()

    def offer(self, event: Event) -> None:
        self.woken.set()
