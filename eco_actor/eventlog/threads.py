"""Blocking calls in threads that nobody has to wait for, should they never come back."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

LEAVE_S: Final = 0.8
"""Seconds that who is cancelled waits for its thread: less than is waited for it to end."""


async def in_thread(name: str, call: Callable[[], T]) -> T:
    """What *call* returns or raises, called in a thread of its own.

    The end of the process does not wait for that thread, as it would for those of an executor.
    """
    return await _begun(name, call)


async def made_in_thread(name: str, make: Callable[[], T], give_back: Callable[[T], None]) -> T:
    """The same for what has to be given back: the caller owns it, or nobody does.

    Cancelled before, what *make* returns is given back in that thread, too, and the cancellation
    goes on when the thread is through, or after LEAVE_S; it then gives back later by itself.
    """
    making = _Making(make, give_back)
    through = _begun(name, making.run)
    try:
        await asyncio.wait((through,))
        return through.result()
    except asyncio.CancelledError:
        # it may have been made just now
        left: asyncio.Future[Any] = _begun(name, making.undo) if making.leave() else through
        await asyncio.wait((left,), timeout=LEAVE_S)
        if not left.done():
            log.error("thread %s is still busy, and left behind", name)
        elif (error := left.exception()) is not None:
            log.debug("what nobody wanted any more: %s", error)
        raise


class _Making(Generic[T]):
    """What is made in one thread and wanted, perhaps, by another."""

    def __init__(self, make: Callable[[], T], give_back: Callable[[T], None]) -> None:
        self._make = make
        self._give_back = give_back
        self._mutex = threading.Lock()
        self._made = False
        self._left = False
        self._value: T

    def run(self) -> T:
        value = self._make()
        with self._mutex:
            self._value, self._made = value, True
            left = self._left
        if left:
            self._give_back(value)
        return value

    def leave(self) -> bool:
        """Nobody wants it any more: whether it is there, and to be given back."""
        with self._mutex:
            self._left = True
            return self._made

    def undo(self) -> None:
        self._give_back(self._value)


def _begun(name: str, call: Callable[[], T]) -> "asyncio.Future[T]":
    """What *call* returns or raises one day, in a thread that begins now."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            value = call()
        except BaseException as error:
            tell(_fail, error)
        else:
            tell(_succeed, value)

    def tell(how: Callable[[asyncio.Future[T], object], None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(how, done, what)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done


def _succeed(done: "asyncio.Future[T]", value: object) -> None:
    if not done.done():
        done.set_result(value)  # type: ignore[arg-type]


def _fail(done: "asyncio.Future[T]", error: object) -> None:
    if not done.done() and isinstance(error, BaseException):
        done.set_exception(error)
