"""The least that could answer the same conversation: plain aiohttp, no pipeline, no log, no actors.

`python -m bench.plain_aiohttp`: POST /scan/classify answers 202, GET /scan/ID/stream sends five
ready-made events. The baseline that bench.scan puts beside the server.
"""

import asyncio
import itertools
import sys

import uvloop
from aiohttp import web

STEPS = (("vision", 10), ("vision", 33), ("rule", 50), ("answer", 100), ("reward", 100))


def make_app() -> web.Application:
    numbers = itertools.count()

    async def classify(request: web.Request) -> web.Response:
        await request.json()
        task_id = f"{next(numbers):022d}"
        return web.json_response(
            {"task_id": task_id, "stream_url": f"/scan/{task_id}/stream"}, status=202
        )

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number, (step, progress) in enumerate(STEPS, start=1):
            data = f'{{"seq":{number},"step":"{step}","progress":{progress},"pad":"{"x" * 300}"}}'
            await response.write(f"id: {number}\ndata: {data}\n\n".encode())
            await asyncio.sleep(0)
        return response

    app = web.Application()
    app.router.add_post("/scan/classify", classify)
    app.router.add_get("/scan/{task_id}/stream", stream)
    return app


async def main() -> None:
    runner = web.AppRunner(make_app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
