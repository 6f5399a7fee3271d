"""Whom the server talks to: those who call it by a name of its own, from a page that may.

Any page on the web can make its reader's browser send requests here; and whoever owns the page's
name can let that name point to this machine afterwards (DNS rebinding), so that the page may read
the answers, too. Browsers give both away: `Host` is the name that was called, `Origin` and
`Sec-Fetch-Site` tell whose page it was. Other programs send neither of the two, and need not: no
page can make them do anything.
"""

import re
import socket
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from eco_actor.web.problems import NO_STORE, Problem

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, Last-Event-ID, Authorization",
    "Access-Control-Max-Age": "7200",
    **NO_STORE,
}
EXPOSED: Final = "Location, Retry-After"
"""Headers of answers that scripts of other origins may read, beside those they always may."""

_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{0,5}))?", re.I | re.A)
_TARGET: Final = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)", re.I | re.A)
_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)", re.I | re.A)


class Authority(NamedTuple):
    """A host and a port, as they stand in `Host` and in addresses."""

    name: str  # in small letters; an address in its shortest form, without brackets
    port: int | None

    @classmethod
    @lru_cache(maxsize=256)  # most requests call one name
    def parse(cls, text: str) -> "Authority":
        """ValueError for what is none."""
        found = _AUTHORITY.fullmatch(text)
        if found is None or int(found[2] or 0) > 65535:
            raise ValueError(f"{text[:200]!r} is no host")
        name = found[1].lower().removesuffix(".")
        if name.startswith("["):
            name = str(_plain(IPv6Address(name[1:-1])))
        if not name:
            raise ValueError(f"{text[:200]!r} is no host")
        return cls(name, int(found[2]) if found[2] else None)


class Origin(NamedTuple):
    """Where a page came from: two pages of one origin may do everything with each other."""

    scheme: str
    name: str
    port: int | None  # None: the default of a scheme that we do not know

    @classmethod
    def parse(cls, text: str) -> "Origin":
        """ValueError for what is none: `null`, an address with a path, several at once."""
        found = _ORIGIN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:200]!r} is no origin")
        scheme = found[1].lower()
        name, port = Authority.parse(found[2])
        return cls(scheme, name, DEFAULT_PORTS.get(scheme) if port is None else port)

    def is_at(self, host: Authority) -> bool:
        """Whether a browser that shows a page of this origin calls its server *host*.

        The scheme is not compared: a proxy may have taken the TLS off.
        """
        default = DEFAULT_PORTS.get(self.scheme)
        if default is None:
            return False
        return (self.name, self.port) == (host.name, default if host.port is None else host.port)


