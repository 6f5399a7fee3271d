"""`POST /scan/classify`: one scan a request, or one a key, however often the request is repeated.

What is noted with a key is the task id, in the transaction of the acceptance. It is known before,
and all that a repeat is told is made of it: where to look, or what has become of the scan. So no
second write is needed, and nothing can be lost in between.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web

from eco_actor.eventlog import StoreError
from eco_actor.scan.admission import Admission, Busy
from eco_actor.scan.state import ScanState
from eco_actor.scan.views import Views
from eco_actor.web.idempotency import Claim, Idempotency, key_asked
from eco_actor.web.problems import RETRY_AFTER_S, Problem, json_response, problem_response
from eco_actor.web.requests import ScanRequest, Uploads, read_scan_request

SCOPE: Final = "scan"
"""Of the idempotency keys."""

TASK_ID: Final = 33
"""Characters of a task id, which is what is noted with a key."""

TOLD: Final = b" 202"
"""Noted behind it once a request that waits for its result was told 202 for want of time."""

MAX_REPEATS: Final = 1000
"""Repeats that wait for a result at a time. Requests of scans of their own are bounded by those."""


class ClassifyRoute:
    """`sync_wait_s`: how long a POST with realtime=false waits before it answers 202 after all."""

    def __init__(
        self,
        admission: Admission,
        views: Views,
        idempotency: Idempotency,
        *,
        vision: bool,
        sync_wait_s: float,
        max_repeats: int = MAX_REPEATS,
    ) -> None:
        self._admission = admission
        self._views = views
        self._idempotency = idempotency
        self._uploads = Uploads()
        self._vision = vision
        self._sync_wait_s = sync_wait_s
        self._repeats_left = max_repeats

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/scan/classify", self.classify)
        app.on_shutdown.append(self._release)

    async def _release(self, app: web.Application) -> None:
        self._views.release()

    async def classify(self, request: web.Request) -> web.Response:
        """202 with the task id, or what has become of the scan when the client waits for it.

        Problem, Busy, BadPicture, StoreError: nothing was accepted, and a key is not used by it.
        """
        key = key_asked(request)
        if not self._admission.has_room() and not await self._was_used(key):
            raise Busy("as many scans as this server takes are under way")
        with self._uploads.admit(request.content_length):
            asked = await read_scan_request(request)
            mine = await asked.fingerprint() if key is not None else b""
        if key is not None:
            return await self._once(asked, key, mine)
        self._check_vision(asked)
        task_id = await self._admission.submit(asked.body, asked.options)
        return await self._answer(task_id, asked)

    async def _was_used(self, key: str | None) -> bool:
        return key is not None and await self._idempotency.has(SCOPE, key)

    async def _once(self, asked: ScanRequest, key: str, mine: bytes) -> web.Response:
        """Scan, unless a request with this key did so before; then what has become of that."""
        claim = await self._idempotency.claim(SCOPE, key, mine)
        if claim.note is None:
            task_id = await self._accept(asked, claim)
            answer = await self._answer(task_id, asked)
        else:
            task_id = claim.note[:TASK_ID].decode()
            with self._repeat() if not asked.realtime else contextlib.nullcontext():
                answer = await self._answer(task_id, asked)
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
            self._check_vision(asked)
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

    def _check_vision(self, asked: ScanRequest) -> None:
        if asked.body is not None and not self._vision:
            raise Problem(
                422, "vision_off", "this server does not look at pictures: send a category"
            )

    async def _answer(self, task_id: str, asked: ScanRequest) -> web.Response:
        if not asked.realtime:
            state = await self._views.wait_answer(task_id, self._sync_wait_s)
            if state is not None:
                return outcome(task_id, state)
        return _accepted(task_id)


def _accepted(task_id: str) -> web.Response:
    """202, with where to look for it."""
    url = f"/scan/{task_id}"
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
