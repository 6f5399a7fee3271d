"""`POST /scan/classify`: one scan a request, or one a key, however often the request is repeated.

What is noted with a key is the task id, in the transaction of the acceptance. It is known before,
and all that a repeat is told is made of it: where to look, or what has become of the scan. So no
second write is needed, and nothing can be lost in between.
"""

import asyncio
import contextlib
import math
from collections.abc import Collection, Iterator
from typing import Any, Final

from aiohttp import web

from eco_actor.eventlog import StoreError
from eco_actor.scan.admission import Admission, Busy
from eco_actor.scan.state import ScanState
from eco_actor.scan.views import Views
from eco_actor.web.idempotency import Claim, Idempotency, key_asked
from eco_actor.web.prefix import prefix_of
from eco_actor.web.problems import RETRY_AFTER_S, Problem, json_response, problem_response
from eco_actor.web.rate import RateLimit
from eco_actor.web.requests import ScanRequest, bound_of, read_scan_request
from eco_actor.web.uploads import PACE, Pace, Uploads

SCOPE: Final = "scan"
"""Of the idempotency keys."""

TASK_ID: Final = 33
"""Characters of a task id, which is what is noted with a key."""

TOLD: Final = b" 202"
"""Noted behind it once a request that waits for its result was told 202 for want of time."""

MAX_REPEATS: Final = 1000
"""Repeats that wait for a result at a time. Requests of scans of their own are bounded by those."""


