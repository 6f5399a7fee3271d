"""Somebody's application with the server in it at /eco; takes of run.py's words what it needs."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from aiohttp import web

from eco_actor.arguments import parser
from eco_actor.config import Config
from eco_actor.embedding import setup


async def main(config: Config) -> None:
    app = web.Application()
    setup(app, "/eco", config)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    given = parser().parse_args()
    asyncio.run(main(Config.from_env(data_dir=given.data_dir, vision=False)))
