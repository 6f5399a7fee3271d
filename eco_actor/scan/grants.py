"""One thing is rewarded once, however often somebody asks about it.

A scan that asks again (`revises`), or answers one that was unsure (`after_scan`), is of the thing
of that one, and so on back to the first scan of it. The ledger has one row for each thing, under
the id of its first scan.

    the first scan          its reward is granted: nobody else of the thing has one before its end,
                            but who answers just that one, if it was unsure: then it earns nothing
    one that asks again     granted if the first one is over and nothing was for the thing; not when
                            the first one is kept no longer, since nobody can tell then

What is not granted is null in the event, so what clients are told is what the ledger has.

A look at the ledger may be older than a row on its way there, so who is granted a reward takes the
grant of the thing, too. The grant is given back when it is certain that the row will not be there.
When nobody knows (StoreUncertain) it stays with the scan, which has it when it goes on.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from eco_actor.eventlog import EventLog, StoreError, Write
from eco_actor.scan.options import Options
from eco_actor.scan.tables import ADD_REWARD, UNREWARDED

RECENT: Final = 1024
"""Things of which is known who has their grant, while a look at the log may still not show it."""


class Grants:
    """Grants for scans that ask again: one for each thing, also when several ask at once.

    The last *most* are remembered; of those before, the log knows.
    """

    def __init__(self, most: int = RECENT) -> None:
        self._most = most
        self._taken: OrderedDict[str, str] = OrderedDict()  # by thing: the scan that has it

    async def unrewarded(
        self, log: EventLog, task_id: str, options: Options, within: float
    ) -> str | None:
        """The thing of this scan, if a reward for it may still be granted.

        StoreError when the log cannot tell, or has not *within* so many seconds.
        """
        try:
            async with asyncio.timeout(within):
                rows = await log.query(UNREWARDED, (task_id, options.after_scan))
        except TimeoutError as error:
            raise StoreError(f"a read has not come back within {within:g} s") from error
        return rows[0][0] if rows else None

    def take(self, thing: str, task_id: str) -> bool:
        """Whether the grant for *thing* is this scan's, which writes it now or gives it back."""
        if self._taken.setdefault(thing, task_id) != task_id:
            return False
        if len(self._taken) > self._most:
            self._taken.popitem(last=False)
        return True

    def give_back(self, thing: str | None, task_id: str) -> None:
        """It is not written, and will not be. None, or not this scan's: nothing happens."""
        if thing is not None and self._taken.get(thing) == task_id:
            del self._taken[thing]


def granted(thing: str, reward: Mapping[str, Any], at_ms: int) -> Write:
    """The row for it, at this time of the log."""
    return Write(ADD_REWARD, (thing, reward["points"], reward["character"]["id"], at_ms))
