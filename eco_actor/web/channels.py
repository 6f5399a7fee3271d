"""`POST /channels/{channel}/events`: publishing, for the operator alone."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from eco_actor.delivery.directory import Directory
from eco_actor.delivery.publisher import MAX_DEPTH, MAX_EVENT, MAX_KEY, too_deep
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import Cursor, Draft, Event, EventLog, StoreError
from eco_actor.web.accepted import Accepted
from eco_actor.web.idempotency import HEADER, Claim, Idempotency, fingerprint, key_asked
from eco_actor.web.operator import Operator
from eco_actor.web.problems import NO_STORE, Problem
from eco_actor.web.uploads import plain_body, read_content

SCOPE: Final = "publish"
"""Of the idempotency keys."""

NOT_LOGGED: Final = b'{"cursor":null}'

_decode: Final = msgspec.json.Decoder().decode
_packed: Final = msgspec.msgpack.Encoder().encode
_canonical: Final = msgspec.json.Encoder(order="sorted").encode


class Asked(NamedTuple):
    """The options of a publish."""

    transient: bool = False
    key: str | None = None


COMMON: Final = {"": Asked(), "transient=1": Asked(transient=True), "transient=0": Asked()}
"""Queries that need no parsing."""


class ChannelRoutes:
    """Publishing to the channels of *directory*."""

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        operator: Operator,
        idempotency: Idempotency,
        traffic: Traffic,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._log = log
        self._directory = directory
        self._operator = operator
        self._idempotency = idempotency
        self._traffic = traffic
        self._now_ms = now_ms or log.now_ms

    def add_to(self, app: web.Application) -> None:
        publish = self._operator.only(self.publish)
        app.router.add_post("/channels/{channel}/events", publish)

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """202 with the event's cursor once it is as durable as promised; null when transient.

        Refused, Problem, StoreError.
        """
        channel = request.match_info["channel"]
        self._directory.publishable(channel)
        asked = COMMON.get(request.rel_url.raw_query_string) or _asked(request)
        plain_body(request)
        data = _event(_whole(request.content) or await read_content(request.content, MAX_EVENT))
        draft = Draft(channel, data, self._now_ms(), key=asked.key, transient=asked.transient)
        if HEADER in request.headers:
            return await self._publish_once(request, draft)
        if asked.transient:
            self._log.show(draft)
            self._traffic.published_transient += 1
            return Accepted(NOT_LOGGED)
        (event,) = await self._log.commit((draft,))
        self._traffic.published_durable += 1
        return Accepted(_told(event.cursor))

    async def _publish_once(self, request: web.Request, draft: Draft) -> web.Response:
        """Publish, unless a request with this key did so before; then its answer.

        What is noted with the key is the epoch, to go with the position, or the whole answer.
        """
        key = key_asked(request)
        assert key is not None
        mine = _canonical([draft.channel, draft.key, draft.transient, draft.data])
        claim = await self._idempotency.claim(SCOPE, key, fingerprint([mine]))
        note, position = claim.note, claim.position
        if note is None:
            note = NOT_LOGGED if draft.transient else self._log.cursor(0).epoch.encode()
            position = await self._accept(claim, draft, note)
        if position is not None:
            note = _told(Cursor(note.decode(), position))
        return web.Response(
            body=note, status=202, content_type="application/json", headers=NO_STORE
        )

    async def _accept(self, claim: Claim, draft: Draft, note: bytes) -> int | None:
        """The position of the event, appended with the row of its key. StoreError: neither was."""
        accepted: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        def done(events: Sequence[Event], error: StoreError | None) -> None:
            # Here, and not behind the future: the request may have been given up.
            claim.release()
            if error is None:
                self._traffic.published_transient += draft.transient
                self._traffic.published_durable += not draft.transient
            if accepted.done():
                return
            if error is None:
                accepted.set_result(None if draft.transient else events[0].position)
            else:
                accepted.set_exception(error)

        try:
            self._log.append([draft], claim.rows(note), done)
        except BaseException:
            claim.release()
            raise
        return await accepted


def _told(cursor: Cursor | None) -> bytes:
    return b'{"cursor":"%s"}' % str(cursor).encode()


def _asked(request: web.Request) -> Asked:
    """The options in the query. Problem for one that there is not, or that is there twice."""
    query = request.query
    wrong = sorted({name for name in query if name not in ("transient", "key")})
    if wrong:
        raise Problem(422, "bad_option", f"{', '.join(wrong)[:200]}: transient and key are options")
    twice = sorted({name for name in query if len(query.getall(name)) > 1})
    if twice:
        raise Problem(422, "bad_option", f"{', '.join(twice)}: given more than once")
    transient, key = query.get("transient", "0"), query.get("key")
    if transient not in ("0", "1"):
        raise Problem(422, "bad_option", "transient: 1, or 0")
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise Problem(422, "bad_option", f"key: 1 to {MAX_KEY} characters")
    return Asked(transient == "1", key)


def _whole(content: Any) -> bytes | None:
    """The body, if it came in one piece with its head, as most do.

    It is left where it is: reading makes aiohttp look for more input each time, which costs as much
    as all else that is done here.
    """
    pieces: Sequence[bytes] = getattr(content, "_buffer", ())
    if len(pieces) != 1 or not content.is_eof() or content.exception() is not None:
        return None
    return pieces[0]


def _event(body: bytes) -> dict[str, Any]:
    """The event's data. Problem for what is none, or could not go out on every transport."""
    if len(body) > MAX_EVENT:
        raise Problem(413, "too_large", f"an event has at most {MAX_EVENT} bytes")
    try:
        data = _decode(body)
        if type(data) is dict:
            _packed(data)  # takes whole numbers up to 64 bits, as every msgpack
            if too_deep(data, body):
                raise _too_deep()
            return data
    except msgspec.ValidationError as error:
        raise Problem(422, "bad_body", f"a number is too large: {error}") from error
    except OverflowError as error:
        detail = "a whole number in the event needs more than 64 bits"
        raise Problem(422, "bad_body", detail) from error
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "bad_json", "the body is not JSON") from error
    raise Problem(422, "bad_body", "an event is a JSON object")


def _too_deep() -> Problem:
    return Problem(422, "bad_body", f"an event has at most {MAX_DEPTH} levels of objects and lists")
