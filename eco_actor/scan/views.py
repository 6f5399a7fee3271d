"""Reading scans: from the log, which alone knows what others may be shown."""

import asyncio
from typing import Any

from eco_actor.eventlog import Event, EventLog
from eco_actor.scan.events import channel
from eco_actor.scan.state import ScanState
from eco_actor.scan.tables import GONE
from eco_actor.scan.task_id import is_task_id
from eco_actor.scan.volume import GONE_MS


class Views:
    """What is durable of each scan; None for one that is unknown."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._waiters: set[_Waiter] = set()

    def release(self) -> None:
        """Let everybody who waits for an answer go without it: the server stops."""
        for waiter in self._waiters:
            waiter.release()

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

    async def wait_answer(self, task_id: str, timeout: float) -> ScanState | None:
        """The state once the answer is out or the scan is over.

        None when *timeout* seconds pass before, or `release` is called.
        """
        waiter = _Waiter()
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
