"""The least that could answer the same conversations: plain aiohttp, no pipeline, log or actors.

`python -m bench.plain_aiohttp [loop|queues]`: the baseline that benchmarks put beside the server.

POST /scan/classify answers 202, GET /scan/ID/stream sends five ready-made events (bench.scan).
GET /stream (SSE) and GET /ws follow the one channel that POST /channels/NAME/events publishes on.
loop:   the publisher's request writes to one subscriber after the other, and is answered then. The
        cheapest way; a subscriber that stops reading stops everybody.
queues: a queue and a task for each subscriber; who is more than QUEUE events behind misses some.
"""

import asyncio
import contextlib
import itertools
import resource
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop
from aiohttp import web

STEPS = (("vision", 10), ("vision", 33), ("rule", 50), ("answer", 100), ("reward", 100))
QUEUE: Final = 256

Write = Callable[[str], Awaitable[object]]


class Channel:
    """Who follows the channel, and how each is written to."""

    def __init__(self, queues: bool) -> None:
        self._queues = queues
        self._writes: set[Write] = set()

    async def publish(self, request: web.Request) -> web.Response:
        await request.json()
        data = await request.text()
        for write in tuple(self._writes):
            with contextlib.suppress(ConnectionError, asyncio.QueueFull):
                await write(data)
        return web.json_response({"cursor": None}, status=202)

    async def sse(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def write(data: str) -> None:
            await response.write(f"data: {data}\n\n".encode())

        await response.write(b": open\n\n")
        await self._follow(write)
        return response

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        await response.send_str('{"op":"subscribed"}')
        await self._follow(response.send_str)
        return response

    async def _follow(self, write: Write) -> None:
        """Until the connection ends, which cancels it."""
        queue: asyncio.Queue[str] = asyncio.Queue(QUEUE)

        async def put(data: str) -> None:
            queue.put_nowait(data)

        chosen = put if self._queues else write
        self._writes.add(chosen)
        try:
            while True:
                await write(await queue.get())
        finally:
            self._writes.discard(chosen)


def make_app(queues: bool) -> web.Application:
    numbers = itertools.count()
    channel = Channel(queues)

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
    app.router.add_get("/stream", channel.sse)
    app.router.add_get("/ws", channel.websocket)
    app.router.add_post("/channels/{channel}/events", channel.publish)
    return app


async def main(queues: bool) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    runner = web.AppRunner(make_app(queues), access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main("queues" in sys.argv[1:]))
