"""The machine: who runs here already, the port, open files, and the way of streams."""

import asyncio
import errno
import http.client
import importlib.metadata
import json
import os
import re
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import uvloop
from aiohttp import web

from eco_actor.doctor.finding import Finding, fail, ok, warn
from eco_actor.web.handover import hand_over
from eco_actor.web.server import Address

LOCKS: Final = Path("/proc/locks")

AIOHTTP: Final = ((3, 14, 5), (3, 15))
"""From which version on, and before which, streams can be taken over from it; see setup.cfg."""

ANSWER_S: Final = 3.0
"""Seconds that a server that runs here has to say how it is."""

OTHER_FILES: Final = 100
"""Files that a server has open beside its clients' connections."""


def lock_holder(lock: Path, locks: str) -> int | None:
    """The process that has *lock*, given the text of /proc/locks; None: nobody.

    It is not tried: a server that starts at this moment must find it free.
    """
    try:
        status = lock.stat()
    except OSError:
        return None
    for line in locks.splitlines():
        fields = line.split()
        if len(fields) < 6 or fields[1] != "FLOCK":  # those that wait have an arrow before
            continue
        inode, process = fields[5].rpartition(":")[2], fields[4]
        if inode == str(status.st_ino) and _has_open(int(process), lock):
            return int(process)
    return None


def _has_open(process: int, file: Path) -> bool:
    """Whether it does, as far as we may know; the number alone may be of another file system."""
    try:
        opened = list(Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return True
    wanted = file.stat()
    for each in opened:
        try:
            if os.path.samestat(each.stat(), wanted):
                return True
        except OSError:  # closed meanwhile
            continue
    return False


def look_at_server(data_dir: Path) -> tuple[Finding, bool]:
    """Whether one runs on the data directory already."""
    what = "server"
    try:
        locks = LOCKS.read_text()
    except OSError:
        return warn(what, "whether one runs cannot be told here", "start none twice"), False
    holder = lock_holder(data_dir / "lock", locks)
    if holder is None:
        return ok(what, "none runs on this data directory"), False
    return ok(what, f"one runs on this data directory (process {holder})"), True


def look_at_port(address: Address, *, runs: bool, durability: str = "full") -> Finding:
    """Whether a server can listen there, or, when one *runs*, how it is, and its *durability*."""
    what, place = "port", f"{address.host} port {address.port}"
    try:
        _bind(address)
    except socket.gaierror as error:
        return fail(what, f"{address.host}: {error.strerror}", "--host is an address of this host")
    except OverflowError as error:
        return fail(what, f"{place}: {error}", "--port is at most 65535")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _ask(what, address, durability) if runs else _taken(what, place)
        if error.errno == errno.EACCES:
            return fail(what, f"{place} is for root only", "--port above 1023 behind a proxy")
        return fail(what, f"{place}: {error.strerror}", "--host and --port pick others")
    if not address.port:
        return ok(what, "a free one is picked")
    elsewhere = "; the server that runs has another" if runs else ""
    return ok(what, f"{place} is free{elsewhere}")


def _taken(what: str, place: str) -> Finding:
    return fail(what, f"{place} is taken", "--port picks another, 0 a free one")


def _bind(address: Address) -> None:
    """Take each address and give it back. OSError."""
    found = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    for family, kind, protocol, _, place in found:
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(place)


def _ask(what: str, address: Address, durability: str) -> Finding:
    """How the server that has the port is."""
    place = urlsplit(address.url_here)
    assert place.hostname is not None
    asked = http.client.HTTPConnection(place.hostname, place.port, timeout=ANSWER_S)
    try:
        asked.request("GET", "/readyz")
        answer = asked.getresponse()
        said = json.loads(answer.read(65536))
    except (OSError, http.client.HTTPException, ValueError):
        return fail(what, f"who has {address.url} does not answer", "--port picks another")
    finally:
        asked.close()
    if answer.status == 200:
        promise = said.get("durability")
        if promise != durability:
            return warn(
                what,
                f"{address.url} answers: ready, durability {promise}, not {durability}",
                f"--durability {promise}, to be told about that server",
            )
        return ok(what, f"{address.url} answers: ready, durability {promise}")
    return fail(what, f"{address.url} answers: {said.get('detail')}", "see to that, or its log")


def look_at_open_files(limit: int, connections: int) -> Finding:
    """Whether so many clients can be connected; *limit* is the hard one, which serve takes."""
    what, wanted = "open files", connections + OTHER_FILES
    if limit < wanted:
        room = max(0, limit - OTHER_FILES)
        return warn(
            what,
            f"{limit:,}: {room:,} clients at a time, of {connections:,}",
            f"ulimit -Hn {wanted}, or LimitNOFILE={wanted} of its unit",
        )
    return ok(what, f"{limit:,}, for {connections:,} clients at a time")


def version_of(text: str) -> tuple[int, ...]:
    """The leading numbers of a version."""
    found = re.match(r"[0-9.]+", text)
    return tuple(int(part) for part in found[0].strip(".").split(".")) if found else ()


def look_at_handover() -> Finding:
    """Whether streams can be taken over from aiohttp: it is done once, over loopback."""
    what = "streams"
    version, loop = (importlib.metadata.version(name) for name in ("aiohttp", "uvloop"))
    least, below = AIOHTTP
    text = f"aiohttp {version}, uvloop {loop}"
    if not least <= version_of(version) < below:
        wanted = f"aiohttp>={'.'.join(map(str, least))},<{'.'.join(map(str, below))}"
        return fail(what, text, f"pip install '{wanted}'")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            said = runner.run(asyncio.wait_for(_try_handover(), ANSWER_S))
    except (OSError, TimeoutError) as error:
        return fail(what, f"{text}: {error or 'nothing came'}", "is there a loopback interface?")
    if said != HELLO:
        return fail(what, f"{text}: taken over, it said {said!r}", "pip install -e . again")
    return ok(what, f"{text}: taken over; no TLS of its own, which a proxy does")


HELLO: Final = b"hello"


async def _try_handover() -> bytes:
    def taken(transport: asyncio.Transport, paused: bool) -> asyncio.Protocol:
        transport.write(HELLO)
        transport.close()
        return asyncio.Protocol()

    async def stream(request: web.Request) -> web.StreamResponse:
        return hand_over(request, taken)

    server = web.Server(stream, access_log=None)  # type: ignore[arg-type]  # any BaseRequest
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        said = await reader.read()
        writer.close()
        return said
    finally:
        listening.close()
        await server.shutdown()
