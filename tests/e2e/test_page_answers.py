"""Answers at `/` and what can be tapped on them: conditions, another kind, the other language."""

from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.paging import asked, bin_of, choose, nothing
from tests.web.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

DONE = "#steps li[data-mark=done]"


async def started(page: Page) -> list[str]:
    """The scans that the server takes from now on."""
    tasks: list[str] = []

    async def keep(route: Route) -> None:
        answer = await route.fetch()
        tasks.append((await answer.json())["task_id"])
        await route.fulfill(response=answer)

    await page.route("**/scan/classify*", keep)
    return tasks


async def test_a_condition_changes_the_answer_in_place_and_back(
    browser_page: Page, page_url: str, photos: Path
) -> None:
    """A tap leads to another bin and says so, beside the same photo; a second tap leads back.

    Each such question names the scan whose answer it replaces. How sure it is stays with the
    thing, whose condition is named.
    """
    sent = asked(browser_page)
    tasks = await started(browser_page)
    await browser_page.goto(page_url)
    await browser_page.set_input_files("#file", photos / "glass" / "glass101.jpg")
    await expect(browser_page.locator(".bin h1")).to_have_text("유리병 수거함")
    chip = browser_page.locator("[data-tag=broken]")
    await chip.click()
    await expect(browser_page.locator(".bin h1")).to_have_text("불연성 마대")
    await expect(browser_page.locator("#told")).to_have_text("바뀌었어요 → 불연성 마대")
    await expect(browser_page.locator("#live")).to_have_text("바뀌었어요 → 불연성 마대")
    await expect(chip).to_have_attribute("aria-pressed", "true")
    await expect(chip).to_be_focused()
    await expect(browser_page.locator("#preview")).to_be_visible()
    await expect(browser_page.locator(".seen")).to_contain_text("사진 속 물건 유리병")
    await expect(browser_page.locator(".seen .with")).to_have_text("고르신 상태 깨짐·파손")
    await expect(browser_page.locator(".sure")).to_contain_text("무엇인지")
    await chip.click()
    await expect(browser_page.locator(".bin h1")).to_have_text("유리병 수거함")
    await expect(browser_page.locator(".with")).to_have_count(0)
    glass = {"category": "glass", "lang": "ko"}
    photo, broken, whole = tasks
    assert sent == [
        None,
        {**glass, "tags": ["broken"], "revises": photo},
        {**glass, "revises": broken},
    ]
    assert whole not in (photo, broken)


async def test_only_conditions_that_matter_are_offered(
    browser_page: Page, plain_server: Server
) -> None:
    """The chips are those the server names for the kind."""
    await browser_page.goto(plain_server.url)
    async with browser_page.expect_response("**/scan/categories?*") as told:
        await browser_page.locator("#by-hand").click()
    categories = (await (await told.value).json())["categories"]
    tags = next(each["tags"] for each in categories if each["id"] == "paper")
    await browser_page.locator(".choice[data-category=paper]").click()
    await expect(browser_page.locator(".chip")).to_have_count(len(tags))
    shown = await browser_page.locator(".chip").evaluate_all("all => all.map((c) => c.dataset.tag)")
    assert sorted(shown) == sorted(tags)


async def test_a_condition_that_cannot_be_asked_about_leaves_the_answer(
    browser_page: Page, plain_server: Server
) -> None:
    """A refused question is told beside the chips, which are as before."""

    async def refuse(route: Route) -> None:
        await route.fulfill(status=500, json={"code": "internal", "detail": "no"})

    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    await browser_page.route("**/scan/classify", refuse)
    await browser_page.locator("[data-tag=broken]").click()
    await expect(browser_page.locator("#told")).to_have_text(
        "답을 바꾸지 못했어요. 다시 눌러 주세요."
    )
    await expect(browser_page.locator("[data-tag=broken]")).to_have_attribute(
        "aria-pressed", "false"
    )
    await expect(browser_page.locator(".bin h1")).to_have_text("유리병 수거함")


async def test_the_choice_after_an_unsure_photo_names_that_scan(
    browser_page: Page, page_url: str
) -> None:
    """Three big buttons with name and bin; the tapped one is sent with the scan it answers."""
    sent = asked(browser_page)
    await browser_page.goto(page_url)
    async with browser_page.expect_response("**/scan/classify*") as told:
        await browser_page.set_input_files("#file", nothing())
    task_id = (await (await told.value).json())["task_id"]
    first = browser_page.locator(".choices.few .choice").first
    await expect(first.locator(".choice-mark")).to_be_visible()
    await expect(first.locator(".choice-side")).to_contain_text("→")
    category = await first.get_attribute("data-category")
    await first.click()
    await expect(browser_page.locator(".bin h1")).not_to_be_empty()
    await expect(browser_page.locator(DONE)).to_have_count(4)
    assert sent[1] == {"category": category, "lang": "ko", "after_scan": task_id}


