"""Programs of others follow a scan from its beginning, are cut off, and miss nothing."""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.e2e.following import STEPS, Gated
from tests.stock.cutting import Cutter
from tests.stock.followers import CURL, Curl, HttpxSse, Stock, Websockets
from tests.stock.followers_js import InNode, NpmEventSource, NpmWs, lacking
from tests.stock.story import check, is_cut_within_an_event, outlives_the_server, scan

CLIENTS: Final = (Curl, HttpxSse, Websockets, NpmEventSource, NpmWs)
CUTS: Final = (
    (Curl, True), (Curl, False), (HttpxSse, False), (Websockets, True),
    (NpmEventSource, False), (NpmWs, True),
)  # fmt: skip
"""By a reset or not: each kind sees one of them, one kind both."""


@pytest.fixture(params=CLIENTS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Stock]:
    made: type[Stock] = request.param
    reason = lacking() if issubclass(made, InNode) else None
    if made is Curl and CURL is None:
        reason = "curl is not installed"
    if reason is not None:
        pytest.skip(reason)
    return made


@pytest.fixture
async def client(kind: type[Stock], gated: Gated) -> AsyncIterator[Stock]:
    """Follows a scan that was just accepted."""
    made = kind(gated.url, f"/scan/{await scan(gated.url)}/stream")
    yield made
    await made.close()


async def test_a_scan_from_its_beginning_to_its_end(client: Stock, gated: Gated) -> None:
    """Five events, each as it happens, and then the word that this was all."""
    await client.begin()
    for number, step in enumerate(STEPS, start=2):
        await client.has(number)
        gated.let(step)
    check(client, await client.rest())


@pytest.mark.parametrize(("kind", "reset"), CUTS, indirect=["kind"])
async def test_a_connection_that_is_cut_within_an_event(
    client: Stock, gated: Gated, cutter: Cutter, reset: bool
) -> None:
    """It goes on behind the last whole event: the one that was cut comes once, whole."""
    client.url, cutter.reset = cutter.url, reset
    await is_cut_within_an_event(client, gated, cutter)


async def test_a_server_that_is_killed_in_mid_scan(client: Stock, gated: Gated) -> None:
    """Started again it finishes the scan, and the client gets the rest."""
    await outlives_the_server(client, gated)
