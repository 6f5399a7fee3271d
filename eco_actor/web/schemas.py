"""What answers of the server look like, as types: `/openapi.json` is made of them.

The handlers make their answers themselves; tests hold what they say against these types. Here are
errors, scans and their events; `schemas_streams` and `schemas_operating` have the others.

A client is to ignore fields that it does not know: own stages and later versions add some.
"""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from eco_actor.runtime.states import State
from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.rules import LANGUAGES, LAYERS
from eco_actor.scan.task_id import TASK_ID

SCAN_STATUSES: Final = ("processing", "completed", "failed", "cancelled")

TAGS: Final = {"x-values-of": "tags"}
"""Stands for the enum of the tags that the rules of this server know."""


def one_of(values: Any) -> Meta:
    """A text that is one of these."""
    return Meta(extra_json_schema={"enum": list(values)})


Category = Annotated[str, one_of(CATEGORIES)]
Lang = Annotated[str, one_of(LANGUAGES)]
Tag = Annotated[str, Meta(extra_json_schema=TAGS)]
ScanStatus = Annotated[str, one_of(SCAN_STATUSES)]
ActorState = Annotated[str, one_of(state.value for state in State)]
TaskId = Annotated[str, Meta(pattern=f"^{TASK_ID.pattern}$")]
Cursor = Annotated[str, Meta(min_length=1, description="opaque; the same on every transport")]
Confidence = Annotated[float, Meta(ge=0, le=1)]
Progress = Annotated[int, Meta(ge=0, le=100, description="percent")]
Count = Annotated[int, Meta(ge=0)]
Timestamp = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        extra_json_schema={"format": "date-time"},
        description="RFC 3339, UTC, with milliseconds",
    ),
]


class ProblemDetails(Struct):
    """An error (RFC 9457). `code` is stable and for programs, `detail` for their developers."""

    type: Annotated[str, Meta(pattern="^urn:eco:problem:[a-z0-9_]+$")]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    code: Annotated[str, Meta(pattern="^[a-z0-9_]+$")]
    task_id: TaskId | UnsetType = UNSET


class ScanError(Struct):
    """Why a step of a scan failed."""

    code: str
    detail: str


# ---- answers to a scan


class Accepted(Struct):
    """A scan that was accepted, and where to look for it."""

    task_id: TaskId
    status: Annotated[str, one_of(["processing"])]
    stream_url: str
    events_url: str
    result_url: str


class Alternative(Struct):
    """A category that it may be, too."""

    category: Category
    name: str
    confidence: Confidence


class Classification(Struct):
    """What it is. With `unsure` the picture was not recognised: `category` and `name` are null."""

    category: Category | None
    name: str | None
    confidence: Confidence
    alternatives: list[Alternative]
    unsure: bool
    backend: Annotated[str, Meta(description="`user`: the category was sent")]


class RuleAnswer(Struct):
    """What to do with it. `here` says whether this place has the bin, else `where` what else."""

    bin: str
    bin_id: str
    bin_color: Annotated[str, Meta(pattern="^#[0-9a-f]{6}$")]
    bin_shape: str
    steps: list[str]
    not_these: list[str]
    why: str
    layer: Annotated[str, one_of(LAYERS)]
    source: str | None
    here: bool
    where: str | None


class AnswerText(Struct):
    """The answer as one paragraph."""

    text: str
    lang: Lang
    backend: str


class Result(Struct):
    """The answer to a scan; `rule` is null when the picture was not recognised."""

    task_id: TaskId
    classification: Classification
    rule: RuleAnswer | None
    answer: AnswerText


class Character(Struct):
    """Who says thanks."""

    id: str
    name: str
    line: str


class Reward(Struct):
    """What a scan earned."""

    points: Annotated[int, Meta(ge=1)]
    character: Character


class Snapshot(Struct):
    """A scan as it is now; `cursor` is that of its last event."""

    task_id: TaskId
    status: ScanStatus
    step: str
    progress: Progress
    result: Result | None
    reward: Reward | None
    error: ScanError | None
    cursor: Cursor


class Processing(Struct):
    """A scan without a result yet."""

    task_id: TaskId
    status: Annotated[str, one_of(["processing"])]
    step: str
    progress: Progress


class Cancelled(Struct):
    """A scan that was cancelled."""

    task_id: TaskId
    status: Annotated[str, one_of(["cancelled"])]


class Guess(Struct):
    """A category that it may be."""

    category: Category
    confidence: Confidence


class ScanEvent(Struct):
    """An event of a scan. Besides the fields of all events it has those of its step.

    `vision` completed: what was seen; `rule` completed: the bin; `answer` completed: the result;
    `reward`: the reward, or null; failed: the error. Own steps of the server may add fields.
    """

    task_id: TaskId
    seq: Annotated[int, Meta(ge=1, description="1, 2, 3 … without holes")]
    step: Annotated[str, Meta(description="vision, rule, answer, reward, or one of the server")]
    status: ScanStatus
    progress: Progress
    at: Timestamp
    category: Category | UnsetType | None = UNSET
    confidence: Confidence | UnsetType = UNSET
    alternatives: list[Guess] | UnsetType = UNSET
    unsure: bool | UnsetType = UNSET
    backend: str | UnsetType = UNSET
    bin: str | UnsetType | None = UNSET
    layer: Annotated[str, one_of(LAYERS)] | UnsetType = UNSET
    result: Result | UnsetType = UNSET
    reward: Reward | UnsetType | None = UNSET
    error: ScanError | UnsetType = UNSET


class TransientEvent(Struct):
    """A piece of the answer's text while it is made; not logged, without `seq` and id."""

    task_id: TaskId
    step: str
    status: Annotated[str, one_of(["processing"])]
    progress: Progress
    pos: Annotated[int, Meta(ge=0, description="characters before the delta")]
    delta: str


# ---- what there is to choose from


class CategoryInfo(Struct):
    """A category: where it goes and how."""

    id: Category
    name: str
    bin: str
    bin_id: str
    bin_color: Annotated[str, Meta(pattern="^#[0-9a-f]{6}$")]
    bin_shape: str
    here: bool
    instructions: list[str]
    tags: Annotated[list[Tag], Meta(description="the conditions that change something for it")]


class TagInfo(Struct):
    """A condition of a thing."""

    id: Tag
    name: str


class Categories(Struct):
    """All categories and conditions."""

    categories: list[CategoryInfo]
    tags: list[TagInfo]


class SiteTexts(Struct):
    """What the operator wants to be shown; only what is set."""

    title: str | UnsetType = UNSET
    lead: str | UnsetType = UNSET
    notice: str | UnsetType = UNSET


class SiteBin(Struct):
    """A bin; `here` says whether this place has it."""

    id: str
    name: str
    color: Annotated[str, Meta(pattern="^#[0-9a-f]{6}$")]
    shape: str
    here: bool


class SiteInfo(Struct):
    """The place that the server stands at."""

    name: str | None
    region: str | None
    texts: SiteTexts
    bins: list[SiteBin]
