"""Draw the page's icons, static/icon-*.png, from static/icon.svg. Needs a Chromium.

python bench/make_icons.py [FOLDER]
"""

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

STATIC: Final = Path(__file__).resolve().parents[1] / "static"
CHROMIUM: Final = "/usr/bin/chromium"

SAFE: Final = 0.8
"""The part of a maskable icon that every mask leaves: a circle of this diameter."""

FILLED: Final = "#0b6b50"
"""What a maskable icon has around it: the colour of the icon's own ground."""

ICONS: Final = {"icon-192.png": (192, False), "icon-512.png": (512, False),
                "icon-maskable-512.png": (512, True)}  # fmt: skip
"""Size in pixels, and whether it is maskable."""


def page_of(svg: bytes, maskable: bool) -> str:
    """A page that is the icon and nothing else."""
    image = base64.b64encode(svg).decode()
    part, ground = (SAFE, FILLED) if maskable else (1, "transparent")
    return (
        f"<body style='margin:0;height:100vh;display:grid;place-items:center;background:{ground}'>"
        f"<img src='data:image/svg+xml;base64,{image}' style='width:{part:.0%};height:{part:.0%}'>"
    )


def drawn(svg: bytes) -> Iterator[tuple[str, bytes]]:
    """The icons' names and PNGs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, (size, maskable) in ICONS.items():
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(page_of(svg, maskable), wait_until="load")
            yield name, page.screenshot(omit_background=True)
        browser.close()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else STATIC
    for name, png in drawn((STATIC / "icon.svg").read_bytes()):
        (folder / name).write_bytes(png)
        print(f"{folder / name}: {len(png)} bytes")


if __name__ == "__main__":
    main()
