"""Requests with a key that are refused, given up, or come while the first is being accepted."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from eco_actor import routes
from eco_actor.app import Eco
from eco_actor.config import Config
from eco_actor.eventlog import StoreError, StoreFull
from eco_actor.scan.picture import Picture
from eco_actor.web.classify import ClassifyRoute
from tests.web import edge
from tests.web.checks import check_problem
from tests.web.client import JPEG, Client
from tests.web.held import Held, Running
from tests.web.keyed_scans import keyed, keyed_picture, same, scans
from tests.web.test_scan_idempotency import OTHER, waiting

BAD = b"\xff\xd8 no picture"


class Decoding:
    """Holds the decoder up until it is let go."""

    def __init__(self, eco: Eco, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = eco.admission.decode
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        monkeypatch.setattr(eco.admission, "decode", self.decode)

    async def decode(self, body: bytes) -> Picture:
        self.entered.set()
        await self.gate.wait()
        return await self._real(body)


async def test_a_repeat_of_one_still_being_accepted_is_409(
    eco: Eco, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another request is 422 even then. Once it is accepted, a repeat gets its answer."""
    async with running(eco) as client:
        decoding = Decoding(eco, monkeypatch)
        first = asyncio.create_task(keyed_picture(client, "k"))
        await decoding.entered.wait()
        check_problem(await keyed_picture(client, "k"), 409, "idempotency_key_in_use")
        answer = await keyed_picture(client, "k", picture=OTHER)
        check_problem(answer, 422, "idempotency_key_reused")
        decoding.gate.set()
        assert same(await first, await keyed_picture(client, "k"))
        assert len(await scans(eco)) == 1


async def test_repeats_at_one_moment_are_one_scan(eco: Eco, running: Running) -> None:
    """Whoever is not first is told to wait, or gets the answer."""
    async with running(eco) as client:
        for send in (keyed, keyed_picture):
            answers = await asyncio.gather(*(send(client, send.__name__) for _ in range(20)))
            assert {each.status for each in answers} <= {202, 409}
            assert len({each.body for each in answers if each.status == 202}) == 1
        assert len(await scans(eco)) == 2


@pytest.mark.parametrize("given_up", ["decoding", "writing"])
async def test_one_that_was_given_up_is_decided_before_it_is_repeated(
    eco: Eco, running: Running, monkeypatch: pytest.MonkeyPatch, given_up: str
) -> None:
    """Its client left: on its way to the disk it is accepted all the same, before that not."""
    async with running(eco) as client:
        decoding = Decoding(eco, monkeypatch)
        written = edge.Held(cast(Any, eco), monkeypatch)
        first = asyncio.create_task(keyed_picture(client, "k", "?realtime=false"))
        await decoding.entered.wait()
        if given_up == "writing":
            decoding.gate.set()
            await written.has(1)
        first.cancel()
        if given_up == "writing":
            await written.has(2)  # what it waits for to be decided comes behind it
            answer = await keyed_picture(client, "k", "?realtime=false")
            check_problem(answer, 409, "idempotency_key_in_use")
        else:
            await unclaimed(eco)
            decoding.gate.set()
        written.let_go()
        await unclaimed(eco)
        assert len(await scans(eco)) == (given_up == "writing")
        again = asyncio.create_task(keyed_picture(client, "k", "?realtime=false"))
        await waiting(eco, 1)
        assert len(await scans(eco)) == 1
        again.cancel()


async def unclaimed(eco: Eco) -> None:
    """Until no request is being accepted."""
    async with asyncio.timeout(20):
        while eco.idempotency._claims:  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0)


