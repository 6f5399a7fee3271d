"""What a connection's input costs: at rest, under a flood, and once it has ended."""

import gc
import logging
import tracemalloc
import weakref

import pytest

from eco_actor.delivery.ws_frames import Inbound
from tests.ws_bytes import CONT, PONG, TEXT, closing, masked, unmasked


def test_pieces_of_nothing_cost_nothing() -> None:
    """A client cannot make a message of endless empty pieces take memory."""
    inbound = Inbound()
    inbound.receive(masked(TEXT, b"x", fin=False))
    flood = masked(CONT, b"", fin=False) * 1000
    inbound.receive(flood)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(10):
            inbound.receive(flood)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 10_000


@pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536])
def test_a_connection_at_rest_holds_next_to_nothing(length: int) -> None:
    """Before the first byte, and after messages, alike: no parser is kept."""
    many = 100
    data = masked(TEXT, b"x" * length) + masked(PONG, b"7")
    Inbound().receive(data)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        all_of_them = [Inbound() for _ in range(many)]
        for inbound in all_of_them:
            inbound.receive(data)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / many < 200


@pytest.mark.parametrize(
    "data",
    [
        masked(TEXT, b"whole"),
        masked(TEXT, b"cut")[:4],
        masked(TEXT, b"half", fin=False),
        masked(TEXT, b"\xff"),
        unmasked(TEXT, b"x"),
        closing(1000),
    ],
)
def test_its_parser_is_freed_without_the_collector(data: bytes) -> None:
    """However it ended, no cycle is left behind."""
    gc.collect()
    gc.disable()
    try:
        inbound = Inbound()
        inbound.receive(data[:1])
        assert inbound._protocol is not None
        parser = weakref.ref(inbound._protocol)
        inbound.receive(data[1:])
        inbound.eof()
        assert parser() is None
    finally:
        gc.enable()


def test_the_end_of_a_connection_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not even where everything is logged."""
    with caplog.at_level(logging.DEBUG):
        inbound = Inbound()
        inbound.receive(masked(TEXT, b"x") + closing(1000))
        inbound.eof()
    assert caplog.records == []
