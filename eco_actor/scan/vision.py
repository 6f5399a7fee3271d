"""What the vision stage asks of a back end: pixels in, a verdict out, or an honest "unsure"."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8]
else:  # a server without vision does not load numpy
    Pixels = Any
"""An upright RGB picture, shape (height, width, 3), at most 768 pixels on its longer side."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One candidate: a category id and how likely the back end thinks it is, 0 to 1."""

    category: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a back end makes of a picture.

    `category` is None when the picture was not recognised; `confidence` is then that of the best
    alternative. `alternatives` holds the three best guesses, best first; a recognised category is
    the first of them.
    """

    category: str | None
    confidence: float
    alternatives: tuple[Guess, ...]
    backend: str

    @property
    def unsure(self) -> bool:
        return self.category is None


class Classifier(Protocol):
    """A vision back end. `classify` may block: it is called in a worker thread, never in the loop.

    It may be called from several threads at once. An exception fails the scan with
    `step_failed`; a picture the back end does not know is a `Verdict` with `category=None`.
    """

    @property
    def backend(self) -> str:
        """The name shown to clients in `classification.backend`."""
        ...

    def classify(self, pixels: Pixels) -> Verdict: ...
