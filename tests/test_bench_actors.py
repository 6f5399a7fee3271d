"""The benchmark of the runtime counts what it claims to count. How fast is none of its business."""

import json
from functools import partial

import pytest

from bench.actor_peers import PEERS, Contestant, Figures, finished, one_round, ratios
from bench.actors import (
    END,
    OURS,
    Idle,
    Sender,
    Sink,
    check,
    fan_in,
    main,
    spawn,
    tree,
)
from eco_actor.runtime import MailboxSpec, child

FIGURES = {"fan_in_msg_s", "ping_pong_rt_s", "spawn_s", "idle_bytes"}


class Forgetful(Sender):
    """Tells the sink every number but the first, as if a message had been lost."""

    def go_on(self, message: str) -> None:
        for number in (1, 2, END):
            self.shared.sink.tell(number)


class Repeating(Sender):
    """Tells the sink a number twice."""

    def go_on(self, message: str) -> None:
        for number in (0, 0, 1, END):
            self.shared.sink.tell(number)


class Early(Sender):
    """Ends before all was told."""

    def go_on(self, message: str) -> None:
        for number in (0, END):
            self.shared.sink.tell(number)


class Pressing(Sender):
    """Tells more than there is room for, and tells what was refused again later."""

    def go_on(self, message: str) -> None:
        numbers = [*range(self.shared.count), END]
        while self.told < len(numbers):
            if not self.shared.sink.tell(numbers[self.told]).accepted:
                self.start_timer("go on", 0, message)
                return
            self.told += 1


class Narrow(Sink):
    """Has room for two messages."""

    mailbox = MailboxSpec(2)


@pytest.mark.parametrize("kind", sorted(OURS.measures))
@pytest.mark.parametrize("count", [1, 2500])
def test_our_measures_account_for_every_message(kind: str, count: int) -> None:
    """More messages than a mailbox holds, or one: the measure passes its own checks, on a loop."""
    figures = finished(OURS.measures[kind](count), "asyncio")
    assert set(figures) <= FIGURES
    assert all(figure > 0 for key, figure in figures.items() if key != "idle_bytes")


@pytest.mark.parametrize("kind", sorted(PEERS["asyncio_queue"].measures))
def test_the_measures_of_asyncio_queue_have_the_same_names(kind: str) -> None:
    """A peer's figure is called as ours is, or no ratio could be made."""
    figures = finished(PEERS["asyncio_queue"].measures[kind](1500), "uvloop")
    assert figures.keys() == finished(OURS.measures[kind](1), "uvloop").keys()


def test_a_mailbox_smaller_than_the_burst_is_filled_again_and_again() -> None:
    """The sender tells as much as there is room for, however little; nothing is refused."""
    assert finished(fan_in(Sender, Narrow, 101), "asyncio").keys() == {"fan_in_msg_s"}


@pytest.mark.parametrize("sender", [Forgetful, Repeating, Early])
def test_a_lost_or_repeated_message_is_no_figure(sender: type[Sender]) -> None:
    """What the sink did not expect fails the measurement."""
    with pytest.raises(AssertionError, match="instead of"):
        finished(fan_in(sender, Sink, 3), "asyncio")


def test_a_refused_message_is_no_figure() -> None:
    """Every message arrived in the end, but the mailbox counted a refusal."""
    with pytest.raises(AssertionError, match="refused"):
        finished(fan_in(Pressing, Narrow, 10), "asyncio")


def test_an_actor_that_missed_a_message_is_found() -> None:
    """The check looks at the mailbox's own counters."""

    async def look() -> Figures:
        async with tree(child("idle", Idle)) as system:
            idle = system.find("/bench/idle")
            assert idle is not None
            check(idle, handled=0)
            idle.tell(None)
            with pytest.raises(AssertionError):
                check(idle, handled=1)
            await idle.ask(None, 1)
            check(idle, handled=2)
        return {}

    finished(look(), "asyncio")


