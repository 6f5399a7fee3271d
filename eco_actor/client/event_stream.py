"""The interpretation of an event stream, by the HTML standard. Pure."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MOST: Final = 8 * 2**20
"""Characters of one event, and of one line."""

_END: Final = re.compile("\r\n|\r|\n")
_DIGITS: Final = re.compile("[0-9]{1,15}")


class TooLong(Exception):
    """An event that does not end."""


@dataclass(frozen=True, slots=True)
class Block:
    """An event as it is dispatched. `event` is `message` where the stream does not say; `id` the
    last event id so far."""

    event: str
    data: str
    id: str


class EventStreamParser:
    """Takes a stream in any pieces, and holds at most `most` characters of an event.

    `last_id`: that of the last block, dispatched or not; `retry_ms`: what the stream last said.
    """

    def __init__(self, last_id: str = "", most: int = MOST) -> None:
        self.last_id = last_id
        self.retry_ms: int | None = None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._most = most
        self._begun = False
        self._after_cr = False
        self._rest: list[str] = []  # of a line that has not ended
        self._resting = 0  # characters of it
        self._held = 0  # characters of the event's data
        self._id = last_id
        self._event = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Block]:
        """The blocks that end in *piece*. TooLong."""
        text = self._decode(piece)
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        if not text:
            return
        start = int(self._after_cr and text[0] == "\n")
        self._after_cr = text[-1] == "\r"
        for end in _END.finditer(text, start):
            line = "".join([*self._rest, text[start : end.start()]])
            self._rest, self._resting = [], 0
            start = end.end()
            if line:
                self._hold(line)
            else:
                yield from self._dispatched()
        if start < len(text):
            self._rest.append(text[start:])
            self._resting += len(text) - start
            self._check()

    def _check(self) -> None:
        if self._held + self._resting > self._most:
            raise TooLong

    def _hold(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
                self._held += len(value) + 1
                self._check()
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if _DIGITS.fullmatch(value):
                self.retry_ms = int(value)

    def _dispatched(self) -> Iterator[Block]:
        self.last_id = self._id
        data, event = self._data, self._event
        self._data, self._event, self._held = [], "", 0
        if data:
            yield Block(event or "message", "\n".join(data), self.last_id)
