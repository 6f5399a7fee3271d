"""Stage workers: actors that run one stage, one job at a time, and the way to the least busy one.

Work goes down by `tell` with the address to answer to; the answer is a message with the attempt's
number. A worker that dies does not answer: whoever sent the work watches it.
"""

import asyncio
import logging
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from eco_actor.eventlog import StoreError
from eco_actor.runtime import Actor, ChildSpec, MailboxSpec, Outcome, Ref, Supervisor, child
from eco_actor.scan.stages import Fields, Stage, StageInput
from eco_actor.scan.tries import Mark

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """`mark`: what has to be durable before the work begins."""

    given: StageInput
    attempt: int
    reply_to: Ref[Any]
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Done:
    attempt: int
    fields: Fields


@dataclass(frozen=True, slots=True)
class Failed:
    """The stage raised: trying again would raise again."""

    attempt: int
    error: Exception


@dataclass(frozen=True, slots=True)
class NotBegun:
    """The work was not begun: the log could not take its mark."""

    attempt: int
    error: StoreError


class Pool:
    """The workers of one stage. `tell` picks the one with the shortest queue.

    Refs outlive restarts, so a worker joins once; one that is dead for good is forgotten.
    """

    def __init__(self, stage: Stage, capacity: int) -> None:
        self.stage = stage
        self.capacity = capacity  # of each worker's mailbox
        self._workers: dict[Ref[Work], None] = {}

    def join(self, worker: Ref[Work]) -> None:
        self._workers[worker] = None

    @property
    def idle(self) -> bool:
        """Whether what is handed over now begins at once, with nothing else under way."""
        return not any(map(_busyness, self._workers))

    def tell(self, work: Work) -> tuple[Ref[Work] | None, Outcome]:
        """Hand *work* to a worker: who got it, or None with `FULL` or `DEAD`."""
        for worker in [worker for worker in self._workers if not worker.alive]:
            del self._workers[worker]
        if not self._workers:
            return None, Outcome.DEAD
        worker = min(self._workers, key=_busyness)
        outcome = worker.tell(work)
        return (worker if outcome.accepted else None), outcome


def _busyness(worker: Ref[Work]) -> int:
    return len(worker.mailbox) + worker.mailbox.in_hand


class _Worker(Actor[Work]):
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.mailbox = MailboxSpec(pool.capacity)  # type: ignore[misc]  # a bound a pool

    def init(self) -> None:
        self.pool.join(self.ref)


class Worker(_Worker):
    """Runs a stage that computes without blocking, inside the turn."""

    def handle(self, message: Work) -> None:
        if not message.reply_to.alive:
            return
        message.reply_to.tell(_run(self.pool.stage, message))


class BlockingWorker(_Worker):
    """Runs a stage that blocks, in a thread; one job at a time, so workers bound the threads.

    A stop does not wait for the thread: what it would have found is found again by recovery.
    """

    interruptible = True

    def __init__(self, pool: Pool, threads: Executor) -> None:
        super().__init__(pool)
        self.threads = threads

    async def handle(self, message: Work) -> None:
        # The scan it was at before has its turn first: then what both write shares a transaction.
        await asyncio.sleep(0)
        if not message.reply_to.alive:  # cancelled, or answered by another attempt
            return
        if message.mark is not None:
            try:
                await message.mark()
            except StoreError as error:
                message.reply_to.tell(NotBegun(message.attempt, error))
                return
            if not message.reply_to.alive:
                return
        loop = asyncio.get_running_loop()
        reply = await loop.run_in_executor(self.threads, _run, self.pool.stage, message)
        message.reply_to.tell(reply)


def _run(stage: Stage, work: Work) -> Done | Failed:
    try:
        return Done(work.attempt, stage.run(work.given))
    except Exception as error:
        failed = error
    except (SystemExit, asyncio.CancelledError) as error:  # of whoever wrote it: not the server's
        failed = RuntimeError(f"it raised {type(error).__name__}")
    log.warning("stage %s failed for %s", stage.name, work.given.task_id, exc_info=failed)
    return Failed(work.attempt, failed)


def pool_spec(pool: Pool, threads: Executor) -> ChildSpec:
    """The supervisor of the workers of one stage."""
    args = (pool, threads) if pool.stage.blocking else (pool,)
    kind = BlockingWorker if pool.stage.blocking else Worker
    workers = [child(str(n), kind, *args) for n in range(1, pool.stage.workers + 1)]
    return child(pool.stage.name, Supervisor, workers)
