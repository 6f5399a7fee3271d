"""`Idempotency-Key`: who repeats a request, because its answer was lost, gets the same answer.

The row of a key is written in the transaction of what its request changes, so that there is both or
neither, also after a crash. It holds a note and the position of the request's first event, of which
the route makes its answer again.

Only requests that were accepted keep their keys, for a day. That a key is used once is watched over
in memory, for as long as its request is being accepted, and by the table: a transaction with a key
that is in use fails. Whoever writes a row takes some that are over with it, more than are written,
in steps that are small; while nobody writes any, what is over waits, and does not become more.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from aiohttp import web

from eco_actor.eventlog import Event, EventLog, Statement, StoreError, Tables, Write
from eco_actor.web.problems import Problem

HEADER: Final = "Idempotency-Key"

KEPT_MS: Final = 24 * 3600 * 1000

EXPIRED: Final = 128
"""Rows that are removed by a statement at most; twice as many as one adds."""

# A row that is over gives way to a new one. One that is not has no time to be given, which is an
# error: then nothing of the transaction happens.
KEEP: Final = Statement(
    "INSERT INTO keys (scope, key, request, at_ms, note, position) VALUES ",
    "(?,?,?,?,?,?)",
    " ON CONFLICT (scope, key) DO UPDATE SET request = excluded.request, note = excluded.note,"
    " position = excluded.position, at_ms ="
    f" CASE WHEN keys.at_ms < excluded.at_ms - {KEPT_MS} THEN excluded.at_ms END",
    placed=True,
)
EXPIRE: Final = Statement(
    "DELETE FROM keys WHERE (scope, key) IN (SELECT scope, key FROM keys WHERE at_ms <"
    " (SELECT min(column1) FROM (VALUES ",
    "(?)",
    f")) ORDER BY at_ms LIMIT {EXPIRED})",
)
FREE: Final = Statement(
    "DELETE FROM keys WHERE (scope, key) IN (SELECT scope, key FROM (VALUES ",
    "(?,?,?)",
    ") CROSS JOIN keys ON scope = column1 AND key = column2 AND note = column3)",
)
RENOTE: Final = Statement(
    "UPDATE keys SET note = renoted.column4 FROM (VALUES ",
    "(?,?,?,?)",
    ") AS renoted WHERE scope = renoted.column1 AND key = renoted.column2"
    " AND note = renoted.column3",
)
FIND: Final = "SELECT request, note, position FROM keys WHERE scope = ? AND key = ? AND at_ms >= ?"

TABLES: Final = Tables(
    name="answers",
    migrations=(
        (
            "CREATE TABLE IF NOT EXISTS answers (scope TEXT NOT NULL, key TEXT NOT NULL,"
            " request BLOB NOT NULL, at_ms INTEGER NOT NULL, head INTEGER NOT NULL,"
            " status INTEGER NOT NULL, body BLOB, PRIMARY KEY (scope, key))",
            "CREATE INDEX IF NOT EXISTS answers_by_time ON answers (at_ms)",
        ),
        (
            "CREATE TABLE keys (scope TEXT NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL,"
            " at_ms INTEGER NOT NULL, note BLOB NOT NULL, position INTEGER,"
            " PRIMARY KEY (scope, key)) WITHOUT ROWID",
            "CREATE INDEX keys_by_time ON keys (at_ms)",
            # A crash may have left a row without its answer, which was a cursor: what it was for
            # lies behind the head of that time, so that is as good a cursor.
            "INSERT INTO keys SELECT scope, key, request, at_ms, coalesce(body, CAST(printf("
            """'{"cursor":"%s-%x"}',"""
            " (SELECT token FROM epochs ORDER BY begins DESC, rowid DESC LIMIT 1), head) AS BLOB)),"
            " NULL FROM answers",
            "DROP TABLE answers",
        ),
    ),
    statements=(KEEP, EXPIRE, FREE, RENOTE),
)

_PLAIN: Final = re.compile(r'(?!")[!-~]{1,255}')
_QUOTED: Final = re.compile(r'"((?:[!#-\[\]-~]|\\["\\]){1,255})"')
_ESCAPED: Final = re.compile(r'\\(["\\])')


class Claim:
    """The right to do what one request with a key asks for.

    With a `note` it was done before, with the first event at `position` (None: with none in the
    log), and repeats are to be told so. Without, it is to be done now. Its transaction takes
    `rows`; then comes `release`, or `give_up`. Until then repeats are refused.
    """

    def __init__(
        self, owner: "Idempotency", name: tuple[str, str], request: bytes, at_ms: int
    ) -> None:
        self.note: bytes | None = None
        self.position: int | None = None
        self.at_ms = at_ms
        self.request = request  # whose it is: that of the row, if there is one
        self.looked_up = asyncio.Event()  # whether it is known if there is one
        self._owner = owner
        self._name = name
        self._queued = False

    def rows(self, note: bytes) -> list[Write]:
        """For the transaction of the request."""
        self._queued = True
        row = (*self._name, self.request, self.at_ms, note)
        return [Write(KEEP, row), Write(EXPIRE, (self.at_ms - KEPT_MS,))]

    def give_up(self) -> None:
        """Nobody waits for it any more. What was queued for it is decided before repeats are."""

        def decided(events: Sequence[Event], error: StoreError | None) -> None:
            self.release()

        try:
            if self._queued:
                self._owner.log.append((), (), decided)
                return
        except StoreError:
            pass  # the table takes no key twice, and who comes too early is told to come again
        self.release()

    def release(self) -> None:
        """Repeats are for the rows to answer from now on."""
        self._owner.forget(self._name, self)

    def check(self, request: bytes) -> None:
        """Problem, unless it is the same request."""
        if self.request != request:
            detail = f"{HEADER}: another request has used this key in the last 24 hours"
            raise Problem(422, "idempotency_key_reused", detail)


class Idempotency:
    """The keys that are in use. `tables` belong to the store of *log*, *now_ms* is its clock.

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
        while (other := self._claims.get(name)) is not None:
            await other.looked_up.wait()
            if other.note is None and self._claims.get(name) is not other:
                continue  # it came to nothing
            other.check(request)
            if other.note is None:
                detail = f"{HEADER}: the first request with this key is still being accepted"
                raise Problem(409, "idempotency_key_in_use", detail)
            return other
        claim = self._claims[name] = Claim(self, name, request, self._now_ms())
        try:
            await self._look_up(claim, name)
            claim.check(request)
        except BaseException:
            claim.release()
            raise
        finally:
            claim.looked_up.set()
        if claim.note is not None:
            claim.release()
        return claim

    async def _look_up(self, claim: Claim, name: tuple[str, str]) -> None:
        rows = await self.log.query(FIND, (*name, claim.at_ms - KEPT_MS))
        if rows:
            claim.request, claim.note, claim.position = rows[0]

    async def has(self, scope: str, key: str) -> bool:
        """Whether some request has used *key*, or is about to. StoreError."""
        name = (scope, key)
        if name in self._claims:
            return True
        return bool(await self.log.query(FIND, (*name, self._now_ms() - KEPT_MS)))

    async def free(self, scope: str, key: str, note: bytes) -> None:
        """Let *key* be used again, if what was noted with it is still *note*. StoreError."""
        await self.log.commit((), [Write(FREE, (scope, key, note))])

    async def renote(self, scope: str, key: str, note: bytes, new: bytes) -> None:
        """Let *new* be noted with *key*, if what was is still *note*. StoreError."""
        await self.log.commit((), [Write(RENOTE, (scope, key, note, new))])

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
