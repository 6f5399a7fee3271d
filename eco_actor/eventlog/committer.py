"""What becomes of appends: who is written, who fails alone, and when the storage is at fault.

Without threads and queues, so that the same runs in the writer's thread and in a simulation. When a
batch fails because of its data, its items are tried one by one: a failed item takes no position and
fails alone. When the storage is at fault all fail, and so does what comes, until `probe` works.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from eco_actor.eventlog.database import LEFT, Database, Item
from eco_actor.eventlog.event import Event
from eco_actor.eventlog.faults import READ_ONLY, Fault, fault_of
from eco_actor.eventlog.history import Excess, Trimmed
from eco_actor.eventlog.store import Appended, Chain, StoreError
from eco_actor.eventlog.trimming import trim_step

log = logging.getLogger(__name__)


# Not frozen: one is made for each append, and that would cost more than packing its data.
@dataclass(slots=True, eq=False)
class Append:
    item: Item
    done: Appended | None  # for the loop alone
    chain: Chain | None

    def fail(self, error: StoreError) -> "Settled":
        """It is not written, nor is what its author queues behind it."""
        if self.chain is not None:
            self.chain.broken = True
        return Settled(self, (), error)

    def tell(self, events: Sequence[Event], error: StoreError | None) -> None:
        """Call `done`, once; in the loop."""
        done, self.done = self.done, None
        if done is not None:
            try:
                done(events, error)
            except Exception:
                log.exception("what follows an append failed")


@dataclass(slots=True, eq=False)
class Settled:
    """What became of one append, on its way back to the loop."""

    append: Append
    events: Sequence[Event]
    error: StoreError | None = None


class Committer:
    """Writes to *database*. `fault` is that of the storage, None while it works.

    `met`: the fault that the last commit met, be it over by now or not.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.fault: Fault | None = None
        self.met: Fault | None = None

    def commit(self, appends: Sequence[Append]) -> list[Settled]:
        """Write *appends* in one transaction, as far as they can be; never raises."""
        self.met = self.fault
        settled = self._commit(appends)
        self._keep_full(self.met)
        return settled

    def _commit(self, appends: Sequence[Append]) -> list[Settled]:
        broken = [append for append in appends if append.chain and append.chain.broken]
        if broken:
            told = StoreError("an earlier event of the same story could not be written")
            whole = [append for append in appends if append not in broken]
            return [*self._commit(whole), *(append.fail(told) for append in broken)]
        if not appends:
            return []
        if self._database.left:
            return [append.fail(StoreError(LEFT)) for append in appends]
        if self.fault is None:
            try:
                placed = self._database.commit([append.item for append in appends])
            except Exception as error:
                fault = self.fault = self._fault_of(error)
                if fault is None:
                    return self._one_by_one(appends, error)
                # Written over before anybody is told that it was not written: after a crash it
                # might be found whole, though it could not be made durable.
                over = fault.began and self._write_over()
                if over and fault.by_size and len(appends) > 1:
                    return self._one_by_one(appends, error)
                self.met = fault
                return [append.fail(StoreError(fault.reason)) for append in appends]
            else:
                return [
                    Settled(append, events) for append, events in zip(appends, placed, strict=True)
                ]
        return [append.fail(StoreError(self.fault.reason)) for append in appends]

    def _fault_of(self, error: Exception) -> Fault | None:
        fault = fault_of(error)
        if fault is not None and fault.began and self._database.on_read_only_disk():
            return READ_ONLY  # which SQLite does not tell apart
        return fault

    def _one_by_one(self, appends: Sequence[Append], error: Exception) -> list[Settled]:
        """The fault is in the data of one of them, or one is too large for what room is left."""
        if len(appends) > 1:
            return [each for append in appends for each in self._commit([append])]
        log.error("an append failed: %s", error)
        return [appends[0].fail(StoreError(str(error)))]

    def probe(self) -> bool:
        """Try a small write, as durable as any; whether `fault` is over.

        A disk that was full has to have room, too: what is small may find its place in the old log.
        """
        before = self.fault
        if before is not None and before.lasting:
            return False
        self._write_over()
        self._keep_full(before)
        return self.fault is None

    def _keep_full(self, before: Fault | None) -> None:
        """A disk that was full is so still, whatever was small enough to be written."""
        full = before is not None and before.by_size
        if full and self.fault is None and not self._database.has_room():
            self.fault = before

    def _write_over(self) -> bool:
        """A small write, which takes the place of what was begun; whether it worked."""
        try:
            self._database.probe()
        except Exception as error:
            self.fault = self._fault_of(error) or Fault(str(error))
            return False
        self.fault = None
        return True

    def trim(self, excess: Excess) -> Trimmed | StoreError:
        """One step of a trim; never raises."""
        if self.fault is not None:
            return StoreError(self.fault.reason)
        if self._database.left:
            return StoreError(LEFT)
        try:
            return trim_step(self._database.connection, excess)
        except Exception as error:
            self.fault = self._fault_of(error)
            log.error("%s: a trim failed: %s", excess.channel, error)
            return StoreError(self.fault.reason if self.fault is not None else str(error))
