"""What actors and outsiders of the simulation do to each other, each time judged."""

import asyncio
import itertools
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from bench.simulation_book import Life, Note, Seat, Wait
from bench.simulation_judge import Judge
from eco_actor.runtime import (
    Actor,
    ActorDead,
    AskCycle,
    AskTimeout,
    Down,
    HandlerFailed,
    MailboxFull,
    NameTaken,
    State,
)

MOMENT: Final = 1e-6
"""Seconds by which a deadline may be off: the clock is a float."""


FOREVER: Final = float("inf")


class Bad(Exception):
    """The crash of a simulated actor, or the failure that it answers with."""


@types.coroutine
def suspending(
    coro: Coroutine[Any, Any, Any], suspended: Callable[[], None]
) -> Generator[Any, Any, Any]:
    """Await *coro*, and call *suspended* when it has to wait: it got past its first step."""
    send, argument = coro.send, None
    first = True
    while True:
        try:
            waits_for = send(argument)
        except StopIteration as stop:
            return stop.value
        if first:
            first = False
            suspended()
        try:
            argument = yield waits_for
            send = coro.send
        except BaseException as error:
            argument, send = error, coro.throw


def still_waits(wait: Wait, now: float) -> bool | None:
    """Whether it cannot go on yet; None when that is known to the runtime only."""
    note = wait.note
    if note.done or note.lost:
        return False  # it has its answer, though it has not looked yet
    queued = any(getattr(m, "message", m) is note for m in wait.to.cell.mailbox)
    if wait.deadline == FOREVER:
        return not (queued or note.begun)
    if now >= wait.deadline or not (queued or note.begun):
        return None
    return True


def closes_ring(by: Life | None, to: Seat, now: float) -> bool | None:
    """Whether *to* waits, through whomever, for *by*: then waiting for *to* would never end."""
    seen: list[Seat] = []
    certain: bool | None = True
    link = to
    while by is not None and link not in seen:
        if link is by.seat:
            return certain
        seen.append(link)
        life = link.life
        if life is None or life.over or life.waits is None:
            break
        waits = still_waits(life.waits, now)
        if waits is False:
            break
        certain = certain and waits
        link = life.waits.to
    return False


