"""Task ids: unguessable, and in the order of time."""

import base64
import hashlib
import re
import secrets
from collections import deque
from typing import Final

RANDOM_BYTES: Final = 16
AT_ONCE: Final = 64
"""Ids whose random part is fetched together: asking the system for it gives up the interpreter."""

TASK_ID: Final = re.compile(r"[0-9a-f]{11}[A-Za-z0-9_-]{22}")


class TaskIds:
    """Makes ids of 33 URL-safe characters: a time in milliseconds in hex, then 128 random bits.

    Given the clock of the log, which never goes back, they are in the order of acceptance. The time
    comes first so that what is kept of scans of one moment lies side by side on the disk: a commit
    then rewrites a few pages instead of several for each scan.
    """

    def __init__(self) -> None:
        self._random: deque[str] = deque()

    def make(self, at_ms: int) -> str:
        if not self._random:
            fetched = secrets.token_bytes(RANDOM_BYTES * AT_ONCE)
            for start in range(0, len(fetched), RANDOM_BYTES):
                part = base64.urlsafe_b64encode(fetched[start : start + RANDOM_BYTES])
                self._random.append(part.rstrip(b"=").decode())
        return f"{at_ms:011x}{self._random.popleft()}"


def actor_name(task_id: str) -> str:
    """What the actor of a scan is called: whoever may see the tree may not follow the scan."""
    return hashlib.blake2b(task_id.encode(), digest_size=8).hexdigest()


def is_task_id(text: str) -> bool:
    """Whether *text* could be one."""
    return TASK_ID.fullmatch(text) is not None
