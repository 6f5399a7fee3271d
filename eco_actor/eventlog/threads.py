"""Blocking calls in threads that nobody has to wait for, should they never come back."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(name: str, call: Callable[[], T]) -> T:
    """What *call* returns or raises, called in a thread of its own.

    The end of the process does not wait for that thread, as it would for those of an executor.
    """
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
    return await done


def _succeed(done: "asyncio.Future[T]", value: object) -> None:
    if not done.done():
        done.set_result(value)  # type: ignore[arg-type]


def _fail(done: "asyncio.Future[T]", error: object) -> None:
    if not done.done() and isinstance(error, BaseException):
        done.set_exception(error)