def test_a_round_asks_each_contestant_for_each_kind() -> None:
    """Async kinds under their prefix, slow ones for fewer, and what one has not is left out."""
    asked: list[tuple[str, str, int]] = []

    def measure(name: str, kind: str, count: int) -> Figures:
        asked.append((name, kind, count))
        return {f"{kind.removeprefix('async_')}_s": 2.0}

    ours = Contestant(dict.fromkeys(("a", "async_a", "b"), partial(spawn, Idle)))
    theirs = Contestant(dict.fromkeys(("a", "b"), partial(spawn, Idle)), fewer={"b": 100})
    found = one_round({"ours": ours, "theirs": theirs}, {"a": 70, "b": 7}, measure)
    assert found == {
        "ours": {"a_s": 2.0, "async_a_s": 2.0, "b_s": 2.0},
        "theirs": {"a_s": 2.0, "b_s": 2.0},
    }
    assert asked == [
        ("ours", "a", 70), ("ours", "async_a", 70), ("theirs", "a", 70),
        ("ours", "b", 7), ("theirs", "b", 1),
    ]  # fmt: skip


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """Round by round, so that a slow moment of the machine hits both; none by nothing."""
    ours: list[Figures] = [{"x": 2.0, "async_x": 1.0, "y": 1.0}, {"x": 9.0, "async_x": 6.0, "y": 1}]
    theirs: list[Figures] = [{"x": 1.0, "y": 0.0}, {"x": 3.0, "y": 1.0}]
    assert ratios(ours, theirs) == {"x": 2.5, "async_x": 1.5, "y": None}


def test_the_command_prints_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """All eight figures, and what was asked for; each peer, or why it is missing."""
    small = ["--messages", "2000", "--round-trips", "50", "--actors", "200", "--rounds", "1"]
    main([*small, "--loop", "asyncio"])
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert said.err == "round 1 of 1\n"
    assert FIGURES | {f"async_{key}" for key in FIGURES} < found.keys()
    assert (found["bench"], found["loop"], found["rounds"]) == ("actors", "asyncio", 1)
    assert (found["messages"], found["round_trips"], found["actors"]) == (2000, 50, 200)
    assert "peers" not in found


def test_a_missing_peer_is_null_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are measured all the same."""
    absent = Contestant({}, missing="it is not installed")
    monkeypatch.setattr(
        "bench.actors.CONTESTANTS",
        {"ours": OURS, "pykka": absent, "asyncio_queue": PEERS["asyncio_queue"]},
    )
    main(["--messages=9", "--round-trips=9", "--actors=9", "--rounds=1", "--peers"])
    found = json.loads(capsys.readouterr().out)
    assert found["missing"] == {"pykka": "it is not installed"}
    assert found["peers"]["pykka"] is None
    theirs = found["peers"]["asyncio_queue"]
    assert theirs.keys() == FIGURES | {"ratio"}
    assert theirs["ratio"].keys() == FIGURES | {f"async_{key}" for key in FIGURES}


@pytest.mark.parametrize("name", ["beam", "pykka"])
@pytest.mark.parametrize("kind", ["fan_in", "ping_pong", "spawn"])
def test_a_peer_that_is_here_measures_under_our_names(name: str, kind: str) -> None:
    """With few messages; where it is not installed there is nothing to see."""
    peer = PEERS[name]
    if peer.missing:
        pytest.skip(peer.missing)
    figures = finished(peer.measures[kind](20), "asyncio")
    assert figures.keys() == finished(OURS.measures[kind](1), "asyncio").keys()


@pytest.mark.parametrize("option", ["--messages", "--round-trips", "--actors", "--rounds"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "²"])
def test_a_number_below_one_is_refused_in_words(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends before anything is measured."""
    with pytest.raises(SystemExit):
        main([f"{option}={value}"])
    assert (
        f"argument {option}: a whole number, at least 1, not {value!r}" in capsys.readouterr().err
    )
