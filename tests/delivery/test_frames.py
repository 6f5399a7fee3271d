"""What goes over the wire, byte for byte, in all formats. Pure."""

import json
import re
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.delivery.frames import (
    COMMENT,
    SSE_CHANNEL,
    SSE_SCAN,
    WS_JSON,
    WS_MSGPACK,
    Bye,
    Format,
    MessageFormat,
    sse_bye,
    sse_control,
    sse_retry,
)
from eco_actor.delivery.gap import OVERFLOW, Gap
from eco_actor.eventlog import Cursor, Draft, Event
from tests.ws_bytes import BINARY, TEXT, read_frames

FORMATS = [SSE_SCAN, SSE_CHANNEL, WS_JSON, WS_MSGPACK]
KNOWN = Cursor("e", 9)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def event(data: dict[str, Any], *, transient: bool = False) -> Event:
    draft = Draft("scan:x", data, at_ms=1, transient=transient)
    return Event(draft, 26, None if transient else "ab12")


def message(format: MessageFormat, data: bytes) -> Any:
    ((opcode, payload),) = read_frames(data)
    if format is WS_JSON:
        assert opcode == TEXT
        return json.loads(payload)
    assert opcode == BINARY
    return msgpack.unpackb(payload)


def test_a_scans_event_is_its_cursor_and_its_json() -> None:
    """No `event:` field, so that `onmessage` sees it; UTF-8, compact, ended by an empty line."""
    told = event({"seq": 1, "name": "유리", "none": None})
    expected = 'id: ab12-1a\ndata: {"seq":1,"name":"유리","none":null}\n\n'
    assert SSE_SCAN.event(told) == expected.encode()
    assert SSE_SCAN.event(event({"n": 1}, transient=True)) == b'data: {"n":1}\n\n'


def test_an_event_of_several_channels_says_of_which_it_is() -> None:
    """`cursor` is its id, or null."""
    body = b'{"channel":"scan:x","cursor":"ab12-1a","data":{"n":1}}'
    assert SSE_CHANNEL.event(event({"n": 1})) == b"id: ab12-1a\ndata: %s\n\n" % body
    body = b'{"channel":"scan:x","cursor":null,"data":{"n":1}}'
    assert SSE_CHANNEL.event(event({"n": 1}, transient=True)) == b"data: %s\n\n" % body


@pytest.mark.parametrize("format", [WS_JSON, WS_MSGPACK], ids=["json", "msgpack"])
def test_websocket_messages_are_the_same_maps(format: MessageFormat) -> None:
    """In text or in binary frames."""
    told = {"op": "event", "channel": "scan:x", "cursor": "ab12-1a", "data": {"유": [1, None]}}
    assert message(format, format.event(event({"유": [1, None]}))) == told
    assert message(format, format.event(event({}, transient=True)))["cursor"] is None
    gap = Gap("scan:x", Cursor("e", 1), Cursor("e", 255), 7, OVERFLOW)
    assert message(format, format.gap(gap, KNOWN)) == {
        "op": "gap",
        "channel": "scan:x",
        "from": "e-1",
        "to": "e-ff",
        "dropped": 7,
        "reason": "overflow",
    }


@pytest.mark.parametrize("format", [SSE_SCAN, SSE_CHANNEL], ids=["scan", "channel"])
def test_a_gap_on_sse_carries_an_id(format: Format) -> None:
    """That up to which everything is accounted for, which need not be its end."""
    gap = Gap("app:a", Cursor("e", 1), Cursor("e", 20), 7, OVERFLOW)
    head, id, data, *_ = format.gap(gap, KNOWN).decode().split("\n")
    assert (head, id) == ("event: eco.gap", "id: e-9")
    told = json.loads(data.removeprefix("data: "))
    assert told.keys() == {"channel", "from", "to", "dropped", "reason"}


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: str(format.name))
def test_an_event_is_encoded_once(format: Format) -> None:
    """All who are sent an event in one format share the same bytes, and its size is theirs."""
    told = event({"seq": 1})
    assert format.event(told) is format.event(told)
    assert format.size(told) == len(format.event(told))


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_no_data_can_break_out_of_its_frame(data: dict[str, Any]) -> None:
    """Whatever an event holds, an SSE frame has two lines, and every format reads back."""
    told = event(data)
    frame = SSE_SCAN.event(told)
    assert frame.endswith(b"\n\n")
    lines = re.split(rb"\r\n|\r|\n", frame)  # where a parser of event streams ends a line
    assert [line.split(b": ")[0] for line in lines] == [b"id", b"data", b"", b""]
    assert json.loads(lines[1].removeprefix(b"data: ")) == data
    assert message(WS_JSON, WS_JSON.event(told))["data"] == data
    assert message(WS_MSGPACK, WS_MSGPACK.event(told))["data"] == data


def test_control_events_are_named_and_may_carry_a_cursor() -> None:
    """`event: eco.<name>`, the id when there is one, the data; retry and comment are blocks."""
    assert sse_control("gap", {"dropped": 2}) == b'event: eco.gap\ndata: {"dropped":2}\n\n'
    opened = sse_control("open", {"a": []}, Cursor("e", 255))
    assert opened == b'event: eco.open\nid: e-ff\ndata: {"a":[]}\n\n'
    assert sse_retry(2000) == b"retry: 2000\n\n"
    assert COMMENT == b":\n\n"


@pytest.mark.parametrize(
    ("bye", "code", "reconnect", "close_code"),
    [
        (Bye.COMPLETE, "complete", False, 1000),
        (Bye.GOING_AWAY, "going_away", True, 1001),
        (Bye.NOT_ALLOWED, "not_allowed", False, 1008),
        (Bye.SLOW_CONSUMER, "slow_consumer", True, 4008),
        (Bye.TOO_MANY, "too_many", True, 4013),
        (Bye.BUSY, "busy", True, 1013),
    ],
)
def test_a_bye_says_why_whether_and_when_to_come_back(
    bye: Bye, code: str, reconnect: bool, close_code: int
) -> None:
    """One block with a retry field and the four members of the contract."""
    retry, name, data, *rest = sse_bye(bye, 1234).decode().split("\n")
    assert (retry, name, rest) == ("retry: 1234", "event: eco.bye", ["", ""])
    told = json.loads(data.removeprefix("data: "))
    assert set(told) == {"code", "reason", "reconnect", "retry_ms"}
    assert (told["code"], told["reconnect"], told["retry_ms"]) == (code, reconnect, 1234)
    assert told["reason"]
    assert bye.close_code == close_code
