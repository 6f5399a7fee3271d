"""What doctor makes of what it sees: each thing that can be wrong has its level and its advice."""

import os
import socket
from pathlib import Path

import pytest

from eco_actor.doctor import disk, examination, machine
from eco_actor.doctor.finding import Finding, Level, fail, ok, report, warn
from eco_actor.doctor.model import look_at_model
from eco_actor.eventlog import Durability
from eco_actor.provision import lock
from eco_actor.web.server import Address
from tests.web.serving import ROOT

FULL, NORMAL, OFF = Durability.FULL, Durability.NORMAL, Durability.OFF


def test_a_report_has_a_line_each_in_columns() -> None:
    """Level, thing, detail, and what to do, if anything."""
    found = [ok("port", "free"), warn("disk room", "little", "free some"), fail("x", "no", "do")]
    assert report(found).splitlines() == [
        "ok    port       free",
        "warn  disk room  little -> free some",
        "FAIL  x          no -> do",
    ]


# ---- the disk

MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 27 0:28 / /srv rw shared:7 master:2 - tmpfs tmpfs rw,size=1k
32 31 0:29 / /srv/a\040b rw - nfs4 host:/x rw,vers=4.2
33 27 0:30 / /srv/card ro,noatime - vfat /dev/sdb1 rw
34 27 0:31 / /over rw - ext4 /dev/sdc rw
35 27 0:32 / /over rw - overlay overlay rw,lowerdir=/x
rubbish
"""


@pytest.mark.parametrize(
    ("folder", "point", "kind"),
    [
        ("/", "/", "ext4"),
        ("/home/eco/data", "/", "ext4"),
        ("/srv", "/srv", "tmpfs"),
        ("/srvx", "/", "ext4"),
        ("/srv/a b/data", "/srv/a b", "nfs4"),
        ("/over/data", "/over", "overlay"),
    ],
)
def test_the_file_system_of_a_folder_is_the_innermost_mount(
    folder: str, point: str, kind: str
) -> None:
    """By whole names; of two at one place the later."""
    mount = disk.mount_of(Path(folder), MOUNTS)
    assert mount == disk.Mount(Path(point), kind, read_only=False)


def test_a_mount_that_is_read_only_is_known() -> None:
    """Whichever of the two places says it."""
    mount = disk.mount_of(Path("/srv/card/data"), MOUNTS)
    assert mount is not None
    assert mount.read_only


@pytest.mark.parametrize(
    ("kind", "durability", "level"),
    [
        ("ext4", FULL, Level.OK),
        ("tmpfs", FULL, Level.FAIL),
        ("tmpfs", NORMAL, Level.WARN),
        ("tmpfs", OFF, Level.OK),
        ("nfs4", FULL, Level.FAIL),
        ("fuse.rclone", FULL, Level.FAIL),
        ("overlay", FULL, Level.WARN),
        (None, FULL, Level.WARN),
    ],
)
def test_a_promise_that_the_file_system_cannot_keep_is_none(
    kind: str | None, durability: Durability, level: Level
) -> None:
    """`full` in memory is a failure, not a matter of taste."""
    mount = disk.Mount(Path("/x"), kind, read_only=False) if kind else None
    found = disk.look_at_file_system(mount, durability)
    assert found.level is level
    assert bool(found.advice) is (level is not Level.OK)


def test_a_disk_that_cannot_be_written_fails_under_every_promise_that_needs_it() -> None:
    """Whatever its kind."""
    mount = disk.Mount(Path("/x"), "ext4", read_only=True)
    assert [disk.look_at_file_system(mount, each).failed for each in (FULL, NORMAL, OFF)] == [
        True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("free", "files", "level"),
    [
        (1 << 40, None, Level.OK),
        (1 << 40, 10_000, Level.OK),
        (1 << 40, 3, Level.FAIL),
        (100 << 20, None, Level.WARN),
        (1 << 20, None, Level.FAIL),
    ],
)
def test_room_is_bytes_and_files(free: int, files: int | None, level: Level) -> None:
    """Either may run out."""
    assert disk.look_at_room(free, files).level is level


@pytest.mark.parametrize(
    ("times", "durability", "kind", "level"),
    [
        ([0.5, 0.6, 9.0], FULL, "ext4", Level.OK),
        ([80.0, 90.0, 99.0], FULL, "ext4", Level.WARN),
        ([80.0, 90.0, 99.0], NORMAL, "ext4", Level.OK),
        ([0.001, 0.002, 0.003], FULL, "ext4", Level.WARN),
        ([0.001, 0.002, 0.003], FULL, "tmpfs", Level.OK),
    ],
)
def test_what_a_commit_takes_says_what_the_promise_costs(
    times: list[float], durability: Durability, kind: str, level: Level
) -> None:
    """Slow, or faster than anything that lasts."""
    assert disk.look_at_promise(times, durability, kind).level is level


def test_commits_are_tried_without_a_trace(tmp_path: Path) -> None:
    """What was written for it is removed again."""
    times = disk.measure_commits(tmp_path)
    assert len(times) == disk.COMMITS
    assert min(times) > 0
    assert [*tmp_path.iterdir()] == []


# ---- the machine


def test_a_lock_is_seen_without_being_tried(tmp_path: Path) -> None:
    """Whose it is, while it is held; a server that starts meanwhile finds it free."""
    if not machine.LOCKS.exists():
        pytest.skip("this system does not tell its locks")
    assert machine.lock_holder(tmp_path / "lock", machine.LOCKS.read_text()) is None
    with lock(tmp_path):
        holder = machine.lock_holder(tmp_path / "lock", machine.LOCKS.read_text())
        assert holder == os.getpid()
        found, runs = machine.look_at_server(tmp_path)
        assert runs
        assert str(os.getpid()) in found.detail
    assert machine.lock_holder(tmp_path / "lock", machine.LOCKS.read_text()) is None


def test_a_lock_of_another_file_with_that_number_is_none(tmp_path: Path) -> None:
    """Numbers are of one file system; and who waits for a lock does not have it."""
    (tmp_path / "lock").touch()
    inode = (tmp_path / "lock").stat().st_ino
    line = f"FLOCK  ADVISORY  WRITE {os.getpid()} 00:01:{inode} 0 EOF"
    assert machine.lock_holder(tmp_path / "lock", f"1: {line}\n1: -> {line}\nrubbish") is None


def test_a_port_is_free_taken_or_none() -> None:
    """Taken by another program it is a failure, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        found = machine.look_at_port(address, runs=False)
        assert found.level is Level.FAIL
        assert "--port" in found.advice
    assert machine.look_at_port(address, runs=False).level is Level.OK
    assert machine.look_at_port(Address("127.0.0.1", 0), runs=True).level is Level.OK
    for host in ("no such host", "192.0.2.7"):
        found = machine.look_at_port(Address(host, 0), runs=False)
        assert found.level is Level.FAIL, host


