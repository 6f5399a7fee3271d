"""`/scan/classify`, `/scan/{task_id}` and `/scan/{task_id}/result`."""

from typing import Any, Final

from aiohttp import web

from eco_actor.scan.admission import Admission, Busy
from eco_actor.scan.options import Options
from eco_actor.scan.rules import LANGUAGES, RuleBook
from eco_actor.scan.state import ScanState
from eco_actor.scan.views import Views
from eco_actor.web.problems import RETRY_AFTER_S, Problem, json_response, problem_response
from eco_actor.web.requests import Uploads, read_scan_request

TASK: Final = "{task_id:(?!classify$|categories$)[^/]+}"
"""The place of a task id in a path."""


class ScanRoutes:
    """`sync_wait_s`: how long a POST with realtime=false waits before it answers 202 after all."""

    def __init__(
        self,
        admission: Admission,
        views: Views,
        book: RuleBook,
        *,
        vision: bool,
        sync_wait_s: float,
    ) -> None:
        self._admission = admission
        self._views = views
        self._book = book
        self._uploads = Uploads()
        self._vision = vision
        self._sync_wait_s = sync_wait_s

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/scan/classify", self.classify)
        app.router.add_get("/scan/categories", self.categories)
        app.router.add_get(f"/scan/{TASK}", self.snapshot)
        app.router.add_delete(f"/scan/{TASK}", self.cancel)
        app.router.add_get(f"/scan/{TASK}/result", self.result)
        app.on_shutdown.append(self._release)

    async def _release(self, app: web.Application) -> None:
        self._views.release()

    async def classify(self, request: web.Request) -> web.Response:
        if not self._admission.has_room():
            raise Busy("as many scans as this server takes are under way")
        with self._uploads.admit(request.content_length):
            asked = await read_scan_request(request)
        if asked.body is not None and not self._vision:
            raise Problem(
                422, "vision_off", "this server does not look at pictures: send a category"
            )
        task_id = await self._admission.submit(asked.body, asked.options)
        if not asked.realtime:
            state = await self._views.wait_answer(task_id, self._sync_wait_s)
            if state is not None:
                return _outcome(task_id, state)
        url = f"/scan/{task_id}"
        answer = {
            "task_id": task_id,
            "status": "processing",
            "stream_url": f"{url}/stream",
            "events_url": f"{url}/events",
            "result_url": f"{url}/result",
        }
        return json_response(answer, 202, {"Location": answer["result_url"]})

    async def snapshot(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        snapshot = await self._views.snapshot(task_id)
        if snapshot is None:
            raise unknown_task(task_id)
        return json_response(snapshot)

    async def cancel(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        snapshot = await self._views.snapshot(task_id)
        if snapshot is None:
            raise unknown_task(task_id)
        if snapshot["status"] != "processing" or not self._admission.cancel(task_id):
            raise Problem(409, "too_late", "the scan is over, or its answer is out")
        return json_response({"task_id": task_id, "status": "cancelled"}, 202)

    async def categories(self, request: web.Request) -> web.Response:
        lang = request.query.get("lang") or _preferred(request.headers.get("Accept-Language", ""))
        if lang not in LANGUAGES:
            raise Problem(422, "bad_option", f"lang: one of {', '.join(LANGUAGES)}")
        told = {"categories": self._book.categories(lang), "tags": self._book.tags(lang)}
        return json_response(told)

    async def result(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        state = await self._views.state(task_id)
        if state is None:
            raise unknown_task(task_id)
        return _outcome(task_id, state)


def _outcome(task_id: str, state: ScanState) -> web.Response:
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


def _preferred(accept_language: str) -> str:
    """The language there is that the client likes best (RFC 9110); the default without any."""
    best, liked = Options().lang, 0.0
    for part in accept_language.split(","):
        tag, _, weight = part.partition(";")
        lang = tag.strip().lower().split("-")[0]
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if lang in LANGUAGES and quality > liked:
            best, liked = lang, quality
    return best


def unknown_task(task_id: str) -> Problem:
    return Problem(404, "unknown_task", f"there is no scan {task_id[:64]!r}")