@pytest.mark.parametrize("refusal", ["bad picture", "full", "closed"])
async def test_what_was_refused_keeps_no_key(
    eco: Eco, running: Running, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    """The next request with it is taken, and may be another one."""

    def append(*given: object) -> None:
        raise StoreFull("full") if refusal == "full" else StoreError("closed")

    async with running(eco) as client:
        with monkeypatch.context() as patched:
            if refusal == "bad picture":
                answer = await keyed_picture(client, "k", picture=BAD)
                check_problem(answer, 422)
            else:
                patched.setattr(eco.log, "append", append)
                check_problem(await keyed(client, "k", lang="en"), 503)
        first = await keyed_picture(client, "k")
        assert first.status == 202
        assert await scans(eco) == [first.json()["task_id"]]


async def test_a_bad_request_is_answered_as_without_a_key(plain: Client) -> None:
    """What is wrong with it is said, also when the key is another request's."""
    await keyed(plain, "of-a-good-one")
    for key in ("of-a-good-one", "of-none"):
        check_problem(await keyed(plain, key, category="unicorn"), 422, "bad_option")
        check_problem(await keyed(plain, key, n=1), 422, "bad_option")
        answer = await plain.post(data=b"", headers={**JPEG, "Idempotency-Key": key})
        check_problem(answer, 400, "empty_body")
        answer = await plain.post(data=b"{", headers={"Idempotency-Key": key})
        check_problem(answer, 415)


@pytest.mark.parametrize("key", ["", '""', "a b", "ä", "k" * 256])
async def test_what_is_no_key_is_400(eco: Eco, running: Running, key: str) -> None:
    """And starts nothing."""
    async with running(eco) as client:
        check_problem(await keyed(client, key), 400, "bad_idempotency_key")
        twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        answer = await client.post(json={"category": "glass"}, headers=twice)
        check_problem(answer, 400, "bad_idempotency_key")
        assert await scans(eco) == []


async def test_without_vision_a_picture_keeps_no_key(plain: Client) -> None:
    """422, and the key is free for the category that the client sends instead."""
    for _ in range(2):
        check_problem(await keyed_picture(plain, "no-vision"), 422, "vision_off")
    assert (await keyed(plain, "no-vision")).status == 202


async def test_a_picture_is_told_of_when_there_is_no_vision_any_more(
    eco: Eco, running: Running, held: Held, tmp_path: Path
) -> None:
    """It was accepted while there was."""
    held.gate.set()
    async with running(eco) as client:
        first = await keyed_picture(client, "k")
        await client.events(first.json()["task_id"])
    blind = await asyncio.to_thread(lambda: Eco(Config(port=0, data_dir=tmp_path, vision=False)))
    async with running(blind) as client:
        assert same(await keyed_picture(client, "k"), first)
        check_problem(await keyed_picture(client, "new"), 422, "vision_off")


async def test_a_full_server_still_answers_repeats(
    one_scan: Eco, running: Running, held: Held
) -> None:
    """What was accepted is told again; new requests with a key are refused like all others."""
    async with running(one_scan) as client:
        first = await keyed_picture(client, "k")
        for _ in range(2):
            assert same(await keyed_picture(client, "k"), first)
            check_problem(await keyed_picture(client, "other"), 503, "busy")
            check_problem(await client.post(json={"category": "glass"}), 503, "busy")
        check_problem(await keyed_picture(client, "k", picture=OTHER), 422)


async def test_repeats_that_wait_are_bounded(
    make: Callable[..., Eco], running: Running, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One too many is 503; it may come again, and those that do not wait are answered."""
    monkeypatch.setattr(routes, "ClassifyRoute", partial(ClassifyRoute, max_repeats=2))
    eco = await asyncio.to_thread(make)
    async with running(eco) as client:
        answers = [asyncio.create_task(keyed_picture(client, "k", "?realtime=false"))]
        await waiting(eco, 1)
        for many in (2, 3):
            answers.append(asyncio.create_task(keyed_picture(client, "k", "?realtime=false")))
            await waiting(eco, many)
        check_problem(await keyed_picture(client, "k", "?realtime=false"), 503, "busy")
        assert (await keyed_picture(client, "other")).status == 202
        held.gate.set()
        assert len({each.body for each in await asyncio.gather(*answers)}) == 1
        assert (await keyed_picture(client, "k", "?realtime=false")).status == 200


async def test_what_is_there_is_told_while_nothing_can_be_written(
    eco: Eco, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeat only reads."""

    def append(*given: object) -> None:
        raise StoreError("the disk is full")

    async with running(eco) as client:
        first = await keyed(client, "k")
        await client.events(first.json()["task_id"])
        with monkeypatch.context() as patched:
            patched.setattr(eco.log, "append", append)
            assert same(await keyed(client, "k"), first)
            check_problem(await keyed(client, "new"), 503, "storage")
        assert (await keyed(client, "new")).status == 202
        assert len(await scans(eco)) == 2


async def test_a_failed_scan_is_told_again_while_its_key_cannot_be_freed(
    eco: Eco, running: Running, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same 409; afterwards the key is free."""
    held.error = ValueError("the lens is dirty")
    held.gate.set()
    ids = []
    async with running(eco) as client:
        for fails in (True, True, False, False):
            with monkeypatch.context() as patched:
                if fails:
                    patched.setattr(eco.idempotency, "free", failing)
                answer = await keyed_picture(client, "k", "?realtime=false")
                ids.append(check_problem(answer, 409)["task_id"])
    assert ids[0] == ids[1] == ids[2] != ids[3]


async def failing(*given: object) -> None:
    raise StoreError("the disk is full")
