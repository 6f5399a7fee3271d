"""A page of a real server, and scans whose steps wait until the test lets them go on."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.web.credentials import SECRET
from tests.web.serving import GATED, Server

PATIENCE_S = 20.0
STEPS = ("rule", "answer", "reward")


class Gated:
    """A running server and its gates."""

    def __init__(self, server: Server, gates: Path) -> None:
        self.server = server
        self.gates = gates

    @property
    def url(self) -> str:
        return self.server.url

    def let(self, *steps: str) -> None:
        """These steps may go on, now and later."""
        for step in steps:
            (self.gates / step).touch()


@pytest.fixture
def gated(server: Callable[..., Server], tmp_path: Path) -> Gated:
    """A server of this test alone: no step after the vision goes on by itself."""
    env = {"ECO_GATES": str(tmp_path), "ECO_OPERATOR_TOKEN": SECRET}
    return Gated(server(program=GATED, env=env), tmp_path)


async def scan(page: Page, url: str) -> str:
    """The task id of a scan that was just accepted."""
    answer = await page.request.post(f"{url}/scan/classify", data={"category": "glass"})
    assert answer.status == 202
    told: dict[str, Any] = await answer.json()
    return str(told["task_id"])


async def until(page: Page, expression: str) -> None:
    """Wait for the page to find it true. (Its policy does not let wait_for_function in.)"""
    look = f"const look = () => ({expression}) ? resolve() : setTimeout(look, 5); look();"
    async with asyncio.timeout(PATIENCE_S):
        await page.evaluate(f"() => new Promise((resolve) => {{ {look} }})")
