"""Lightweight actors with bounded mailboxes under a supervision tree, on one asyncio loop.

mailbox      the five overflow rules, pure; rich_mailbox: keys, bytes, room for last words
restarts     restart types, strategies, OTP's intensity rule, backoff, pure
errors       what a caller may conclude when a message was not answered
asking       requests, failures, and who waits for whom
ref          tell, send, ask
actor        what an application writes; ChildSpec
incarnation  one life of an actor, how it begins and ends; turns: what it does in between;
             belongings: timers, pipes, names and watches, given back at its end; states
cell         what lasts of an actor through all its lives
supervisor   Supervisor; dynamic: DynamicSupervisor; parent: what both have; halting: how they stop
dispatcher   who gets the next turn
jobs         the tasks, owned by aiojobs
names        actors by name
memory       how often the collector looks
system       one tree, from start to stop
inspection   states and traces; watchdog: warnings; fold, tally: a tree as a bounded list of rows
testing      a loop with virtual time, and the test kit
"""

from eco_actor.runtime.actor import Actor, ChildSpec, Down, child
from eco_actor.runtime.asking import Failure
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.dynamic import DynamicSupervisor
from eco_actor.runtime.errors import (
    ActorDead,
    ActorError,
    AskCycle,
    AskTimeout,
    HandlerFailed,
    MailboxFull,
    NameTaken,
    NoSuchChild,
    StartFailed,
    TooManyChildren,
    TooManyPipes,
)
from eco_actor.runtime.mailbox import Mailbox, MailboxSpec, Outcome, Overflow
from eco_actor.runtime.memory import settle_memory
from eco_actor.runtime.parent import DeleteChild, RestartChild, StartChild, StopChild
from eco_actor.runtime.ref import Ref
from eco_actor.runtime.restarts import (
    KILLED,
    NORMAL,
    OVERFLOW,
    SHUTDOWN,
    Backoff,
    Exit,
    ExitKind,
    Restart,
    RestartWindow,
    Strategy,
)
from eco_actor.runtime.states import State
from eco_actor.runtime.supervisor import Supervisor
from eco_actor.runtime.system import System
from eco_actor.runtime.watchdog import Watchdog

__all__ = (
    "KILLED",
    "NORMAL",
    "OVERFLOW",
    "SHUTDOWN",
    "Actor",
    "ActorDead",
    "ActorError",
    "AskCycle",
    "AskTimeout",
    "Backoff",
    "Cell",
    "ChildSpec",
    "DeleteChild",
    "Down",
    "DynamicSupervisor",
    "Exit",
    "ExitKind",
    "Failure",
    "HandlerFailed",
    "Mailbox",
    "MailboxFull",
    "MailboxSpec",
    "NameTaken",
    "NoSuchChild",
    "Outcome",
    "Overflow",
    "Ref",
    "Restart",
    "RestartChild",
    "RestartWindow",
    "StartChild",
    "StartFailed",
    "State",
    "StopChild",
    "Strategy",
    "Supervisor",
    "System",
    "TooManyChildren",
    "TooManyPipes",
    "Watchdog",
    "child",
    "settle_memory",
)
