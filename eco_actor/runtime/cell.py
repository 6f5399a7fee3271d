"""What lasts of an actor: its address, mailbox, counters and watchers, through all its lives.

                      start                      restart
    DOWN ────────────────────► (an incarnation) ─────────► DOWN
      │                          │ ended orderly, kept        │ bury
      └──────── start ◄── ENDED ◄┘                            └──► DEAD

While there is an incarnation, its state is the cell's. Only the supervisor starts, ends and buries.
"""

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, Protocol

from eco_actor.runtime.actor import Actor, ChildSpec, Down
from eco_actor.runtime.asking import Request, gave_way, seeing_through_requests
from eco_actor.runtime.dispatcher import Dispatcher
from eco_actor.runtime.errors import ActorDead
from eco_actor.runtime.incarnation import Incarnation
from eco_actor.runtime.inspection import Traced, Tracer, kind_of, state_of
from eco_actor.runtime.jobs import ABANDON_AFTER, Jobs
from eco_actor.runtime.mailbox import Mailbox, MailboxSpec, Outcome
from eco_actor.runtime.names import Names
from eco_actor.runtime.ref import Ref
from eco_actor.runtime.restarts import KILLED, OVERFLOW, Exit, Restart, describe
from eco_actor.runtime.states import DOWN, State

log = logging.getLogger(__name__)

_CLOSED: Final = Outcome.CLOSED
_ENQUEUED: Final = Outcome.ENQUEUED