class ClassifyRoute:
    """`tags`: the conditions that the rules know.

    `sync_wait_s`: how long a POST with realtime=false waits before it answers 202 after all.
    In seconds. `pace`: how fast a body has to arrive. `uploads`: the room that all of them have.
    """

    def __init__(
        self,
        admission: Admission,
        views: Views,
        idempotency: Idempotency,
        *,
        vision: bool,
        sync_wait_s: float,
        tags: Collection[str] = (),
        pace: Pace = PACE,
        uploads: Uploads | None = None,
        max_repeats: int = MAX_REPEATS,
        limit: RateLimit | None = None,
    ) -> None:
        self._admission = admission
        self._views = views
        self._idempotency = idempotency
        self._uploads = uploads or Uploads()
        self._vision = vision
        self._sync_wait_s = sync_wait_s
        self._tags = tags
        self._pace = pace
        self._repeats_left = max_repeats
        self._limit = limit

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/scan/classify", self.classify)
        app.on_shutdown.append(self._release)

    async def _release(self, app: web.Application) -> None:
        self._views.release()

    async def classify(self, request: web.Request) -> web.Response:
        """202 with the task id, or what has become of the scan when the client waits for it.

        Problem, Busy, BadPicture, StoreError: nothing was accepted, and a key is not used by it.
        """
        key, prefix = key_asked(request), prefix_of(request)
        if (wait_s := await self._wait_s(request, key)) > 0:
            return _too_many(wait_s)
        if not self._admission.has_room() and not await self._was_used(key):
            raise Busy("as many scans as this server takes are under way")
        with self._uploads.admit(request.content_length, bound_of(request)) as room:
            asked = await read_scan_request(request, self._tags, self._pace, room.grow)
            mine = await asked.fingerprint() if key is not None else b""
        if key is not None:
            return await self._once(asked, key, mine, prefix)
        await self._check(asked)
        task_id = await self._admission.submit(asked.body, asked.options)
        return await self._answer(task_id, asked, prefix)

    async def _wait_s(self, request: web.Request, key: str | None) -> float:
        """Seconds that the client is to wait. A repeat of what was accepted is told so at once."""
        if self._limit is None:
            return 0.0
        wait_s = self._limit.wait_s(request.remote or "", asyncio.get_running_loop().time())
        return 0.0 if wait_s > 0 and await self._was_used(key) else wait_s

    async def _was_used(self, key: str | None) -> bool:
        return key is not None and await self._idempotency.has(SCOPE, key)

    async def _once(self, asked: ScanRequest, key: str, mine: bytes, prefix: str) -> web.Response:
        """Scan, unless a request with this key did so before; then what has become of that."""
        claim = await self._idempotency.claim(SCOPE, key, mine)
        if claim.note is None:
            task_id = await self._accept(asked, claim)
            answer = await self._answer(task_id, asked, prefix)
        else:
            task_id = claim.note[:TASK_ID].decode()
            with self._repeat() if not asked.realtime else contextlib.nullcontext():
                answer = await self._answer(task_id, asked, prefix)
        note = task_id.encode()
        # Should it not be written, the next one is told the same.
        with contextlib.suppress(StoreError):
            if answer.status == 409:
                # Now that somebody is told, the key may be used for another try; but not where
                # somebody was told of this scan as one that was accepted.
                await self._idempotency.free(SCOPE, key, note)
            elif answer.status == 202 and not asked.realtime:
                await self._idempotency.renote(SCOPE, key, note, note + TOLD)
        return answer

    @contextlib.contextmanager
    def _repeat(self) -> Iterator[None]:
        if not self._repeats_left:
            raise Busy("too many requests wait for a result")
        self._repeats_left -= 1
        try:
            yield
        finally:
            self._repeats_left += 1

    async def _accept(self, asked: ScanRequest, claim: Claim) -> str:
        """The task id of a new scan, with the row of its key. Problem, Busy, and so on: no scan."""
        try:
            await self._check(asked)
            task_id = await self._admission.submit(
                asked.body,
                asked.options,
                lambda task_id: claim.rows(task_id.encode()),
                keyed=True,
            )
        except BaseException:
            claim.give_up()
            raise
        claim.release()
        return task_id

    async def _check(self, asked: ScanRequest) -> None:
        """Problem for what this server cannot do now, or does not know. StoreError."""
        if asked.body is not None and not self._vision:
            raise Problem(
                422, "vision_off", "this server does not look at pictures: send a category"
            )
        after = asked.options.after_scan
        if after is not None and not await self._views.ended_unsure(after):
            detail = f"after_scan: {after:.64} is no scan that ended unsure"
            raise Problem(422, "bad_option", detail)

    async def _answer(self, task_id: str, asked: ScanRequest, prefix: str) -> web.Response:
        if not asked.realtime:
            state = await self._views.wait_answer(task_id, self._sync_wait_s)
            if state is not None:
                return outcome(task_id, state)
        return _accepted(task_id, prefix)


def _too_many(wait_s: float) -> web.Response:
    """429, with the whole seconds after which it may be tried again."""
    detail = "this address starts more scans than it may (ECO_SCAN_RATE): nothing was accepted"
    return problem_response(
        429, "too_many_scans", detail, {"Retry-After": str(max(1, math.ceil(wait_s)))}
    )


def _accepted(task_id: str, prefix: str) -> web.Response:
    """202, with where to look for it."""
    url = f"{prefix}/scan/{task_id}"
    answer = {
        "task_id": task_id,
        "status": "processing",
        "stream_url": f"{url}/stream",
        "events_url": f"{url}/events",
        "result_url": f"{url}/result",
    }
    return json_response(answer, 202, {"Location": answer["result_url"]})


def outcome(task_id: str, state: ScanState) -> web.Response:
    """200 with the result, 202 while there is none, 409 when there will be none."""
    match state.status:
        case "completed":
            return json_response(state.result)
        case "processing":
            told: dict[str, Any] = {"task_id": task_id, "status": state.status}
            told |= {"step": state.step, "progress": state.progress}
            return json_response(told, 202, {"Retry-After": str(RETRY_AFTER_S)})
        case _:
            error = state.error or {"code": state.status, "detail": f"the scan was {state.status}"}
            return problem_response(409, error["code"], error["detail"], task_id=task_id)
