"""Frames out, messages in, and what is answered to a client that breaks the rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.delivery.ws_frames import (
    BINARY,
    MAX_MESSAGE,
    SLICE,
    TEXT,
    Closing,
    Inbound,
    Message,
    Pong,
    frame,
)
from tests.ws_bytes import (
    CLOSE,
    CONT,
    PING,
    PONG,
    close_code,
    closing,
    masked,
    read_frames,
    unmasked,
)


def answers(inbound: Inbound) -> list[tuple[int, bytes]]:
    return read_frames(inbound.to_send())


def failed(inbound: Inbound, messages: list[Message], code: int) -> None:
    """The last message says so, one close with this code goes out, and that is the end."""
    last = messages[-1]
    assert isinstance(last, Closing)
    assert last.code == code
    ((opcode, payload),) = answers(inbound)
    assert opcode == CLOSE
    assert close_code(payload) == code
    assert inbound.closed
    assert inbound.receive(masked(TEXT, b"more")) == []
    assert inbound.to_send() == inbound.ping(b"") == inbound.close(1000) == b""


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 200_000])
def test_a_frame_of_any_length_can_be_read(length: int) -> None:
    """The three ways of telling a length, and their edges."""
    payload = b"x" * length
    assert frame(BINARY, payload) == unmasked(BINARY, payload)
    assert read_frames(frame(TEXT, payload)) == [(TEXT, payload)]


def test_messages_come_out_as_they_were_sent() -> None:
    """Text as text, bytes as bytes, in their order, with nothing to answer."""
    inbound = Inbound()
    data = masked(TEXT, "grüße 🎉".encode()) + masked(BINARY, b"\xff\x00") + masked(TEXT, b"")
    assert inbound.receive(data) == ["grüße 🎉", b"\xff\x00", ""]
    assert inbound.to_send() == b""
    assert not inbound.closed


def test_every_ping_has_its_pong() -> None:
    """In one piece of data, each with its own payload."""
    inbound = Inbound()
    assert inbound.receive(masked(PING, b"a") + masked(PING, b"")) == []
    assert answers(inbound) == [(PONG, b"a"), (PONG, b"")]
    assert inbound.to_send() == b""


def test_pongs_are_told() -> None:
    """Those that answer our ping, and those that nobody asked for."""
    inbound = Inbound()
    assert read_frames(inbound.ping(b"7")) == [(PING, b"7")]
    assert inbound.receive(masked(PONG, b"7") + masked(PONG, b"")) == [Pong(b"7"), Pong(b"")]


def test_a_ping_that_is_too_long_is_the_callers_error() -> None:
    """A control frame carries 125 bytes."""
    assert read_frames(Inbound().ping(b"x" * 125)) == [(PING, b"x" * 125)]
    with pytest.raises(ValueError, match="at most 125"):
        Inbound().ping(b"x" * 126)


def test_pieces_become_one_message_with_control_frames_in_between() -> None:
    """A character may be cut in two; pings are answered before the message is complete."""
    inbound = Inbound()
    assert inbound.receive(masked(TEXT, b"gr\xc3", fin=False) + masked(PING, b"p")) == []
    assert answers(inbound) == [(PONG, b"p")]
    assert inbound.receive(masked(CONT, b"\xbc", fin=False) + masked(PONG, b"q")) == [Pong(b"q")]
    assert inbound.receive(masked(CONT, b"n") + masked(BINARY, b"1", fin=False)) == ["grün"]
    assert inbound.receive(masked(CONT, b"") + masked(TEXT, b"next")) == [b"1", "next"]


@pytest.mark.parametrize(
    "bad",
    [
        unmasked(TEXT, b"x"),
        masked(TEXT, b"x", reserved=4),
        masked(TEXT, b"x", reserved=1),
        masked(3, b"x"),
        masked(11, b""),
        masked(CONT, b"x"),
        masked(TEXT, b"x", fin=False) + masked(TEXT, b"y"),
        masked(PING, b"x" * 126),
        masked(PING, b"", fin=False),
        masked(CLOSE, b"\x03"),
        *(closing(code) for code in (0, 999, 1004, 1005, 1006, 1015, 1100, 2999, 5000, 65535)),
    ],
)
def test_what_the_protocol_forbids_is_answered_1002(bad: bytes) -> None:
    """What came before still counts; the connection is failed, and read no further."""
    inbound = Inbound()
    messages = inbound.receive(masked(BINARY, b"good") + bad + masked(PING, b"late"))
    assert messages[0] == b"good"
    assert len(messages) == 2
    failed(inbound, messages, 1002)


@pytest.mark.parametrize(
    "bad",
    [
        masked(TEXT, b"\xff"),
        masked(TEXT, b"cut \xf0\x9f\x8e"),
        masked(TEXT, b"\xed\xa0\x80"),
        masked(TEXT, b"ok", fin=False) + masked(CONT, b"\xc0\xaf", fin=False),
        masked(TEXT, b"\xc3", fin=False) + masked(CONT, b""),
        closing(1000, b"\xff"),
    ],
)
def test_text_that_is_not_utf8_is_answered_1007(bad: bytes) -> None:
    """Also in a piece of a message that is not complete, and in the reason of a close."""
    inbound = Inbound()
    failed(inbound, inbound.receive(bad), 1007)


def test_bad_text_counts_although_a_close_is_right_behind_it() -> None:
    """The answer is to the first fault, after the pongs of what came before it."""
    inbound = Inbound()
    data = masked(PING, b"1") + masked(TEXT, b"\xff") + masked(PING, b"2") + closing(1000)
    messages = inbound.receive(data)
    assert [type(message) for message in messages] == [Closing]
    pong, (opcode, payload) = answers(inbound)
    assert pong == (PONG, b"1")
    assert (opcode, close_code(payload)) == (CLOSE, 1007)


def test_a_message_may_be_as_long_as_agreed_and_no_longer() -> None:
    """In one frame or in many, and known from the header, before the rest has come."""
    for data in (
        masked(BINARY, b"x" * 100),
        masked(BINARY, b"x" * 60, fin=False) + masked(CONT, b"x" * 40),
    ):
        assert Inbound(100).receive(data) == [b"x" * 100]
    for data in (
        masked(BINARY, b"x" * 101)[:2],
        masked(BINARY, b"x" * 60, fin=False) + masked(CONT, b"x" * 41)[:2],
    ):
        inbound = Inbound(100)
        failed(inbound, inbound.receive(data), 1009)


def test_the_bound_is_128_kib_unless_said_otherwise() -> None:
    """A message of just that size passes."""
    inbound = Inbound()
    (whole,) = inbound.receive(masked(BINARY, b"x" * MAX_MESSAGE))
    assert isinstance(whole, bytes)
    assert len(whole) == MAX_MESSAGE
    failed(inbound, inbound.receive(masked(BINARY, b"x" * (MAX_MESSAGE + 1))), 1009)


FRAMES = st.lists(
    st.one_of(
        st.builds(masked, st.sampled_from([TEXT, BINARY]), st.binary(max_size=5)),
        st.builds(lambda n: masked(BINARY, b"x" * n), st.sampled_from([124, 126, 300])),
        st.builds(masked, st.sampled_from([PING, PONG]), st.binary(max_size=3)),
        st.builds(
            lambda first, second: masked(TEXT, first, fin=False) + masked(CONT, second),
            st.just(b"\xe2\x82"),
            st.just(b"\xac"),
        ),
        st.just(b"\x81\xfe\x00\x01" + b"\0\0\0\0" + b"x"),  # a length in more than it needs
        st.just(masked(BINARY, b"y", fin=False)),
        st.just(masked(CONT, b"z")),
        st.just(closing(1000)),
        st.just(masked(3, b"")),
    ),
    max_size=6,
).map(b"".join)


@given(FRAMES, st.lists(st.integers(0, 400), max_size=8))
def test_it_does_not_matter_how_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    """The same messages and answers, whether it all comes at once or in any pieces."""
    whole, pieces = Inbound(), Inbound()
    expected, sent = whole.receive(data), whole.to_send()
    got: list[Message] = []
    out = b""
    begin = 0
    for end in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        got += pieces.receive(data[begin:end])
        out += pieces.to_send()
        begin = end
    assert got == expected
    assert out == sent
    assert pieces.closed == whole.closed


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    """Whatever comes, it is read or answered."""
    inbound = Inbound()
    inbound.receive(data)
    read_frames(inbound.to_send())


def test_a_read_longer_than_a_slice_is_read_whole() -> None:
    """Frames that lie across the seams come out as others do."""
    payloads = [bytes([n]) * 1000 for n in range(3 * SLICE // 1000)]
    data = b"".join(masked(BINARY, payload) for payload in payloads)
    assert Inbound().receive(data) == payloads
