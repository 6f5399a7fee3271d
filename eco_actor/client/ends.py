"""How a connection ends, and what comes of it. Pure.

What a bye says of coming back wins over this table.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final

from eco_actor.client.errors import Problem, Unreachable


class Then(Enum):
    """What comes after an end."""

    OVER = "over"
    REFUSED = "refused"
    AGAIN = "again"


ENDS: Final[Mapping[str, Then]] = {
    "complete": Then.OVER,  # bye, status 204, close code 1000
    "not_allowed": Then.REFUSED,  # bye, close code 1008
    "refused": Then.REFUSED,  # status 3xx or 4xx, or an error in answer to a subscription
    "not_a_stream": Then.REFUSED,  # status 200 with another content type, or what is no answer
    "too_long": Then.REFUSED,  # an event that does not fit; it would not the next time either
    "going_away": Then.AGAIN,  # bye, close code 1001
    "slow_consumer": Then.AGAIN,  # bye, close code 4008
    "too_many": Then.AGAIN,  # bye, close code 4013
    "busy": Then.AGAIN,  # bye, close code 1013
    "unavailable": Then.AGAIN,  # status 408, 425, 429, 5xx
    "cut": Then.AGAIN,  # an end without a word
    "unreachable": Then.AGAIN,  # no answer
    "connect_timeout": Then.AGAIN,  # no answer in time, or nothing of a stream behind its head
    "silent": Then.AGAIN,  # nothing for longer than the server is ever silent
}

CLOSES: Final[Mapping[int, str]] = {
    1000: "complete",
    1001: "going_away",
    1008: "not_allowed",
    1009: "too_long",
    1013: "busy",
    4008: "slow_consumer",
    4013: "too_many",
}

STATUSES: Final[Mapping[str, int]] = {
    "unknown_task": 404,
    "unknown_channel": 404,
    "slow_consumer": 409,
    "gone": 410,
    "not_allowed": 1008,
}
"""Of errors that come over a WebSocket, which has no statuses; all else is a bad option, 422."""

LEAST_S: Final = 0.1
"""What the server asks for is waited at least: nothing would be a busy loop."""

LONGEST_S: Final = 3600.0

_PASSING: Final = frozenset({408, 425, 429})
_PASSING_CODES: Final = frozenset({"storage", "busy"})
_SECONDS: Final = re.compile("[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class End:
    """`code` is a row of ENDS, or what a bye said; `said` the server's own code, if it named one.

    `wait_s`: what the server asks for before the next try.
    """

    code: str
    then: Then
    detail: str = ""
    status: int | None = None
    said: str | None = None
    wait_s: float | None = None

    def refused(self) -> Problem:
        """To raise when there is no use in trying again."""
        said = self.said or self.code
        status = self.status if self.status is not None else STATUSES.get(said, 422)
        return Problem(status, said, self.detail)

    def unreachable(self) -> Unreachable:
        """To raise when it was tried often enough."""
        return Unreachable(self.said or self.code, self.detail, self.status)


class Ended(Exception):
    """A connection has ended."""

    def __init__(self, end: End) -> None:
        super().__init__(end.code)
        self.end = end


def ended(code: str, detail: str = "", **more: Any) -> Ended:
    """To raise: an end of this row, with *more* of the fields of End."""
    return Ended(End(code, ENDS[code], detail, **more))


def of_bye(told: Mapping[str, Any]) -> Ended:
    """What the server said at last."""
    code = str(told.get("code"))
    if code == "complete":
        return ended(code)
    then = Then.REFUSED if told.get("reconnect") is False else Then.AGAIN
    retry_ms = told.get("retry_ms")
    wait_s = bounded(retry_ms / 1000) if isinstance(retry_ms, int | float) else None
    return Ended(End(code, then, str(told.get("reason", "")), wait_s=wait_s))


def of_close(code: int | None, reason: str) -> Ended:
    """A WebSocket was closed, without a bye before."""
    return ended(CLOSES.get(code or 0, "cut"), reason or (f"close code {code}" if code else ""))


def of_refusal(told: Mapping[str, Any]) -> Ended:
    """An error in answer to a subscription."""
    said = str(told.get("code"))
    code = "unavailable" if said in _PASSING_CODES else "refused"
    status = 503 if code == "unavailable" else STATUSES.get(said, 422)
    return ended(code, str(told.get("detail", "")), status=status, said=said)


def of_answer(status: int, headers: Mapping[str, str], body: bytes, wall: float) -> Ended:
    """A status that is no success; *wall* is now, in seconds since 1970."""
    said, detail = f"http_{status}", ""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if isinstance(problem, dict):
        said = str(problem.get("code") or said)
        detail = str(problem.get("detail") or problem.get("title") or "")
    elif 300 <= status < 400:
        detail = f"redirected to {headers.get('Location')}: redirections are not followed"
    if status >= 500 or status in _PASSING or said == "idempotency_key_in_use":
        wait_s = retry_after(headers.get("Retry-After"), wall)
        return ended("unavailable", detail, status=status, said=said, wait_s=wait_s)
    return ended("refused", detail, status=status, said=said)


def retry_after(given: str | None, wall: float) -> float | None:
    """Seconds from now: the header gives these, or a date. None for what is neither."""
    if given is None:
        return None
    if _SECONDS.fullmatch(given):
        return bounded(int(given))
    try:
        return bounded(parsedate_to_datetime(given).timestamp() - wall)
    except (ValueError, OverflowError):
        return None


def bounded(seconds: float) -> float:
    """What the server asks for, within bounds."""
    return min(LONGEST_S, max(LEAST_S, seconds))
