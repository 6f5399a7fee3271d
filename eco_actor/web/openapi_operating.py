"""The operations by which the server is operated, and its pages."""

from typing import Any, Final

from eco_actor.web.drain import DrainRequest
from eco_actor.web.inspection import Trace, Who
from eco_actor.web.metrics import OPENMETRICS_TYPE
from eco_actor.web.openapi import JSON, NO_STORE, Answer, Schema, error
from eco_actor.web.openapi_common import CHALLENGE, operation
from eco_actor.web.operations import Kill
from eco_actor.web.operator import Login
from eco_actor.web.schemas_operating import (
    Actors,
    ActorsQuery,
    DrainBegun,
    DrainState,
    Health,
    InspectedActor,
    InspectQuery,
    Killed,
    OpenApiDocument,
    Readiness,
    TokenQuery,
    WhoAmI,
)

TAG: Final = "operating"

COOKIE: Final[Schema] = {"type": "string", "description": "HttpOnly, SameSite=Strict"}
TEXT: Final[Schema] = {"type": "string"}
ASK_AGAIN: Final[dict[str, Schema]] = {"Cache-Control": {"const": "no-cache"}, "ETag": TEXT}
MANIFEST: Final[Schema] = {"type": "object"}
LOCATION: Final[Schema] = {"type": "string", "description": "the same without the token"}

NO_ACTOR: Final = error(404, "there is no such actor", "unknown_actor")
DOWN: Final = error(409, "it does not run at the moment", "not_running")
BAD_OPTION: Final = error(422, "a bad option", "bad_option")
BAD_BODY: Final = (
    error(400, "malformed", "bad_json", "bad_body"),
    error(408, "the body takes too long", "too_slow"),
    error(413, "too large", "too_large"),
    error(415, "a packed body", "unsupported_encoding"),
    error(422, "not what it should be", "bad_body"),
)
NO_DRAIN: Final = error(503, "what drains the server does not run", "not_running")

HEALTH: Final = (
    operation(
        method="GET",
        path="/healthz",
        name="getHealth",
        tag=TAG,
        summary="Whether the server lives",
        answers=(Answer(200, "its loop turns", {JSON: Health}),),
    ),
    operation(
        method="GET",
        path="/readyz",
        name="getReadiness",
        tag=TAG,
        summary="Whether the server can work",
        answers=(
            Answer(200, "it can", {JSON: Readiness}),
            error(503, "it cannot; the detail names what is not ready", "not_ready", "draining"),
        ),
    ),
    operation(
        method="GET",
        path="/metrics",
        name="getMetrics",
        tag=TAG,
        summary="What the server counts",
        description="In the format that `Accept` asks for.",
        answers=(Answer(200, "the figures", {"text/plain": TEXT, OPENMETRICS_TYPE: TEXT}),),
    ),
    operation(
        method="GET",
        path="/openapi.json",
        name="getDocument",
        tag=TAG,
        summary="This document",
        answers=(Answer(200, "OpenAPI 3.1", {JSON: OpenApiDocument}),),
    ),
)

ACTORS: Final = (
    operation(
        method="GET",
        path="/actors",
        name="getActors",
        tag=TAG,
        summary="The supervision tree",
        query=ActorsQuery,
        answers=(Answer(200, "the actors", {JSON: Actors}), NO_ACTOR, BAD_OPTION),
    ),
    operation(
        method="POST",
        path="/actors/kill",
        name="killActor",
        tag=TAG,
        summary="End an actor as a fault would",
        body={JSON: Kill},
        operator=True,
        answers=(
            Answer(202, "it is killed", {JSON: Killed}),
            error(409, "it does not run, or nobody would restart it", "not_running", "root_actor"),
            NO_ACTOR,
            *BAD_BODY,
        ),
    ),
    operation(
        method="GET",
        path="/actors/inspect",
        name="inspectActor",
        tag=TAG,
        summary="What an actor holds, and what it was told lately",
        query=InspectQuery,
        operator=True,
        answers=(Answer(200, "the actor", {JSON: InspectedActor}), NO_ACTOR, DOWN, BAD_OPTION),
    ),
    operation(
        method="POST",
        path="/actors/trace",
        name="traceActor",
        tag=TAG,
        summary="Keep the last messages of an actor, or none",
        body={JSON: Trace},
        operator=True,
        answers=(Answer(200, "the actor", {JSON: InspectedActor}), NO_ACTOR, DOWN, *BAD_BODY),
    ),
    operation(
        method="POST",
        path="/actors/suspend",
        name="suspendActor",
        tag=TAG,
        summary="Let an actor handle nothing",
        body={JSON: Who},
        operator=True,
        answers=(
            Answer(200, "the actor", {JSON: InspectedActor}),
            error(409, "it may not be suspended", "not_suspendable"),
            NO_ACTOR,
            DOWN,
            *BAD_BODY,
        ),
    ),
    operation(
        method="POST",
        path="/actors/resume",
        name="resumeActor",
        tag=TAG,
        summary="Let an actor go on",
        body={JSON: Who},
        operator=True,
        answers=(Answer(200, "the actor", {JSON: InspectedActor}), NO_ACTOR, DOWN, *BAD_BODY),
    ),
)

