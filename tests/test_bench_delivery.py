"""The delivery benchmarks count what they claim to count. How fast is none of their business."""

import contextlib
import json
import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import connections, fanout, slow, storm, subscribers
from bench.contenders import pinned, plain, ratio, rounded
from bench.publishing import Load, Publishers
from bench.storm_clients import Client, Record
from bench.storm_picture import BELOW, PANEL, TOP, Panel, nice, picture
from bench.subscribers import Crowd

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: open\n\n"
EVENT = b'id: "t"\ndata: {"t":%d,"n":1,"pad":"xx"}\n\n'
LOADS = {"steady", "saturated"}
FIGURES = {
    "deliveries_s", "delivered_share", "p50_ms", "p99_ms", "cpu_s_per_million", "events_per_write",
    "lost", "failed_posts", "cpu_share", "client_cpu_share", "other_cpu_share",
}  # fmt: skip


@contextlib.contextmanager
def followed(count: int, answer: bytes = HEAD) -> Iterator[tuple[Crowd, list[socket.socket]]]:
    """A crowd of *count* that was given *answer*, and the other ends of its connections."""
    accepted: list[socket.socket] = []

    def accept() -> None:
        for _ in range(count):
            made, _ = listener.accept()
            accepted.append(made)
            made.recv(65536)
            made.sendall(answer)

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        crowd = Crowd("127.0.0.1", listener.getsockname()[1], "sse")
        stack.callback(crowd.close)
        accepting = threading.Thread(target=accept)
        accepting.start()
        crowd.connect(count)
        accepting.join()
        for made in accepted:
            stack.enter_context(made)
        yield crowd, accepted


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one line that a benchmark printed."""
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 7, 1000])
def test_events_are_counted_however_the_bytes_are_cut(
    cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark in two or more parts is one event, and its letters elsewhere are none."""
    monkeypatch.setattr(subscribers, "SAMPLED", 1)  # the other one only counts
    stream = b"".join(EVENT % (10**9 + number) for number in range(20))
    with followed(2) as (crowd, accepted):
        for at in range(0, len(stream), cut):
            for made in accepted:
                made.sendall(stream[at : at + cut])
                while not crowd.read():
                    pass
        assert crowd.received == 40
        assert len(crowd.latencies_ns) == 20


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 503 Service Unavailable\r\n\r\n{}", HEAD + b"event: eco.bye\n\n"],
    ids=["status", "bye"],
)
def test_who_is_turned_away_is_not_open(answer: bytes) -> None:
    """Neither a status nor a stream that only says bye is a subscription."""
    with followed(3, answer) as (crowd, _):
        assert (crowd.open, crowd.refused, crowd.ended) == (0, 3, 0)


def test_who_is_hung_up_on_is_noticed() -> None:
    """An end by the server is counted, for each kind of subscriber."""
    with followed(2) as (crowd, accepted):
        for made in accepted:
            made.close()
        while crowd.open:
            crowd.read()
        assert (crowd.refused, crowd.ended) == (0, 2)


def test_the_silent_never_read_but_stay_connected() -> None:
    """They take part in the handshake and then leave the socket to fill."""
    with pinned() as core, plain("plain", core, "queues") as contender:
        server = contender.server
        crowd = Crowd(server.host, server.port, "sse")
        crowd.connect(5, silent=2)
        assert (crowd.open, len(crowd.silent)) == (3, 2)
        measured = Load(2000, 0.2, None, publishers=1).put_on(server, crowd, "")
        crowd.close(reset=True)
    assert measured.deliveries > 0
    assert measured.lost == 0
    assert measured.deliveries % 3 == 0


