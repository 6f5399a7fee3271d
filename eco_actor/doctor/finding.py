"""One thing that was looked at, and the report of all. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    OK = "ok"
    WARN = "warn"  # it works, but not as well as it might, or not for ever
    FAIL = "FAIL"  # a server with these settings does not start, or breaks what it promises


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do about it, for people.

    Further lines of `detail` are an example.
    """

    level: Level
    what: str
    detail: str
    advice: str = ""

    @property
    def failed(self) -> bool:
        return self.level is Level.FAIL


def ok(what: str, detail: str, advice: str = "") -> Finding:
    return Finding(Level.OK, what, detail, advice)


def warn(what: str, detail: str, advice: str) -> Finding:
    return Finding(Level.WARN, what, detail, advice)


def fail(what: str, detail: str, advice: str) -> Finding:
    return Finding(Level.FAIL, what, detail, advice)


def report(findings: Sequence[Finding], *, as_json: bool = False) -> str:
    """All of them: a line each, aligned, or one JSON object."""
    if as_json:
        return json.dumps(
            {
                "ok": not any(each.failed for each in findings),
                "findings": [
                    {
                        "level": each.level.value.lower(),
                        "what": each.what,
                        "detail": each.detail,
                        "advice": each.advice or None,
                    }
                    for each in findings
                ],
            },
            ensure_ascii=False,
        )
    width = max((len(each.what) for each in findings), default=0)
    return "\n".join(_line(each, width) for each in findings)


def _line(each: Finding, width: int) -> str:
    advice = f" -> {each.advice}" if each.advice else ""
    detail, *example = each.detail.split("\n")
    return "\n".join([f"{each.level.value:<4}  {each.what:<{width}}  {detail}{advice}", *example])