def test_who_has_the_port_and_says_nothing_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that runs here answers."""
    monkeypatch.setattr(machine, "ANSWER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address("127.0.0.1", silent.getsockname()[1])
        assert machine.look_at_port(address, runs=True).level is Level.FAIL


def test_few_open_files_are_few_clients() -> None:
    """A warning that says how many, and what to set."""
    found = machine.look_at_open_files(1024, 16_000)
    assert found.level is Level.WARN
    assert "924" in found.detail
    assert "LimitNOFILE=16100" in found.advice
    assert machine.look_at_open_files(1 << 20, 16_000).level is Level.OK


def test_streams_are_taken_over_for_a_try() -> None:
    """With the libraries that are here."""
    assert machine.look_at_handover().level is Level.OK


def test_an_aiohttp_that_was_not_tried_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of it are used that it does not document."""
    monkeypatch.setattr(machine, "AIOHTTP", ((3, 99), (4,)))
    found = machine.look_at_handover()
    assert found.level is Level.FAIL
    assert "aiohttp>=3.99,<4" in found.advice


def test_the_aiohttp_that_doctor_wants_is_the_one_that_is_installed_with_us() -> None:
    """The range stands in setup.cfg, too."""
    least, below = (".".join(map(str, each)) for each in machine.AIOHTTP)
    assert f"aiohttp>={least},<{below}\n" in (ROOT / "setup.cfg").read_text()


def test_a_model_that_is_not_wanted_is_not_looked_for() -> None:
    """Without vision nothing of it is needed."""
    assert look_at_model(vision=False).level is Level.OK


def test_what_cannot_be_looked_at_is_a_finding_too() -> None:
    """The rest is looked at all the same."""

    def broken() -> list[Finding]:
        raise ZeroDivisionError

    def denied() -> list[Finding]:
        raise PermissionError(13, "Permission denied", "/x")

    assert [each.failed for each in examination._try("this", broken)] == [True]
    (found,) = examination._try("that", denied)
    assert found == fail("that", "/x Permission denied", "see to that")
