"""`follow`: a scan or a channel of a running server, told line by line while it happens."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from eco_actor.client import Client, EcoError, Event, Gap, Problem, State, Waiting
from eco_actor.client.link import Asked
from eco_actor.config import ConfigError

URL: Final = "http://127.0.0.1:8080"

UNANSWERED_S: Final = 10.0
"""Seconds after which it is given up when nothing has ever answered."""

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


class Patience:
    """Ends *scope* after so many *seconds*, None: not, if till then every try was in vain because
    nobody is there. A proxy that holds answers back is somebody."""

    def __init__(self, scope: asyncio.Timeout, seconds: float | None) -> None:
        self.unanswered = False
        self._answered = False
        self._scope = scope
        now = asyncio.get_running_loop().time()
        self._until = now + seconds if seconds is not None else None

    def tell(self, state: State) -> None:
        if not isinstance(state, Waiting) or state.code != "unreachable":
            self._answered = True
        self.unanswered = not self._answered
        if not self._scope.expired():
            self._scope.reschedule(self._until if self.unanswered else None)


def _status(state: State, note: Say) -> None:
    if isinstance(state, Waiting):
        why = shown(f"{state.code}: {state.detail}" if state.detail else state.code)
        when = f"in {state.seconds:.1f} s" if state.seconds >= 0.05 else "at once"
        note(f"{why}; trying again {when} over {state.transport}")


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
    unanswered_s: float = UNANSWERED_S,
) -> int:
    """Tell *say* each step, and last the answer; *note* what went wrong. 0: the scan is completed;
    1: it is not, or could not be followed, or it was not over within *seconds*; or, without these,
    nothing has ever answered within *unanswered_s*."""
    story = Story(as_json=as_json)
    patience: Patience | None = None

    def on_state(state: State) -> None:
        if patience is not None:
            patience.tell(state)
        _status(state, note)

    try:
        async with asyncio.timeout(seconds), client, asyncio.timeout(None) as scope:
            patience = Patience(scope, unanswered_s if seconds is None else None)
            about: dict[str, Any] = {"transport": transport, "after": after}
            async with client.follow(target, on_state=on_state, **about) as events:
                async for told in events:
                    say(story.line(told))
            if story.status is None:  # its end lies before the cursor
                snapshot = await client.snapshot(target.removeprefix("scan:"))
                story.status = snapshot["status"]
                story.answer = (snapshot["result"] or {}).get("answer", {}).get("text")
    except EcoError as error:
        another = isinstance(error, Problem) and error.code.startswith("http_")
        hint = f": is {client.url} another server? --url names one" if another else ""
        note(shown(f"{error}{hint}"))
        return 1
    except TimeoutError:
        if patience is not None and patience.unanswered:
            note(f"nothing answers at {client.url}: --url names another server")
        else:
            note(f"it was not over within {seconds} s")
        return 1
    if story.answer is not None and not as_json:
        say(shown(story.answer))
    return int(story.status != "completed")
