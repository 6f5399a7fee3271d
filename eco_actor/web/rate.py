"""How many scans one client may start: so many a second, after a burst. Pure."""

from collections import OrderedDict
from typing import Final

MOST_CLIENTS: Final = 10_000
"""Clients that are remembered. Past it the one that came longest ago begins anew."""


class RateLimit:
    """Lets each client in *rate* times a second, and *burst* times at once after a rest.

    Times are seconds of a clock that does not go back. ValueError for numbers with which nobody
    could come in.
    """

    def __init__(self, rate: float, burst: int, most_clients: int = MOST_CLIENTS) -> None:
        if not 0 < rate < float("inf") or burst < 1:
            raise ValueError(f"rate is above 0, burst at least 1, not {rate!r}, {burst!r}")
        self._interval = 1.0 / rate
        self._slack = (burst - 1) / rate
        self._most_clients = most_clients
        # When each would be due next, had it come evenly: who is far ahead of that has to wait.
        self._due: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def wait_s(self, client: str, now: float) -> float:
        """Seconds until *client* may come; 0.0 lets it in now, and counts it."""
        due = max(now, self._due.get(client, now))
        wait = due - self._slack - now
        if wait > 1e-9:  # less is rounding
            return wait
        self._due[client] = due + self._interval
        self._due.move_to_end(client)
        if len(self._due) > self._most_clients:
            self._due.popitem(last=False)
        return 0.0
