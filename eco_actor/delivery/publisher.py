"""Events from outside, on their way into the log: checked, appended, and answered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgpack
import msgspec

from eco_actor.delivery.directory import Directory
from eco_actor.delivery.rule import Refused
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import Cursor, Draft, Event, EventLog, StoreError

MAX_KEY: Final = 128
"""Characters of a key."""

MAX_EVENT: Final = 64 * 1024
"""Bytes of an event, as JSON."""

MAX_DEPTH: Final = 128
"""Maps and lists in one another: what can be read must be writable again, on any transport."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode

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
            _check(data)
            draft = Draft(channel, data, self._log.now_ms(), key=key, transient=transient)
            if transient:
                self._log.show(draft)
                self._traffic.published_transient += 1
                done(None, None)
            else:
                self._append(draft, done)
        except (Refused, StoreError) as error:
            done(None, error)

    def _append(self, draft: Draft, done: Published) -> None:
        def appended(events: Sequence[Event], error: StoreError | None) -> None:
            if error is not None:
                done(None, error)
                return
            self._traffic.published_durable += 1
            done(events[0].cursor, None)

        self._log.append([draft], done=appended)


def _check(data: Mapping[str, Any]) -> None:
    """Refused for data that could not go out on every transport, or would not be the same there."""
    try:
        encoded = _encode(data)
        msgpack.packb(data)
        same = _decode(encoded) == data  # not of bytes, of keys that are no text, of NaN
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Refused("bad_data", f"data: {error}") from error
    if not same:
        raise Refused("bad_data", "data: it holds what JSON cannot hold")
    if len(encoded) > MAX_EVENT:
        raise Refused("too_large", f"data: an event has at most {MAX_EVENT} bytes")
    if too_deep(data, encoded):
        raise Refused("bad_data", f"data: at most {MAX_DEPTH} levels of maps and lists")


def too_deep(data: Mapping[str, Any], encoded: bytes) -> bool:
    """Whether *data*, in JSON *encoded*, has more than MAX_DEPTH maps and lists in one another."""
    if len(encoded) <= MAX_DEPTH or encoded.count(b"{") + encoded.count(b"[") <= MAX_DEPTH:
        return False
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for each in level:
            values = each.values() if isinstance(each, dict) else each
            below += (value for value in values if isinstance(value, dict | list))
        if not below:
            return False
        level = below
    return True
