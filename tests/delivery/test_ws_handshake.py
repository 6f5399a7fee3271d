"""What opens a WebSocket, and how the rest is turned away."""

import pytest
from multidict import CIMultiDict

from eco_actor.delivery.ws_frames import BadHandshake, Handshake, handshake
from tests.ws_bytes import ACCEPT, KEY

OFFERED = ("eco.v1.json", "eco.v1.msgpack")


def asked(*more: tuple[str, str], without: str = "", method: str = "GET") -> Handshake:
    """What is answered to a good request with *more* lines, and without those called *without*."""
    lines = [
        ("Host", "127.0.0.1"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ]
    kept = [(name, value) for name, value in lines if name != without]
    return handshake(method, CIMultiDict([*kept, *more]), OFFERED)


def refused(*more: tuple[str, str], without: str = "", method: str = "GET") -> BadHandshake:
    with pytest.raises(BadHandshake) as caught:
        asked(*more, without=without, method=method)
    return caught.value


def test_the_answer_is_the_one_of_the_rfc() -> None:
    """The RFC's sample key gets the RFC's sample answer, in a head that is complete."""
    lines = asked().head.decode().split("\r\n")
    assert lines == [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {ACCEPT}",
        "",
        "",
    ]


def test_names_and_tokens_are_known_in_any_case_and_place() -> None:
    """Lists of connection options, several lines of one name, and capitals are all the same."""
    answer = handshake(
        "GET",
        CIMultiDict(
            [
                ("UPGRADE", " WebSocket "),
                ("connection", "keep-alive"),
                ("Connection", "te ,UPGRADE"),
                ("sec-websocket-version", " 13 "),
                ("SEC-WEBSOCKET-KEY", KEY),
            ]
        ),
        OFFERED,
    )
    assert ACCEPT.encode() in answer.head


def test_a_plain_dict_of_headers_will_do() -> None:
    """Names are compared without their case, even where the mapping compares them with it."""
    headers = {"upgrade": "websocket", "CONNECTION": "upgrade"}
    headers |= {"Sec-Websocket-Version": "13", "sec-websocket-key": KEY}
    assert ACCEPT.encode() in handshake("GET", headers, OFFERED).head


@pytest.mark.parametrize(
    ("lines", "agreed"),
    [
        ([], None),
        (["eco.v1.msgpack"], "eco.v1.msgpack"),
        (["eco.v1.msgpack, eco.v1.json"], "eco.v1.msgpack"),
        (["eco.v1.json, eco.v1.msgpack"], "eco.v1.json"),
        (["graphql-ws", "mqtt , eco.v1.json"], "eco.v1.json"),
        (["graphql-ws"], None),
        (["ECO.V1.JSON"], None),
        ([" , ,"], None),
    ],
)
def test_the_first_subprotocol_that_both_know_is_agreed_on(
    lines: list[str], agreed: str | None
) -> None:
    """The client's order decides; without one that we know, none is answered."""
    answer = asked(*(("Sec-WebSocket-Protocol", line) for line in lines))
    assert answer.subprotocol == agreed
    told = f"Sec-WebSocket-Protocol: {agreed}\r\n".encode()
    assert (told in answer.head) == (agreed is not None)
    assert answer.head.count(b"Sec-WebSocket-Protocol") == (agreed is not None)


def test_an_extension_that_is_offered_is_not_taken() -> None:
    """Nothing is compressed: the answer names no extension."""
    answer = asked(("Sec-WebSocket-Extensions", "permessage-deflate"))
    assert b"Extensions" not in answer.head


def test_more_headers_go_into_the_answer() -> None:
    """They stand before the empty line, and the head itself is left as it is."""
    answer = asked()
    whole = answer.with_headers({"Set-Cookie": "a=b", "X-Name": "ä"})
    assert whole == answer.head[:-2] + "Set-Cookie: a=b\r\nX-Name: ä\r\n\r\n".encode("latin-1")
    assert answer.with_headers({}) == answer.head


@pytest.mark.parametrize("bad", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\r\n"])
def test_a_header_cannot_break_out_of_its_line(bad: str) -> None:
    """What would write a second header is an error of the caller."""
    with pytest.raises(ValueError, match="line break"):
        asked().with_headers({"X-Name": bad})


@pytest.mark.parametrize("method", ["POST", "HEAD", "get"])
def test_only_get_opens(method: str) -> None:
    """Another method is told which one it is."""
    error = refused(method=method)
    assert (error.status, error.code, error.headers) == (
        405,
        "method_not_allowed",
        {"Allow": "GET"},
    )


@pytest.mark.parametrize(
    "instead",
    [[], [("Upgrade", "h2c")], [("Upgrade", "websocket2")], [("Upgrade", "h2c, websocket")]],
)
def test_a_request_that_is_no_upgrade_is_told_to_upgrade(instead: list[tuple[str, str]]) -> None:
    """426 names what to upgrade to, as it must."""
    error = refused(*instead, without="Upgrade")
    assert (error.status, error.code) == (426, "upgrade_required")
    assert error.headers == {"Upgrade": "websocket", "Connection": "Upgrade"}


@pytest.mark.parametrize("instead", [[], [("Connection", "keep-alive")], [("Connection", "up")]])
def test_an_upgrade_that_was_lost_on_the_way_is_a_bad_request(
    instead: list[tuple[str, str]],
) -> None:
    """A proxy that passes on Upgrade but not Connection does not speak WebSocket."""
    error = refused(*instead, without="Connection")
    assert (error.status, error.code) == (400, "bad_request")


@pytest.mark.parametrize("versions", [[], ["8"], ["14"], ["13", "8"], ["13, 8"], [""]])
def test_another_version_is_told_which_one_is_spoken(versions: list[str]) -> None:
    """426 with the version, so that a client that speaks it too can come back."""
    lines = [("Sec-WebSocket-Version", version) for version in versions]
    error = refused(*lines, without="Sec-WebSocket-Version")
    assert (error.status, error.code) == (426, "upgrade_required")
    assert error.headers["Sec-WebSocket-Version"] == "13"


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [""],
        [KEY, KEY],
        [f"{KEY}, {KEY}"],
        ["dGhlIHNhbXBsZSBub25j"],  # 15 bytes
        ["dGhlIHNhbXBsZSBub25jZTE="],  # 17
        [KEY[:-2]],
        [KEY.replace("s", "!", 1)],
        [f"é{KEY[1:]}"],
    ],
)
def test_a_key_is_one_of_sixteen_bytes(keys: list[str]) -> None:
    """Anything else is a bad request."""
    lines = [("Sec-WebSocket-Key", key) for key in keys]
    error = refused(*lines, without="Sec-WebSocket-Key")
    assert (error.status, error.code) == (400, "bad_request")
