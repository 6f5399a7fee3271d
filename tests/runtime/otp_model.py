"""OTP's supervisor as a pure model: what it does with its children, to the letter, in no time.

Written from the rules of Erlang/OTP's supervisor, not from the runtime that is judged by it; the
delay before a restart, which OTP lacks, from the rules in the reference. Names and events go in;
out comes what an onlooker sees: `+a` an init that succeeded, `!a` one that failed, `-a` an end,
`down` the supervisor's own end.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
Restart = Literal["permanent", "transient", "temporary"]
ORDERLY = ("normal", "shutdown")


class Refused(Exception):
    """The supervisor answers a request with an error."""


class Delays(NamedTuple):
    """Twice as long after each failure of a child in a row, until it has run for `reset_after`."""

    first: float
    most: float
    reset_after: float


@dataclass
class Child:
    restart: Restart
    state: Literal["up", "ended", "undefined", "restarting"] = "undefined"
    starts: int = 0  # inits that were tried: the incarnation's number
    began: float = 0.0
    failures: int = 0


@dataclass
class Model:
    """A supervisor, static or dynamic; `faults` has how many of a child's next inits fail."""

    strategy: Strategy
    intensity: int
    period: int
    delays: Delays | None = None
    dynamic: bool = False
    faults: Counter[str] = field(default_factory=Counter)
    now: float = 0.0
    alive: bool = True
    children: dict[str, Child] = field(default_factory=dict)  # in start order
    seen: list[str] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)
    inbox: deque[tuple[str, int, str]] = field(default_factory=deque)  # name, start, reason
    due: dict[str, float] = field(default_factory=dict)  # when whose restart has waited enough
    waiting: set[str] = field(default_factory=set)  # who failed, of those that wait

    # ---- what happens to it

    def start(self) -> bool:
        """The initial start, left to right; one failure undoes it."""
        self.alive = all(self._start(name) for name in self.children)
        if not self.alive:
            self._stop_all()
        return self.alive

    def stop(self) -> None:
        self.alive = False
        self.seen.append("down")
        self._stop_all()

    def ends(self, *ended: tuple[str, str]) -> None:
        """Running children end for these reasons, one after the other, before it looks."""
        for name, reason in ended:
            self.children[name].state = "ended"
            self.seen.append(f"-{name}")
            self.inbox.append((name, self.children[name].starts, reason))
        self._look()

    def passes(self, until: float) -> None:
        """Time goes on, and with it what waits for its time."""
        while self.alive and self.due and min(self.due.values()) <= until:
            name = min(self.due, key=lambda each: self.due[each])
            self.now = max(self.now, self.due.pop(name))
            waited = {name} if self._alone else set(self.waiting)
            self.waiting -= waited
            first = next((each for each in self.children if each in waited), None)
            if first is not None:
                self._start_group(first)
            self._look()
        self.now = until

    def start_child(self, name: str, restart: Restart) -> None:
        if name in self.children:
            raise Refused("already there")
        self.children[name] = Child(restart)
        if not self._start(name):
            del self.children[name]
            raise Refused("did not start")

    def terminate_child(self, name: str) -> None:
        child = self._known(name)
        self._stop(name)
        child.state = "undefined"
        if self._alone:
            self.due.pop(name, None)
            self.waiting.discard(name)
        self._unless_kept(name)

    def restart_child(self, name: str) -> None:
        if self._known(name).state != "undefined":
            raise Refused("not stopped")
        if not self._start(name):
            self.children[name].state = "undefined"
            raise Refused("did not start")

    def delete_child(self, name: str) -> None:
        if self._known(name).state != "undefined" or name in self.waiting:
            raise Refused("not stopped, or about to be restarted")
        del self.children[name]

    # ---- what it does then

    @property
    def _alone(self) -> bool:
        return self.strategy == "one_for_one"

    def _look(self) -> None:
        while self.inbox and self.alive:
            name, start, reason = self.inbox.popleft()
            child = self.children.get(name)
            if child is None or child.starts != start:
                continue  # forgotten, or started since
            if child.state != ("restarting" if reason == "again" else "ended"):
                continue  # it was stopped with its group
            if child.restart == "permanent" or (
                child.restart == "transient" and reason not in ORDERLY
            ):
                self._restart(name, child)
            else:
                child.state = "undefined"
                self._unless_kept(name)

    def _restart(self, name: str, child: Child) -> None:
        second = int(self.now)
        self.restarts = [r for r in self.restarts if r >= second - self.period] + [second]
        if len(self.restarts) > self.intensity:
            self.stop()
            return
        child.state = "restarting"
        for each in reversed(self._group(name)):
            self._stop(each)
            if each != name and self.children[each].restart == "temporary":
                del self.children[each]
        if self.delays is None:
            self._start_group(name)
            return
        if self.now - child.began >= self.delays.reset_after:
            child.failures = 0
        if self._alone or not self.waiting:
            delay = min(self.delays.most, self.delays.first * 2**child.failures)
            self.due[name] = self.now + delay
        child.failures += 1
        self.waiting.add(name)

    def _group(self, name: str) -> list[str]:
        names = list(self.children)
        if self._alone:
            return [name]
        return names if self.strategy == "one_for_all" else names[names.index(name) :]

    def _start_group(self, first: str) -> None:
        for name in self._group(first):
            if self.children[name].state != "up" and not self._start(name):
                self.inbox.append((name, self.children[name].starts, "again"))
                return

    def _start(self, name: str) -> bool:
        child = self.children[name]
        child.starts += 1
        child.began = self.now
        failed = self.faults[name] > 0
        self.faults[name] -= failed
        child.state = "restarting" if failed else "up"
        self.seen.append(f"!{name}" if failed else f"+{name}")
        return not failed

    def _stop(self, name: str) -> None:
        child = self.children[name]
        if child.state == "up":
            self.seen.append(f"-{name}")
        if child.state == "ended" and self.delays is not None:
            return  # its end is still to be looked at, and counts
        if child.state != "undefined":
            child.state = "restarting"

    def _unless_kept(self, name: str) -> None:
        """It does not come back by itself; its spec is kept, unless it is temporary."""
        if self.dynamic or self.children[name].restart == "temporary":
            del self.children[name]

    def _stop_all(self) -> None:
        for name in reversed(self.children):
            self._stop(name)

    def _known(self, name: str) -> Child:
        if name not in self.children:
            raise Refused("not found")
        return self.children[name]
