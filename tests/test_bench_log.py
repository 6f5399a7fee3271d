"""The benchmark of the log measures what it says. How fast is none of its tests' business."""

import gc
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack
import pytest

from bench import log
from bench.log_writers import Load, Meter, as_the_server, padded, quantile_ms
from eco_actor.eventlog import Durability
from eco_actor.eventlog.database import Database, Item

MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs /srv tmpfs rw 0 0
/dev/vdb /srv/a\\040b xfs rw 0 0
proc /proc proc rw 0 0
overlay /srv overlay rw 0 0
"""


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The sizes of the events of each transaction that a database committed."""
    seen: list[list[int]] = []
    commit = Database.commit

    def committed(database: Database, items: Sequence[Item]) -> Any:
        seen.append([len(packed) for item in items for packed in item.packed if packed is not None])
        return commit(database, items)

    monkeypatch.setattr(Database, "commit", committed)
    return seen


@pytest.mark.parametrize("durability", list(Durability))
def test_one_each_is_one_transaction_for_each_event(
    durability: Durability, tmp_path: Path, batches: list[list[int]]
) -> None:
    """However many wait; all that was counted was written."""
    found = Load(durability, 10, 0.05, 300, alone=True).put_on(tmp_path)
    assert {len(batch) for batch in batches if batch} == {1}  # a close sends an empty one
    assert round(found["rows_s"] * 0.05) <= len(batches)


@pytest.mark.parametrize("durability", list(Durability))
def test_those_that_wait_share_a_transaction(
    durability: Durability, tmp_path: Path, batches: list[list[int]]
) -> None:
    """Up to all of them, with data of the size that was asked for."""
    Load(durability, 10, 0.05, 300).put_on(tmp_path)
    assert 1 < max(map(len, batches)) <= 10
    assert {size for batch in batches for size in batch} == {300}


def test_only_off_leaves_no_file(tmp_path: Path) -> None:
    """The others write where they are told to."""
    Load(Durability.OFF, 1, 0.01, 300).put_on(tmp_path)
    assert list(tmp_path.iterdir()) == []
    Load(Durability.FULL, 1, 0.01, 300).put_on(tmp_path)
    assert (tmp_path / "bench.db").stat().st_size > 0


def test_a_busy_loop_works_while_others_write(tmp_path: Path) -> None:
    """What it gets done is counted, and all writers come back at the end."""
    assert Load(Durability.FULL, 5, 0.1, 300, busy=True).put_on(tmp_path)["spins_s"] > 0
    assert Load(Durability.FULL, 5, 0.05, 300).put_on(tmp_path)["spins_s"] == 0


def test_only_rows_of_the_time_that_is_measured_count() -> None:
    """Those of the warm-up do not; percentiles are of all that came back behind it."""
    meter = Meter(2.0)
    assert meter.ends_ns - meter.begins_ns == 2_000_000_000
    assert meter.begins_ns > time.perf_counter_ns() - 1_000_000_000
    meter.rows, meter.latencies_ns = 30, [4_000_000, 1_000_000, 3_000_000, 2_000_000]
    assert meter.figures() == {"rows_s": 15.0, "p50_ms": 2.0, "p99_ms": 3.0, "spins_s": 0.0}
    assert quantile_ms([], 0.5) == 0.0


@pytest.mark.parametrize("size", [20, 40, 300, 70_000])
def test_the_data_has_the_size_that_was_asked_for(size: int) -> None:
    """As the log packs it."""
    assert len(msgpack.packb(padded(size))) == size


def test_measuring_as_the_server_leaves_the_process_as_it_was() -> None:
    """Cores, the switch interval and the collector are given back."""

    def settings() -> object:
        return os.sched_getaffinity(0), sys.getswitchinterval(), gc.get_threshold()

    before = settings()
    with as_the_server(0.002):
        assert sys.getswitchinterval() == pytest.approx(0.002)
        assert len(os.sched_getaffinity(0)) <= 2
    assert settings() == before


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/home", "ext4"),
        ("/", "ext4"),
        ("/srv", "overlay"),
        ("/srv/x", "overlay"),
        ("/srv/a b/c", "xfs"),
        ("/srvx", "ext4"),
    ],
)
def test_the_file_system_is_the_one_that_is_mounted_there(place: str, kind: str) -> None:
    """The longest way to it, and of two in one place the later."""
    assert log.file_system(Path(place), MOUNTS) == kind


def test_a_directory_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, before anything is measured."""
    with pytest.raises(SystemExit) as ended:
        log.main(["--dir", str(tmp_path / "nowhere")])
    assert ended.value.code == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_benchmark_tells_of_every_promise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with all figures, and nothing is left behind."""
    log.main(["--quick", "--dir", str(tmp_path)])
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found.keys() == {
        "bench", "fs", "size", "cores", "fsync_ms", "full", "normal", "off", "busy_loop",
        "other_cpu_share",
    }  # fmt: skip
    assert (found["bench"], found["size"]) == ("log", 300)
    assert 0 < found["fsync_ms"]["p50"] <= found["fsync_ms"]["p99"]
    for promise in ("full", "normal", "off"):
        assert found[promise].keys() == {"1", "10", "100"}
        for figures in found[promise].values():
            assert figures.keys() == {"rows_s", "p50_ms", "p99_ms", "one_each", "ratio"}
            for each in (figures, figures["one_each"]):
                assert each["rows_s"] >= 0
                assert 0 < each["p50_ms"] <= each["p99_ms"]
            if theirs := figures["one_each"]["rows_s"]:
                assert figures["ratio"] == pytest.approx(figures["rows_s"] / theirs, rel=0.01)
    busy = found["busy_loop"]
    assert busy.pop("writers") == 100
    for figures in busy.values():
        assert figures.keys() == {"rows_s", "rows_s_least", "p50_ms", "p99_ms", "loop_share"}
        assert figures["loop_share"] > 0
    assert busy.keys() == {"server_interval", "default_interval"}
    assert list(tmp_path.iterdir()) == []
