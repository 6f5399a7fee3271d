"""The same in JavaScript: npm's clients in node, and those that Chromium has itself."""

import json
import shutil
from abc import abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar, Final

from playwright.async_api import Page, Response

from tests.stock.followers import Ended, Item, Stock, Told, output, program

HERE: Final = Path(__file__).parent
NODE: Final = shutil.which("node")


def lacking() -> str | None:
    """Why npm's clients cannot be had; None when they can."""
    if NODE is None:
        return "node is not installed"
    missing = [name for name in ("eventsource", "ws") if not installed(name)]
    return f"not installed, by npm ci in tests/stock: {', '.join(missing)}" if missing else None


def installed(name: str) -> bool:
    return (HERE / "node_modules" / name / "package.json").is_file()


def item_of(told: dict[str, Any]) -> Item | None:
    """What a script said: {cursor, data}, {end}, or a message of the WebSocket's."""
    match told:
        case {"end": how}:
            return Ended(how)
        case {"op": "closed", "code": code}:
            return Ended("cut" if code == 1006 else code)
        case {"cursor": str(cursor), "data": data} if told.get("op", "event") == "event":
            return Told(cursor, data)
    return None


class InNode(Stock):
    """A script beside this file, which says a line of JSON for each thing that it sees."""

    script: ClassVar[str]

    @abstractmethod
    def arguments(self) -> list[str]: ...

    async def items(self) -> AsyncIterator[Item]:
        assert NODE is not None
        said = b""
        async with program(NODE, HERE / self.script, *self.arguments()) as process:
            async for piece in output(process):
                *whole, said = (said + piece).split(b"\n")
                for line in whole:
                    if (item := item_of(json.loads(line))) is not None:
                        if isinstance(item, Told):
                            self.cursor = item.cursor
                        yield item


class NpmEventSource(InNode):
    script = "eventsource.mjs"
    by_itself = True
    end = 204

    def arguments(self) -> list[str]:
        return [self.stream]


class NpmWs(InNode):
    script = "ws.mjs"
    end = 1000

    def arguments(self) -> list[str]:
        return [self.socket, *(word for word in self.wanted.values() if word)]


QUEUE: Final = """
    const queue = [];
    let wake = () => {};
    const tell = (told) => (queue.push(told), wake());
    window.next = async () => {
        while (!queue.length) await new Promise((resolve) => (wake = resolve));
        return queue.shift();
    };
"""


class InPage(Stock):
    """A page of the server, whose `script` is a function of what `given` returns."""

    script: ClassVar[str]

    def __init__(self, url: str, path: str, page: Page) -> None:
        super().__init__(url, path)
        self.page = page
        self.status = 0  # of the stream's last answer
        page.on("response", self._note)

    def _note(self, response: Response) -> None:
        if response.url == self.stream:
            self.status = response.status

    @abstractmethod
    def given(self) -> Any: ...

    async def items(self) -> AsyncIterator[Item]:
        await self.page.evaluate(f"(given) => {{ {QUEUE} {self.script} }}", self.given())
        while True:
            told = await self.page.evaluate("next()")
            if told == {"closed": True}:
                told = {"end": self.status}
            if (item := item_of(told)) is not None:
                if isinstance(item, Told):
                    self.cursor = item.cursor
                yield item


class ChromiumEventSource(InPage):
    """The seeds' own snippet."""

    by_itself = True
    end = 204
    script = """
        const source = new EventSource(given);
        source.onmessage = ({ data, lastEventId }) =>
            tell({ cursor: lastEventId, data: JSON.parse(data) });
        source.onerror = () =>
            tell(source.readyState === EventSource.CLOSED ? { closed: true } : { end: "cut" });
    """

    def given(self) -> Any:
        return self.stream


class ChromiumWebSocket(InPage):
    end = 1000
    script = """
        const [address, wanted] = given;
        const socket = new WebSocket(address);
        socket.onopen = () => socket.send(JSON.stringify({ op: "subscribe", id: 1, ...wanted }));
        socket.onmessage = ({ data }) => tell(JSON.parse(data));
        socket.onclose = ({ code }) => tell({ op: "closed", code });
    """

    def given(self) -> Any:
        return [self.socket, self.wanted]
