"""What a client may send over a WebSocket: one map a message, checked against a type. Pure."""

import json
from typing import Any, Final

import msgpack
import msgspec

from eco_actor.delivery.frames import WS_MSGPACK, MessageFormat
from eco_actor.delivery.rule import Rule, rule_asked

UNSUPPORTED, BAD_DATA = 1003, 1007
"""Close codes: the wrong kind of message, and one that is none."""

NESTING: Final = 64
"""Maps and lists within each other."""

Id = int | str | None


class Unreadable(Exception):
    """A message that is none at all; the connection ends with `close_code`."""

    def __init__(self, close_code: int, detail: str) -> None:
        super().__init__(detail)
        self.close_code = close_code


class BadCommand(Exception):
    """A message that is no command; the connection goes on."""

    def __init__(self, id: Id, code: str, detail: str) -> None:
        super().__init__(detail)
        self.id = id
        self.code = code


class Subscribe(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="op", tag="subscribe"
):
    channel: str
    id: Id = None
    after: str | None = None
    overflow: str | None = None
    capacity: int | None = None
    interval_ms: int | None = None

    def rule(self) -> Rule:
        """What is to happen when its mailbox is full. Refused."""
        return rule_asked(self.overflow, self.capacity, self.interval_ms)


class Unsubscribe(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="op", tag="unsubscribe"
):
    channel: str
    id: Id = None


class Publish(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="op", tag="publish"
):
    channel: str
    data: dict[str, Any]
    id: Id = None
    key: str | None = None
    transient: bool = False


class Ping(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="op", tag="ping"):
    id: Id = None


Command = Subscribe | Unsubscribe | Publish | Ping


def read_command(message: object, format: MessageFormat) -> Command:
    """The command in *message*: text in JSON, or bytes in msgpack. Unreadable, BadCommand."""
    given = _decoded(message, format)
    if not isinstance(given, dict):
        raise BadCommand(None, "bad_command", "a message is a map with an op")
    id = given.get("id")
    known = id if isinstance(id, (int, str)) else None
    try:
        command: Command = msgspec.convert(given, Command)
    except (msgspec.ValidationError, RecursionError) as error:
        op = given.get("op")
        if op not in ("subscribe", "unsubscribe", "publish", "ping"):
            shown = repr(op[:40]) if isinstance(op, str) else f"such {type(op).__name__}"
            raise BadCommand(known, "unknown_op", f"op: there is no {shown}") from error
        raise BadCommand(known, "bad_command", str(error)) from error
    return command


def _decoded(message: object, format: MessageFormat) -> Any:
    packed = format is WS_MSGPACK
    if not isinstance(message, bytes if packed else str):
        raise Unreadable(UNSUPPORTED, "binary messages" if packed else "text messages")
    if isinstance(message, bytes):
        try:
            return msgpack.unpackb(message, strict_map_key=False)
        except Exception as error:  # whatever it finds wrong, it has many kinds
            raise Unreadable(BAD_DATA, "not msgpack") from error
    try:
        return msgspec.json.decode(str(message))
    except (msgspec.DecodeError, RecursionError) as error:
        if _is_json(str(message)):  # by its grammar; but no number, text or depth for us
            raise BadCommand(None, "bad_command", str(error)) from error
        raise Unreadable(BAD_DATA, "not JSON") from error


def _is_json(text: str) -> bool:
    """Whether it is by the grammar, which knows no bounds."""
    try:
        json.loads(text, parse_constant=_no_constant)
    except RecursionError:  # too deep to say more than that what is opened is closed
        return text.count("[") == text.count("]") and text.count("{") == text.count("}")
    except ValueError:
        return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
