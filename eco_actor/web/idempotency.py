"""`Idempotency-Key`: who repeats a request, because its answer was lost, gets the same answer.

The row of a key is written in the transaction of what its request changes, so that there is both or
neither, also after a crash. Where the answer can only be known behind the commit, it is filled into
the row then; a row that a crash left without one is for the route to complete (`Claim.begun`).

Only requests that were accepted keep their keys, for a day. Whoever writes a row takes some that
are over with it: more than are written, in steps that are small.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from eco_actor.eventlog import Event, EventLog, Statement, StoreError, Tables, Write
from eco_actor.web.problems import NO_STORE, Problem

HEADER: Final = "Idempotency-Key"

KEPT_MS: Final = 24 * 3600 * 1000

EXPIRED: Final = 128
"""Rows that are removed by a statement at most; twice as many as one adds."""

KEEP: Final = Statement(
    "INSERT OR REPLACE INTO answers (scope, key, request, at_ms, head, status, body) VALUES ",
    "(?,?,?,?,?,?,?)",
)
EXPIRE: Final = Statement(
    "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM answers WHERE at_ms <"
    " (SELECT min(column1) FROM (VALUES ",
    "(?)",
    f")) ORDER BY at_ms LIMIT {EXPIRED})",
)
FIND: Final = (
    "SELECT request, at_ms, head, status, body FROM answers"
    " WHERE scope = ? AND key = ? AND at_ms >= ?"
)

TABLES: Final = Tables(
    schema=(
        "CREATE TABLE IF NOT EXISTS answers (scope TEXT NOT NULL, key TEXT NOT NULL,"
        " request BLOB NOT NULL, at_ms INTEGER NOT NULL, head INTEGER NOT NULL,"
        " status INTEGER NOT NULL, body BLOB, PRIMARY KEY (scope, key))",
        "CREATE INDEX IF NOT EXISTS answers_by_time ON answers (at_ms)",
    ),
    statements=(KEEP, EXPIRE),
)

_PLAIN: Final = re.compile(r'(?!")[!-~]{1,255}')
_QUOTED: Final = re.compile(r'"((?:[!#-\[\]-~]|\\["\\]){1,255})"')
_ESCAPED: Final = re.compile(r'\\(["\\])')


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer that is kept: its status and its JSON."""

    status: int
    body: bytes

    def response(self) -> web.Response:
        return web.Response(
            body=self.body,
            status=self.status,
            content_type="application/json",
            headers=NO_STORE,
        )


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that was accepted, in the transaction of a row that has no answer yet.

    Its events have the time `at_ms` and lie behind the position `head`.
    """

    at_ms: int
    head: int
    status: int


class Claim:
    """The right to do what one request with a key asks for. Exactly one of these is the case:

    - `answer` is set: it was done before, and this was the answer;
    - `begun` is set: it was done before, and its answer is to be found out and given to `settle`;
    - neither: it is to be done now. Its transaction takes `rows`; then comes `settle`, or, when it
      came to nothing, `release`. Until then repeats are refused.
    """

    def __init__(self, owner: "Idempotency", name: tuple[str, str], request: bytes) -> None:
        self.answer: Stored | None = None
        self.begun: Begun | None = None
        self._owner = owner
        self._name = name
        self._request = request
        self._row: tuple[int, int] = (0, 0)

    def rows(self, at_ms: int, head: int, status: int, body: bytes | None) -> list[Write]:
        """For the transaction of the request; *body* None when it is not known before."""
        self._row = (at_ms, head)
        return [self._write(status, body), Write(EXPIRE, (at_ms - KEPT_MS,))]

    def settle(self, answer: Stored, *, written: bool = False) -> None:
        """It is done, and this is the answer; *written*: `rows` had it already."""
        self.answer = answer
        if written:
            self.release()
            return
        if self.begun is not None:
            self._row = (self.begun.at_ms, self.begun.head)
        try:
            self._owner.log.append((), [self._write(answer.status, answer.body)], self._kept)
        except StoreError:
            self.release()  # it can be found out again

    def release(self) -> None:
        """Repeats are for the rows to answer from now on."""
        self._owner.forget(self._name, self)

    def check(self, request: bytes) -> None:
        """Problem, unless it is the same request."""
        if self._request != request:
            detail = f"{HEADER}: another request has used this key in the last 24 hours"
            raise Problem(422, "idempotency_key_reused", detail)

    def _write(self, status: int, body: bytes | None) -> Write:
        return Write(KEEP, (*self._name, self._request, *self._row, status, body))

    def _kept(self, events: Sequence[Event], error: StoreError | None) -> None:
        self.release()


class Idempotency:
    """The keys that are in use. `tables` belong to the store of *log*; *now_ms* is wall time.

    Keys under way are in memory, one each request that is being answered; the others in the store.
    """

    def __init__(self, log: EventLog, now_ms: Callable[[], int]) -> None:
        self.log = log
        self._now_ms = now_ms
        self._claims: dict[tuple[str, str], Claim] = {}

    async def claim(self, scope: str, key: str, request: bytes) -> Claim:
        """Make *key* that of the request with this fingerprint; scopes do not share keys.

        Problem 422 when it is another request's, 409 when the same one is still being accepted.
        StoreError.
        """
        name = (scope, key)
        other = self._claims.get(name)
        if other is not None:
            other.check(request)
            if other.answer is None:
                detail = f"{HEADER}: the first request with this key is still being accepted"
                raise Problem(409, "idempotency_key_in_use", detail)
            return other
        claim = self._claims[name] = Claim(self, name, request)
        try:
            rows = await self.log.query(FIND, (*name, self._now_ms() - KEPT_MS))
            if rows:
                first, at_ms, head, status, body = rows[0]
                Claim(self, name, first).check(request)
                if body is None:
                    claim.begun = Begun(at_ms, head, status)
                else:
                    claim.answer = Stored(status, body)
        except BaseException:
            claim.release()
            raise
        if claim.answer is not None:
            claim.release()
        return claim

    def forget(self, name: tuple[str, str], claim: Claim) -> None:
        """*claim* is over; harmless when repeated."""
        if self._claims.get(name) is claim:
            del self._claims[name]


def key_asked(request: web.Request) -> str | None:
    """The key of a request, None without one. Problem for what is none.

    It may stand in quotes, as the standard for such fields has it: `"k"` and `k` are the same.
    """
    given = request.headers.getall(HEADER, [])
    if not given:
        return None
    if len(given) == 1:
        text = given[0]
        if _PLAIN.fullmatch(text):
            return text
        quoted = _QUOTED.fullmatch(text)
        if quoted is not None:
            return _ESCAPED.sub(r"\1", quoted[1])
    detail = f"{HEADER}: once, 1 to 255 visible ASCII characters, no spaces"
    raise Problem(400, "bad_idempotency_key", detail)


def fingerprint(parts: Iterable[bytes]) -> bytes:
    """What stands for all that a request asks for: equal when each part is."""
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
