"""`follow`: a scan or a channel of a running server, told line by line while it happens."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from eco_actor.client import Client, EcoError, Event, Gap, State, Waiting
from eco_actor.client.link import Asked
from eco_actor.config import ConfigError

URL: Final = "http://127.0.0.1:8080"

Say = Callable[[str], object]


async def run(given: argparse.Namespace) -> int:
    """The command, on standard output and standard error; its exit status. ConfigError."""

    def say(text: str) -> None:
        print(text, flush=True)

    def note(text: str) -> None:
        print(f"eco_actor: {text}", file=sys.stderr, flush=True)

    try:
        url = given.url or os.environ.get("ECO_URL") or URL
        client = Client(url, token=os.environ.get("ECO_OPERATOR_TOKEN") or None)
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
    return await follow(
        client,
        given.task,
        say,
        note,
        transport=given.transport,
        after=given.after,
        as_json=given.json,
        seconds=given.timeout,
    )


class Story:
    """What is told of a scan or a channel, as lines. `answer` is the text of the scan's answer, and
    `status` what has become of it, as far as it was told."""

    def __init__(self, *, as_json: bool) -> None:
        self.answer: str | None = None
        self.status: str | None = None
        self._as_json = as_json

    def line(self, told: Event | Gap) -> str:
        """One line, without its end."""
        if isinstance(told, Event) and told.channel.startswith("scan:"):
            self._note(told.data)
        if self._as_json:
            return json.dumps(_plain(told), ensure_ascii=False)
        if isinstance(told, Gap):
            many = f"{told.dropped} events" if told.dropped else "events"
            return f"-- {many} of {told.channel} are missing here: {told.reason}"
        if told.channel.startswith("scan:"):
            return shown(_step(told.data))
        return shown(f"{told.channel} {json.dumps(told.data, ensure_ascii=False)}")

    def _note(self, data: Mapping[str, Any]) -> None:
        if data.get("status") in ("failed", "cancelled"):
            self.status = data["status"]
        if (result := data.get("result")) is not None:
            self.status, self.answer = "completed", result["answer"]["text"]


def _plain(told: Event | Gap) -> dict[str, Any]:
    if isinstance(told, Event):
        return {"channel": told.channel, "cursor": told.cursor, "data": told.data}
    lost = {"channel": told.channel, "from": told.begin, "to": told.end}
    return {"gap": {**lost, "dropped": told.dropped, "reason": told.reason}}


def _step(data: Mapping[str, Any]) -> str:
    """A scan's event: step, status, progress, and what it found."""
    line = (
        f"{data.get('step', ''):<6}  {data.get('status', ''):<10}  {data.get('progress', ''):>3} %"
    )
    if (error := data.get("error")) is not None:
        return f"{line}  {error['code']}: {error['detail']}"
    if (category := data.get("category")) is not None:
        return f"{line}  {category} ({data.get('confidence', 0):.0%})"
    if (reward := data.get("reward")) is not None:
        return f"{line}  +{reward['points']}"
    if "delta" in data:
        return f"{line}  {data['delta']}"
    return line


def shown(text: str) -> str:
    """The text, without what a terminal would take for a command."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _status(state: State, note: Say) -> None:
    if isinstance(state, Waiting):
        why = shown(f"{state.code}: {state.detail}" if state.detail else state.code)
        note(f"{why}; trying again in {state.seconds:.1f} s over {state.transport}")


async def follow(
    client: Client,
    target: str,
    say: Say,
    note: Say,
    *,
    transport: Asked = "auto",
    after: str | None = None,
    as_json: bool = False,
    seconds: float | None = None,
) -> int:
    """Tell *say* each step, and last the answer; *note* what went wrong. 0: the scan is completed;
    1: it is not, or could not be followed, or it was not over within *seconds*."""
    story = Story(as_json=as_json)
    try:
        async with asyncio.timeout(seconds), client:
            about: dict[str, Any] = {"transport": transport, "after": after}
            states = client.follow(target, on_state=lambda state: _status(state, note), **about)
            async with states as events:
                async for told in events:
                    say(story.line(told))
            if story.status is None:  # its end lies before the cursor
                snapshot = await client.snapshot(target.removeprefix("scan:"))
                story.status = snapshot["status"]
                story.answer = (snapshot["result"] or {}).get("answer", {}).get("text")
    except EcoError as error:
        note(shown(str(error)))
        return 1
    except TimeoutError:
        note(f"it was not over within {seconds} s")
        return 1
    if story.answer is not None and not as_json:
        say(shown(story.answer))
    return int(story.status != "completed")
