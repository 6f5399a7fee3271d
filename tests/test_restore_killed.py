"""A restore that is killed, or loses the power, at any step: one of the two databases is whole."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from itertools import chain, combinations
from pathlib import Path

import pytest

from eco_actor import upkeep
from eco_actor.eventlog import StoreError, copying
from eco_actor.eventlog.connecting import STAGED
from eco_actor.eventlog.copying import beside
from eco_actor.upkeep import (
    DATABASE,
    backup,
    finish_restore,
    replaced_ones,
    restore,
    tell_events,
)
from tests.eventlog.files_of_logs import count
from tests.restoring import NEW, OLD, backup_of_another, data_of_a_killed_server, quiet, started


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return data_of_a_killed_server(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return backup_of_another(tmp_path)


CHANGES = {"open", "os.rename", "os.remove", "os.truncate", "sqlite3.connect"}
"""What the interpreter tells before it happens; between any two of them nothing changes but what
is in the file that grows, and the copying of each of its pages is a step, too."""


def killed_at(step: int, call: Callable[[Callable[[int, int], None]], object]) -> bool:
    """Whether a process that makes this call was killed before so many steps; else it is done."""
    child = os.fork()
    if child == 0:
        left_over = step

        def count_down(*_: object) -> None:
            nonlocal left_over
            left_over -= 1
            if left_over < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(lambda event, args: count_down() if event in CHANGES else None)
        try:
            call(count_down)
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def finishing(data_dir: Path, progress: Callable[[int, int], None]) -> None:
    finish_restore(data_dir)


def check_whole(data_dir: Path) -> int:
    """One of the two is there, whole, and the old one is not lost; which it is."""
    found, epochs = started(data_dir)
    assert (found, epochs) in {(OLD, 1), (NEW, 2)}
    if found == NEW:
        ((replaced, _),) = replaced_ones(data_dir)
        assert count(replaced) == OLD
    return found


def test_a_restore_that_is_killed_leaves_one_of_the_two_whole(
    data_dir: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each step; first the old one, from some step on the new one, and again is possible."""
    monkeypatch.setattr(copying, "STEP", 1)
    found, step = list[int](), 0
    while True:
        place = tmp_path / f"killed-{step}"
        shutil.copytree(data_dir, place)
        killed = killed_at(step, partial(restore, place, file))
        found.append(check_whole(place))
        restore(place, file, quiet)
        assert started(place) == (NEW, 2)
        shutil.rmtree(place)
        if not killed:
            break
        step += 1
    assert step > 15
    assert found == sorted(found, reverse=True)
    assert {*found} == {OLD, NEW}


def test_finishing_a_restore_may_be_killed_too(data_dir: Path, file: Path, tmp_path: Path) -> None:
    """Again and again: it only ever goes on."""
    shutil.copy(file, beside(data_dir / DATABASE, STAGED))
    step = 0
    while True:
        place = tmp_path / f"killed-{step}"
        shutil.copytree(data_dir, place)
        killed = killed_at(step, partial(finishing, place))
        for again in range(3):
            killed_at(again, partial(finishing, place))
        assert check_whole(place) == NEW
        if not killed:
            break
        step += 1
    assert step >= 4


def test_a_loss_of_power_while_a_restore_is_finished_leaves_the_new_one_whole(
    data_dir: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever changes of names since the last sync of the directory are lost."""
    shutil.copy(file, beside(data_dir / DATABASE, STAGED))
    before, done = tmp_path / "before", list[tuple[str, ...]]()
    shutil.copytree(data_dir, before)
    monkeypatch.setattr(upkeep, "sync_folder", lambda folder: done.append(("sync",)))
    rename, unlink = Path.replace, Path.unlink

    def replace_noted(path: Path, target: Path) -> Path:
        done.append(("replace", path.name, target.name))
        return rename(path, target)

    def unlink_noted(path: Path, missing_ok: bool = False) -> None:
        done.append(("unlink", path.name))
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace_noted)
        patched.setattr(Path, "unlink", unlink_noted)
        finish_restore(data_dir)
    assert done[-1] == ("sync",)
    for end in range(len(done) + 1):
        synced = max((n for n in range(end) if done[n] == ("sync",)), default=0)
        sure, unsure = done[:synced], [each for each in done[synced:end] if each != ("sync",)]
        subsets = chain.from_iterable(combinations(unsure, size) for size in range(len(unsure) + 1))
        for number, survived in enumerate(subsets):
            place = tmp_path / f"cut-{end}-{number}"
            shutil.copytree(before, place)
            for what, name, *to in (each for each in [*sure, *survived] if each != ("sync",)):
                if what == "replace":
                    rename(place / name, place / to[0])
                else:
                    unlink(place / name, missing_ok=True)
            assert check_whole(place) == NEW


def test_nobody_reads_between_the_two(data_dir: Path, file: Path, tmp_path: Path) -> None:
    """While a restore is to be finished, what is there may be half of a pair."""
    shutil.copy(file, beside(data_dir / DATABASE, STAGED))
    with pytest.raises(StoreError, match="a restore was cut short"):
        backup(data_dir, tmp_path / "copy.db", quiet)
    with pytest.raises(StoreError, match="a restore was cut short"):
        tell_events(data_dir, "app:a", print, print)
