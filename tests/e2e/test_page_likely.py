"""What the page offers first: kinds that are mistaken for each other, and likely conditions."""

import pytest
from playwright.async_api import Page, Route, expect

from eco_actor.scan.rules import RuleBook
from tests.e2e.paging import asked, choose
from tests.web.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOOK = RuleBook.load()
ORDERED = """async () => {
    const { byLikelihood } = await import("/static/likely.js");
    const { categories } = await (await fetch("/scan/categories")).json();
    const ordered = ({ id, tags }) => byLikelihood(id, tags.filter((tag) => tag !== "haunted")
        .map((tag) => ({ id: tag }))).map((tag) => tag.id);
    return Object.fromEntries(categories.map((one) => [one.id, ordered(one)]));
}"""


async def taken_for(page: Page, category: str) -> None:
    """Let what was chosen without a photo look as if a photo had been taken for it."""

    async def rename(route: Route) -> None:
        answer = await route.fetch()
        body = (await answer.text()).replace('"backend":"user"', '"backend":"test"')
        await route.fulfill(response=answer, body=body)

    await page.route("**/scan/*/stream", rename)
    await choose(page, category)
    await page.unroute("**/scan/*/stream")


async def test_what_a_photo_is_mistaken_for_is_one_tap_away(
    browser_page: Page, plain_server: Server
) -> None:
    """Below a plastic container: the clear bottle first and big, then film and foam."""
    sent = asked(browser_page)
    await browser_page.goto(plain_server.url)
    await taken_for(browser_page, "plastic")
    kinds = browser_page.locator(".rather .kind")
    await expect(kinds).to_have_text(["무색 페트병", "비닐", "스티로폼"])
    await expect(browser_page.locator(".rather .mostly")).to_have_text("무색 페트병")
    await expect(kinds.first.locator(".choice-mark")).to_be_visible()
    await kinds.first.click()
    await expect(browser_page.locator(".bin h1")).to_have_text("투명 페트병 수거함")
    await expect(browser_page.locator(".seen")).to_contain_text("직접 고르신 것")
    await expect(browser_page.locator(".rather")).to_have_count(0)
    assert isinstance(sent[1], dict)
    assert sorted(sent[1]) == ["category", "lang", "revises"]


async def test_likely_conditions_come_first(browser_page: Page, plain_server: Server) -> None:
    """What leads to another bin first, and of that the likeliest; what is not known comes last.

    So it is for every kind by the rules there are.
    """

    async def add(route: Route) -> None:
        answer = await route.fetch()
        told = await answer.json()
        told["tags"].insert(0, {"id": "haunted", "name": "유령"})
        next(one for one in told["categories"] if one["id"] == "plastic")["tags"].insert(
            0, "haunted"
        )
        await route.fulfill(response=answer, json=told)

    await browser_page.route("**/scan/categories?*", add)
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "plastic")
    await browser_page.locator(".chip").first.wait_for()
    shown = await browser_page.locator(".chip").evaluate_all("all => all.map((c) => c.dataset.tag)")
    known = ["soiled", "sharp", "mixed_material", "composite_mark", "large", "built_in_battery"]
    assert shown == [*known, "has_contents", "haunted"]
    for category, tags in (await browser_page.evaluate(ORDERED)).items():
        moved = [BOOK.apply(category, [tag], "ko").moved for tag in tags]
        assert moved == sorted(moved, reverse=True), category


async def test_a_bottle_is_asked_about_its_deposit_right_below_its_bin(
    browser_page: Page, plain_server: Server
) -> None:
    """One tap leads to the return point and one back; nobody is asked for its battery.

    What is broken is taken back nowhere: then it is no question.
    """
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    question = browser_page.locator(".bin + .question")
    await expect(question).to_contain_text("보증금 표시가 있는 소주, 맥주, 음료 병인가요?")
    shown = await browser_page.locator(".chip").evaluate_all("all => all.map((c) => c.dataset.tag)")
    assert shown == ["broken", "soiled", "has_contents"]
    await question.click()
    await expect(browser_page.locator(".bin h1")).to_have_text("빈병 반환처")
    await expect(question).to_have_attribute("aria-pressed", "true")
    await expect(question).to_be_focused()
    await question.click()
    await expect(browser_page.locator(".bin h1")).to_have_text("유리병 수거함")
    await browser_page.locator("[data-tag=broken]").click()
    await expect(browser_page.locator(".bin h1")).to_have_text("불연성 마대")
    await expect(question).to_have_count(0)


async def test_a_scan_that_cannot_be_revised_is_asked_as_a_new_one(
    browser_page: Page, plain_server: Server
) -> None:
    """A 422 for the scan that is named does not keep the answer back."""
    sent = asked(browser_page)

    async def refuse(route: Route) -> None:
        if "revises" in (route.request.post_data_json or {}):
            await route.fulfill(status=422, json={"code": "bad_option", "detail": "revises: no"})
        else:
            await route.continue_()

    await browser_page.route("**/scan/classify", refuse)
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    await browser_page.locator("[data-tag=broken]").click()
    await expect(browser_page.locator(".bin h1")).to_have_text("불연성 마대")
    again = {"category": "glass", "lang": "ko", "tags": ["broken"]}
    assert isinstance(sent[1], dict)
    assert sent[1].pop("revises")
    assert sent[1:] == [again, again]
