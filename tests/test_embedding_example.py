"""The README's example of a server in somebody else's application does what it says."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from PIL import Image

from tests.web.client import JPEG, Client, data_of
from tests.web.pictures import encoded
from tests.web.serving import ROOT

MOST_LINES = 40

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


@pytest.fixture(scope="module")
def example() -> str:
    """The block of the README that mounts a server."""
    blocks = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    (found,) = [each for each in blocks if "setup(app" in each]
    return str(found)


@pytest.fixture
def make_app(example: str) -> Callable[[Path], web.Application]:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, "README.md", "exec"), names)
    made: Callable[[Path], web.Application] = names["make_app"]
    return made


def test_the_example_is_short(example: str) -> None:
    """It fits on a page."""
    assert len(example.splitlines()) <= MOST_LINES


@pytest.mark.parametrize(
    ("grey", "category"), [(250, "paper"), (20, "metal"), (128, None)], ids=["bright", "dark", "so"]
)
async def test_the_example_scans_as_its_own_parts_say(
    make_app: Callable[[Path], web.Application],
    tmp_path: Path,
    session: aiohttp.ClientSession,
    grey: int,
    category: str | None,
) -> None:
    """Its classifier decides, its step is in the events."""
    app = await asyncio.to_thread(make_app, tmp_path)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = Client(session, f"http://127.0.0.1:{runner.addresses[0][1]}/eco")
        picture = encoded(Image.new("RGB", (320, 240), (grey, grey, grey)))
        answer = await client.post(data=picture, headers=JPEG)
        assert answer.status == 202, answer.body
        events = data_of(await client.events(answer.json()["task_id"]))
    finally:
        await runner.cleanup()
    assert [event["step"] for event in events[2:]] == ["rule", "weigh", "answer", "reward"]
    assert events[1]["category"] == category
    assert events[1]["backend"] == "brightness"
    assert (events[3]["grams"], events[3]["progress"]) == (12, 75)
    assert events[3]["bin"] == events[2]["bin"]
