"""`/scan/{task_id}`, `/scan/{task_id}/result` and `/scan/categories`."""

from typing import Final

from aiohttp import web

from eco_actor.eventlog import StoreError
from eco_actor.scan.admission import Admission
from eco_actor.scan.options import Options
from eco_actor.scan.rules import LANGUAGES, RuleBook
from eco_actor.scan.views import Views
from eco_actor.web.classify import outcome
from eco_actor.web.problems import Problem, json_response

CANCEL_S: Final = 10.0
"""How long a DELETE waits for the end of the scan to be durable."""

TASK: Final = "{task_id:(?!classify$|categories$)[^/]+}"
"""The place of a task id in a path."""


class ScanRoutes:
    """What has become of scans, and what they may be of."""

    def __init__(self, admission: Admission, views: Views, book: RuleBook) -> None:
        self._admission = admission
        self._views = views
        self._book = book

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/scan/categories", self.categories)
        app.router.add_get(f"/scan/{TASK}", self.snapshot)
        app.router.add_delete(f"/scan/{TASK}", self.cancel)
        app.router.add_get(f"/scan/{TASK}/result", self.result)

    async def snapshot(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        snapshot = await self._views.snapshot(task_id)
        if snapshot is None:
            raise await self._missing(task_id)
        return json_response(snapshot)

    async def cancel(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        snapshot = await self._views.snapshot(task_id)
        if snapshot is None:
            raise await self._missing(task_id)
        if snapshot["status"] != "processing" or not self._admission.cancel(task_id):
            raise _too_late()
        # Said once it is as durable as promised, as everything else.
        state = await self._views.wait_answer(task_id, CANCEL_S)
        if state is None:
            raise StoreError("it could not be written in time: ask again what became of the scan")
        if state.status != "cancelled":
            raise _too_late()
        return json_response({"task_id": task_id, "status": "cancelled"}, 202)

    async def categories(self, request: web.Request) -> web.Response:
        lang = language_of(request)
        told = {"categories": self._book.categories(lang), "tags": self._book.tags(lang)}
        return json_response(told)

    async def result(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        state = await self._views.state(task_id)
        if state is None:
            raise await self._missing(task_id)
        return outcome(task_id, state)

    async def _missing(self, task_id: str) -> Problem:
        """What is said of a scan of which the log has nothing. StoreError."""
        if await self._views.gone(task_id):
            return Problem(
                410, "gone", f"the scan {task_id!r} was removed: scans are kept for a while"
            )
        return unknown_task(task_id)


def language_of(request: web.Request) -> str:
    """The language to answer in: `?lang=`, else what the client likes best. Problem."""
    lang = request.query.get("lang") or _preferred(request.headers.get("Accept-Language", ""))
    if lang not in LANGUAGES:
        raise Problem(422, "bad_option", f"lang: one of {', '.join(LANGUAGES)}")
    return lang


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


def _too_late() -> Problem:
    return Problem(409, "too_late", "the scan is over, or its answer is out")


def unknown_task(task_id: str) -> Problem:
    return Problem(404, "unknown_task", f"there is no scan {task_id[:64]!r}")
