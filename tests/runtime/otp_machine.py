"""Drives a supervisor and the model of OTP's side by side: the same events for both."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from eco_actor.runtime import (
    ActorError,
    Backoff,
    ChildSpec,
    DeleteChild,
    Restart,
    RestartChild,
    StartChild,
    StopChild,
    Strategy,
    Supervisor,
    System,
    child,
)
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.virtual import VirtualTimeLoop
from tests.runtime import otp_model
from tests.runtime.otp_children import Dynamic, Notes, Static, Worker
from tests.runtime.otp_model import Delays, Model, Refused

NAMES: Final = "abcde"
KINDS: Final[tuple[otp_model.Restart, ...]] = ("permanent", "transient", "temporary")
STRATEGIES: Final[tuple[otp_model.Strategy, ...]] = ("one_for_one", "one_for_all", "rest_for_one")
BY_MESSAGE: Final = ("normal", "shutdown", "crash")
ENDS: Final = (*BY_MESSAGE, "kill", "kill busy", "stray cancel")


class Machine(RuleBasedStateMachine):
    """A supervisor under another one that never gives up, and the model of the one below."""

    delays: ClassVar[Delays | None] = None
    dynamic: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.notes = Notes()
        self.faults: Counter[str] = Counter()
        self.expected: list[str] = []
        self.known: dict[Cell, None] = {}
        self.system: System | None = None

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        """Do it, and let all of it happen that takes no time."""

        async def doing() -> Any:
            try:
                return await coro
            finally:
                await self.loop.idle()

        return self.loop.run_until_complete(doing())

    @initialize(
        strategy=st.sampled_from(STRATEGIES),
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
        intensity=st.integers(0, 4),
        period=st.integers(1, 4),
    )
    def begin(
        self,
        strategy: otp_model.Strategy,
        kinds: list[otp_model.Restart],
        intensity: int,
        period: int,
    ) -> None:
        self.strategy: otp_model.Strategy = "one_for_one" if self.dynamic else strategy
        self.budget = intensity, period
        self.kinds = {} if self.dynamic else dict(zip(NAMES, kinds, strict=False))
        backoff = None if self.delays is None else Backoff(*self.delays[:2], 0, self.delays[2])
        if self.dynamic:
            sup = child("sup", Dynamic, self.notes, len(NAMES), intensity, period, backoff)
        else:
            specs = [self.spec(name, kind) for name, kind in self.kinds.items()]
            how = Strategy(strategy)
            sup = child("sup", Static, self.notes, specs, how, intensity, period, backoff)
        self.system = System(child("top", Supervisor, [sup], Strategy.ONE_FOR_ONE, 1000, 1))
        self.reborn()
        self.run(self.system.__aenter__())

    def spec(self, name: str, kind: otp_model.Restart) -> ChildSpec:
        return child(name, Worker, name, self.notes, restart=Restart(kind))

    def reborn(self) -> None:
        """The supervisor starts anew, with the children it first had: until that succeeds."""
        while True:
            self.model = Model(
                self.strategy,
                *self.budget,
                self.delays,
                self.dynamic,
                self.faults,
                self.loop.time(),
            )
            for name, kind in self.kinds.items():
                self.model.children[name] = otp_model.Child(kind)
            started = self.model.start()
            self.expected += self.model.seen
            self.model.seen.clear()
            if started:
                return

    @property
    def sup(self) -> Cell:
        assert self.system is not None
        cell = self.system.find("/top/sup")
        assert cell is not None
        return cell

    def cell(self, name: str) -> Cell:
        actor = self.sup.actor
        assert actor is not None
        cell = actor.child(name)
        assert cell is not None
        return cell

    def up(self) -> list[str]:
        return [name for name, kid in self.model.children.items() if kid.state == "up"]

    # ---- what happens

    @precondition(lambda self: self.up())
    @rule(data=st.data(), how=st.sampled_from(ENDS))
    def one_ends(self, data: st.DataObject, how: str) -> None:
        if self.delays is not None:
            self.pass_time(1 / 1024)  # of two delays that end together either may be the first
        up = self.up()
        if not up:
            return
        name = data.draw(st.sampled_from(up))
        self.run(self.end(name, how))
        self.model.ends((name, how))

    async def end(self, name: str, how: str) -> None:
        cell = self.cell(name)
        if how in ("kill busy", "stray cancel"):
            cell.tell("hold")
            await self.loop.idle()
        match how:
            case "kill" | "kill busy":
                cell.kill()
            case "stray cancel":
                self.notes.held[name].cancel()
            case _:
                cell.tell(how)

    @precondition(lambda self: len(self.up()) > 1)
    @precondition(lambda self: self.delays is None or self.strategy != "one_for_one")
    @rule(data=st.data())
    def some_end_at_once(self, data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from(self.up()), min_size=2, unique=True))
        self.end_at_once([(name, data.draw(st.sampled_from(BY_MESSAGE))) for name in names])

    def end_at_once(self, ended: list[tuple[str, str]]) -> None:
        async def end_all() -> None:
            for name, how in ended:
                self.cell(name).tell(how)

        self.run(end_all())
        self.model.ends(*ended)

    @rule(data=st.data(), times=st.integers(1, 4))
    def next_inits_fail(self, data: st.DataObject, times: int) -> None:
        """Mostly of a child that there is: what comes of it then, is what is interesting."""
        name = data.draw(st.sampled_from([*self.model.children, *NAMES[-2:]]))
        self.fail_next(name, times)

    def fail_next(self, name: str, times: int) -> None:
        self.notes.faults[name] = self.faults[name] = times

    @rule(quarters=st.integers(1, 12))
    def time_passes(self, quarters: int) -> None:
        self.pass_time(quarters / 4)

    def pass_time(self, seconds: float) -> None:
        until = self.loop.time() + seconds
        self.run(asyncio.sleep(seconds))
        self.model.passes(until)
        self.same()

    # ---- what it is asked

    def ask(self, message: object, model: Callable[..., None], *args: Any) -> None:
        """Ask it, and the model: both do it, or both refuse."""
        expected = ""
        try:
            model(*args)
        except Refused as refused:
            expected = str(refused)

        async def asking() -> str:
            try:
                await self.sup.ask(message, 1.0)
            except (ActorError, ValueError) as error:
                return str(error)
            return ""

        answer = self.run(asking())
        assert bool(answer) == bool(expected), f"{message}: {answer!r}, not {expected!r}"

    @rule(name=st.sampled_from(NAMES), kind=st.sampled_from(KINDS))
    def start_child(self, name: str, kind: otp_model.Restart) -> None:
        self.ask(StartChild(self.spec(name, kind)), self.model.start_child, name, kind)

    @rule(name=st.sampled_from(NAMES))
    def stop_child(self, name: str) -> None:
        self.ask(StopChild(name), self.model.terminate_child, name)

    @precondition(lambda self: not self.dynamic)
    @rule(name=st.sampled_from(NAMES))
    def restart_child(self, name: str) -> None:
        self.ask(RestartChild(name), self.model.restart_child, name)

    @precondition(lambda self: not self.dynamic)
    @rule(name=st.sampled_from(NAMES))
    def delete_child(self, name: str) -> None:
        self.ask(DeleteChild(name), self.model.delete_child, name)

    @rule()
    def stop_and_start_it(self) -> None:
        top = self.sup.parent
        assert top is not None
        self.faults.clear()
        self.notes.faults.clear()
        self.model.stop()
        self.run(top.ask(StopChild("sup"), 1.0))
        self.run(top.ask(RestartChild("sup"), 1.0))

    # ---- what must be the same

    @invariant()
    def same(self) -> None:
        if self.system is None:
            return
        self.expected += self.model.seen
        self.model.seen.clear()
        if not self.model.alive:
            self.reborn()
        assert self.in_order(self.notes.diary) == self.in_order(self.expected)
        self.notes.diary.clear()
        self.expected.clear()
        actor = self.sup.actor
        assert actor is not None
        cells = list(actor.children())
        assert [cell.name for cell in cells] == list(self.model.children)
        names = {"ended": "undefined", "down": "restarting", "running": "up"}
        assert {cell.name: (names[cell.state.value], cell.incarnation) for cell in cells} == {
            name: (kid.state, kid.starts) for name, kid in self.model.children.items()
        }
        self.known |= dict.fromkeys(cells)
        for cell in self.known:
            assert cell.alive == (cell in cells and cell.state.value != "ended"), cell

    def in_order(self, diary: list[str]) -> list[str]:
        """Dynamic children are stopped in any order, together."""
        if not (self.dynamic and "down" in diary):
            return diary
        at = diary.index("down")
        starts = [entry for entry in diary[at:] if entry[0] == "+"]
        return diary[:at] + sorted(set(diary[at:]) - set(starts)) + starts

    def teardown(self) -> None:
        try:
            if self.system is not None:
                self.model.stop()
                self.run(self.system.__aexit__(None, None, None))
                assert self.in_order(self.notes.diary) == self.in_order(self.model.seen)
        finally:
            self.loop.close()
