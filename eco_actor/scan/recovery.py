"""Scans that are in the log but under way nowhere go on at their next step.

That is so after a start, for what an earlier process left unfinished, and after a restart of the
supervisor of the scans.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final

from eco_actor.eventlog import EventLog
from eco_actor.runtime import Actor, MailboxSpec, Overflow
from eco_actor.scan.admission import Admission, Busy
from eco_actor.scan.options import Options
from eco_actor.scan.picture import BadPicture
from eco_actor.scan.state import ScanState
from eco_actor.scan.tables import UNFINISHED
from eco_actor.scan.views import Views
from eco_actor.scan.vision import Pixels

log = logging.getLogger(__name__)

FEW: Final = 16
"""Unfinished scans read at a time: their pictures are in memory."""

WAIT: Final = 0.1
"""Seconds after which a scan that found no room is tried again."""


@dataclass(frozen=True, slots=True)
class Look:
    """Look for unfinished scans; one such message stands for many."""


class Recovery(Actor[Look]):
    """Starts them one by one, within the bound of the admission, oldest first."""

    mailbox = MailboxSpec(1, Overflow.LATEST)

    def __init__(self, eventlog: EventLog, admission: Admission, views: Views) -> None:
        self._log = eventlog
        self._admission = admission
        self._views = views

    def init(self) -> None:
        self.ref.tell(Look())

    async def handle(self, message: Look) -> None:
        # Behind this, whatever a scan that is gone had still queued is in the log.
        await self._log.commit([])
        after, found = "", 0
        while rows := await self._log.query(UNFINISHED, (after, FEW)):
            for task_id, packed, jpeg in rows:
                after = task_id
                if not self._admission.running(task_id):
                    found += 1
                    await self._resume(task_id, Options.unpack(packed), jpeg)
        if found:
            log.info("%d unfinished scans go on", found)

    async def _resume(self, task_id: str, options: Options, jpeg: bytes | None) -> None:
        state = ScanState.fold(event.data for event in await self._views.events(task_id))
        pixels = await self._pixels(jpeg) if state.next_step == "vision" else None
        while not self._admission.has_room():  # noqa: ASYNC110  # room is made in many ways
            await asyncio.sleep(WAIT)
        if not self._admission.running(task_id):
            self._admission.start(task_id, options, pixels, state)

    async def _pixels(self, jpeg: Any) -> Pixels | None:
        if jpeg is None:
            return None
        try:
            return (await self._admission.decode(jpeg)).pixels
        except (BadPicture, Busy):
            return None  # the vision stage fails for want of a picture, which the client is told
