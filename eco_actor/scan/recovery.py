"""Scans that are in the log but under way nowhere go on at their next step.

That is so after a start, for what an earlier process left unfinished, and after a restart of the
supervisor of the scans.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from eco_actor.eventlog import EventLog
from eco_actor.runtime import Actor, MailboxSpec, Overflow
from eco_actor.scan.admission import Admission, Busy
from eco_actor.scan.options import Options
from eco_actor.scan.picture import BadPicture
from eco_actor.scan.state import ScanState
from eco_actor.scan.tables import UNFINISHED, UNFINISHED_SCAN
from eco_actor.scan.views import Views
from eco_actor.scan.vision import Pixels

log = logging.getLogger(__name__)

FEW: Final = 256
"""Ids of unfinished scans read at a time."""

WAIT_S: Final = 0.1
"""After which a scan is tried again that found no room, or too many pictures being decoded."""

SWEEP_S: Final = 30.0
"""Between two looks: a scan that stopped because the log could not take an event goes on then."""


@dataclass(frozen=True, slots=True)
class Look:
    """Look for unfinished scans; one such message stands for many."""


class Recovery(Actor[Look]):
    """Starts them one by one, within the bound of the admission, oldest first."""

    mailbox = MailboxSpec(1, Overflow.LATEST)
    interruptible = True  # it may be waiting for the very scans that are being stopped

    def __init__(self, eventlog: EventLog, admission: Admission, views: Views) -> None:
        self._log = eventlog
        self._admission = admission
        self._views = views

    def init(self) -> None:
        self.ref.tell(Look())

    async def handle(self, message: Look) -> None:
        after, resumed = "", 0
        while rows := await self._log.query(UNFINISHED, (after, FEW)):
            for (task_id,) in rows:
                after = task_id
                resumed += await self._resume(task_id)
        if resumed:
            log.info("%d unfinished scans go on", resumed)
        self.start_timer("sweep", SWEEP_S, Look())

    async def _resume(self, task_id: str) -> bool:
        """Start a scan that is under way nowhere; False when it is, or is over by now."""
        await self._room()
        if self._admission.running(task_id):
            return False
        # From here on nobody else can start it. Behind the next line, whatever the actor that had
        # it still had queued is in the log.
        await self._log.commit([])
        state = ScanState.fold(event.data for event in await self._views.events(task_id))
        if state.next_step is None:
            return False
        ((packed, jpeg),) = await self._log.query(UNFINISHED_SCAN, (task_id,))
        pixels = await self._pixels(jpeg) if jpeg is not None else None
        await self._room()
        self._admission.start(task_id, Options.unpack(packed), pixels, state)
        return True

    async def _room(self) -> None:
        while not self._admission.has_room():  # noqa: ASYNC110  # room is made in many ways
            await asyncio.sleep(WAIT_S)

    async def _pixels(self, jpeg: bytes) -> Pixels | None:
        while True:
            try:
                return (await self._admission.decode(jpeg)).pixels
            except Busy:
                await asyncio.sleep(WAIT_S)
            except BadPicture:
                return None  # the vision stage fails for want of a picture: the client is told