class Talk:
    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.under_way = 0  # asks and sends
        self._ids = itertools.count(1)  # in the order of offers, and of those who begin to wait

    def tell(self, to: Seat, note: Note) -> None:
        note.id = next(self._ids)
        self.judge.told(to, to.cell.tell(note))

    async def send(self, by: Life | None, to: Seat, note: Note) -> None:
        """A send: what it reports is booked, and the queue of those who wait is counted."""
        judge = self.judge
        note.id = next(self._ids)
        ring = closes_ring(by, to, judge.now())
        waited = False

        def suspended() -> None:
            nonlocal waited
            waited = True
            to.pending += 1
            if by is not None:
                by.waits = Wait(to, note, FOREVER)

        self.under_way += 1
        judge.checks += 1
        try:
            outcome = await suspending(to.cell.send(note), suspended)
        except ActorDead:
            note.barred = True
            if not waited:
                to.refused += 1
            if to.cell.alive and not waited:
                judge.broken(f"{to.path} is alive, and a send to it says dead")
        except MailboxFull:
            note.barred = True
        except AskCycle:
            note.barred = True
            if ring is False:
                judge.broken(f"{by} is told that it would wait for itself by a send to {to.path}")
        except asyncio.CancelledError:
            to.slack += waited
            raise
        else:
            if waited:
                to.accepted += 1
            else:
                judge.told(to, outcome)
        finally:
            self.under_way -= 1
            to.pending -= waited
            judge.touched[to] = None
            judge.note(f"sent {note.id} to {to.path}")
            if by is not None:
                by.waits = None
        if waited and ring:
            judge.broken(f"{by} waited for room at {to.path}, which waits for it")

    async def ask(self, by: Life | None, to: Seat, note: Note, timeout: float) -> object:
        """An ask of a simulated actor: it resolves in time, and tells the truth."""
        judge = self.judge
        note.id = next(self._ids)
        ring = closes_ring(by, to, judge.now())
        waited = False
        began = judge.now()

        def suspended() -> None:
            nonlocal waited
            waited = True
            to.accepted += 1
            judge.touched[to] = None
            if ring:
                judge.broken(f"{by} waits for {to.path}, which waits for it")
            if by is not None:
                by.waits = Wait(to, note, began + timeout)

        self.under_way += 1
        judge.checks += 2
        result: object = None
        try:
            result = await suspending(to.cell.ask(note, timeout), suspended)
            if result != note.id or not note.begun:
                judge.broken(f"{to.path} answers {result} to message {note.id}")
        except AskCycle as error:
            note.barred = True
            if ring is False or waited or error.cycle[0] != error.cycle[-1]:
                judge.broken(f"{by} is told that it would wait for itself by asking {to.path}")
        except (MailboxFull, ActorDead, HandlerFailed, AskTimeout) as error:
            self._failed(to, note, error, waited)
            late = judge.now() - began - timeout
            if isinstance(error, AskTimeout) and abs(late) > MOMENT:
                judge.broken(f"an ask of {to.path} timed out {late:+.6f} s after its deadline")
        except Bad:
            if note.order != "failure":
                judge.broken(f"{to.path} answered {note.order} with a failure")
        finally:
            self.under_way -= 1
            judge.note(f"asked {note.id} of {to.path}")
            if by is not None:
                by.waits = None
        if judge.now() > began + timeout + MOMENT:
            judge.broken(f"an ask of {to.path} took {judge.now() - began} s, not {timeout}")
        return result

    def _failed(self, to: Seat, note: Note, error: Any, waited: bool) -> None:
        """Book an ask that failed; what the error says of the message must be, and stay, true."""
        judge = self.judge
        if not waited:
            to.refused += 1
            judge.touched[to] = None
            if isinstance(error, AskTimeout | HandlerFailed):
                judge.broken(f"{to.path}: {error!r} before anything was sent")
        if error.handled is not note.begun:
            judge.broken(f"{to.path}: {error!r} says {error.handled}, but {note.begun} is true")
        note.barred = error.handled is False

    # ---- what an actor asks of its own cell

    def watch(self, life: Life, actor: Actor[Any], to: Seat) -> None:
        if to.cell.alive:
            late = to.life is not None and to.life.up and to.life.over
            if late and to.cell.state is State.STOPPING and life not in to.watchers:
                life.due.setdefault(to, deque()).append(to.cell.incarnation)
            life.watching.setdefault(to, 1)
            to.watchers[life] = None
        else:  # it hears of that at once
            life.watching[to] = life.watching.get(to, 0) + 1
        actor.watch(to.cell)

    def unwatch(self, life: Life, actor: Actor[Any], to: Seat) -> None:
        life.watching.pop(to, None)
        to.watchers.pop(life, None)
        life.loose[to] = None
        actor.unwatch(to.cell)

    def hears_down(self, life: Life, down: Down) -> None:
        """Each end of a watched incarnation once, and once that it is dead for good."""
        judge = self.judge
        seat = judge.seat(down.ref)
        judge.signalled(life, f"hears of the end of {seat.path}#{down.incarnation}")
        other = seat.life
        if other is not None and other.number == down.incarnation and not judge.gone(other):
            judge.broken(f"{life} hears of the end of {other}, which lives")
        due = life.due.get(seat)
        if due and due[0] == down.incarnation:
            due.popleft()
        elif life.watching.get(seat) and not (seat.cell.alive and seat.count == down.incarnation):
            life.watching[seat] -= 1
            if not life.watching[seat]:
                del life.watching[seat]
                seat.watchers.pop(life, None)
        elif seat not in life.loose:
            judge.broken(f"{life} hears of {seat.path}#{down.incarnation} once too often")

    def register(self, life: Life, actor: Actor[Any], name: str) -> None:
        judge = self.judge
        judge.checks += 1
        holder, certain = self._holder(name)
        try:
            actor.register(name)
        except NameTaken:
            if certain and holder in (None, life):
                judge.broken(f"{life}: the name {name} is free, and refused")
        else:
            if holder not in (None, life):
                judge.broken(f"{life}: the name {name} is given to it while {holder} has it")
            judge.names[name] = life
            judge.note(f"{life} is {name}")

    def whereis(self, actor: Actor[Any], name: str) -> None:
        judge = self.judge
        judge.checks += 1
        holder, certain = self._holder(name)
        found = actor.whereis(name)
        if certain and found is not (None if holder is None else holder.seat.cell):
            judge.broken(f"the name {name} stands for {found}, not for {holder}")

    def _holder(self, name: str) -> tuple[Life | None, bool]:
        """Who has the name, and whether that is certain: after terminate it is not at once."""
        holder = self.judge.names.get(name)
        if holder is None or not self.judge.gone(holder):
            return holder, True
        cell = holder.seat.cell
        return None, cell.incarnation != holder.number or cell.state is not State.STOPPING
