"""What operations have in common: answers that any of them may give."""

from collections.abc import Sequence
from typing import Any, Final

from eco_actor.web.openapi import Answer, Operation, Schema, error, merged

CHALLENGE: Final[Schema] = {"const": "Bearer"}

UNKNOWN_TASK: Final = error(404, "there is no such scan", "unknown_task", shared="UnknownTask")
GONE: Final = error(410, "the scan was removed in the last 30 days", "gone", shared="Gone")
STORAGE: Final = error(503, "the storage is at fault", "storage", shared="StorageFault")
OPERATOR_ONLY: Final = error(
    401,
    "the operator's token is needed",
    "operator_only",
    shared="OperatorOnly",
    WWW_Authenticate=CHALLENGE,
)

ANY: Final = (
    error(400, "no proper request, or no Host", "bad_request", "bad_host", shared="BadRequest"),
    error(403, "a page of another site sent this", "cross_origin", shared="CrossOrigin"),
    error(414, "the target is too long", "uri_too_long", shared="TooLong"),
    error(417, "an Expect that is not known", "expectation_failed", shared="BadExpect"),
    error(421, "this server is not called so", "wrong_host", shared="WrongHost"),
    error(431, "the head is too large", "headers_too_large", shared="HeadTooLarge"),
)
"""What any operation may answer."""


def operation(*, answers: Sequence[Answer], operator: bool = False, **about: Any) -> Operation:
    """An operation with what any of them may answer; *operator*: for the operator alone."""
    refusals = (OPERATOR_ONLY, *ANY) if operator else ANY
    return Operation(answers=merged((*answers, *refusals)), operator=operator, **about)
