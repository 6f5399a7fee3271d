"""Random worlds of scans: no step breaks a rule, and the truth would notice if one did."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from bench import simulate as command
from bench.simulate import simulate_scans
from bench.simulation import Violation
from bench.simulation_scans import WORLD_STEPS, ScanWorld
from eco_actor.eventlog import Event, EventLog, SteadyClock, StoreError, Write
from eco_actor.eventlog.committer import Append, Committer, Settled
from eco_actor.eventlog.database import Database
from eco_actor.eventlog.health import Health
from eco_actor.eventlog.hub import Hub
from eco_actor.eventlog.writer import Writer
from eco_actor.scan import grants, recovery, retention
from eco_actor.scan.admission import Admission
from eco_actor.scan.grants import Grants
from eco_actor.scan.options import Options
from eco_actor.scan.scan import Scan
from eco_actor.scan.tables import DROP_PICTURE, UNFINISHED, UNREWARDED
from eco_actor.scan.tries import Tries, crashes
from eco_actor.scan.volume import Choice, Keep, Row, choose
from eco_actor.web.idempotency import Claim

ROOT: Final = Path(__file__).parents[1]

Plant = Callable[[pytest.MonkeyPatch], None]

WORLDS: Final = 40
"""Within so many a planted fault is found."""


@pytest.fixture(autouse=True)
def blockbuster() -> None:
    """SQLite lives in the loop here: its thread is a task."""


def now_and_then(every: int) -> Callable[[], bool]:
    """True at every so many-th call."""
    calls = 0

    def due() -> bool:
        nonlocal calls
        calls += 1
        return calls % every == 0

    return due


def show_what_is_not_written(patch: pytest.MonkeyPatch) -> None:
    commit, due = Committer.commit, now_and_then(20)

    def committed(committer: Committer, appends: Sequence[Append]) -> list[Settled]:
        if not due() or committer.fault is not None:
            return commit(committer, appends)
        database = committer._database
        position, epoch = database.position, database.epochs[-1][0]
        settled = []
        for append in appends:
            drafts = append.item.drafts
            events = [Event(draft, position + n, epoch) for n, draft in enumerate(drafts, 1)]
            settled.append(Settled(append, events))
        return settled

    patch.setattr(Committer, "commit", committed)


def write_what_was_withdrawn(patch: pytest.MonkeyPatch) -> None:
    withdraw = Writer.withdraw

    def withdrawn(writer: Writer, reason: str) -> list[Settled]:
        told = withdraw(writer, reason)
        for each in told:
            writer.put(Append(each.append.item, None, None))
        return told

    patch.setattr(Writer, "withdraw", withdrawn)


def go_on_with_the_epoch(patch: pytest.MonkeyPatch) -> None:
    begin = Database._begin_epoch

    def begun(database: Database) -> None:
        database.connection.execute("DELETE FROM opened")
        begin(database)

    patch.setattr(Database, "_begin_epoch", begun)


def forget_what_failed_before(patch: pytest.MonkeyPatch) -> None:
    def failed(append: Append, error: StoreError) -> Settled:
        return Settled(append, (), error)

    patch.setattr(Append, "fail", failed)


def go_by_the_wall(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SteadyClock, "now_ms", lambda clock: clock._wall())


def stay_in_trouble(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Health, "worked", lambda health: False)


def skip_a_subscriber(patch: pytest.MonkeyPatch) -> None:
    offer, due = Hub.offer, now_and_then(30)
    patch.setattr(Hub, "offer", lambda hub, events: None if due() else offer(hub, events))


def resume_too_far(patch: pytest.MonkeyPatch) -> None:
    position = EventLog._position

    def behind(log: EventLog, text: str) -> int | None:
        found = position(log, text)
        return found + 1 if found else found

    patch.setattr(EventLog, "_position", behind)


def say_a_step_again(patch: pytest.MonkeyPatch) -> None:
    find = recovery.Recovery._find

    async def found(actor: recovery.Recovery, task_id: str) -> Any:
        unfinished = await find(actor, task_id)
        if unfinished is not None:
            unfinished.state.seq -= 1
        return unfinished

    patch.setattr(recovery.Recovery, "_find", found)


def grant_without_the_ledger(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scan, "_grant", lambda scan, reward: Write(DROP_PICTURE, (scan.task_id,)))


def grant_whoever_asks(patch: pytest.MonkeyPatch) -> None:
    async def thing(grants: Grants, log: EventLog, task_id: str, about: Options, *_: Any) -> Any:
        return about.before

    patch.setattr(Grants, "unrewarded", thing)


def grant_by_the_look_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Grants, "take", lambda grants, thing, task_id: True)


def grant_before_the_first_is_over(patch: pytest.MonkeyPatch) -> None:
    waived = UNREWARDED.replace("first.finished = 1", "1")
    patch.setattr(grants, "UNREWARDED", waived)


def remove_the_unfinished(patch: pytest.MonkeyPatch) -> None:
    def chosen(rows: Sequence[Row], *more: Any) -> Choice:
        return choose([row._replace(finished=1, ended_ms=0) for row in rows], *more)

    patch.setattr(retention, "choose", chosen)


def remove_too_early(patch: pytest.MonkeyPatch) -> None:
    def chosen(rows: Sequence[Row], keep: Keep, now_ms: int, scans: int, size: int) -> Choice:
        return choose(rows, keep, now_ms + 30_000, scans, size)

    patch.setattr(retention, "choose", chosen)


def forget_the_tries(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "crashes", lambda step, marked, blocks: 0)


def count_a_try_too_many(patch: pytest.MonkeyPatch) -> None:
    def counted(step: str, marked: Tries | None, *, blocks: bool) -> int:
        return crashes(step, marked, blocks=blocks) + 1

    patch.setattr(recovery, "crashes", counted)


def accept_before_it_is_durable(patch: pytest.MonkeyPatch) -> None:
    accept = Admission._accept

    def accepted(admission: Admission, *what: Any) -> Any:
        before = set(admission._accepting)
        future = accept(admission, *what)
        (task_id,) = admission._accepting - before
        future.set_result(task_id)
        return future

    patch.setattr(Admission, "_accept", accepted)


def keep_the_key_apart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Claim, "rows", lambda claim, note, head=0: [])


def leave_a_scan_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "UNFINISHED", f"{UNFINISHED} OFFSET 1")


PLANTS: Final[dict[Plant, str]] = {
    show_what_is_not_written: "is shown, and not what is durable there",
    write_what_was_withdrawn: "was refused, and is in the log",
    go_on_with_the_epoch: "names two events",
    forget_what_failed_before: r"seq \d+ comes after|instead of",
    go_by_the_wall: "the clock of the log",
    stay_in_trouble: "there is trouble",
    skip_a_subscriber: "not told of",
    resume_too_far: "not told of",
    say_a_step_again: r"seq (\d+) comes after \1",
    grant_without_the_ledger: "0 rewards are granted",
    grant_whoever_asks: "2 rewards are told of one thing",
    grant_by_the_look_alone: "2 rewards are told of one thing",
    grant_before_the_first_is_over: "2 rewards are told of one thing",
    remove_the_unfinished: "is gone, and was not over|finished None, over False",
    remove_too_early: "is gone at the age of",
    forget_the_tries: "is looked at once too often",
    count_a_try_too_many: r"step_crashed after [12] crashes",
    accept_before_it_is_durable: "is accepted, and not in the log",
    keep_the_key_apart: "is in the log more than once",
    leave_a_scan_behind: "stays at",
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_of_the_server_is_found(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that breaks one promise is caught at it within a few worlds."""
    plant(monkeypatch)
    with pytest.raises(Violation, match=PLANTS[plant]):
        simulate_scans(1, WORLDS * WORLD_STEPS)


