"""The states of an actor, in one place."""

from enum import Enum
from typing import Final


class State(Enum):
    """Of an actor. The first three are those of a life, the others of a cell without one."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DOWN = "down"  # between two lives
    ENDED = "ended"  # orderly; its supervisor keeps it, and may start it again with its group
    DEAD = "dead"  # for good


# An Enum's attributes are slow, and these are looked up for each message or start.
STARTING: Final = State.STARTING
RUNNING: Final = State.RUNNING
DOWN: Final = State.DOWN
