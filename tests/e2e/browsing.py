"""The Chromium that tests look at pages with: how it is started, and when it is started anew."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, BrowserContext, Error, Page, Playwright

from tests.e2e.paging import PATIENCE_MS

CHROMIUM: Final = Path("/usr/bin/chromium")

OFF: Final = (
    # Half of what a page costs: each window would load the address bar's pop-ups, pages of their
    # own, and keep a process ready for where its user goes next.
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup",
    "SpareRendererForSitePerProcess",
    # What Playwright turns off itself: of several lists Chromium takes the last.
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding",
    "ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints",
    "NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch",
)  # fmt: skip

EVIL: Final = "evil.example"
"""A name that its owner lets point to this machine."""

ARGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(OFF)}",
    f"--host-resolver-rules=MAP {EVIL} 127.0.0.1",
)
CAMERA: Final = "--use-fake-device-for-media-stream"
"""A camera that shows a test picture."""

CLOSE_S: Final = 10.0

log = logging.getLogger(__name__)


class Browsers:
    """One Chromium for each set of arguments beside ARGS, for as many tests as it lives."""

    def __init__(self, playwright: Playwright) -> None:
        self._playwright = playwright
        self._running: dict[tuple[str, ...], Browser] = {}
        self._shared: Page | None = None

    async def get(self, *more: str) -> Browser:
        """The one with these arguments; another one when it crashed."""
        browser = self._running.get(more)
        if browser is None or not browser.is_connected():
            browser = await self._playwright.chromium.launch(
                executable_path=CHROMIUM, args=[*ARGS, *more]
            )
            self._running[more] = browser
        return browser

    async def shared_page(self) -> Page:
        """A page that one test after the other may use, each for an origin of its own.

        What belongs to the context is as it was: no routes, no cookies, no other page.
        """
        if self._shared is None or self._shared.is_closed():
            context = await (await self.get()).new_context(service_workers="block")
            self._shared = await context.new_page()
            self._shared.set_default_timeout(PATIENCE_MS)
        return self._shared

    async def with_profile(self, folder: Path, **options: Any) -> BrowserContext:
        """One with a profile on the disk, which whoever asked for it closes."""
        return await self._playwright.chromium.launch_persistent_context(
            folder, executable_path=CHROMIUM, args=ARGS, **options
        )

    async def close(self) -> None:
        """End all of them; one that does not end in time is left to the driver's own end."""
        while self._running:
            _, browser = self._running.popitem()
            with suppress(Error, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await browser.close()


def in_a_line(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody waited for, without a traceback.

    The garbage collector tells of it at any time: a traceback while pytest makes its own of a
    failure ends pytest, since Python 3.11 cannot parse while it parses.
    """
    log.error("%s: %r", context["message"], context.get("exception"))


async def ended(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel what a test left behind, whatever comes of it."""
    for task in tasks:
        task.cancel()
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await asyncio.gather(*tasks, return_exceptions=True)