def test_sixteen_worlds_of_scans_break_no_rule() -> None:
    """The same worlds at every run: a failure here is one that this change has brought."""
    told = simulate_scans(1, 16 * WORLD_STEPS)
    assert sum(world.crashes for world in told) > 100
    assert sum(world.scans for world in told) > 150


def test_worlds_of_scans_that_nobody_has_seen_break_no_rule() -> None:
    """A fresh seed at every run; should it fail, the command in its message shows it again."""
    simulate_scans(random.SystemRandom().randrange(2**32), 3 * WORLD_STEPS)


def test_a_violation_in_a_world_of_scans_names_the_command_that_shows_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, and the world alone, by its number, breaks the same rule at the same step."""
    go_on_with_the_epoch(monkeypatch)

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["simulate", "--what", "scans", *arguments])
        assert command.main() == 1
        return capsys.readouterr().out

    said = run("--seed", "1", "--steps", str(WORLDS * WORLD_STEPS))
    program, again = said.splitlines()[-1].split("bench.simulate --what scans ")
    assert program.split() == ["python", "-m"]
    assert "--world" in again
    assert run(*again.split()) == said


def test_a_seed_gives_the_same_trace_of_scans_in_every_process() -> None:
    """Not by hashes, addresses, threads or the clock: what happened is a function of the seed."""

    def trace(hash_seed: str) -> str:
        words = f"{sys.executable} -m bench.simulate --what scans --seed 11 --steps 300"
        told = subprocess.run(
            words.split(),
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        line = json.loads(told.stdout)
        assert line["violations"] == 0
        assert line["steps"] == 300
        return str(line["trace"])

    assert trace("1") == trace("2")
    assert ScanWorld(11, 0, 100).run() == ScanWorld(11, 0, 100).run()
