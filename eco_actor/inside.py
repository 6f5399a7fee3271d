"""Scans from within the process, as a kiosk's own program or another web application makes them."""

from collections.abc import AsyncIterator, Collection
from typing import Any

from eco_actor.eventlog import Resume
from eco_actor.parts import Parts
from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.events import channel
from eco_actor.scan.options import Options
from eco_actor.scan.rules import LANGUAGES, RuleBook
from eco_actor.scan.task_id import is_task_id
from eco_actor.scan.views import Stopped


class ScanFailed(Exception):
    """The scan has no answer; `code` is stable, `detail` for people. Its text has both."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class UnknownScan(LookupError):
    """There is no scan of this id, or no longer."""


class Inside(Parts):
    """What a running server is asked without HTTP."""

    async def scan(
        self,
        picture: bytes | None = None,
        *,
        lang: str = "ko",
        category: str | None = None,
        tags: Collection[str] = (),
        user_input: str | None = None,
        revises: str | None = None,
    ) -> dict[str, Any]:
        """Scan one picture, or a thing of a category, and wait for the `result` object.

        ScanFailed when there is none. Stopped when the server stops before: the scan goes on with
        its next start. Else as `submit`.
        """
        task_id = await self.submit(
            picture,
            lang=lang,
            category=category,
            tags=tags,
            user_input=user_input,
            revises=revises,
        )
        state = await self.views.wait_answer(task_id, timeout=None)
        if state is None:
            raise Stopped("the server stops before the answer is there")
        if state.result is None:
            error = state.error or {"code": state.status, "detail": f"the scan was {state.status}"}
            raise ScanFailed(error["code"], error["detail"])
        return dict(state.result)

    async def submit(
        self,
        picture: bytes | None = None,
        *,
        lang: str = "ko",
        category: str | None = None,
        tags: Collection[str] = (),
        user_input: str | None = None,
        revises: str | None = None,
    ) -> str:
        """Start a scan; its task id, once that is as durable as promised.

        The options are those of `POST /scan/classify`; with a category nobody looks at the picture.
        ValueError for an option that cannot be, BadPicture, Busy, StoreError: nothing was accepted.
        """
        if picture is None and category is None:
            raise ValueError("a scan needs a picture, a category, or both")
        options = Options(
            lang=lang,
            category=category,
            tags=tuple(sorted({*tags})),
            user_input=user_input,
            revises=revises,
        )
        _check(options, self.book)
        return await self.admission.submit(picture if category is None else None, options)

    async def events(self, task_id: str, after: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """The events of a scan behind the cursor *after*, as clients see them, to the last.

        Without a cursor from the beginning, with one that is unknown, too. Events that come later
        are waited for; transient ones are left out. UnknownScan, StoreError; Stopped when the
        server stops before the last.
        """
        place = self.log.resume(channel(task_id), after, 0)
        begin = 0 if place.resume is Resume.RESET else place.position
        found = False
        async for event in self.views.follow(task_id, begin):
            found = True
            yield dict(event.data)
        if not found and not await self.views.events(task_id):
            raise UnknownScan(task_id)


def _check(options: Options, book: RuleBook) -> None:
    """ValueError, naming what is known."""
    given: list[tuple[str, Collection[str], Collection[str]]] = [
        ("lang", [options.lang], LANGUAGES),
        ("category", [options.category] if options.category is not None else [], CATEGORIES),
        ("tags", options.tags, book.tag_ids),
    ]
    for option, names, known in given:
        for name in names:
            if name not in known:
                raise ValueError(f"{option}: {name!r} is none of {', '.join(known)}")
    if options.revises is not None and not is_task_id(options.revises):
        raise ValueError(f"revises: {options.revises!r} is no task id")
