"""Installing: what Chromium itself says of the manifest and of the page as an app."""

import asyncio
import sys
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image, ImageChops
from playwright.async_api import Page

from bench.make_icons import ICONS
from tests.e2e.browsing import Browsers
from tests.e2e.shelling import opened
from tests.web.serving import ROOT, Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def lasting_page(browsers: Browsers, tmp_path: Path) -> AsyncIterator[Page]:
    """A page of a profile on the disk: nothing can be installed in a private one."""
    context = await browsers.with_profile(tmp_path / "profile", service_workers="allow")
    yield context.pages[0]
    await context.close()


async def test_chromium_takes_it_for_an_app(lasting_page: Page, plain_server: Server) -> None:
    """No errors in the manifest, nothing that stands against installing it."""
    await opened(lasting_page, f"{plain_server.url}/")
    devtools = await lasting_page.context.new_cdp_session(lasting_page)
    told: dict[str, Any] = await devtools.send("Page.getAppManifest")
    assert told["url"] == f"{plain_server.url}/manifest.webmanifest"
    assert told["errors"] == []
    manifest = told["manifest"]
    assert manifest["startUrl"] == manifest["scope"] == f"{plain_server.url}/"
    assert manifest["display"].lower().endswith("standalone")
    assert "버릴까요" in manifest["name"]
    assert "Which bin" in manifest["name"]
    told = await devtools.send("Page.getInstallabilityErrors")
    assert told["installabilityErrors"] == []


async def test_the_icons_are_drawn_from_the_page_s_own(chromium: Path, tmp_path: Path) -> None:
    """What bench/make_icons.py makes of icon.svg is what lies in static/."""
    making = await asyncio.create_subprocess_exec(
        sys.executable, ROOT / "bench" / "make_icons.py", tmp_path, stdout=-3
    )
    assert await making.wait() == 0
    for name in ICONS:
        drawn, there = (
            Image.open(BytesIO(path.read_bytes())).convert("RGBA")
            for path in (tmp_path / name, ROOT / "static" / name)
        )
        assert drawn.size == there.size
        apart = ImageChops.difference(drawn, there).convert("L")
        mean: Any = apart.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        assert mean < 4, name  # browsers smooth edges differently