DRAINING: Final = (
    operation(
        method="GET",
        path="/drain",
        name="getDrain",
        tag=TAG,
        summary="Whether streams are told to go",
        operator=True,
        answers=(Answer(200, "how far it has come", {JSON: DrainState}), NO_DRAIN),
    ),
    operation(
        method="POST",
        path="/drain",
        name="drain",
        tag=TAG,
        summary="Tell all streams to go elsewhere",
        body={JSON: DrainRequest},
        operator=True,
        answers=(Answer(202, "it has begun", {JSON: DrainBegun}), NO_DRAIN, *BAD_BODY),
    ),
    operation(
        method="DELETE",
        path="/drain",
        name="endDrain",
        tag=TAG,
        summary="Admit streams again",
        operator=True,
        answers=(Answer(204, "streams are admitted"), NO_DRAIN),
    ),
)

LOGIN: Final = (
    operation(
        method="POST",
        path="/login",
        name="login",
        tag=TAG,
        summary="Buy the operator's cookie with the token",
        body={JSON: Login},
        answers=(
            Answer(204, "logged in", headers={"Cache-Control": NO_STORE, "Set-Cookie": COOKIE}),
            error(401, "another token", "bad_token", WWW_Authenticate=CHALLENGE),
            *BAD_BODY,
        ),
    ),
    operation(
        method="POST",
        path="/logout",
        name="logout",
        tag=TAG,
        summary="Forget the cookie",
        answers=(
            Answer(204, "logged out", headers={"Cache-Control": NO_STORE, "Set-Cookie": COOKIE}),
        ),
    ),
    operation(
        method="GET",
        path="/operator",
        name="getOperator",
        tag=TAG,
        summary="Whether the request is the operator's",
        answers=(Answer(200, "whose it is", {JSON: WhoAmI}),),
        extensions={"security": [{}, {"operatorToken": []}, {"operatorCookie": []}]},
    ),
)


def _page(path: str, name: str, summary: str, media: str = "text/html", **about: Any) -> Any:
    """A page or file; a browser asks each time whether it has changed."""
    schema = MANIFEST if media.endswith("json") else TEXT
    answers = (
        Answer(200, "the file", {media: schema}, headers=ASK_AGAIN),
        Answer(206, "the range of it", {media: {}}, headers={**ASK_AGAIN, "Content-Range": TEXT}),
        Answer(304, "the client has it", headers=ASK_AGAIN),
        error(412, "If-Match or If-Unmodified-Since does not hold", "precondition_failed"),
        error(416, "no such range", "range_not_satisfiable", Content_Range=TEXT),
        *about.pop("answers", ()),
    )
    return operation(
        method="GET", path=path, name=name, tag="pages", summary=summary, answers=answers, **about
    )


PAGES: Final = (
    _page("/", "getPage", "The page for scans"),
    _page(
        "/observer",
        "getObserver",
        "The page that shows the supervision tree",
        query=TokenQuery,
        answers=(
            Answer(
                303,
                "with a token: go on without it; a cookie when it is the right one",
                headers={
                    "Cache-Control": NO_STORE,
                    "Location": LOCATION,
                    "Set-Cookie": {**COOKIE, "x-optional": True},
                },
            ),
        ),
    ),
    _page("/sw.js", "getWorker", "What lets a browser keep the page", "text/javascript"),
    _page(
        "/manifest.webmanifest",
        "getManifest",
        "What lets a browser install the page",
        "application/manifest+json",
    ),
)

OPERATING_OPERATIONS: Final = (*HEALTH, *ACTORS, *DRAINING, *LOGIN, *PAGES)
