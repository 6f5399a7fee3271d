"""Server-Sent Events, byte for byte."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.delivery.frames import COMMENT, Bye, sse_bye, sse_control, sse_event, sse_retry
from eco_actor.eventlog import Cursor, Draft, Event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_data_event_is_its_cursor_and_its_json() -> None:
    """No `event:` field, so that `onmessage` sees it; UTF-8, compact, ended by an empty line."""
    event = Event(Draft("scan:x", {"seq": 1, "name": "유리", "none": None}, at_ms=1), 26, "ab12")
    assert sse_event(event) == (
        'id: ab12-1a\ndata: {"seq":1,"name":"유리","none":null}\n\n'.encode()
    )


def test_an_event_is_encoded_once() -> None:
    """All who are sent an event share the same bytes."""
    event = Event(Draft("scan:x", {"seq": 1}, at_ms=1), 1, "e")
    assert sse_event(event) is sse_event(event)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_no_data_can_break_out_of_its_frame(data: dict[str, object]) -> None:
    """Whatever an event holds, its frame has two lines, and the JSON reads back."""
    frame = sse_event(Event(Draft("app:a", data, at_ms=1), 1, "e"))
    assert frame.endswith(b"\n\n")
    lines = re.split(rb"\r\n|\r|\n", frame)  # where a parser of event streams ends a line
    assert [line.split(b": ")[0] for line in lines] == [b"id", b"data", b"", b""]
    assert json.loads(lines[1].removeprefix(b"data: ")) == data


def test_control_events_are_named_and_may_carry_a_cursor() -> None:
    """`event: eco.<name>`, the id when there is one, the data."""
    assert sse_control("gap", {"dropped": 2}) == b'event: eco.gap\ndata: {"dropped":2}\n\n'
    assert sse_control("open", {"a": []}, Cursor("e", 255)) == (
        b'event: eco.open\nid: e-ff\ndata: {"a":[]}\n\n'
    )


def test_retry_and_comment() -> None:
    """A retry is a block of its own; a comment says nothing."""
    assert sse_retry(2000) == b"retry: 2000\n\n"
    assert COMMENT == b":\n\n"


@pytest.mark.parametrize(
    ("bye", "code", "reconnect"),
    [
        (Bye.COMPLETE, "complete", False),
        (Bye.GOING_AWAY, "going_away", True),
        (Bye.SLOW_CONSUMER, "slow_consumer", True),
        (Bye.BUSY, "busy", True),
    ],
)
def test_a_bye_says_why_whether_and_when_to_come_back(bye: Bye, code: str, reconnect: bool) -> None:
    """One block with a retry field and the four members of the contract."""
    frame = sse_bye(bye, 1234).decode()
    retry, name, data, *rest = frame.split("\n")
    assert (retry, name, rest) == ("retry: 1234", "event: eco.bye", ["", ""])
    told = json.loads(data.removeprefix("data: "))
    assert set(told) == {"code", "reason", "reconnect", "retry_ms"}
    assert (told["code"], told["reconnect"], told["retry_ms"]) == (code, reconnect, 1234)
    assert told["reason"]
