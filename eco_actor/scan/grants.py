"""One thing is rewarded once, however often somebody asks about it.

A scan that asks again (`revises`), or answers one that was unsure (`after_scan`), is of the thing
of that one, and so on back to the first scan of it. The ledger has one row for each thing, under
the id of its first scan.

    the first scan          its reward is granted: nobody else of the thing has one before its end
    one that asks again     granted if the first one is over and nothing was for the thing; not when
                            the first one is kept no longer, since nobody can tell then

What is not granted is null in the event, so what clients are told is what the ledger has.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from eco_actor.eventlog import EventLog, Write
from eco_actor.scan.options import Options
from eco_actor.scan.tables import ADD_REWARD, UNREWARDED

RECENT: Final = 1024
"""Things that are known to be granted by scans that asked again, while a look at the log may still
not show it."""


class Grants:
    """Grants for scans that ask again: one for each thing, also when several ask at once."""

    def __init__(self, most: int = RECENT) -> None:
        self._most = most
        self._taken: OrderedDict[str, None] = OrderedDict()

    async def unrewarded(self, log: EventLog, task_id: str, options: Options) -> str | None:
        """The thing of this scan, if a reward for it may still be granted. StoreError."""
        unsure = options.after_scan is not None  # what it answers earns nothing itself
        rows = await log.query(UNREWARDED, (task_id, unsure))
        return rows[0][0] if rows else None

    def take(self, thing: str) -> bool:
        """Whether the grant for *thing* is the caller's, who writes it now or gives it back."""
        if thing in self._taken:
            return False
        self._taken[thing] = None
        if len(self._taken) > self._most:
            self._taken.popitem(last=False)
        return True

    def give_back(self, thing: str | None) -> None:
        """It could not be written. None: nothing was taken."""
        if thing is not None:
            self._taken.pop(thing, None)


def granted(thing: str, reward: Mapping[str, Any], at_ms: int) -> Write:
    """The row for it, at this time of the log."""
    return Write(ADD_REWARD, (thing, reward["points"], reward["character"]["id"], at_ms))
