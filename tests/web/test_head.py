"""What counts as the plain head of a request, and what is left to a whole parser."""

import pytest

from eco_actor.web.head import MAX_HEAD, may_be_plain, parse_head

PLAIN = b"GET /stream?channel=app%3Aa&x=1 HTTP/1.1\r\nHost: localhost:80\r\nAccept: */*\r\n\r\n"


def test_a_plain_head_is_read() -> None:
    """Path, options, headers by small-letter name, and what is behind."""
    read = parse_head(PLAIN + b"behind")
    assert read is not None
    head, behind = read
    assert (head.path, behind) == ("/stream", b"behind")
    assert head.options() == [("channel", "app:a"), ("x", "1")]
    assert head.headers == {"host": "localhost:80", "accept": "*/*"}


@pytest.mark.parametrize(
    "sent",
    [
        PLAIN.replace(b"GET", b"POST"),
        PLAIN.replace(b"/1.1", b"/1.0"),
        PLAIN.replace(b"/stream", b"http://localhost/stream"),
        PLAIN.replace(b"/stream", b"/str%65am"),
        PLAIN.replace(b"\r\nAccept", b"\r\n Accept"),
        PLAIN.replace(b"Accept", b"host"),
        PLAIN.replace(b"Accept: */*", b"Content-Length: 3"),
        PLAIN.replace(b"Accept: */*", b"Transfer-Encoding: chunked"),
        PLAIN.replace(b"*/*", b"\xff"),
        PLAIN.replace(b"*/*", b"\x00"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"*/*", b"x" * MAX_HEAD),
        PLAIN[:-2],
    ],
)
def test_whatever_is_odd_is_not_plain(sent: bytes) -> None:
    """It is no mistake, only for others to judge."""
    assert parse_head(sent) is None


@pytest.mark.parametrize("end", range(len(PLAIN)))
def test_the_beginning_of_a_plain_head_is_waited_for(end: int) -> None:
    """However it is cut."""
    assert may_be_plain(PLAIN[:end])


@pytest.mark.parametrize(
    "sent",
    [PLAIN, PLAIN + b"x", b"\x16\x03\x01", b"SSH-2.0-x", b"POST", b"GET x", b"GET / HTTP/1.1\n",
     b"\n", b"GET /" + b"x" * MAX_HEAD],
)  # fmt: skip
def test_what_cannot_become_one_is_not(sent: bytes) -> None:
    """It goes on at once to who answers such things."""
    assert not may_be_plain(sent)
