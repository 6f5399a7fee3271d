"""`/healthz`, `/readyz`, `/actors` and the page's own files."""

import re

import pytest

from tests.web.client import Client

ACTOR = {"path", "kind", "incarnation", "state", "restarts", "last_error", "mailbox"}
MAILBOX = {
    "depth", "high_water", "capacity", "overflow", "offered", "accepted", "handled", "refused",
    "dropped", "replaced", "coalesced", "dead", "expired",
}  # fmt: skip


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_server_that_works_says_so(plain: Client, vision: Client, path: str) -> None:
    """200 and JSON, never cached."""
    for client in (plain, vision):
        answer = await client.get(path)
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json()["status"] == "ok"


async def test_actors_tell_what_the_contract_lists(plain: Client) -> None:
    """Each has exactly the fields of the contract; paths are unique, parents come first."""
    await plain.scanned()
    actors = await plain.actors()
    paths = [each["path"] for each in actors]
    assert len(set(paths)) == len(paths)
    assert {"/eco", "/eco/store", "/eco/work/pipeline", "/eco/work/scans", "/eco/http"} <= {*paths}
    for place, each in enumerate(actors):
        assert each.keys() - {"client"} == ACTOR  # which connections have besides
        assert each["mailbox"].keys() == MAILBOX
        assert each["state"] == "running"
        assert each["restarts"] == each["incarnation"] - 1 == 0
        parent = each["path"].rpartition("/")[0]
        assert parent == "" or parent in paths[:place]


async def test_no_mailbox_loses_count_of_a_message(plain: Client) -> None:
    """In each, what was offered was accepted or refused, what was accepted has an end."""
    await plain.scanned()
    for each in await plain.actors():
        box = each["mailbox"]
        assert box["offered"] == box["accepted"] + box["refused"], each
        ends = ("handled", "replaced", "coalesced", "dead", "expired", "depth")
        # at most one message is in hand, which is told nowhere
        assert box["accepted"] - sum(box[end] for end in ends) in (0, 1), each
        assert box["dropped"] <= box["refused"]
        assert 0 <= box["depth"] <= box["high_water"] <= box["capacity"]


async def test_the_work_of_a_scan_shows_in_the_pools(plain: Client) -> None:
    """Each scan of a category is one more message for rule, answer and reward."""

    async def handled() -> dict[str, int]:
        actors = await plain.actors()
        return {
            each["path"].split("/")[4]: each["mailbox"]["handled"]
            for each in actors
            if each["kind"] == "Worker"
        }

    before = await handled()
    await plain.scanned()
    assert await handled() == {name: count + 1 for name, count in before.items()}
    assert before.keys() == {"rule", "answer", "reward"}


async def test_the_page_and_all_that_it_names_is_served(plain: Client) -> None:
    """Each file that the page or one of its files refers to is there, of the right type."""
    page = await plain.get("/")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    waiting = set(re.findall(rb'(?:href|src)="(static/[^"]+)"', page.body))
    seen: set[bytes] = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        file = await plain.get("/" + name.decode())
        assert file.status == 200, name
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        kinds = {b"js": "javascript", b"css": "css", b"svg": "svg", b"png": "png"}
        kind = kinds[name.rpartition(b".")[2]]
        assert kind in file.headers["Content-Type"]
        imports = re.findall(rb'from "\./([^"]+)"', file.body)
        waiting |= {b"static/" + each for each in imports} - seen
    assert len(seen) > 5


async def test_a_page_that_did_not_change_is_not_sent_again(plain: Client) -> None:
    """A browser that asks with what it has gets 304."""
    first = await plain.get("/static/app.js")
    headers = {"If-Modified-Since": first.headers["Last-Modified"]}
    assert (await plain.get("/static/app.js", headers=headers)).status == 304
