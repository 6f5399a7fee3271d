"""Faults for tests: real actors, whose hooks go wrong as planned, and are watched meanwhile."""

import asyncio
import contextlib
import dataclasses
import fnmatch
import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from eco_actor.runtime.actor import Actor, ChildSpec
from eco_actor.runtime.cell import Cell
from eco_actor.runtime.ref import Ref
from eco_actor.runtime.virtual import Seeded


class Injected(Exception):
    """What a planned crash raises."""


@dataclasses.dataclass(frozen=True)
class _Fault:
    what: str
    where: str
    hook: str
    nth: int | None
    chance: float
    after: bool
    seconds: float = 0.0

    def hits(self, path: str) -> bool:
        return fnmatch.fnmatchcase(path, self.where) or fnmatch.fnmatchcase(
            path.rpartition("/")[2], self.where
        )


class Faults:
    """What goes wrong in which actor, and when: `faults.crash("reader", "init", nth=2)`.

    *where* is an actor's name or path, `*` and `?` stand for others. *nth* counts the calls of the
    hook over all incarnations of an actor, from 1; without it each call is hit with *chance*.
    *after* strikes when the hook is through. `struck` has what was done. A plain def can be crashed
    or killed only: with a name that is no pattern, anything else fails the kit.

    What is wrapped is watched, too: `lives` has "+path" when an init is through and "-path" when a
    terminate is; `overlaps` what must not be: two hooks of one actor at once, or an init although
    the incarnation before has not terminated.
    """

    def __init__(self, seed: int, note: Callable[[str], None] = lambda line: None) -> None:
        self.struck: list[str] = []
        self.impossible: list[str] = []
        self.lives: list[str] = []
        self.overlaps: list[str] = []
        self._inside: dict[str, str] = {}  # the hook that runs, by path
        self._alive: dict[str, int] = {}  # the incarnation that is to terminate, by path
        self._random = Seeded(seed).random
        self._note = note
        self._plan: list[_Fault] = []
        self._calls: Counter[tuple[str, str]] = Counter()
        self._kinds: dict[type[Actor[Any]], type[Actor[Any]]] = {}

    def crash(self, where: str, hook: str = "handle", **when: Any) -> None:
        """Raise `Injected`."""
        self._add("crash", where, hook, **when)

    def kill(self, where: str, hook: str = "handle", **when: Any) -> None:
        """Kill the actor, which is in the hook."""
        self._add("kill", where, hook, **when)

    def cancel(self, where: str, hook: str = "handle", **when: Any) -> None:
        """Cancel the task that runs the hook, as nobody should."""
        self._add("cancel", where, hook, **when)

    def delay(self, where: str, seconds: float, hook: str = "handle", **when: Any) -> None:
        """Make the hook last longer."""
        self._add("delay", where, hook, seconds=seconds, **when)

    def hang(self, where: str, hook: str = "handle", **when: Any) -> None:
        """Let the hook never end by itself."""
        self._add("hang", where, hook, **when)

    def stop(self) -> None:
        """No more faults from here on."""
        self._plan.clear()

    def wrap(self, spec: ChildSpec) -> ChildSpec:
        """*spec* with actors that do the same, and have these faults; so have its children."""
        make = _with_specs(spec.factory, self.wrap)

        def faulty() -> Actor[Any]:
            actor = make()
            if isinstance(actor, Actor):
                actor.__class__ = self._faulty(type(actor))
            return actor

        made = getattr(spec.factory, "func", spec.factory)
        faulty.__name__ = getattr(made, "__name__", "actor")
        return spec.made_by(faulty)

    def _add(self, what: str, where: str, hook: str, *, nth: int | None = None,
             chance: float = 1.0, after: bool = False, seconds: float = 0.0) -> None:  # fmt: skip
        if hook not in ("init", "handle", "terminate"):
            raise ValueError(f"a hook is init, handle or terminate, not {hook!r}")
        self._plan.append(_Fault(what, where, hook, nth, chance, after, seconds))

    def _faulty(self, kind: type[Actor[Any]]) -> type[Actor[Any]]:
        made = self._kinds.get(kind)
        if made is None:
            hooks = {name: self._hook(kind, name) for name in ("init", "handle", "terminate")}
            made = self._kinds[kind] = type(kind.__name__, (kind,), {"__slots__": (), **hooks})
        return made

    def _hook(self, kind: type[Actor[Any]], name: str) -> Callable[..., Any]:
        real = getattr(kind, name)

        @functools.wraps(real)
        async def asynchronous(actor: Actor[Any], *args: Any) -> Any:
            with self._within(actor, name) as due:
                for fault in due:
                    if not fault.after:
                        await self._strike_async(fault, actor)
                result = await real(actor, *args)
                for fault in due:
                    if fault.after:
                        await self._strike_async(fault, actor)
                return result

        @functools.wraps(real)
        def plain(actor: Actor[Any], *args: Any) -> Any:
            with self._within(actor, name) as due:
                for fault in due:
                    if not fault.after:
                        self._strike(fault, actor)
                result = real(actor, *args)
                for fault in due:
                    if fault.after:
                        self._strike(fault, actor)
                return result

        return asynchronous if inspect.iscoroutinefunction(real) else plain

    @contextlib.contextmanager
    def _within(self, actor: Actor[Any], hook: str) -> Iterator[list[_Fault]]:
        """Watch one call of a hook; what is to go wrong in it."""
        cell = actor.ref
        assert isinstance(cell, Cell)
        path, number = cell.path, cell.incarnation
        if path in self._inside:
            self.overlaps.append(f"{path}: {hook} begins while {self._inside[path]} runs")
        elif hook == "init" and path in self._alive:
            self.overlaps.append(f"{path}: init {number} before terminate {self._alive[path]}")
        self._inside[path] = f"{hook} of incarnation {number}"
        try:
            yield self._due(cell, hook)
            if hook == "init":
                self._alive[path] = number
                self.lives.append(f"+{path}")
        finally:
            self._inside.pop(path, None)
            if hook == "terminate":
                self._alive.pop(path, None)
                self.lives.append(f"-{path}")

    def _due(self, ref: Ref[Any], hook: str) -> list[_Fault]:
        path = ref.path
        self._calls[path, hook] += 1
        nth = self._calls[path, hook]
        return [
            fault
            for fault in self._plan
            if fault.hook == hook
            and fault.hits(path)
            and (fault.nth == nth or (fault.nth is None and self._random.random() < fault.chance))
        ]

    def _strike(self, fault: _Fault, actor: Actor[Any]) -> None:
        ref = actor.ref
        if fault.what not in ("crash", "kill"):
            if not {*fault.where} & {*"*?["}:
                self.impossible.append(f"{ref.path}: no {fault.what} in {fault.hook}, a plain def")
            return
        self._struck(fault, ref)
        if fault.what == "crash":
            raise Injected(f"{fault.hook} of {ref.path}")
        assert isinstance(ref, Cell)
        ref.kill()

    async def _strike_async(self, fault: _Fault, actor: Actor[Any]) -> None:
        match fault.what:
            case "cancel":
                task = asyncio.current_task()
                assert task is not None
                self._struck(fault, actor.ref)
                task.cancel()
                await asyncio.sleep(0)  # where it is heard of
            case "delay":
                self._struck(fault, actor.ref)
                await asyncio.sleep(fault.seconds)
            case "hang":
                self._struck(fault, actor.ref)
                await asyncio.Event().wait()
            case _:
                self._strike(fault, actor)

    def _struck(self, fault: _Fault, ref: Ref[Any]) -> None:
        line = f"{ref.path} {fault.hook} {fault.what}"
        self.struck.append(line)
        self._note(line)


def _with_specs(
    factory: Callable[[], Actor[Any]], wrap: Callable[[ChildSpec], ChildSpec]
) -> Callable[[], Actor[Any]]:
    """*factory*, with all specs that it passes on wrapped: those of a supervisor's children."""
    if not isinstance(factory, functools.partial):
        return factory

    def wrapped(value: Any) -> Any:
        if isinstance(value, ChildSpec):
            return wrap(value)
        if isinstance(value, Sequence) and any(isinstance(each, ChildSpec) for each in value):
            return [wrapped(each) for each in value]
        return value

    args = [wrapped(value) for value in factory.args]
    kwargs = {key: wrapped(value) for key, value in factory.keywords.items()}
    return functools.partial(factory.func, *args, **kwargs)
