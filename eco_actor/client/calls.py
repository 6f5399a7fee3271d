"""Calls: one request, one answer, asked for again as long as it makes sense."""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from eco_actor.client.errors import Problem, ScanFailed
from eco_actor.client.http import Http, Request
from eco_actor.client.pictures import media_type
from eco_actor.client.told import Task


class Calls:
    """Scans and channels, but for following them. Each call raises Problem when the server refuses
    it, Unreachable when that is given up: after *give_up_s*, None: never."""

    def __init__(self, give_up_s: float | None) -> None:
        self._give_up_s = give_up_s
        self._opened: Http | None = None

    @property
    def _http(self) -> Http:
        if self._opened is None:
            raise RuntimeError("the client is not open: async with Client(…) as client")
        return self._opened

    # ---- scans

    async def start(
        self,
        image: bytes | Path | None = None,
        category: str | None = None,
        *,
        lang: str | None = None,
        tags: Sequence[str] = (),
        after_scan: str | Task | None = None,
        revises: str | Task | None = None,
        user_input: str | None = None,
        key: str | None = None,
    ) -> Task:
        """Start a scan of a picture, or of a category that is known. ValueError for what is no
        picture.

        *revises*: the scan of the same thing that this one asks again; it is not counted twice.
        However often it is tried, it is one scan: it has a *key*, one of its own unless one is
        given. With one that is given, the same call a day long, in another process too, is told of
        the same scan.
        """
        options: dict[str, Any] = {"lang": lang, "category": category, "user_input": user_input}
        for name, task in (("after_scan", after_scan), ("revises", revises)):
            options[name] = _task_id(task) if task is not None else None
        options = {name: value for name, value in options.items() if value is not None}
        headers = {"Idempotency-Key": secrets.token_urlsafe(16) if key is None else key}
        query: list[tuple[str, str]] = []
        if image is None:
            if tags:
                options["tags"] = list(tags)
            body = json.dumps(options, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        else:
            body = await asyncio.to_thread(image.read_bytes) if isinstance(image, Path) else image
            headers["Content-Type"] = media_type(body)
            query += options.items()
            if tags:
                query.append(("tags", ",".join(tags)))
        _, told = await self._call("POST", "/scan/classify", query, headers, body)
        urls = (told["stream_url"], told["events_url"], told["result_url"])
        return Task(told["task_id"], *urls)

    async def snapshot(self, task: str | Task) -> dict[str, Any]:
        """What has become of a scan so far."""
        return await self._told("GET", f"/scan/{_quoted(task)}")

    async def result(self, task: str | Task) -> dict[str, Any] | None:
        """The result of a scan; None while there is none. ScanFailed when there will be none."""
        try:
            status, told = await self._call("GET", f"/scan/{_quoted(task)}/result")
        except Problem as problem:
            if problem.status == 409:
                raise ScanFailed(_task_id(task), problem.code, problem.detail) from problem
            raise
        return None if status == 202 else dict(told)

    async def cancel(self, task: str | Task) -> None:
        """End a scan that has no answer yet. Problem 409 `too_late` when it is over, but not when
        it was cancelled before."""
        try:
            await self._call("DELETE", f"/scan/{_quoted(task)}")
        except Problem as problem:
            # or it was this call that cancelled it, and the answer was lost
            if problem.status != 409 or (await self.snapshot(task))["status"] != "cancelled":
                raise

    async def categories(self, lang: str | None = None) -> dict[str, Any]:
        """What `category` and `tags` may be, in a language."""
        return await self._told("GET", "/scan/categories", [("lang", lang)] if lang else [])

    # ---- channels

    async def publish(
        self,
        channel: str,
        data: Mapping[str, Any],
        *,
        key: str | None = None,
        transient: bool = False,
        idempotency_key: str | None = None,
    ) -> str | None:
        """The cursor of an event, once it is as durable as promised; None when it is transient.

        *key*: what the rule `coalesce` may replace. A durable event is published once, however
        often it is tried; a transient one at most once, so it is not sent again when the answer was
        lost: Unreachable.
        """
        query = [("key", key)] if key is not None else []
        headers = {"Content-Type": "application/json"}
        if transient:
            query.append(("transient", "1"))
        if idempotency_key is not None or not transient:
            headers["Idempotency-Key"] = idempotency_key or secrets.token_urlsafe(16)
        body = json.dumps(data, ensure_ascii=False).encode()
        path = f"/channels/{quote(channel, safe=':')}/events"
        lasting = "Idempotency-Key" in headers
        _, told = await self._call("POST", path, query, headers, body, lasting=lasting)
        cursor: str | None = told["cursor"]
        return cursor

    # ---- both

    async def _call(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        lasting: bool = True,
    ) -> tuple[int, Any]:
        asked = Request(method, path, query, headers or {}, body, lasting)
        return await self._http.call(asked, self._give_up_s)

    async def _told(
        self, method: str, path: str, query: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Any]:
        _, told = await self._call(method, path, query)
        return dict(told)


def _task_id(task: str | Task) -> str:
    return task.task_id if isinstance(task, Task) else task


def _quoted(task: str | Task) -> str:
    return quote(_task_id(task), safe="")
