"""What clients of the crash harness were promised, to be compared with the log in the end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bench.crash_readers import Reader, position

GOOD: Final = (200, 202)
GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said to a request, first."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Request:
    """One that has the same answer each time.

    `waits`: its answer is a result, or 202 where the server could not wait for it.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    waits: bool = False


@dataclass(slots=True)
class Book:
    """What clients saw. `kills` counts on, so that a fault can be placed among the kills.

    `small`: the log keeps little, so what was there may be gone from some time on.
    """

    accepted: dict[str, int] = field(default_factory=dict)  # task id -> kills before
    published: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # its data's id ->
    # channel, cursor, kills before
    answers: dict[str, tuple[Request, Answer]] = field(default_factory=dict)
    readers: list[Reader] = field(default_factory=list)
    followed: dict[str, Reader] = field(default_factory=dict)  # somebody who follows it, by task id
    wrong: list[str] = field(default_factory=list)
    kills: int = 0
    small: bool = False
    one_epoch: bool = True  # else a kill ends an epoch: cursors of old events are renewed

    def unchanged(self, name: str, request: Request, answer: Answer) -> None:
        """An answer, which is to be the same each time that it is given."""
        if not self.one_epoch:
            answer = _without_epoch(answer)
        if answer.status not in GOOD and not (self.small and answer.status == GONE):
            self.wrong.append(f"{name}: answered {answer}")
            return
        _, first = self.answers.setdefault(name, (request, answer))
        if answer.status == GONE and request.method == "GET":  # and never there again
            self.answers[name] = request, answer
            return
        late = request.waits and (first.status, answer.status) == (202, 200)
        if late and first.json()["task_id"] == answer.json()["task_id"]:
            self.answers[name] = request, answer
        elif first != answer:
            self.wrong.append(f"{name}: answered {first}, then {answer}")


def _without_epoch(answer: Answer) -> Answer:
    """The same, with the position of a snapshot in the place of its cursor."""
    told = answer.json()
    if "result" not in told or "cursor" not in told:
        return answer
    told["cursor"] = position(told["cursor"])
    return Answer(answer.status, json.dumps(told).encode())