async def test_none_of_the_three_leads_to_all_of_which_a_name_finds_one(
    browser_page: Page, page_url: str
) -> None:
    """Something else: all kinds in groups, searched by name, and still an answer to that scan."""
    sent = asked(browser_page)
    await browser_page.goto(page_url)
    await browser_page.set_input_files("#file", nothing())
    await browser_page.get_by_role("button", name="이 중에 없어요").click()
    await expect(browser_page.locator(".choice")).to_have_count(19)
    await expect(browser_page.locator(".group h2")).to_have_count(3)
    await browser_page.get_by_role("searchbox", name="이름으로 찾기").fill("건전지")
    await expect(browser_page.locator(".choice:visible")).to_have_count(1)
    await expect(browser_page.locator(".found")).to_have_text("1개")
    await browser_page.locator(".choice:visible").click()
    await expect(browser_page.locator(".bin h1")).to_have_text("폐건전지 수거함")
    assert "after_scan" in str(sent[1])


async def test_a_wrong_answer_is_corrected_without_being_unsure(
    browser_page: Page, page_url: str
) -> None:
    """Choosing another kind below an answer revises that answer, and keeps the photo."""
    sent = asked(browser_page)
    await browser_page.goto(page_url)
    await browser_page.set_input_files("#file", nothing())
    await bin_of(browser_page)
    await browser_page.get_by_role("button", name="아닌가요? 직접 고르기").click()
    await browser_page.locator(".choice[data-category=textile]").click()
    await expect(browser_page.locator(".bin h1")).to_have_text("의류 수거함")
    await expect(browser_page.locator("#preview")).to_be_visible()
    revised = sent[-1]
    assert isinstance(revised, dict)
    assert revised.pop("revises")
    assert revised == {"category": "textile", "lang": "ko"}


async def test_a_bin_that_is_not_here_says_where_to_go_instead(
    browser_page: Page, plain_server: Server
) -> None:
    """`here: false` is in the title that has the focus, and in what is said of a change.

    Among all kinds its tile says so, too, also to who listens, and has no colour.
    """

    async def move(route: Route) -> None:
        answer = await route.fetch()
        told = await answer.json()
        next(one for one in told["categories"] if one["id"] == "glass")["here"] = False
        await route.fulfill(response=answer, json=told)

    async def send_away(route: Route) -> None:
        answer = await route.fetch()
        away = '"here":false,"where":"주차장 옆 재활용 창고로 가져가 주세요."'
        body = (await answer.text()).replace('"here":true,"where":null', away)
        await route.fulfill(response=answer, body=body)

    await browser_page.route("**/scan/*/stream", send_away)
    await browser_page.route("**/scan/categories?*", move)
    await browser_page.goto(plain_server.url)
    await browser_page.locator("#by-hand").click()
    tile = browser_page.get_by_role("button", name="유리병 여기에는 없어요")
    fill = "(tile) => getComputedStyle(tile.querySelector('.choice-mark')).fill"
    assert await tile.evaluate(fill) == "none"
    plastic = browser_page.locator(".choice[data-category=plastic]")
    assert await plastic.evaluate(fill) == "rgb(31, 111, 235)"
    await tile.click()
    await browser_page.locator(".bin").wait_for()
    title = "여기에는 유리병 수거함이 없어요"
    await expect(browser_page.locator(".bin.away h1")).to_have_text(title)
    await expect(browser_page.locator(".bin.away h1")).to_be_focused()
    await expect(
        browser_page.locator("#panel").get_by_text("유리병 수거함", exact=True)
    ).to_have_count(0)
    await browser_page.locator("[data-tag=broken]").click()
    await expect(browser_page.locator("#live")).to_have_text(
        "바뀌었어요 → 여기에는 불연성 마대가 없어요"
    )
    await expect(browser_page.locator(".elsewhere")).to_contain_text("주차장 옆 재활용 창고")


async def test_switching_the_language_translates_the_answer_in_place(
    browser_page: Page, plain_server: Server
) -> None:
    """The shown answer turns to the other language, with the condition that was tapped."""
    await browser_page.goto(plain_server.url)
    await choose(browser_page, "glass")
    await browser_page.locator("[data-tag=broken]").click()
    await expect(browser_page.locator(".bin h1")).to_have_text("불연성 마대")
    await browser_page.locator(".lang[data-lang=en]").click()
    await expect(browser_page.locator(".bin h1")).to_have_text("incombustible waste sack")
    await expect(browser_page.locator("[data-tag=broken]")).to_have_text("Broken")
    await expect(browser_page.locator("[data-tag=broken]")).to_have_attribute(
        "aria-pressed", "true"
    )
    korean = "all => all.filter((n) => /[가-힣]/.test(n.ariaLabel ?? '')).map((n) => n.ariaLabel)"
    labels = await browser_page.locator("[aria-label]:visible").evaluate_all(korean)
    assert labels == ["언어 · Language"]
