"""What the contract says of answers, as assertions that several modules share."""

import re
from typing import Any

from tests.web.client import Answer, Message, data_of, is_data

HANGUL = re.compile("[가-힣]")

GOOD = [
    ("vision", "processing", 10),
    ("vision", "completed", 33),
    ("rule", "completed", 50),
    ("answer", "completed", 100),
    ("reward", "completed", 100),
]


def check_problem(answer: Answer, status: int, code: str | None = None) -> Any:
    """It is an error as RFC 9457 wants it; returns its fields."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["Content-Type"].split(";")[0] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()
    assert problem["status"] == status
    assert all(isinstance(problem[key], str) and problem[key] for key in ("type", "title", "code"))
    assert isinstance(problem["detail"], str)
    if code is not None:
        assert problem["code"] == code, problem
    if status in (429, 503):
        assert int(answer.headers["Retry-After"]) >= 1
    return problem


def check_events(messages: list[Message], task_id: str, first: int = 1) -> list[dict[str, Any]]:
    """They are the five events of a good scan from number *first* on, each with its own cursor."""
    events = data_of(messages)
    told = [(event["step"], event["status"], event["progress"]) for event in events]
    assert told == GOOD[first - 1 :]
    assert [event["seq"] for event in events] == list(range(first, 6))
    assert {event["task_id"] for event in events} <= {task_id}
    ids = [message.id for message in messages if is_data(message)]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    return events


def check_result(result: dict[str, object], lang: str) -> None:
    """The result has exactly the fields of the contract, texts in the right language."""
    assert result.keys() == {"task_id", "classification", "rule", "answer"}
    seen, rule, said = result["classification"], result["rule"], result["answer"]
    assert isinstance(seen, dict)
    assert seen.keys() == {
        "category", "name", "confidence", "alternatives", "unsure", "backend",
    }  # fmt: skip
    assert all(each.keys() == {"category", "name", "confidence"} for each in seen["alternatives"])
    assert 0 <= seen["confidence"] <= 1
    assert isinstance(said, dict)
    assert said.keys() == {"text", "lang", "backend"}
    assert said["lang"] == lang
    assert bool(HANGUL.search(said["text"])) == (lang == "ko")
    if seen["unsure"]:
        assert (seen["category"], seen["name"], rule) == (None, None, None)
        assert len(seen["alternatives"]) == 3
    else:
        assert isinstance(rule, dict)
        assert rule.keys() >= {"bin", "steps", "not_these", "why", "layer", "source"}
        assert bool(HANGUL.search(rule["bin"])) == (lang == "ko")
