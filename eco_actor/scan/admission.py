"""The door: a scan is either accepted whole, durably, and under way, or nothing of it remains."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Final

from eco_actor.eventlog import Event, StoreError, StoreFull, StoreUncertain, Write
from eco_actor.runtime import DynamicSupervisor, Ref, Restart, child
from eco_actor.scan.events import first_event
from eco_actor.scan.messages import Cancel
from eco_actor.scan.options import Options
from eco_actor.scan.picture import Picture
from eco_actor.scan.scan import Pipeline, Scan
from eco_actor.scan.state import STEPS, ScanState
from eco_actor.scan.tables import ADD_PICTURE, ADD_SCAN, NAME_THING
from eco_actor.scan.task_id import TaskIds, actor_name
from eco_actor.scan.tries import Tries
from eco_actor.scan.vision import Pixels

log = logging.getLogger(__name__)

Rows = Callable[[str], Sequence[Write]]
"""What is written together with the acceptance of the scan of that id."""


FIRST: Final = Tries(STEPS[0], 1)
UNTRIED: Final = Tries(STEPS[0], 0)


def _nothing(task_id: str) -> Sequence[Write]:
    return ()


class Busy(Exception):
    """No room for another scan, picture to decode, or write: nothing was accepted."""


class Admission:
    """Accepts scans while fewer than `max_scans` are under way, and starts them.

    `decode` runs in *threads*; at most `max_decodes` pictures wait for it or are in it.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        scans: Callable[[], DynamicSupervisor | None],
        decode: Callable[[bytes], Picture],
        threads: Executor,
        max_decodes: int,
    ) -> None:
        self.pipeline = pipeline
        self._scans = scans
        self._decode = decode
        self._threads = threads
        self._max_decodes = max_decodes
        self._ids = TaskIds()
        self._decoding = 0
        self._reserved = 0  # places of those that are being decoded or written
        self._accepting: set[str] = set()  # those that are being written

    async def submit(
        self,
        body: bytes | None,
        options: Options,
        writes: Rows = _nothing,
        keyed: bool = False,
    ) -> str:
        """Accept a scan of the picture in *body*, or of the category in *options*; its task id.

        It is durable and started when this returns, together with the *writes* for its task id; a
        *keyed* one is kept for as long as an Idempotency-Key is. Busy, BadPicture or StoreError: it
        never was; StoreUncertain: it may come to be. Cancelled after it was on its way to the disk,
        it goes on without the caller.
        """
        self._check_storage()
        if not self.has_room():
            raise Busy("as many scans as this server takes are under way")
        self._reserved += 1
        try:
            picture = await self.decode(body) if body is not None else None
            accepted = self._accept(picture, options, writes, keyed)
        except BaseException:
            self._reserved -= 1
            raise
        return await accepted

    def _accept(
        self,
        picture: Picture | None,
        options: Options,
        more: Rows,
        keyed: bool,
    ) -> "asyncio.Future[str]":
        """Queue the acceptance; the place is reserved until it is decided."""
        if self._scans() is None:  # they were stopped while the picture was decoded
            raise Busy("the server stops, or its scans are being restarted")
        pipeline = self.pipeline
        at_ms = pipeline.log.now_ms()
        task_id = self._ids.make(at_ms)
        draft = first_event(task_id, at_ms, pipeline.wall_ms())
        # Where it begins as soon as it is durable, its first try is marked here, which saves a
        # transaction of its own.
        tries = FIRST if picture is not None and self._begins_at_once() else None
        mark = (tries.step, tries.number) if tries is not None else (None, 0)
        writes = [Write(ADD_SCAN, (task_id, at_ms, options.pack(), int(keyed), *mark))]
        if options.before is not None:
            writes.append(Write(NAME_THING, (task_id, options.before)))
        if picture is not None:
            writes.append(Write(ADD_PICTURE, (task_id, picture.jpeg)))
        writes.extend(more(task_id))
        accepted: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def durable(events: Sequence[Event], error: StoreError | None) -> None:
            # Here, and not in the caller's task, which may be cancelled at any moment: from the
            # commit on the scan exists.
            self._reserved -= 1
            self._accepting.discard(task_id)
            if error is None:
                pipeline.volume.add(events)
                state = ScanState.fold([draft.data], pipeline.steps)
                pixels = picture.pixels if picture else None
                marked = tries is not None
                if self.start(task_id, options, pixels, state, marked=marked) is None:
                    # scans are just being stopped: no try at it has begun
                    pipeline.left.put(task_id, UNTRIED, pipeline.log)
            elif isinstance(error, StoreUncertain):
                pipeline.left.put(task_id, UNTRIED)
            if not accepted.cancelled():
                if error is None:
                    accepted.set_result(task_id)
                else:
                    accepted.set_exception(error)

        try:
            pipeline.log.append([draft], writes, durable)
        except StoreFull as error:
            raise Busy(error.reason) from error
        self._accepting.add(task_id)
        return accepted

    def _begins_at_once(self) -> bool:
        """Whether a picture that is accepted now is looked at as soon as it is durable."""
        pool = self.pipeline.pools["vision"]
        return pool.stage.blocking and pool.idle and not self._accepting

    def _check_storage(self) -> None:
        reason = self.pipeline.log.trouble
        if reason is not None:
            raise StoreError(reason)

    def cancel(self, task_id: str) -> bool:
        """Ask a running scan to end as cancelled; False when it is not under way any more.

        StoreError: that could not be written at the moment, so it goes on.
        """
        self._check_storage()
        scans = self._scans()
        cell = scans.child(actor_name(task_id)) if scans is not None else None
        scan = cell.actor if cell is not None else None
        if cell is None or not isinstance(scan, Scan) or scan.state.status != "processing":
            return False
        cell.signal(Cancel())  # ahead of whatever results are waiting
        return True

    def running(self, task_id: str) -> bool:
        """Whether the scan is under way, or about to be: its acceptance is being written."""
        scans = self._scans()
        return task_id in self._accepting or (scans is not None and actor_name(task_id) in scans)

    def has_room(self) -> bool:
        scans = self._scans()
        return scans is not None and len(scans) + self._reserved < scans.max_children

    async def decode(self, body: bytes) -> Picture:
        """Decode in a thread. Busy when too many wait already, BadPicture."""
        if self._decoding >= self._max_decodes:
            raise Busy("too many pictures are waiting to be decoded")
        self._decoding += 1
        loop = asyncio.get_running_loop()
        decoding = loop.run_in_executor(self._threads, self._decode, body)
        decoding.add_done_callback(self._decoded)
        # Shielded: a caller that leaves does not take its bytes out of the threads' queue.
        return await asyncio.shield(decoding)

    def _decoded(self, decoding: "asyncio.Future[Picture]") -> None:
        self._decoding -= 1
        if not decoding.cancelled():
            decoding.exception()  # looked at, should the caller have left

    def start(
        self,
        task_id: str,
        options: Options,
        pixels: Pixels | None,
        state: ScanState,
        *,
        crashes: int = 0,
        marked: bool = False,
    ) -> Ref[Any] | None:
        """Let a scan that is in the log go on from its next step; its actor.

        `crashes` and `marked` are what `Scan` says. Should that fail, because the supervisor of the
        scans is just restarting, the scan is left to the recovery that follows such a restart.
        """
        scans = self._scans()
        about = (task_id, options, pixels, state, self.pipeline, crashes, marked)
        spec = child(actor_name(task_id), Scan, *about, restart=Restart.TEMPORARY)
        try:
            if scans is not None:
                return scans.start_child_nowait(spec)
        except Exception:
            log.exception("scan %s could not be started, it is left to recovery", task_id)
        return None
