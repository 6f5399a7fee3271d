"""What an application writes: a class with a mailbox, `init`, `handle` and `terminate`."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

from eco_actor.runtime.errors import ActorError
from eco_actor.runtime.mailbox import Mailbox, MailboxSpec
from eco_actor.runtime.ref import Ref
from eco_actor.runtime.restarts import NORMAL, Exit, Restart

if TYPE_CHECKING:
    from eco_actor.runtime.cell import Cell
    from eco_actor.runtime.incarnation import Incarnation

M = TypeVar("M")
T = TypeVar("T")

_DEFAULT: Final = -1.0  # "what the actor's class says"


@dataclass(frozen=True, slots=True)
class Down:
    """The signal a watcher gets when an incarnation of the watched actor has ended.

    `lost` is the message that it had in hand, if any: it will not be handled. What was queued
    stays queued while the actor may come back. When it will not, a second `Down` follows at once,
    with `ref.alive` false: what was queued is lost, too.
    """

    ref: Ref[Any]
    incarnation: int
    reason: Exit
    lost: object | None


class Actor(Generic[M]):
    """State that handles one message at a time, even across an `await`.

    `handle` may be a plain `def` (runs inside the turn, must be short) or an `async def` (gets a
    task for as long as it runs); so may `init` and `terminate`. An exception ends the incarnation;
    the supervisor decides what comes next. The return value of `handle` answers an `ask`.

    A subclass sets `mailbox`; the default holds 64 messages and refuses the 65th.
    """

    __slots__ = ("_life",)  # a subclass without slots has a dict, as ever

    mailbox: ClassVar[MailboxSpec[Any]] = MailboxSpec(64)
    interruptible: ClassVar[bool] = False  # whether a stop cancels a running async handler at once
    shutdown: ClassVar[float | None] = 5.0  # see ChildSpec
    max_pipes: ClassVar[int] = 16  # operations that may be under way beside the handler

    is_async: ClassVar[bool] = False
    """Whether `handle` is an `async def`; each class finds out for itself."""

    _life: "Incarnation"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name != "_life" and not hasattr(type(self), name):
                raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
            raise AttributeError(
                f"{type(self).__name__} has no incarnation yet: what needs its ref, a timer or a"
                " watch belongs into init(), not into __init__()"
            )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if inspect.isgeneratorfunction(cls.handle) or inspect.isasyncgenfunction(cls.handle):
            raise TypeError(f"{cls.__name__}.handle yields, so calling it would do nothing")
        cls.is_async = inspect.iscoroutinefunction(cls.handle)

    def init(self) -> Any:
        """Runs before the first message; when it raises, the actor has not started."""

    def handle(self, message: M) -> Any:
        """Deal with one message, or with a `Down` of an actor that this one watches."""
        raise NotImplementedError(
            f"{type(self).__name__} has no handle(), so it cannot take {type(message).__name__}"
        )

    def terminate(self, reason: Exit) -> Any:
        """Runs at every end of an incarnation whose `init` succeeded, restarts included."""

    def children(self) -> Iterable["Cell"]:
        """The actors below this one, for inspection."""
        return ()

    def child(self, name: str) -> "Cell | None":
        """The child called *name*, if there is one."""
        return None

    def child_ended(self, cell: "Cell", reason: Exit) -> None:
        """An incarnation of a child has ended by itself; supervisors know what to do then."""

    def shown_mailbox(self) -> Mailbox[Any] | None:
        """The mailbox that is worth looking at, where it is not the actor's own."""
        return None

    def details(self) -> Mapping[str, object]:
        """What a snapshot of this actor shows beside what it shows of all: plain data, and new at
        each call."""
        return {}

    @property
    def ref(self) -> Ref[M]:
        return self._life.cell

    def stop(self, reason: Exit = NORMAL) -> None:
        """End after the current message; what is still queued is lost unless a restart follows."""
        self._life.stop(reason)

    def now(self) -> float:
        """The clock of timers and deadlines, in seconds; it never goes back."""
        return self._life.cell.host.loop.time()

    def watch(self, ref: Ref[Any]) -> None:
        """Ask for a `Down` at each end of *ref*'s incarnations; at once if it is dead already.

        Until `unwatch`, the end of this actor's own incarnation, or the `Down` whose ref is not
        alive: should that actor be started again with its group, watch it again. Twice is once.
        """
        if not isinstance(ref, Ref):
            raise TypeError(f"a watch is on a ref, not on {ref!r}")
        self._life.own().watch(ref)

    def unwatch(self, ref: Ref[Any]) -> None:
        """No `Down` of *ref* any more, but for one that is on its way. Harmless without a watch."""
        if self._life.belongings is not None:
            self._life.belongings.unwatch(ref)

    def start_timer(self, key: str, delay: float, message: Any) -> None:
        """Handle *message* in *delay* seconds; a timer of the same key is replaced.

        Timers die with their incarnation, and do not count against the mailbox.
        """
        if not isinstance(delay, (int, float)) or not delay >= 0:
            raise ValueError(f"a timer's delay is in seconds, 0 or more, not {delay!r}")
        self._life.own().start_timer(key, delay, message)

    def cancel_timer(self, key: str) -> None:
        """Harmless when there is none; a message that is on its way already still comes."""
        if self._life.belongings is not None:
            self._life.belongings.cancel_timer(key)

    def pipe(
        self,
        operation: Coroutine[Any, Any, T],
        done: Callable[[T], M],
        failed: Callable[[Exception], M],
    ) -> None:
        """Run *operation* beside the handler; handle `done(result)`, or `failed(error)`, later.

        The message comes ahead of the mailbox, like a timer's. TooManyPipes when `max_pipes` are
        under way. At the end of the incarnation they are cancelled, and waited for before the
        next `init`.
        """
        try:
            self._life.own().pipe(operation, done, failed)
        except ActorError:
            operation.close()
            raise

    def register(self, name: str) -> None:
        """Be found by *name* in this system until this incarnation ends. NameTaken."""
        if not isinstance(name, str) or not name:
            raise TypeError(f"an actor is registered by a name, not by {name!r}")
        self._life.own().register(name)

    def whereis(self, name: str) -> Ref[Any] | None:
        """The actor that is registered by *name* now."""
        return self._life.cell.host.names.get(name)


