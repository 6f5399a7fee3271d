"""Who asks for a scan that retention removed is told that it is gone, on every transport."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eco_actor.app import Eco
from eco_actor.config import Config, ConfigError
from eco_actor.scan import retention
from tests.web.checks import check_problem
from tests.web.client import Client

UNKNOWN = "0" * 33


@pytest.fixture
def eco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Eco]:
    """A server that keeps one scan."""
    monkeypatch.setattr(retention, "INTERVAL_S", 0.001)
    made = Eco(Config(port=0, data_dir=tmp_path, vision=False, keep_scans=1))
    yield made
    made.threads.shutdown()


async def removed(client: Client) -> tuple[str, str]:
    """The id of a scan that is gone, and of one that is kept."""
    gone, kept = [(await client.scanned())[0] for _ in "ab"]
    while (await client.get(f"/scan/{gone}")).status == 200:
        pass
    return gone, kept


async def test_a_scan_that_was_removed_is_gone(eco: Eco, session: aiohttp.ClientSession) -> None:
    """410 for its state, result, cancellation, stream and poll; 404 for one that never was."""
    async with eco.running(http=True):
        client = Client(session, eco.address.url)
        gone, kept = await removed(client)
        paths: list[tuple[str, Callable[[str], str]]] = [
            ("GET", lambda task_id: f"/scan/{task_id}"),
            ("GET", lambda task_id: f"/scan/{task_id}/result"),
            ("DELETE", lambda task_id: f"/scan/{task_id}"),
            ("GET", lambda task_id: f"/scan/{task_id}/stream"),
            ("GET", lambda task_id: f"/scan/{task_id}/events?wait=0"),
            ("GET", lambda task_id: f"/stream?channel=scan:{task_id}"),
            ("GET", lambda task_id: f"/stream?channel=app:a&channel=scan:{task_id}"),
            ("GET", lambda task_id: f"/channels/scan:{task_id}/events?wait=0"),
        ]
        for method, path in paths:
            check_problem(await client.ask(method, path(gone)), 410, "gone")
            check_problem(await client.ask(method, path(UNKNOWN)), 404, "unknown_task")
        assert (await client.get(f"/scan/{kept}/result")).status == 200


async def test_a_cursor_of_a_removed_scan_brings_nothing_back(
    eco: Eco, session: aiohttp.ClientSession
) -> None:
    """Whoever resumes it is told the same; a socket is told in an error, and stays open."""
    async with eco.running(http=True):
        client = Client(session, eco.address.url)
        cursor = (await client.get(f"/scan/{await client.accepted()}")).json()["cursor"]
        gone, kept = await removed(client)
        headers = {"Last-Event-ID": cursor}
        check_problem(await client.get(f"/scan/{gone}/stream", headers=headers), 410, "gone")
        async with session.ws_connect(f"{client.base}/ws") as socket:
            for task_id in (gone, UNKNOWN, kept):
                await socket.send_json({"op": "subscribe", "id": 1, "channel": f"scan:{task_id}"})
            said: list[Any] = [await socket.receive_json() for _ in range(3)]
            assert [each.get("code", each["op"]) for each in said] == [
                "gone",
                "unknown_task",
                "subscribed",
            ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep_scans": 0},
        {"keep_scan_mib": 0},
        {"keep_scan_hours": 0.0},
        {"keep_scan_hours": float("nan")},
        {"keep_scan_hours": 1e9},
    ],
)
def test_settings_that_keep_nothing_or_for_ever_are_refused(wrong: dict[str, Any]) -> None:
    """The text names the setting."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Config(**wrong)


def test_what_is_kept_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours may be a fraction."""
    for name, text in (("SCANS", "9"), ("SCAN_HOURS", "0.5"), ("SCAN_MIB", "3")):
        monkeypatch.setenv(f"ECO_KEEP_{name}", text)
    config = Config.from_env()
    assert (config.keep_scans, config.keep_scan_hours, config.keep_scan_mib) == (9, 0.5, 3)
