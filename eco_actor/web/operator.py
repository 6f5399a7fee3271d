"""Who operates the server: whoever shows the operator's token, or the cookie that it buys."""

import functools
import hashlib
import hmac
import logging
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from eco_actor.web.bodies import read_json
from eco_actor.web.operator_token import UnusableToken, is_token, keep_token, new_token
from eco_actor.web.prefix import prefix_of
from eco_actor.web.problems import NO_STORE, json_response, problem_response
from eco_actor.web.trust import host_of

log = logging.getLogger(__name__)

OBSERVER: Final = "/observer"
CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}

SHORT: Final = 16
"""Characters below which an own token can be guessed."""


class Login(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /login`."""

    token: str


class Operator:
    """Knows the token, once it is loaded: *own*, or what is kept in *file*, or else a new one.

    The cookie's value is derived from the token, so it outlives the process and tells nobody the
    token; its name has the port that the browser called and where this server is mounted, because
    browsers keep the cookies of a host's ports together, and send those for "/" with all.
    """

    def __init__(self, own: str | None, file: Path | None) -> None:
        self._own = own
        self._file = file
        self._token: bytes | None = None
        self._cookie = b""

    def load(self) -> None:
        """Read or make the token. Blocks. UnusableToken."""
        if self._own is not None:
            token = self._own
            if not is_token(token):
                raise UnusableToken("ECO_OPERATOR_TOKEN is visible ASCII characters, no spaces")
            if len(token) < SHORT:
                log.warning("ECO_OPERATOR_TOKEN is short: %d characters or more are safe", SHORT)
        else:
            token = new_token() if self._file is None else keep_token(self._file)
        self._token = token.encode()
        derived = hmac.new(self._token, b"eco operator cookie 1", hashlib.sha256)
        self._cookie = derived.hexdigest().encode()

    def observer_url(self, base: str) -> str:
        """Where the observer is, for the log: with the token, unless it is the operator's own."""
        if self._own is not None or self._token is None:
            return f"{base}{OBSERVER}"
        return f"{base}{OBSERVER}?token={quote(self._token.decode(), safe='')}"

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/login", self.login)
        app.router.add_post("/logout", self.logout)
        app.router.add_get("/operator", self.whoami)

    def only(self, handler: Handler) -> Handler:
        """*handler*, for the operator alone; anybody else gets 401."""

        @functools.wraps(handler)
        async def guarded(request: web.Request) -> web.StreamResponse:
            if self.is_operator(request):
                return await handler(request)
            detail = "this takes the operator's token: Authorization: Bearer …, or a login"
            return problem_response(401, "operator_only", detail, CHALLENGE)

        return guarded

    def is_operator(self, request: web.Request) -> bool:
        """Whether the request shows the token, or the cookie of a login."""
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(shown.strip(), self._token):
            return True
        cookie = request.cookies.get(_cookie_name(request))
        return cookie is not None and self._token is not None and _same(cookie, self._cookie)

    async def login(self, request: web.Request) -> web.Response:
        asked = await read_json(request, Login)
        if not _same(asked.token, self._token):
            return problem_response(401, "bad_token", "this is not the operator's token", CHALLENGE)
        response = web.Response(status=204, headers=NO_STORE)
        self._log_in(request, response)
        return response

    async def logout(self, request: web.Request) -> web.Response:
        """The browser forgets the cookie; with another token in the server all cookies end."""
        response = web.Response(status=204, headers=NO_STORE)
        response.del_cookie(
            _cookie_name(request), path=_cookie_path(request), httponly=True, samesite="Strict"
        )
        return response

    async def whoami(self, request: web.Request) -> web.Response:
        return json_response({"operator": self.is_operator(request)})

    def login_by_query(self, request: web.Request) -> web.Response | None:
        """For a page: log in with `?token=`, and go on to the page's address without it.

        None when there is no token in the query. A wrong one leaves everything as it is: the page
        says who is not logged in.
        """
        given = request.query.get("token")
        if given is None:
            return None
        there = request.rel_url.without_query_params("token")
        headers = {**NO_STORE, "Location": str(there), "Referrer-Policy": "no-referrer"}
        response = web.Response(status=303, headers=headers)
        if _same(given, self._token):
            self._log_in(request, response)
        return response

    def _log_in(self, request: web.Request, response: web.Response) -> None:
        secure = request.secure or _forwarded_proto(request) == "https"
        response.set_cookie(
            _cookie_name(request),
            self._cookie.decode(),
            path=_cookie_path(request),
            httponly=True,
            samesite="Strict",
            secure=secure,
        )


def _same(given: str, secret: bytes | None) -> bool:
    """Whether they are equal, in a time that does not tell how much of them is."""
    return secret is not None and hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), secret
    )


def _cookie_name(request: web.Request) -> str:
    port = host_of(request).port
    name = "eco_operator" if port is None else f"eco_operator_{port}"
    return name + prefix_of(request).replace("/", "!")


def _cookie_path(request: web.Request) -> str:
    return f"{prefix_of(request)}/"


def _forwarded_proto(request: web.Request) -> str:
    """What the outermost proxy was spoken to in."""
    return request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