def _seconds(number: object) -> bool:
    return isinstance(number, (int, float)) and number > 0


class ChildSpec:
    """How a supervisor starts, restarts and stops one child. Not to be changed once made.

    `factory` makes the actor, anew for each incarnation. `shutdown`: seconds that a stop may take
    before the child is killed, by default what the actor's class says: 5, and None for supervisors.
    None waits for ever, which is right for them only: their children have bounds of their own.
    """

    __slots__ = ("factory", "name", "restart", "shutdown")

    def __init__(
        self,
        name: str,
        factory: Callable[[], Actor[Any]],
        restart: Restart = Restart.PERMANENT,
        shutdown: float | None = _DEFAULT,
    ) -> None:
        if not isinstance(name, str) or not name or "/" in name:
            raise ValueError(f"a child's name is a part of its path, without '/', not {name!r}")
        if not callable(factory):
            raise TypeError(f"child {name}: the factory is called to make the actor")
        if not isinstance(restart, Restart):
            kinds = ", ".join(kind.value for kind in Restart)
            raise ValueError(f"child {name}: restart is one of {kinds}, not {restart!r}")
        if not (shutdown is None or shutdown is _DEFAULT or _seconds(shutdown)):
            raise ValueError(f"child {name}: shutdown is in seconds above 0, or None")
        self.name = name
        self.factory = factory
        self.restart = restart
        self.shutdown = shutdown

    def made_by(self, factory: Callable[[], Actor[Any]]) -> "ChildSpec":
        """The same child, made by another factory."""
        return ChildSpec(self.name, factory, self.restart, self.shutdown)

    def __repr__(self) -> str:
        return f"<ChildSpec {self.name} {self.restart.value}>"


def child(
    name: str,
    actor: Callable[..., Actor[Any]],
    /,
    *args: Any,
    restart: Restart = Restart.PERMANENT,
    shutdown: float | None = _DEFAULT,
    **kwargs: Any,
) -> ChildSpec:
    """A spec for `actor(*args, **kwargs)`, made anew for each incarnation."""
    factory = functools.partial(actor, *args, **kwargs) if args or kwargs else actor
    return ChildSpec(name, factory, restart, shutdown)
