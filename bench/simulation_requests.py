"""What clients of the simulated server ask for, and what they are told, each time judged."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from bench.simulation_process import Process, picture
from bench.simulation_stories import Asked, Story
from bench.simulation_truth import Truth
from eco_actor.eventlog import Cursor, StoreError, StoreUncertain
from eco_actor.scan.admission import Busy
from eco_actor.scan.options import Options
from eco_actor.scan.picture import BadPicture
from eco_actor.web.problems import Problem
from eco_actor.web.requests import ScanOptions, ScanRequest

CATEGORY: Final = "category"
"""The kind of a scan without a picture; the others are pictures."""

REFUSALS: Final = (Busy, BadPicture, StoreError, Problem)


class Requests:
    """Requests to whichever process is up; they end with it, and nobody is told then."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.open: dict[asyncio.Task[None], None] = {}
        self._numbers = 0
        self.keyed: list[tuple[int, ScanRequest]] = []

    def _next(self, what: str, key: str | None = None) -> tuple[int, Asked]:
        self._numbers += 1
        asked = self.truth.asked[self._numbers] = Asked(f"{what} {self._numbers}", key)
        return self._numbers, asked

    def go(self, process: Process, coro: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Let it run until it is done, its client leaves, or the process ends."""
        task = process.loop.create_task(self._guarded(coro))
        self.open[task] = None
        process.own(task)

        def over(done: asyncio.Task[None]) -> None:
            del self.open[done]
            coro.close()  # it may have been cancelled before its first step

        task.add_done_callback(over)

        def cut_off() -> None:
            task.cancel()

        process.on_severed.append(cut_off)
        return task

    async def _guarded(self, coro: Coroutine[Any, Any, None]) -> None:
        try:
            await coro
        except Exception as error:
            self.truth.broken(f"a client met {error!r}")

    # ---- scans

    def scan(self, process: Process, kind: str, **more: Any) -> str:
        """Ask for a scan, of a category or of a picture of this kind; *more* of its options."""
        number, asked = self._next(kind)
        body = None if kind == CATEGORY else picture(number, kind)
        options = replace(self._options(number, kind), **more)

        async def submit() -> str:
            return await process.eco.admission.submit(body, options)

        self.go(process, self._scan(process, asked, submit, at_once=body is None))
        return asked.what

    def unwanted_scan(self, process: Process, kind: str, seconds: float) -> str:
        """Ask for a scan, and soon after that it is accepted want it no longer."""
        what = self.scan(process, kind)
        asked = self.truth.asked[self._numbers]

        async def cancel() -> None:
            for _ in range(100):
                if asked.stored or asked.state == "refused":
                    break
                await asyncio.sleep(0.01)
            await asyncio.sleep(seconds)
            for task_id in asked.stored:
                with contextlib.suppress(StoreError):
                    cancelled = process.eco.admission.cancel(task_id)
                    self.truth.note(f"{asked.what} is cancelled: {cancelled}")

        self.go(process, cancel())
        return f"{what}, unwanted after {seconds} s"

    def _options(self, number: int, kind: str) -> Options:
        category = "glass" if kind == CATEGORY else None
        return Options(category=category, user_input=str(number))

    async def _scan(
        self, process: Process, asked: Asked, submit: Callable[[], Awaitable[str]], at_once: bool
    ) -> None:
        truth, trouble = self.truth, process.eco.log.trouble
        began = truth.now()
        try:
            task_id = await submit()
        except StoreUncertain:
            return
        except REFUSALS as error:
            if not process.severed:
                truth.refused(asked, error)
                in_time = trouble is None or not at_once or truth.now() == began
                truth.expect(in_time, f"{asked.what} is refused in a trouble, but not at once")
            return
        if not process.severed:
            truth.expect(trouble is None or not at_once, f"{asked.what}: accepted in a trouble")
            truth.accepted(asked, task_id)

    def keyed_scan(self, process: Process, kind: str, *, realtime: bool) -> str:
        """Ask for a scan with a key that is new."""
        number, asked = self._next(f"keyed {kind}", f"key-{self._numbers}")
        given = ScanOptions(realtime=realtime, user_input=str(number))
        body = None if kind == CATEGORY else picture(number, kind)
        request = ScanRequest(given, self._options(number, kind), body)
        self.keyed.append((number, request))
        self.go(process, self._keyed(process, asked, request))
        return asked.what

    def again(self, process: Process, number: int, request: ScanRequest) -> str:
        """Repeat it: the client does not know what became of it, or forgot."""
        asked = self.truth.asked[number]
        self.go(process, self._keyed(process, asked, request))
        return f"{asked.what} again"

    async def _keyed(self, process: Process, asked: Asked, request: ScanRequest) -> None:
        assert asked.key is not None
        truth = self.truth
        mine = await request.fingerprint()
        try:
            answer = await process.route._once(request, asked.key, mine, "")
        except REFUSALS as error:
            code = error.code if isinstance(error, Problem) else ""
            truth.expect(code != "idempotency_key_reused", f"{asked.what}: {error}")
            return
        if process.severed:
            return
        told = json.loads(bytes(answer.body))  # type: ignore[arg-type]
        task_id = told["task_id"]
        story = truth.stories.get(task_id)
        truth.note(f"{asked.what}: {answer.status} {task_id}")
        if story is None:
            truth.broken(f"{asked.what}: {task_id} is accepted, and not in the log")
            return
        truth.expect(task_id in asked.stored, f"{asked.what} is told of another: {task_id}")
        truth.expect(
            task_id == asked.stored[-1] or self._was_over(story),
            f"{asked.what} is told of {task_id}, and the scan is {asked.stored[-1]}",
        )
        asked.task_ids.append(task_id)

    def _was_over(self, story: Story) -> bool:
        return story.status in ("failed", "cancelled")

    # ---- events of others

    def publish(self, process: Process, channel: str, key: str | None) -> str:
        number, asked = self._next("event")
        truth = self.truth

        def done(cursor: Cursor | None, error: Exception | None) -> None:
            if process.severed or isinstance(error, StoreUncertain):
                return
            if error is not None:
                truth.refused(asked, error)
                return
            assert cursor is not None
            asked.state = "accepted"
            there = truth.events.get(cursor.position)
            truth.expect(
                there is not None and there[1] == {"n": number},
                f"{asked.what} is said to be at {cursor}, where {there} is",
            )

        process.eco.publisher.publish(channel, {"n": number}, key, transient=False, done=done)
        return f"{asked.what} on {channel}"