class Trust:
    """The rules for a server bound to the address or name *bound*.

    *hosts* are further names it may be called by, *origins* other sites whose pages may use it.
    ValueError, with a sentence, for one that is none.
    """

    def __init__(self, bound: str, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        address = _address(bound)
        # Nobody can let an address point elsewhere: where any of ours may be meant, all are taken.
        self._any_address = bound == "" or (address is not None and address.is_unspecified)
        self._names = {"localhost", *(_allowed_host(text) for text in hosts)}
        if self._any_address:
            self._names.add(socket.gethostname().lower())
        elif address is None:
            self._names.add(bound.lower().removesuffix("."))
        else:
            self._names.add(str(address).partition("%")[0])
        self._origins = frozenset(_allowed_origin(text) for text in origins)

    def add_to(self, app: web.Application) -> None:
        """Guard all of *app*; what it raises is for a middleware before it to answer."""
        app.middlewares.append(self.check)
        if self._origins:
            app.on_response_prepare.append(self.share)

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn away who calls another server's name, and pages that may not change anything."""
        host = host_of(request)
        for name in (host.name, _named_in_target(request) or host.name):
            if name not in self._names and not self._is_own(name):
                raise Problem(
                    421,
                    "wrong_host",
                    f"this server is not called {name!r}: --allowed-host {name} says it is",
                )
        if request.method not in SAFE_METHODS or "Upgrade" in request.headers:
            self._check_origin(request, host)
        if (
            request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers
            and self._listed(request) is not None
        ):
            return web.Response(status=204, headers=PREFLIGHT)
        return await handler(request)

    def plainly_allows(self, headers: Mapping[str, str], *, upgrade: bool) -> bool:
        """Whether a GET with these headers (one each, by small-letter name) needs no second look.

        False means nothing: `check` is to judge it.
        """
        try:
            host = Authority.parse(headers["host"])
        except (KeyError, ValueError):
            return False
        if self._origins or host.name not in self._names:
            return False
        return not upgrade or not (
            "sec-fetch-site" in headers or ("origin" in headers and not _is_same(headers, host))
        )

    async def share(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let pages of the listed origins read the answer, whatever it is."""
        response.headers.extend(self.shared(request))

    def shared(self, request: web.Request) -> dict[str, str]:
        """The headers that an answer needs for this."""
        if not self._origins:
            return {}
        origin = self._listed(request)
        if origin is None:
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": EXPOSED,
        }

    def _is_own(self, name: str) -> bool:
        if name in self._names:
            return True
        address = _address(name)
        return address is not None and (self._any_address or address.is_loopback)

    def _check_origin(self, request: web.Request, host: Authority) -> None:
        """Problem, when a page of another origin sent the request."""
        given = request.headers.getall("Origin", [])
        if given:
            origin = _origin(given)
            if origin is None or not (origin.is_at(host) or origin in self._origins):
                raise Problem(403, "cross_origin", _not_from(given[0], origin))
            return
        for site in request.headers.getall("Sec-Fetch-Site", []):
            if site.lower() not in ("same-origin", "none"):
                detail = f"a page of another site sent this (Sec-Fetch-Site: {site[:40]!r})"
                raise Problem(403, "cross_origin", detail)

    def _listed(self, request: web.Request) -> str | None:
        """The origin of the request as it names it, if it is one of `--origin`."""
        given = request.headers.getall("Origin", [])
        return given[0] if _origin(given) in self._origins else None


def _is_same(headers: Mapping[str, str], host: Authority) -> bool:
    origin = _origin([headers["origin"]])
    return origin is not None and origin.is_at(host)


def host_of(request: web.Request) -> Authority:
    """The name and port that the client called. Problem, when it does not say."""
    given = request.headers.getall("Host", [])
    try:
        (text,) = given
        return Authority.parse(text)
    except ValueError as error:
        detail = "Host: one is needed, a name or an address, and a port if there is one"
        raise Problem(400, "bad_host", detail) from error


def _named_in_target(request: web.Request) -> str | None:
    """The name in a target that is a whole address: by RFC 9112, 3.2.2, it is what was called,
    whatever `Host` says. Here both have to be right. Problem for what is no name."""
    found = None if request.raw_path.startswith("/") else _TARGET.match(request.raw_path)
    if found is None:
        return None
    try:
        return Authority.parse(found[1]).name
    except ValueError as error:
        raise Problem(400, "bad_host", f"the target of the request: {error}") from error


def _origin(given: Iterable[str]) -> Origin | None:
    try:
        (text,) = given
        return Origin.parse(text)
    except ValueError:
        return None


def _not_from(text: str, origin: Origin | None) -> str:
    if origin is None:
        return f"pages without an origin of their own may not do this (Origin: {text[:200]!r})"
    return f"pages of {text[:200]} may not do this: --origin {text[:200]} says that they may"


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return _plain(ip_address(text))
    except ValueError:
        return None


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address, where one is written as IPv6."""
    return getattr(address, "ipv4_mapped", None) or address


def _allowed_host(text: str) -> str:
    address = _address(text)
    if address is not None:
        return str(address)
    try:
        name, port = Authority.parse(text)
    except ValueError:
        name, port = "", None
    if not name or port is not None or text.endswith(":"):
        raise ValueError(
            f"--allowed-host is a name or an address, without scheme and port, not {text!r}"
        )
    return name


def _allowed_origin(text: str) -> Origin:
    try:
        return Origin.parse(text)
    except ValueError as error:
        raise ValueError(
            f"--origin is scheme://host or scheme://host:port, without a path, not {text!r}"
        ) from error