def test_an_answer_counts_once_it_is_whole() -> None:
    """In parts it is one answer; one that is no 2xx acknowledges nothing."""
    parts = [b"HTTP/1.1 202 Accepted\r\nContent-Le", b"ngth: 5\r\n\r\n", b"{", b"... }"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        publishers = Publishers("127.0.0.1", listener.getsockname()[1], "secret", 100, 1)
        with listener.accept()[0] as server:
            for answer, expected in ((parts, (1, 0)), ([b"HTTP/1.1 404 No\r\n\r\n"], (1, 1))):
                publishers.post(1)
                head, _, body = server.recv(65536).partition(b"\r\n\r\n")
                assert b"Authorization: Bearer secret" in head
                assert len(body) == 100
                assert json.loads(body)["t"] == 1
                for part in answer:
                    assert publishers.busy == 1
                    server.sendall(part)
                    while not publishers.read():
                        pass
                assert (publishers.acknowledged, publishers.failed) == expected
                assert publishers.idle == 1
        publishers.close()
    assert publishers.refusal.startswith(b"HTTP/1.1 404")


def test_measuring_leaves_the_process_as_it_was() -> None:
    """The core that a benchmark takes is given back."""
    before = os.sched_getaffinity(0)
    with pinned() as core:
        assert core in before
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """Round by round; nothing can be said of nothing."""
    assert ratio([2.0, 9.0, 1.0], [1.0, 3.0, 1.0]) == 2.0
    assert ratio([2.0, 9.0], [0.0, 3.0]) == 3.0
    assert ratio([1.0], [0.0]) is None
    assert [rounded(x) for x in (123456.7, 12.34567, 0.000123456)] == [123457, 12.35, 0.0001235]


# ---- from end to end, small


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_fanout_tells_of_ours_and_of_plain(
    transport: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """All figures of each contender under both loads; nothing is lost."""
    small = ["--subscribers", "12", "--rate", "20", "--seconds", "0.3", "--rounds", "1"]
    fanout.main([*small, "--transport", transport])
    found = told(capsys)
    assert (found["bench"], found["subscribers"]) == ("fanout", 12)
    for name in (*fanout.OURS, fanout.PLAIN):
        assert found[name].keys() == LOADS
        for load in found[name].values():
            assert load.keys() == FIGURES
            assert load["deliveries_s"] > 0
            assert (load["lost"], load["failed_posts"]) == (0, 0)
            assert 0 < load["p50_ms"] <= load["p99_ms"]
    assert {key for key in found if key.endswith("_to_plain")} == {
        "transient_to_plain", "full_to_plain",
    }  # fmt: skip


def test_fanout_of_one_contender_compares_it_with_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`--only` leaves out the others and the ratios."""
    small = ["--subscribers", "2", "--seconds", "0.1", "--rounds", "1"]
    fanout.main([*small, "--only", "plain_aiohttp"])
    assert told(capsys).keys() == {
        "bench", "transport", "subscribers", "size", "rate", "plain_aiohttp",
    }  # fmt: skip


def test_connections_tells_of_both_transports(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody is refused or thrown out, and each connection has its figures."""
    connections.main(["--connections", "60", "--rounds", "1"])
    found = told(capsys)
    for transport in connections.TRANSPORTS:
        for name in ("eco", "plain_aiohttp"):
            figures = found[transport][name]
            assert figures.keys() == {"rss_kib", "accepts_s", "accept_us", "refused", "ended"}
            assert figures["accepts_s"] > 0
            assert (figures["refused"], figures["ended"]) == (0, 0)
        assert {"rss_kib_to_plain", "accepts_s_to_plain"} <= found[transport].keys()


def test_slow_tells_of_those_who_read(capsys: pytest.CaptureFixture[str]) -> None:
    """With so little to read nobody is slow, so that all get everything, from everyone."""
    slow.main(
        ["--subscribers", "10", "--slow", "2", "--seconds", "0.3", "--rate", "10", "--rounds", "1"]
    )
    found = told(capsys)
    for name in ("eco", "plain_loop", "plain_queues"):
        assert found[name].keys() == {
            "delivered_share", "delivered_share_without", "p99_ms", "p99_ms_without", "p99_ratio",
            "rss_growth_mb", "rss_growth_mb_without", "readers_ended", "other_cpu_share",
        }  # fmt: skip
        assert 0 < found[name]["delivered_share"] <= 1
        assert found[name]["readers_ended"] == 0


@pytest.mark.parametrize("how", [[], ["--crash"]], ids=["stop", "crash"])
def test_no_event_is_lost_in_a_storm(
    how: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both kinds of clients come back and have every acknowledged event once; it is drawn."""
    drawn = tmp_path / "storm.svg"
    storm.main(["--clients", "20", "--fixed", "0.1", "--picture", str(drawn), *how])
    found = told(capsys)
    for name in ("jittered", "fixed"):
        figures = found[name]
        assert figures["back"] == 20
        assert figures["events"] > 0
        assert (figures["lost"], figures["repeated"], figures["gaps"]) == (0, 0, 0)
        assert figures["back_90_s"] <= figures["back_s"]
    assert found["fixed"]["unreachable"] > 0
    assert ElementTree.parse(drawn).getroot().tag.endswith("svg")


# ---- the picture, and who it is of


def test_the_picture_has_a_bar_for_each_step_with_attempts() -> None:
    """Steps without any have none; both panels have one scale; who is turned away is on top."""
    calm = Panel("calm", "", [0, 3, 1], [0, 0, 0], (0.0, 0.05))
    wild = Panel("wild & <loud>", "", [0, 0, 90], [40, 60, 10], (0.0, 0.05))
    root = ElementTree.fromstring(picture([calm, wild]))
    bars = [each.get("d", "").count("M") for each in root.iter() if each.get("class") == "opened"]
    assert [count for count in bars if count] == [2, 1]
    turned = [each.get("d", "") for each in root.iter() if each.get("class") == "turned"]
    ground = 2 * (TOP + PANEL) + BELOW
    starts = [bar.split("v")[0].split()[1] for bar in turned[-1].split("M")[1:]]
    assert starts == [f"{ground:.1f}", f"{ground:.1f}", f"{ground - 0.9 * PANEL:.1f}"]
    assert [text.text for text in root.iter() if text.get("class") == "title"] == [
        "calm", "wild & <loud>",
    ]  # fmt: skip
    assert [text.text for text in root.iter() if text.get("text-anchor") == "end"].count("100") == 2


def test_a_scale_ends_with_a_round_number() -> None:
    """One, two or five of a power of ten."""
    assert [nice(each) for each in (0, 10, 11, 21, 99, 501)] == [10, 10, 20, 50, 100, 1000]


def test_what_the_server_says_wins_over_the_clients_own_wait() -> None:
    """A stubborn client does not listen; a polite one does, once, and draws lots else."""
    bye = b'{"code":"busy","reason":"","reconnect":true,"retry_ms":4321}'

    class Highest(random.Random):
        def random(self) -> float:
            return 1.0

    for fixed_s, waits in ((0.5, [0.5, 0.5, 0.5]), (None, [4.321, 1.0, 2.0])):
        client = Client(Record(), 1, fixed_s, Highest())
        client.event(b"eco.bye", b"", bye)
        assert [client.wait_s(failures) for failures in (1, 1, 2)] == waits


def test_a_client_knows_what_it_got_twice() -> None:
    """A number that comes again is counted; its cursor is the last one."""
    record = Record()
    client = Client(record, 1, None, random.Random(1))
    for cursor, number in ((b"a", 1), (b"b", 2), (b"c", 2)):
        client.event(b"", cursor, b'{"channel":"app:bench","data":{"n":%d}}' % number)
    assert (client.seen, client.cursor, record.repeated) == ({1, 2}, "c", 1)
