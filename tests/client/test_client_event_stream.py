"""The parser of event streams: the standard's, whatever the pieces in which a stream comes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco_actor.client.event_stream import Block, EventStreamParser, TooLong
from tests.web.client import blocks

NAMES = st.sampled_from(
    ["data", "data", "data", "event", "id", "retry", "", "other", "data ", "Data"]
)
VALUES = st.text(st.sampled_from("ab: 07\0\ufeff한🌱"), max_size=6)
LINES = st.one_of(
    st.just(""),
    st.builds(lambda name, colon, value: f"{name}{colon}{value}", NAMES,
              st.sampled_from([":", ": ", ""]), VALUES),
)  # fmt: skip
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r", "\r\n"])), max_size=24)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def parsed(parser: EventStreamParser, stream: bytes, cuts: list[int]) -> list[Block]:
    """What is dispatched when it comes in these pieces."""
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[begin:end] for begin, end in itertools.pairwise(places)]
    return [block for piece in pieces for block in parser.feed(piece)]


def expected(text: str) -> tuple[list[Block], str, int | None]:
    """Blocks, last id and retry by the tests' own reader, which has the whole text at once."""
    found, last, retry = [], "", None
    for block in blocks(text.removeprefix("\ufeff")):
        last = last if block.id is None else block.id
        retry = retry if block.retry is None else block.retry
        if block.data is not None:
            found.append(Block(block.event or "message", block.data, last))
    return found, last, retry


@given(STREAMS, CUTS, st.booleans())
def test_pieces_make_no_difference(
    stream: list[tuple[str, str]], cuts: list[int], marked: bool
) -> None:
    """Cut in lines, ends of lines and characters, it is the same as whole."""
    text = "".join(line + end for line, end in stream) + "\n\n"
    if text.startswith("\ufeff"):
        marked = True  # it is taken for a mark
        text = text[1:]
    encoded = (("\ufeff" if marked else "") + text).encode()
    for places in (cuts, list(range(len(encoded)))):
        parser = EventStreamParser()
        told = parsed(parser, encoded, places)
        assert (told, parser.last_id, parser.retry_ms) == expected(text)


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (b"data: a\n\n", [Block("message", "a", "")]),
        (b"data:a\rdata: b\r\r", [Block("message", "a\nb", "")]),
        (b"data: a\r\ndata: b\r\n\r\n", [Block("message", "a\nb", "")]),
        (b"data\n\n", [Block("message", "", "")]),
        (b"data: a", []),  # it has not ended
        (b"data: a\n", []),
        (b"id: 1\n\ndata: a\n\n", [Block("message", "a", "1")]),
        (b"id: 1\ndata: a\n\nid\ndata: b\n\n",
         [Block("message", "a", "1"), Block("message", "b", "")]),
        (b"id: 1\0\ndata: a\n\n", [Block("message", "a", "")]),
        (b"event: x\n\ndata: a\n\n", [Block("message", "a", "")]),
        (b":data: a\n data: b\n\n", []),
        (b"data:  a\n\n", [Block("message", " a", "")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Block("message", "a", "")]),
        (b"\n\xef\xbb\xbfdata: a\n\n", []),  # a field of another name
        (b"data: \xff\n\n", [Block("message", "\ufffd", "")]),
        (b"data: a\x0bb\x85\xe2\x80\xa8c\n\n", [Block("message", "a\x0bb\ufffd\u2028c", "")]),
    ],
)  # fmt: skip
def test_the_standards_cases(stream: bytes, told: list[Block]) -> None:
    """Byte by byte."""
    parser = EventStreamParser()
    assert [block for byte in stream for block in parser.feed(bytes([byte]))] == told


@pytest.mark.parametrize(
    ("value", "told"),
    [("100", 100), ("0", 0), ("-1", None), ("1.5", None), ("1e3", None), ("", None), ("٣", None),
     ("9" * 16, None)],
)  # fmt: skip
def test_a_retry_is_digits(value: str, told: int | None) -> None:
    """All else is ignored, a number that nobody could wait for as well."""
    parser = EventStreamParser()
    assert list(parser.feed(f"retry: {value}\n".encode())) == []
    assert parser.retry_ms == told


def test_an_id_counts_once_its_block_has_ended() -> None:
    """So that a cut in the middle of an event brings that event again."""
    parser = EventStreamParser("0")
    list(parser.feed(b"id: 1\ndata: a\n"))
    assert parser.last_id == "0"
    list(parser.feed(b"\n"))
    assert parser.last_id == "1"


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 200, b"data: x\n" * 60, b":" + b"x" * 200])
def test_an_event_that_does_not_end_is_refused(stream: bytes) -> None:
    """Memory has a bound, for lines and for events."""
    parser = EventStreamParser(most=100)
    with pytest.raises(TooLong):
        list(parser.feed(stream))


def test_many_events_are_not_one_that_is_long() -> None:
    """The bound is that of each."""
    parser = EventStreamParser(most=100)
    stream = (b"data: " + b"x" * 80 + b"\n\n") * 50
    assert len(list(parser.feed(stream))) == 50
