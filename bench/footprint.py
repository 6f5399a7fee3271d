"""Memory and start: what an idle server holds, and how long it takes until it is ready.

`python -m bench.footprint` prints one JSON line. RSS in MB (10^6 bytes): idle after /readyz, and
with vision also after 20 photographs. Seconds from starting the process to /readyz = 200, with
the model converted already, and once for the very first start, which converts it. The baseline is a
plain aiohttp server in the same run.
"""

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from bench.scan import photograph
from bench.server import Server, eco, running


def ready_s(start: AbstractContextManager[Server], photos: int = 0) -> dict[str, float]:
    """Start, wait until ready, look; with *photos*, look again after so many scans."""
    begun = time.perf_counter()
    with start as server:
        url = f"http://{server.host}:{server.port}"
        if photos >= 0:
            with urllib.request.urlopen(f"{url}/readyz") as answer:
                assert answer.status == 200
        found = {"ready_s": time.perf_counter() - begun, "rss_mb": server.rss_mb()}
        for _ in range(photos):
            request = urllib.request.Request(
                f"{url}/scan/classify?realtime=false",
                photograph(),
                {"Content-Type": "image/jpeg"},
            )
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200
        if photos > 0:
            found["rss_mb_after_photos"] = server.rss_mb()
        return found


def after_large_pictures(start: AbstractContextManager[Server]) -> dict[str, float]:
    """Eight PNGs of just under 40 megapixels at once: the memory that stays, and the peak."""
    from PIL import Image

    drawn = io.BytesIO()
    Image.new("RGBA", (6300, 6300), (90, 160, 90, 200)).save(drawn, "PNG")
    with start as server, ThreadPoolExecutor(8) as clients:
        url = f"http://{server.host}:{server.port}/scan/classify?realtime=false"

        def post(_: int) -> None:
            request = urllib.request.Request(url, drawn.getvalue(), {"Content-Type": "image/png"})
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200

        before = server.rss_mb()
        list(clients.map(post, range(8)))
        figures = {"rss_mb_before": before, "rss_mb": server.rss_mb(), "peak": server.peak_rss_mb()}
        return {name: round(figure, 1) for name, figure in figures.items()}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(r[key] for r in rounds), 2) for key in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="starts of each kind (3)")
    given = parser.parse_args()
    plain = [sys.executable, "-m", "bench.plain_aiohttp"]
    with tempfile.TemporaryDirectory(prefix="eco-bench-cache-") as cache:
        os.environ["ECO_CACHE_DIR"] = cache
        first = ready_s(eco())  # converts the model
        rounds = range(given.rounds)
        found: dict[str, Any] = {
            "bench": "footprint",
            "without_vision": medians([ready_s(eco("--vision", "off")) for _ in rounds]),
            "with_vision": medians([ready_s(eco(), photos=20) for _ in rounds]),
            "large_pictures": after_large_pictures(eco()),
            "first_start_s": round(first["ready_s"], 2),
            "plain_aiohttp": medians([ready_s(running(plain), photos=-1) for _ in rounds]),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
