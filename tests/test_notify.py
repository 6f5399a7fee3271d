"""What a service manager is told, datagram by datagram, and what of its wishes is refused."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from eco_actor.notify import LONGEST, Notifier, NotifyError
from tests.manager import Manager, abstract

PROCESS = 4711


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify" if request.param == "path" else abstract())
    yield made
    made.close()


@pytest.fixture
def notifier(manager: Manager) -> Iterator[Notifier]:
    made = Notifier.from_env(manager.environment(WATCHDOG_USEC="3000000"), PROCESS)
    yield made
    made.close()


def test_each_message_is_one_datagram_of_lines(manager: Manager, notifier: Notifier) -> None:
    """By path and by abstract name: starting, ready, status, a sign of life, the end."""
    assert notifier.listens
    assert notifier.watchdog_s == 3.0
    notifier.starting("making the model", 150.5)
    assert notifier.ready("ready; 0 scans")
    assert notifier.beat()
    assert notifier.status("draining")
    notifier.stopping()
    assert manager.waiting() == [
        {"STATUS": "making the model", "EXTEND_TIMEOUT_USEC": "150500000"},
        {"READY": "1", "STATUS": "ready; 0 scans"},
        {"WATCHDOG": "1"},
        {"STATUS": "draining"},
        {"STOPPING": "1", "STATUS": "stopping"},
    ]


def test_ready_is_said_once_and_ends_the_start(manager: Manager, notifier: Notifier) -> None:
    """A second time nothing is sent, and the time of a start is extended no more."""
    assert notifier.ready("ready")
    assert notifier.ready("ready")
    notifier.starting("again", 10.0)
    assert manager.waiting() == [{"READY": "1", "STATUS": "ready"}]


def test_a_status_is_one_line_whatever_is_in_it(manager: Manager, notifier: Notifier) -> None:
    """No reason of a fault can say READY in the manager's ear, nor go on for ever."""
    notifier.status("disk full\nREADY=1\r\n" + "가" * 10_000)
    (told,) = manager.waiting()
    assert told.keys() == {"STATUS"}
    assert told["STATUS"].startswith("disk full READY=1 가")
    assert len(told["STATUS"]) == LONGEST


def test_without_a_manager_nothing_happens() -> None:
    """No variable, no socket; a patience without a manager is nobody's."""
    for given in ({}, {"NOTIFY_SOCKET": ""}, {"WATCHDOG_USEC": "nonsense"}):
        notifier = Notifier.from_env(given, PROCESS)
        assert not notifier.listens
        assert notifier.watchdog_s is None
        notifier.starting("x", 1.0)
        notifier.stopping()
        assert (notifier.ready("x"), notifier.status("x"), notifier.beat()) == (False,) * 3
        notifier.close()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": ""}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(PROCESS)}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "nonsense", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_patience_of_the_manager_is_for_one_process(
    more: dict[str, str], expected: float | None
) -> None:
    """WATCHDOG_USEC counts where WATCHDOG_PID names this process or is missing."""
    notifier = Notifier.from_env({"NOTIFY_SOCKET": "/run/notify", **more}, PROCESS)
    assert notifier.watchdog_s == expected


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, "vsock"),
        ({"NOTIFY_SOCKET": "vsock-stream:2:1234"}, "vsock"),
        ({"NOTIFY_SOCKET": "notify"}, "absolute"),
        ({"NOTIFY_SOCKET": "@"}, "abstract"),
        ({"WATCHDOG_USEC": "0"}, "WATCHDOG_USEC"),
        ({"WATCHDOG_USEC": "-1"}, "WATCHDOG_USEC"),
        ({"WATCHDOG_USEC": "1.5"}, "WATCHDOG_USEC"),
        ({"WATCHDOG_USEC": "٣"}, "WATCHDOG_USEC"),
        ({"WATCHDOG_USEC": "1" * 400}, "WATCHDOG_USEC"),
        ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "me"}, "WATCHDOG_PID"),
    ],
)
def test_what_cannot_be_is_refused_by_name(given: dict[str, str], named: str) -> None:
    """Where a manager waits for word it would wait in vain: better not to start at all."""
    with pytest.raises(NotifyError, match=named):
        Notifier.from_env({"NOTIFY_SOCKET": "/run/notify"} | given, PROCESS)


def test_a_manager_that_is_gone_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is raised; when it listens again at the same place it hears what comes then."""
    notifier = Notifier.from_env({"NOTIFY_SOCKET": str(tmp_path / "notify")}, PROCESS)
    with caplog.at_level(logging.WARNING):
        assert not notifier.ready("ready")
        assert not notifier.beat()
    assert len(caplog.messages) == 1
    for _ in range(2):  # it starts anew: another socket under the same name
        manager = Manager(tmp_path / "notify")
        assert notifier.ready("ready")
        assert notifier.status("well")
        assert {"STATUS": "well"} in manager.waiting()
        manager.close()
        (tmp_path / "notify").unlink()
        assert not notifier.status("nobody hears this")
    notifier.close()
    notifier.close()
    assert not notifier.status("nor this")


def test_a_manager_that_does_not_read_holds_up_nobody(manager: Manager, notifier: Notifier) -> None:
    """What its socket does not take is dropped, and the caller told so."""
    sent = 0
    while notifier.status("x" * LONGEST):
        sent += 1
    assert not notifier.ready("ready")
    assert len(manager.waiting()) == sent
    assert notifier.ready("ready")


def test_an_address_that_is_too_long_is_no_error_of_the_server(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The system refuses it, the log says so."""
    notifier = Notifier.from_env({"NOTIFY_SOCKET": f"{tmp_path}/{'n' * 300}"}, PROCESS)
    assert not notifier.beat()
    assert "cannot be told WATCHDOG=1" in caplog.text
    notifier.close()


def test_a_name_that_is_not_text_is_the_same_name(tmp_path: Path) -> None:
    """Bytes of the environment that are no UTF-8 come back as they were."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    manager = Manager(name)
    notifier = Notifier.from_env({"NOTIFY_SOCKET": name}, PROCESS)
    assert notifier.beat()
    assert manager.waiting() == [{"WATCHDOG": "1"}]
    notifier.close()
    manager.close()
