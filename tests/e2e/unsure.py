"""A server that does not recognise a photo, played by the browser's own network layer."""

import json

from playwright.async_api import Page, Route

UNSURE = {
    "task_id": "unsure",
    "classification": {
        "category": None,
        "name": None,
        "confidence": 0.4,
        "alternatives": [
            {"category": "glass", "name": "유리병", "confidence": 0.4},
            {"category": "metal", "name": "금속", "confidence": 0.3},
            {"category": "paper", "name": "종이", "confidence": 0.2},
        ],
        "unsure": True,
        "backend": "test",
    },
    "rule": None,
    "answer": {"text": "셋 중에서 골라 주세요.", "lang": "ko", "backend": "test"},
}


def stream_of(*events: dict[str, object]) -> str:
    """These events as a finished scan's event stream."""
    bye = json.dumps({"code": "complete", "reason": "", "reconnect": False, "retry_ms": 1000})
    lines = [f"id: c{n}\ndata: {json.dumps(event)}\n\n" for n, event in enumerate(events, 1)]
    return "".join([*lines, f"event: eco.bye\ndata: {bye}\n\n"])


async def play_unsure(page: Page) -> None:
    """Let the next photo be one that the server does not recognise; categories go to the server."""
    base = {"task_id": "unsure", "progress": 100, "at": "2026-01-01T00:00:00.000Z"}
    events = stream_of(
        {**base, "seq": 1, "step": "vision", "status": "completed", "progress": 33},
        {**base, "seq": 2, "step": "rule", "status": "completed", "progress": 50},
        {**base, "seq": 3, "step": "answer", "status": "completed", "result": UNSURE},
        {**base, "seq": 4, "step": "reward", "status": "completed", "reward": None},
    )

    async def accept(route: Route) -> None:
        if route.request.headers["content-type"] == "application/json":
            await route.continue_()
            return
        urls = {f"{name}_url": f"unsure/{name}" for name in ("stream", "events", "result")}
        body = {"task_id": "unsure", "status": "processing", **urls}
        await route.fulfill(status=202, json=body)

    async def stream(route: Route) -> None:
        await route.fulfill(content_type="text/event-stream", body=events)

    await page.route("**/scan/classify*", accept)
    await page.route("**/scan/unsure/stream", stream)
