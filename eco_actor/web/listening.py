"""The sockets that a server listens on, with what every connection is to inherit from them."""

import asyncio
import socket
from contextlib import ExitStack
from typing import Final

BACKLOG: Final = 4096
"""Connections that may wait to be accepted: after a restart, all clients come at once."""

UNSENT: Final = 128 * 1024
"""Bytes of a connection that the kernel takes beyond what is on its way: so much of what a client
does not read waits there, and not the megabytes that it would take else."""

USER_TIMEOUT_S: Final = 75
"""Seconds after which a connection is given up whose peer acknowledges nothing: a pulled cable.
More than `liveness.AGE`: a client that is only slow is for the rules there to end."""

KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
"""The same for connections on which nothing is sent."""


async def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to all addresses of *host* at *port*, or at one free port. OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    with ExitStack() as opened:
        made: list[socket.socket] = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = opened.enter_context(socket.socket(family, kind, protocol))
            sock.setblocking(False)
            _configure(sock)
            place = (address[0], made[0].getsockname()[1]) if made and not port else address
            sock.bind(place)
            made.append(sock)
        opened.pop_all()
        return made


def _configure(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    # What is accepted inherits these from the listening socket: it costs no call a connection.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_S * 1000)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
