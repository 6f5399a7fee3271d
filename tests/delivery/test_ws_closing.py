"""Who closes, with what code, and what may still be sent and read then."""

import struct

import pytest

from eco_actor.delivery.ws_frames import Closing, Inbound
from tests.ws_bytes import CLOSE, CONT, PING, PONG, TEXT, closing, masked, read_frames, unmasked


def answers(inbound: Inbound) -> list[tuple[int, bytes]]:
    return read_frames(inbound.to_send())


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (closing(1000, "schön".encode()), 1000, "schön"),
        (closing(4999), 4999, ""),
        (closing(1014), 1014, ""),
        (masked(CLOSE, b""), 1005, ""),
    ],
)
@pytest.mark.parametrize("before", [b"", masked(TEXT, b"not the end", fin=False)])
def test_a_close_is_told_and_echoed(before: bytes, data: bytes, code: int, reason: str) -> None:
    """With the code and reason as they came, also amid a message; what is behind is not read."""
    inbound = Inbound()
    assert inbound.receive(before + data + masked(TEXT, b"late")) == [Closing(code, reason)]
    ((opcode, payload),) = answers(inbound)
    assert opcode == CLOSE
    assert payload == (struct.pack("!H", code) + reason.encode() if code != 1005 else b"")
    assert inbound.closed
    assert inbound.close(1000) == b""


def test_after_our_close_only_the_clients_is_waited_for() -> None:
    """Messages and pings are left out, nothing more is sent, and the echo is told."""
    inbound = Inbound()
    assert read_frames(inbound.close(1001, "bye")) == [(CLOSE, b"\x03\xe9bye")]
    assert inbound.closed
    assert inbound.receive(masked(TEXT, b"late") + masked(PING, b"")) == []
    assert inbound.receive(closing(1001, b"bye")) == [Closing(1001, "bye")]
    assert inbound.receive(masked(TEXT, b"later")) == []
    assert inbound.to_send() == inbound.close(1001) == inbound.ping(b"") == b""


@pytest.mark.parametrize("bad", [unmasked(TEXT, b"x"), masked(TEXT, b"\xff")])
def test_a_fault_after_our_close_ends_it_without_another_close(bad: bytes) -> None:
    """The owner is told, so that it need not wait for the echo."""
    inbound = Inbound()
    assert inbound.close(1000)
    (last,) = inbound.receive(bad)
    assert isinstance(last, Closing)
    assert inbound.to_send() == b""


def test_a_pong_that_was_due_goes_out_before_our_close() -> None:
    """`to_send` first, then the close, as its docstring has it."""
    inbound = Inbound()
    inbound.receive(masked(PING, b"p"))
    last = inbound.close(1000)
    assert read_frames(inbound.to_send() + last) == [(PONG, b"p"), (CLOSE, b"\x03\xe8")]


def test_a_reason_that_is_too_long_is_cut_between_characters() -> None:
    """123 bytes fit, and no character is cut in two."""
    ((_, payload),) = read_frames(Inbound().close(1000, "é" * 100))
    assert payload[2:].decode() == "é" * 61
    assert read_frames(Inbound().close(1000, "\ud800")) == [(CLOSE, b"\x03\xe8?")]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 70000])
def test_a_code_that_may_not_be_sent_is_the_callers_error(code: int) -> None:
    """Nothing is sent, and the connection is as before."""
    inbound = Inbound()
    with pytest.raises(ValueError, match="no code"):
        inbound.close(code)
    assert not inbound.closed


def test_an_end_without_a_close_leaves_nothing_to_do() -> None:
    """What was not complete is forgotten, and nothing can be sent."""
    inbound = Inbound()
    inbound.receive(masked(PING, b"p") + masked(TEXT, b"half", fin=False))
    inbound.eof()
    inbound.eof()
    assert inbound.closed
    assert inbound.to_send() == inbound.ping(b"") == inbound.close(1000) == b""
    assert inbound.receive(masked(CONT, b"rest")) == []
