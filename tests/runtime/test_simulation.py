"""Random worlds of actors: no step breaks a rule, and the judge would notice if one did."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from bench import simulate as command
from bench.simulate import simulate
from bench.simulation import Violation, World
from bench.simulation_actors import Worker
from eco_actor.runtime import Mailbox, Outcome, RestartWindow
from eco_actor.runtime.incarnation import Incarnation
from eco_actor.runtime.names import Names

ROOT: Final = Path(__file__).parents[2]

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_twenty_thousand_steps_break_no_rule(seed: int) -> None:
    """The same worlds at every run: a failure here is one that this change has brought."""
    told = simulate(seed, 20_000)
    assert sum(world.steps for world in told) == 20_000
    assert sum(world.restarts for world in told) > 500


def test_worlds_that_nobody_has_seen_break_no_rule() -> None:
    """A fresh seed at every run; should it fail, the command in its message shows it again."""
    simulate(random.SystemRandom().randrange(2**32), 5_000)


def now_and_then(every: int) -> Callable[[], bool]:
    """True at every so many-th call."""
    calls = 0

    def due() -> bool:
        nonlocal calls
        calls += 1
        return calls % every == 0

    return due


def lose_a_message(patch: pytest.MonkeyPatch) -> None:
    offer, due = Mailbox.offer, now_and_then(20)
    patch.setattr(
        Mailbox,
        "offer",
        lambda box, m: Outcome.ENQUEUED if due() and box.fits(m) else offer(box, m),
    )


def swap_two_messages(patch: pytest.MonkeyPatch) -> None:
    def take(box: Any) -> Any:
        if len(box.queue) > 1:
            box.queue.append(box.queue.popleft())
        return original(box)

    original = Mailbox.take
    patch.setattr(Mailbox, "take", take)


def skip_terminate(patch: pytest.MonkeyPatch) -> None:
    terminate, due = Worker.terminate, now_and_then(5)
    patch.setattr(
        Worker, "terminate", lambda actor, reason: None if due() else terminate(actor, reason)
    )


def forget_to_wake(patch: pytest.MonkeyPatch) -> None:
    wake, due = Incarnation.wake, now_and_then(20)
    patch.setattr(Incarnation, "wake", lambda life: None if due() else wake(life))


def never_give_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RestartWindow, "add", lambda window, now, who: True)


def keep_names(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Names, "unregister", lambda names, name: None)


def keep_the_dead_waiting(patch: pytest.MonkeyPatch) -> None:
    discard = Mailbox.discard
    patch.setattr(Mailbox, "discard", lambda box: discard(box)[1:])


PLANTS: Final[dict[Plant, str]] = {
    lose_a_message: "its senders know of",
    swap_two_messages: r"message \d+ after \d+",
    skip_terminate: "has not ended|outlives",
    forget_to_wake: "sleeps while|does nothing|forgot to",
    never_give_up: "restarts in .* s, it may have",
    keep_names: "is free, and refused|stands for|names",
    keep_the_dead_waiting: "dead are|asks and sends",
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that breaks one rule now and then is caught at it within 20,000 steps."""
    plant(monkeypatch)
    with pytest.raises(Violation, match=PLANTS[plant]):
        simulate(1, 20_000)


def test_a_violation_names_the_command_that_shows_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, and the world alone, by its number, breaks the same rule at the same step."""

    never_give_up(monkeypatch)

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["simulate", *arguments])
        assert command.main() == 1
        return capsys.readouterr().out

    said = run("--seed", "3", "--steps", "10000")
    program, again = said.splitlines()[-1].split("bench.simulate ")
    assert program.split() == ["python", "-m"]
    assert "--world" in again
    assert run(*again.split()) == said


def test_a_seed_gives_the_same_trace_in_every_process() -> None:
    """Not by hashes, addresses or the clock: what happened is a function of the seed."""

    def trace(hash_seed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "bench.simulate", "--seed", "11", "--steps", "2000"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        told = json.loads(done.stdout)
        assert told["violations"] == 0
        assert told["steps"] == 2000
        return str(told["trace"])

    assert trace("1") == trace("2")
    assert World(11, 0, 300).run() == World(11, 0, 300).run()
