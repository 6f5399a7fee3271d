"""`GET /metrics` in both formats, read by parsers of others."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_text

from eco_actor.web.metrics import OPENMETRICS, TEXT, prefers_openmetrics
from tests.web.client import Client
from tests.web.measured import World, measured, samples, scraped, serving

SCRAPER: Final = (  # what a Prometheus of 2026 sends
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
    "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)

parse_openmetrics: Callable[[str], Iterable[Metric]] = (
    openmetrics_parser.text_string_to_metric_families
)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with measured() as world:
        yield world


@pytest.fixture
async def client(session: aiohttp.ClientSession, world: World) -> AsyncIterator[Client]:
    async with serving(session, world) as client:
        yield client


async def test_the_text_of_prometheus_is_what_one_gets(client: Client) -> None:
    """Read by the library's own parser: each family once, each sample once, with a help."""
    answer = await scraped(client)
    assert answer.headers["Content-Type"] == TEXT
    families = list(parse_text(answer.body.decode()))
    names = [family.name for family in families]
    assert len(names) == len({*names})
    assert all(family.documentation and family.type != "unknown" for family in families)
    told = [(s.name, tuple(sorted(s.labels.items()))) for f in families for s in f.samples]
    assert len(told) == len({*told})
    assert {"eco_streams_opened", "eco_streams", "eco_log", "eco_loop_lag_seconds"} <= {
        name.removesuffix("_info") for name in names
    }


async def test_who_asks_for_openmetrics_gets_it(client: Client) -> None:
    """With its end mark and content type; the figures are the same."""
    answer = await scraped(client, Accept=SCRAPER)
    assert answer.headers["Content-Type"] == OPENMETRICS
    assert answer.headers["Vary"] == "Accept"
    assert answer.body.endswith(b"# EOF\n")
    in_openmetrics = samples(parse_openmetrics(answer.body.decode()))
    in_text = samples(parse_text((await scraped(client)).body.decode()))
    assert in_openmetrics.keys() == in_text.keys()


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/json", False),
        (SCRAPER, True),
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text ; Version=1.0.0", True),
        ("application/openmetrics-text; version=0.0.1", True),
        ("application/openmetrics-text; version=2.0.0", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.6", False),
        ("text/plain;q=0.5,application/openmetrics-text;q=0.6", True),
        ("application/openmetrics-text;q=nan", False),
        ("application/openmetrics-text;q=five,text/plain;q=0.1", False),
    ],
)
def test_the_format_is_the_one_that_weighs_most(accept: str, openmetrics: bool) -> None:
    """OpenMetrics only where it is named, in a version that there is, with no less weight."""
    assert prefers_openmetrics(accept) is openmetrics


@given(st.text(alphabet="application/openmetrics-text;q=0.19, version*é\x00"))
def test_no_accept_header_is_a_fault(accept: str) -> None:
    """Whatever it says, there is an answer."""
    assert prefers_openmetrics(accept) in (True, False)


async def test_a_head_request_has_no_body(client: Client) -> None:
    """As for any resource."""
    answer = await client.ask("HEAD", "/metrics")
    assert (answer.status, answer.body) == (200, b"")
