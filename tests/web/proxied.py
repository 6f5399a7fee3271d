"""nginx as deploy/nginx.conf sets it up, in front of a server, and clients that come through it."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.web.contract_wire import LONG_S
from tests.web.serving import ROOT

NGINX: Final = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
EXAMPLE: Final = ROOT / "deploy" / "nginx.conf"

AROUND: Final = """
{user}
daemon off;
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 256; }}
http {{
    log_format told '$connection $server_protocol $status $request_uri';
    access_log {dir}/access.log told;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    gzip on;
    include {dir}/site.conf;
}}
"""
"""What Debian's nginx.conf is around a site, in a folder of the test."""


def has_http2() -> bool:
    """Whether curl can ask by it."""
    if shutil.which("curl") is None:
        return False
    told = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    return "HTTP2" in told.stdout


NEEDED: Final = (
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
)

NEEDS_HTTP2: Final = pytest.mark.skipif(not has_http2(), reason="curl does not know HTTP/2")


@dataclass(frozen=True)
class Proxy:
    """An nginx in front of a server; `plain_port` is that without TLS."""

    folder: Path
    port: int
    plain_port: int

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"


def example(proxy: Proxy, upstream: int) -> str:
    """deploy/nginx.conf with the ports, the name and the certificate of a test."""
    text = EXAMPLE.read_text()
    for times, written, wanted in (
        (1, "server 127.0.0.1:8080;", f"server 127.0.0.1:{upstream};"),
        (1, "listen 80;", f"listen 127.0.0.1:{proxy.plain_port};"),
        (1, "listen [::]:80;", ""),
        (1, "listen 443 ssl http2;", f"listen 127.0.0.1:{proxy.port} ssl http2;"),
        (1, "listen [::]:443 ssl http2;", ""),
        (2, "server_name kiosk.example;", "server_name localhost;"),
        (1, "/etc/ssl/certs/kiosk.example.pem", str(proxy.certificate)),
        (1, "/etc/ssl/private/kiosk.example.key", str(proxy.folder / "key.pem")),
    ):
        assert text.count(written) == times, written
        text = text.replace(written, wanted)
    return text


@contextmanager
def nginx_before(upstream: int, folder: Path) -> Iterator[Proxy]:
    """An nginx in front of the server that has the port *upstream*, while this lasts."""
    assert NGINX is not None
    # it inherits these, so the ports are its own
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    made = Proxy(folder, *(each.getsockname()[1] for each in sockets))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", made.certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "site.conf").write_text(example(made, upstream))
    (folder / "nginx.conf").write_text(AROUND.format(dir=folder, user=user))
    inherited = [each.fileno() for each in sockets]
    process = subprocess.Popen(
        [NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        pass_fds=inherited,
        env={**os.environ, "NGINX": "".join(f"{each};" for each in inherited)},
    )  # fmt: skip
    for each in sockets:
        each.close()
    try:
        while not (folder / "pid").exists():
            assert process.poll() is None, (folder / "error.log").read_text()
        yield made
    finally:
        process.terminate()
        process.wait(10)


class Through:
    """A client that gets to the server through nginx, by HTTP/1.1 over TLS."""

    def __init__(self, session: aiohttp.ClientSession, trusted: ssl.SSLContext) -> None:
        self.get = partial(session.get, ssl=trusted)
        self.post = partial(session.post, ssl=trusted)
        self.ws_connect = partial(session.ws_connect, ssl=trusted)


@asynccontextmanager
async def through_of(proxy: Proxy) -> AsyncIterator[Through]:
    trusted = await asyncio.to_thread(ssl.create_default_context)
    await asyncio.to_thread(trusted.load_verify_locations, proxy.certificate)
    async with aiohttp.ClientSession(proxy.url) as session:
        yield Through(session, trusted)


@asynccontextmanager
async def curl(
    proxy: Proxy, paths: Sequence[str], *more: str
) -> AsyncIterator[asyncio.StreamReader]:
    """What curl is told on all *paths*, which it asks for at the same time over HTTP/2."""
    options = ["--silent", "--no-buffer", "--http2", "--cacert", str(proxy.certificate), *more]
    options += ["--parallel", "--parallel-max", "50"]
    urls = [f"{proxy.url}{path}" for path in paths]
    process = await asyncio.create_subprocess_exec(
        "curl", *options, *urls, stdout=asyncio.subprocess.PIPE, limit=2**20
    )
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def logged(proxy: Proxy, names: Sequence[str]) -> list[str]:
    """What nginx wrote about the requests for *names*, once they are all over."""
    async with asyncio.timeout(LONG_S):
        while True:
            text = await asyncio.to_thread((proxy.folder / "access.log").read_text)
            lines = [each for each in text.splitlines() if any(name in each for name in names)]
            if len(lines) == len(names):
                return lines
