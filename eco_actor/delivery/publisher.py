"""Events from outside, on their way into the log: checked, appended, and answered."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from eco_actor.delivery.directory import Directory
from eco_actor.delivery.rule import Refused
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import Cursor, Draft, Event, EventLog, StoreError

MAX_KEY: Final = 128
"""Characters of a key."""

Published = Callable[[Cursor | None, Refused | StoreError | None], None]
"""Called in the loop with the event's cursor (None: it is transient), or with what was wrong."""


class Publisher:
    """Takes events for the channels that are open to publishers."""

    def __init__(self, log: EventLog, directory: Directory, traffic: Traffic) -> None:
        self._log = log
        self._directory = directory
        self._traffic = traffic

    def publish(
        self,
        channel: str,
        data: Mapping[str, Any],
        key: str | None = None,
        *,
        transient: bool,
        done: Published,
    ) -> None:
        """Append an event; *done* is called once it is as durable as promised, or at once with
        what is wrong with it."""
        try:
            self._directory.publishable(channel)
            if key is not None and not 1 <= len(key) <= MAX_KEY:
                raise Refused("bad_option", f"key: 1 to {MAX_KEY} characters")
            draft = Draft(channel, data, int(time.time() * 1000), key=key, transient=transient)
            if transient:
                self._log.show(draft)
                self._traffic.published_transient += 1
                done(None, None)
            else:
                self._append(draft, done)
        except (Refused, StoreError) as error:
            done(None, error)
        except (TypeError, ValueError, OverflowError) as error:
            done(None, Refused("bad_data", f"data: {error}"))

    def _append(self, draft: Draft, done: Published) -> None:
        def appended(events: Sequence[Event], error: StoreError | None) -> None:
            if error is not None:
                done(None, error)
                return
            self._traffic.published_durable += 1
            done(events[0].cursor, None)

        self._log.append([draft], done=appended)
