"""What a scan is told, beside that a worker died."""

from dataclasses import dataclass

from eco_actor.eventlog import StoreError
from eco_actor.scan.stages import Fields
from eco_actor.scan.workers import Done, Failed, NotBegun


@dataclass(frozen=True, slots=True)
class Late:
    attempt: int


@dataclass(frozen=True, slots=True)
class Retry:
    attempt: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """The client no longer wants the answer. Too late once it is out."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The scan's last event is durable; or one of its events could not be written."""

    error: StoreError | None


@dataclass(frozen=True, slots=True)
class Unrewarded:
    """The thing for which the reward in *fields* may still be granted; None: it may not."""

    thing: str | None
    fields: Fields


@dataclass(frozen=True, slots=True)
class Unknown:
    """Whether it may could not be found out."""

    error: Exception


Message = Done | Failed | NotBegun | Late | Retry | Cancel | Stored | Unrewarded | Unknown
