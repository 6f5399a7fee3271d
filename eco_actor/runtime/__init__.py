"""Lightweight actors with bounded mailboxes under a supervision tree, on one asyncio loop.

mailbox     the five overflow rules, pure
restarts    restart types, strategies and OTP's intensity rule, pure
errors      what a caller may conclude when a message was not answered
ref         tell, send, ask
actor       what an application writes; ChildSpec
cell        the life of an actor through its incarnations       timers   those of one incarnation
supervisor  Supervisor, DynamicSupervisor                       halting  how they end children
dispatcher  who gets the next turn
jobs        the tasks, owned by aiojobs
system      one tree, from start to stop
testing     a loop with virtual time
"""

from eco_actor.runtime.actor import Actor, ChildSpec, Down, child
from eco_actor.runtime.errors import (
    ActorDead,
    ActorError,
    AskTimeout,
    HandlerFailed,
    MailboxFull,
    StartFailed,
    TooManyChildren,
)
from eco_actor.runtime.mailbox import Mailbox, MailboxSpec, Outcome, Overflow
from eco_actor.runtime.ref import Ref
from eco_actor.runtime.restarts import (
    KILLED,
    NORMAL,
    OVERFLOW,
    SHUTDOWN,
    Exit,
    ExitKind,
    Restart,
    RestartWindow,
    Strategy,
)
from eco_actor.runtime.supervisor import DynamicSupervisor, Supervisor
from eco_actor.runtime.system import System

__all__ = (
    "KILLED",
    "NORMAL",
    "OVERFLOW",
    "SHUTDOWN",
    "Actor",
    "ActorDead",
    "ActorError",
    "AskTimeout",
    "ChildSpec",
    "Down",
    "DynamicSupervisor",
    "Exit",
    "ExitKind",
    "HandlerFailed",
    "Mailbox",
    "MailboxFull",
    "MailboxSpec",
    "Outcome",
    "Overflow",
    "Ref",
    "Restart",
    "RestartWindow",
    "StartFailed",
    "Strategy",
    "Supervisor",
    "System",
    "TooManyChildren",
    "child",
)
