"""The operations about scans and what there is to know before one."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from eco_actor.web.openapi import FORM, JSON, Answer, Schema, error
from eco_actor.web.openapi_common import GONE, STORAGE, UNKNOWN_TASK, operation
from eco_actor.web.requests import IMAGE_TYPES, ScanBody, ScanOptions
from eco_actor.web.schemas import (
    Accepted,
    Cancelled,
    Categories,
    Lang,
    Processing,
    Result,
    SiteInfo,
    Snapshot,
    TaskId,
)

TAG: Final = "scans"

FAILED: Final = ("step_failed", "step_timeout", "step_crashed", "scan_crashed", "cancelled")
"""Why there is no result."""

LOCATION: Final[Schema] = {"type": "string", "description": "where the result will be"}
NOT_YET: Final[Schema] = {"type": "integer", "minimum": 1, "description": "seconds"}

PICTURE: Final[Schema] = {"type": "string", "format": "binary", "minLength": 1}

WITH_IMAGE_OR_CATEGORY: Final[Schema] = {
    "anyOf": [
        {"required": ["image"], "properties": {"image": {"type": "string"}}},
        {"required": ["category"], "properties": {"category": {"type": "string"}}},
    ]
}


class TaskPath(Struct):
    task_id: Annotated[TaskId, Meta(description="who knows it may follow the scan")]


class LangQuery(Struct):
    lang: Annotated[Lang, Meta(description="wins over Accept-Language")] | None = None


class LangHeaders(Struct, rename={"accept_language": "Accept-Language"}):
    accept_language: str | None = None


class KeyHeaders(Struct, rename={"idempotency_key": "Idempotency-Key"}):
    """A key with which a request may be repeated without being done twice."""

    idempotency_key: (
        Annotated[
            str,
            Meta(
                pattern=r'^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$',
                description="1 to 255 visible ASCII characters; repeats get the stored answer"
                " for 24 h",
            ),
        ]
        | None
    ) = None


class ScanForm(ScanOptions, frozen=True, kw_only=True):
    """The parts of a form; `tags` are separated by commas, or given several times."""

    image: Annotated[str, Meta(min_length=1, extra_json_schema={"format": "binary"})]


CLASSIFY_BODY: Final[dict[str, Any]] = {
    JSON: Annotated[ScanBody, Meta(extra_json_schema=WITH_IMAGE_OR_CATEGORY)],
    FORM: ScanForm,
    **dict.fromkeys(sorted(IMAGE_TYPES), PICTURE),
}

CLASSIFY_ANSWERS: Final = (
    Answer(200, "`realtime=false`, and done in time: the result", {JSON: Result}),
    Answer(
        202,
        "accepted",
        {JSON: Accepted},
        headers={"Cache-Control": {"const": "no-store"}, "Location": LOCATION},
    ),
    error(
        400, "malformed", "bad_json", "bad_form", "bad_body", "empty_body", "bad_idempotency_key"
    ),
    error(408, "the body takes too long, or comes too slowly", "too_slow"),
    error(
        409,
        "the scan failed or was cancelled (`realtime=false`), or the first request with this key"
        " is still being accepted",
        *FAILED,
        "idempotency_key_in_use",
    ),
    error(413, "too large", "too_large", "too_many_pixels"),
    error(415, "not an image type", "unsupported_media_type", "unsupported_encoding"),
    error(
        422,
        "not decodable, a bad option, or the key of another request",
        "bad_option",
        "not_decodable",
        "vision_off",
        "idempotency_key_reused",
    ),
    error(429, "this address starts too many scans; nothing was accepted", "too_many_scans"),
    error(503, "the pipeline is full; nothing was accepted", "busy"),
    STORAGE,
)

SCAN_OPERATIONS: Final = (
    operation(
        method="POST",
        path="/scan/classify",
        name="classify",
        tag=TAG,
        summary="Start a scan",
        description="An image with the options in the query, a form, or JSON. Options that are not"
        " known are refused, all of them named, and so is one that is given more than once, also"
        " when that is once in the query and once in the body. Only `tags` may be repeated within"
        " the query or a form, or be separated by commas.",
        query=ScanOptions,
        headers=KeyHeaders,
        body=CLASSIFY_BODY,
        answers=CLASSIFY_ANSWERS,
    ),
    operation(
        method="GET",
        path="/scan/{task_id}",
        name="getScan",
        tag=TAG,
        summary="A scan as it is now",
        path_parameters=TaskPath,
        answers=(Answer(200, "the scan", {JSON: Snapshot}), UNKNOWN_TASK, GONE, STORAGE),
    ),
    operation(
        method="DELETE",
        path="/scan/{task_id}",
        name="cancelScan",
        tag=TAG,
        summary="Cancel a scan",
        path_parameters=TaskPath,
        answers=(
            Answer(202, "cancelled", {JSON: Cancelled}),
            error(409, "it is over, or its answer is out", "too_late"),
            UNKNOWN_TASK,
            GONE,
            STORAGE,
        ),
    ),
    operation(
        method="GET",
        path="/scan/{task_id}/result",
        name="getResult",
        tag=TAG,
        summary="The result of a scan",
        path_parameters=TaskPath,
        answers=(
            Answer(200, "the result", {JSON: Result}),
            Answer(
                202,
                "there is none yet",
                {JSON: Processing},
                headers={"Cache-Control": {"const": "no-store"}, "Retry-After": NOT_YET},
            ),
            error(409, "the scan failed or was cancelled", *FAILED),
            UNKNOWN_TASK,
            GONE,
            STORAGE,
        ),
    ),
    operation(
        method="GET",
        path="/scan/categories",
        name="getCategories",
        tag=TAG,
        summary="All categories and conditions",
        query=LangQuery,
        empty_is_none=True,
        headers=LangHeaders,
        answers=(
            Answer(200, "in the language that was asked for", {JSON: Categories}),
            error(422, "an unknown language", "bad_option"),
        ),
    ),
    operation(
        method="GET",
        path="/site",
        name="getSite",
        tag=TAG,
        summary="The place that the server stands at",
        query=LangQuery,
        empty_is_none=True,
        headers=LangHeaders,
        answers=(
            Answer(200, "in the language that was asked for", {JSON: SiteInfo}),
            error(422, "an unknown language", "bad_option"),
        ),
    ),
)
