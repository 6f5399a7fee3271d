"""The file that keeps the operator's token from one start to the next."""

import logging
import os
import re
import secrets
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

BITS: Final = 256
LONGEST: Final = 1024

OTHERS: Final = 0o077
"""The permissions of everybody but the owner."""


class UnusableToken(Exception):
    """There is something where the token is kept, but no token; the text says what to do."""


def is_token(text: str) -> bool:
    """Whether it can stand in a header: visible ASCII without spaces."""
    return re.fullmatch(f"[!-~]{{1,{LONGEST}}}", text) is not None


def new_token() -> str:
    return secrets.token_urlsafe(BITS // 8)


def keep_token(path: Path) -> str:
    """The token in the file *path*, which is made if it is not there. Blocks. UnusableToken."""
    try:
        return _read(path) if path.exists() else _make(path)
    except OSError as error:
        raise UnusableToken(f"operator token {path}: {error.strerror}") from error


def _read(path: Path) -> str:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        content = file.read(LONGEST + 2)
    token = content.decode("utf-8", "replace").strip()
    if not is_token(token):
        what = "holds no token" if token else "is empty"
        raise UnusableToken(f"{path} {what}: without the file the next start makes a new one")
    if mode & OTHERS:
        log.warning("%s: others may read or change the operator's token: chmod 600 it", path)
    return token


def _make(path: Path) -> str:
    """A new file for a new token: nobody else may read it at any time, and it is never half."""
    token = new_token()
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.with_name(f"{path.name}.new")
    begun.unlink(missing_ok=True)  # by a start that was cut short
    descriptor = os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(descriptor)
    begun.rename(path)
    return token
