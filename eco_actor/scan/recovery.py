"""Scans that are in the log but under way nowhere go on at their next step.

That is so after a start, for what an earlier process left unfinished, after a restart of the
supervisor of the scans, and after the storage was in trouble.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from eco_actor.eventlog import EventLog, StoreError
from eco_actor.runtime import Actor, Down, Exit, MailboxSpec, Overflow, Ref
from eco_actor.scan.admission import Admission, Busy
from eco_actor.scan.options import Options
from eco_actor.scan.picture import BadPicture
from eco_actor.scan.state import ScanState
from eco_actor.scan.tables import UNFINISHED, UNFINISHED_SCAN
from eco_actor.scan.tries import MOST, Tries, crashes
from eco_actor.scan.views import Views
from eco_actor.scan.vision import Pixels

log = logging.getLogger(__name__)

T = TypeVar("T")

FEW: Final = 256
"""Ids of unfinished scans read at a time."""

WAIT_S: Final = 0.1
"""After which a scan is tried again that found no room, or too many pictures being decoded."""

SWEEP_S: Final = 30.0
"""Between two looks: a scan that stopped because the log could not take an event goes on then."""


@dataclass(frozen=True, slots=True)
class Look:
    """Look for unfinished scans; one such message stands for many."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A scan that goes on at `step`; `crashes` tries at that ended with a process.

    `blocks`: a worker marks the next try when it begins; else it is to be marked before the start.
    """

    task_id: str
    options: Options
    jpeg: bytes | None
    state: ScanState
    step: str
    crashes: int
    blocks: bool

    @property
    def suspect(self) -> bool:
        """Whether it may end the process again. One that did so MOST times is not tried again."""
        return 0 < self.crashes < MOST


class Recovery(Actor[Look]):
    """Starts them one by one, within the bound of the admission, oldest first.

    Those in whose step a process died come last, the fewer times the sooner, and each alone: the
    next one begins when that is over. So whichever of them it was takes none of the others along
    again. What cannot be read or written now is left to the next look, which comes when a trouble
    of the storage ends, or after SWEEP_S.
    """

    mailbox = MailboxSpec(1, Overflow.LATEST)
    interruptible = True  # it may be waiting for the very scans that are being stopped

    def __init__(self, eventlog: EventLog, admission: Admission, views: Views) -> None:
        self._log = eventlog
        self._admission = admission
        self._pipeline = admission.pipeline
        self._views = views
        self._suspects: dict[str, int] = {}  # how often a process died in each
        self._alone: Ref[Any] | None = None  # the suspect under way

    def init(self) -> None:
        self._unregister = self._log.on_recovered(self._look_now)
        self._look_now()

    def terminate(self, reason: Exit) -> None:
        self._unregister()

    def _look_now(self) -> None:
        self.ref.tell(Look())

    async def handle(self, message: Look | Down) -> None:
        if isinstance(message, Down) and message.ref is self._alone:
            self._alone = None
        try:
            if isinstance(message, Look):
                await self._look()
            await self._try_suspects()
        except StoreError as error:
            log.warning("unfinished scans wait for the storage: %s", error.reason)
        if isinstance(message, Look):
            self.start_timer("sweep", SWEEP_S, Look())

    async def _look(self) -> None:
        """Start all that are no suspects, and note those that are. StoreError."""
        after, resumed, suspects = "", 0, len(self._suspects)
        while rows := await self._log.query(UNFINISHED, (after, FEW)):
            for (task_id,) in rows:
                after = task_id
                if task_id not in self._suspects:
                    resumed += bool(await self._guarded(task_id, self._go_on))
        suspects = len(self._suspects) - suspects
        if resumed or suspects:
            log.info("%d unfinished scans go on, then %d one by one", resumed, suspects)

    async def _try_suspects(self) -> None:
        """Start the next suspect, unless one is under way. StoreError."""
        while self._alone is None and self._suspects:
            task_id = min(self._suspects, key=lambda each: (self._suspects[each], each))
            del self._suspects[task_id]
            self._alone = await self._guarded(task_id, self._go_on_alone)
            if self._alone is not None:
                self.watch(self._alone)

    async def _guarded(self, task_id: str, how: Callable[[str], Awaitable[T]]) -> T | None:
        """What *how* makes of this scan; None when that fails for a reason of its own.

        StoreError when the storage is in trouble, which concerns all.
        """
        try:
            return await how(task_id)
        except Exception as error:
            if isinstance(error, StoreError) and self._log.trouble is not None:
                raise
            log.exception("scan %s cannot go on for now", task_id)
            return None

    async def _go_on(self, task_id: str) -> bool:
        found = await self._find(task_id)
        if found is None:
            return False
        if found.suspect:
            self._suspects[task_id] = found.crashes
            return False
        return await self._start(found) is not None

    async def _go_on_alone(self, task_id: str) -> Ref[Any] | None:
        found = await self._find(task_id)
        return await self._start(found) if found is not None else None

    async def _find(self, task_id: str) -> Unfinished | None:
        """A scan that is under way nowhere; None when it is, or is over by now. StoreError."""
        await self._room()
        if self._admission.running(task_id):
            return None
        # From here on nobody else can start it. Behind the next line, whatever the actor that had
        # it still had queued is in the log.
        await self._log.commit([])
        events = await self._views.events(task_id)
        state = ScanState.fold((event.data for event in events), self._pipeline.steps)
        step = state.next_step
        if step is None:
            return None
        ((packed, tried, number, jpeg),) = await self._log.query(UNFINISHED_SCAN, (task_id,))
        options = Options.unpack(packed)
        blocks = self._pipeline.pools[step].stage.blocking
        if step == "vision" and options.category is not None:
            blocks = False  # nobody looks
        died = self._pipeline.left.crashes(task_id, step)
        if died is None:
            died = crashes(step, Tries(tried, number) if tried else None, blocks=blocks)
        return Unfinished(task_id, options, jpeg, state, step, died, blocks)

    async def _start(self, found: Unfinished) -> Ref[Any] | None:
        """Let it go on; None when the supervisor of the scans is just restarting. StoreError."""
        task_id, again = found.task_id, found.crashes < MOST
        pixels = await self._pixels(found.jpeg) if found.jpeg is not None and again else None
        if again and not found.blocks:
            mark = Tries(found.step, found.crashes + 1).mark(task_id)
            await self._log.commit((), (mark,))
        await self._room()
        about = (task_id, found.options, pixels, found.state)
        scan = self._admission.start(*about, crashes=found.crashes)
        if scan is not None:
            self._pipeline.left.forget(task_id)
        return scan

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
