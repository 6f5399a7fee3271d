"""What may be the address of a server. Pure."""

import re
from typing import Final
from urllib.parse import urlsplit

_NOT_IN_BASE: Final = frozenset(" \\?#")
_IN_HOST: Final = re.compile(r"[\w.-]+")


def is_base(url: str) -> bool:
    """Whether the address of something below it can be made by adding to it."""
    if not url.isprintable() or any(sign in _NOT_IN_BASE for sign in url):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port  # ValueError for a port that is none
        if host is None or port == 0 or (":" not in host and not _IN_HOST.fullmatch(host)):
            return False
        host.encode("idna")  # UnicodeError, which is a ValueError, for a name that DNS cannot have
    except ValueError:
        return False
    return parts.scheme in ("http", "https")