class Host(Protocol):
    """What a cell needs of the system that it lives in."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def dispatcher(self) -> Dispatcher: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def names(self) -> Names: ...

    def dead_letter(self, cell: "Cell", message: object, why: str) -> None:
        """Take note of a message that nobody will handle."""

    def root_ended(self, cell: "Cell", reason: Exit) -> None:
        """An incarnation of the root has ended by itself."""


class Cell(Ref[Any]):
    __slots__ = (
        "_ended",
        "_life",
        "_requests",
        "_resting",
        "_watchers",
        "host",
        "incarnation",
        "last_error",
        "last_exit",
        "parent",
        "spec",
        "tracer",
    )

    def __init__(self, host: Host, parent: "Cell | None", spec: ChildSpec) -> None:
        self.host = host
        self._loop = host.loop
        self.parent = parent
        self.spec = spec
        self.alive = True
        self.incarnation = 0
        self.last_error: str | None = None
        self.last_exit: Exit | None = None
        self.tracer: Tracer | None = None
        self._life: Incarnation | None = None
        self._requests = 0  # queued in the mailbox
        self._resting = DOWN  # what it is while it has no life
        self._waiters = None
        self._watchers: dict[Incarnation, None] | None = None
        self._ended: asyncio.Future[None] | None = None  # set while the supervisor stops it

    @property
    def name(self) -> str:
        """Its name among its siblings."""
        return self.spec.name

    @property
    def shutdown(self) -> float | None:
        """Seconds that a stop may take; None: as long as it takes."""
        given = self.spec.shutdown
        if given is not None and given < 0:  # the spec leaves it to the class
            return Actor.shutdown if self.actor is None else self.actor.shutdown
        return given

    @property
    def path(self) -> str:
        if self.parent is None:
            return f"/{self.spec.name}"
        return f"{self.parent.path}/{self.spec.name}"

    @property
    def state(self) -> State:
        return self._resting if self._life is None else self._life.state

    # ---- messages

    def tell(self, message: Any) -> Outcome:
        mailbox = self.mailbox
        queue = mailbox.queue
        if len(queue) < mailbox.quick:  # it is awake, and there is room: nothing else to do
            queue.append(message)
            return _ENQUEUED
        life = self._life
        if life is not None and life.asleep and not queue and type(queue) is deque:
            queue.append(message)  # a plain mailbox with nothing in it
            life.asleep = False
            mailbox.quick = mailbox.capacity
            self.host.dispatcher.schedule(life)
            return _ENQUEUED
        return self._offer(message)

    def _offer(self, message: Any) -> Outcome:
        if not self.alive:
            self.mailbox.refuse()
            return Outcome.DEAD
        if self._waiters and not self.mailbox.is_terminal(message):
            self.mailbox.refuse()  # who waits for room was here first
            return Outcome.FULL
        try:
            outcome = self.mailbox.offer(message)
        except Exception:  # of a function of the mailbox's spec: no fault of who tells
            log.exception("%s: its mailbox cannot take a %s", self.path, type(message).__name__)
            self.mailbox.refuse()
            return Outcome.DROPPED
        life = self._life
        if life is not None:
            if outcome is _CLOSED:
                life.request_exit(OVERFLOW)
            elif life.asleep:
                life.wake()
        return outcome

    def _offer_request(self, request: Request) -> Outcome:
        outcome = self._offer(request)
        if outcome.accepted:
            self._requests += 1
            self._attend()
        return outcome

    def request_left(self) -> None:
        """A request has left the mailbox."""
        self._requests -= 1

    def _attend(self) -> None:
        if self._life is not None:
            self._life.attend()
            if len(self.mailbox):
                self._life.wake()

    def _waits_for(self) -> Ref[Any] | None:
        if self._life is None or self._life.waits_for is None:
            return None
        target, answer = self._life.waits_for
        return None if answer.done() else target  # it is about to go on

    def signal(self, message: Any) -> None:
        """Deliver *message* in the control lane: ahead of the mailbox, whatever its depth.

        Nothing bounds that lane, so it is for what comes once: an order to cancel, an end. Without
        a life to take it, it is lost.
        """
        if self._life is not None:
            self._life.signal(message)

    # ---- what its supervisor does with it

    async def start(self) -> None:
        """Make a new incarnation and wait for its `init`. Raises what the factory or init raised.

        Cancelled while it waits: the init is cancelled too and has ended before this returns.
        """
        life = self._new_life()
        waiting = life.begin()
        if waiting is None:
            return
        started = life.await_init(waiting)
        try:
            await asyncio.shield(started)
        except asyncio.CancelledError:
            # Looked at, whenever it comes: the cancellation is what the caller hears of.
            started.add_done_callback(asyncio.Future.exception)
            life.kill()
            await asyncio.wait((started,), timeout=ABANDON_AFTER)
            raise

    def start_nowait(self) -> None:
        """As `start`, for an actor whose `init` is a plain def (TypeError otherwise)."""
        life = self._new_life()
        waiting = life.begin()
        if waiting is not None:
            error = TypeError(f"{self.path}: an async init cannot be started without waiting")
            life.refuse_init(waiting, error)
            raise error

    def _new_life(self) -> Incarnation:
        assert self._life is None, f"{self.path} is started while it is {self.state.value}"
        self.incarnation += 1
        self.alive = True
        self._resting = DOWN
        life = self._life = Incarnation(self)
        return life

    def request_exit(self, reason: Exit) -> None:
        """End the incarnation after the message in hand; the first wish stands."""
        if self._life is not None:
            self._life.request_exit(reason)

    def kill(self) -> None:
        """End the incarnation at once, abnormally: a running init or handler is cancelled.

        An end that is under way goes on as it is: its `terminate` may be stopping children.
        """
        if self._life is not None:
            self._life.kill()

    def expect_end(self) -> "asyncio.Future[None]":
        """Done when the incarnation has ended; its supervisor is told in no other way then."""
        self._ended = self._loop.create_future()
        return self._ended

    def cut_short(self) -> None:
        """Cancel whatever hook runs, also `terminate`: its time is over."""
        if self._life is not None:
            self._life.cut_short()

    def give_up(self) -> None:
        """Go on without a task that does not end when cancelled; what it still does is ignored."""
        if self._life is not None:
            self._life.finish()

    def retire(self) -> None:
        """It ended orderly and is not restarted by itself, but may be with its group."""
        self._close(State.ENDED)

    def bury(self) -> None:
        """Dead for good."""
        self._close(State.DEAD)

    def _close(self, resting: State) -> None:
        """What is queued becomes dead letters, everybody who waits is told; harmless when done."""
        if self._resting is State.DEAD or not self.alive:
            self._resting = resting if self._resting is not State.DEAD else State.DEAD
            return
        self._resting = resting
        self.alive = False
        self._requests = 0
        for message in self.mailbox.discard():
            bare = message
            if type(message) is Request:
                message.fail(ActorDead(self.path, "it ended before the request was handled"))
                bare = message.message
            self.dead_letter(bare, "its actor has ended")
        self._fail_waiters()
        self._tell_watchers(Down(self, self.incarnation, self.last_exit or KILLED, None))
        watchers, self._watchers = self._watchers, None
        for life in watchers or ():
            life.watched_no_more(self)

    # ---- what its incarnation tells it

    @property
    def wants_attention(self) -> bool:
        """Whether messages are to be looked at: for requests, waiting senders, or a trace."""
        return self._requests > 0 or self._waiters is not None or self.tracer is not None

    def equip(self, actor: Actor[Any]) -> None:
        """The first incarnation brings the mailbox that all have."""
        if self.incarnation == 1:
            self._make_mailbox(actor.mailbox)
        spec = self.spec
        if type(spec.factory) is functools.partial and spec.restart is Restart.TEMPORARY:
            # It is made once, so what it was made from, a picture maybe, is not kept.
            self.spec = spec.made_by(type(actor))

    def _make_mailbox(self, spec: MailboxSpec[Any]) -> None:
        if not isinstance(spec, MailboxSpec):
            raise TypeError(f"{self.path}: a mailbox is made from a MailboxSpec, not {spec!r}")
        plain = spec.plain
        self.mailbox = Mailbox(spec) if plain else seeing_through_requests(spec).build()
        if spec.makes_room:
            self.mailbox.gave_way = gave_way

    def not_started(self, error: BaseException | None) -> None:
        """Its init, or what makes the actor, raised."""
        self.last_error = describe(error)
        if not hasattr(self, "mailbox"):
            self._make_mailbox(Actor.mailbox)  # its own was never made; nothing was offered
        self._life = None
        self._tell_ended()

    def stopping(self, reason: Exit) -> None:
        """The incarnation begins to end."""
        self.last_exit = reason
        if reason.abnormal:
            self.last_error = str(reason)
        self.mailbox.quick = 0

    def went_down(self, reason: Exit, lost: object | None) -> None:
        """The incarnation is over."""
        self._life = None
        self.last_exit = reason
        self.mailbox.quick = 0
        self._tell_watchers(Down(self, self.incarnation, reason, lost))
        if self._tell_ended():
            return
        if self.parent is None:
            self.host.root_ended(self, reason)
        elif self.parent.actor is not None:
            self.parent.actor.child_ended(self, reason)

    def dead_letter(self, message: object, why: str) -> None:
        self.host.dead_letter(self, message, why)

    def _tell_ended(self) -> bool:
        """Wake the supervisor that waits for this end, if one does: it needs no other notice."""
        ended, self._ended = self._ended, None
        if ended is None:
            return False
        if not ended.done():
            ended.set_result(None)
        return True

    # ---- watchers

    def add_watcher(self, life: Incarnation) -> bool:
        """Tell *life* of each end; False, and told at once, if there will be none."""
        if not self.alive:
            life.signal(Down(self, self.incarnation, self.last_exit or KILLED, None))
            return False
        if self._watchers is None:
            self._watchers = {}
        self._watchers[life] = None
        return True

    def forget_watcher(self, life: Incarnation) -> None:
        if self._watchers is not None:
            self._watchers.pop(life, None)

    def _tell_watchers(self, down: Down) -> None:
        for life in tuple(self._watchers or ()):
            life.signal(down)

    # ---- children, and inspection

    @property
    def actor(self) -> Actor[Any] | None:
        """The running incarnation's actor; None while there is none."""
        return None if self._life is None else self._life.actor

    @property
    def children(self) -> "Iterable[Cell]":
        """The actors below this one, whatever the actor itself calls its attributes."""
        actor = self.actor
        return () if actor is None else type(actor).children(actor)

    def child(self, name: str) -> "Cell | None":
        """The child called *name*, if there is one."""
        actor = self.actor
        return None if actor is None else type(actor).child(actor, name)

    def suspend(self) -> None:
        """Take no message or signal until `resume`, or the incarnation ends; it can be stopped.

        The mailbox goes on to fill, and then its rule speaks.
        """
        if self._life is not None:
            self._life.suspend()

    def resume(self) -> None:
        """Go on; harmless when it was not suspended."""
        if self._life is not None:
            self._life.resume()

    @property
    def suspended(self) -> bool:
        return self._life is not None and self._life.suspended

    def trace(self, most: int) -> None:
        """Keep the last *most* messages that are taken (cut to a size), over restarts; 0: none."""
        self.tracer = Tracer(most, self._loop.time) if most else None
        self._attend()

    @property
    def traced(self) -> list[Traced]:
        """What the trace has kept, oldest first."""
        return [] if self.tracer is None else self.tracer.messages()

    def actor_state(self) -> dict[str, str]:
        """The attributes of the running actor as text, each cut to a size; empty without one."""
        return {} if self.actor is None else state_of(self.actor)

    @property
    def shown_mailbox(self) -> Mailbox[Any]:
        """Its mailbox; or the one that its actor would rather have looked at."""
        actor = self.actor
        shown = None if actor is None else type(actor).shown_mailbox(actor)
        return self.mailbox if shown is None else shown

    @property
    def is_traced(self) -> bool:
        return self.tracer is not None

    def snapshot(self) -> dict[str, object]:
        """This actor as `/actors` shows it; `suspended` and `traced` are there when it is so."""
        told: dict[str, object] = {
            "path": self.path,
            "kind": kind_of(self.spec),
            "incarnation": self.incarnation,
            "state": self.state.value,
            "restarts": max(0, self.incarnation - 1),
            "last_error": self.last_error,
            "mailbox": self.shown_mailbox.statistics(),
        }
        if self.suspended:
            told["suspended"] = True
        if self.is_traced:
            told["traced"] = True
        actor = self.actor
        return told if actor is None else {**type(actor).details(actor), **told}
