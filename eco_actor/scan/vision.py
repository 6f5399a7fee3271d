"""What the vision stage asks of a back end: pixels in, a verdict out, or an honest "unsure"."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from eco_actor.scan.categories import CATEGORIES

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

    It may be called from several threads at once, as many as `Config.vision_workers`, and again for
    the same picture. An exception fails the scan with `step_failed`, and so does what is no sound
    `Verdict`; a picture the back end does not know is one with `category=None`. Past a minute the
    scan does not wait for it any more; that thread is busy until it returns.
    """

    @property
    def backend(self) -> str:
        """The name shown to clients in `classification.backend`."""
        ...

    def classify(self, pixels: Pixels) -> Verdict: ...


BACKEND: Final = 64
"""Characters of a back end's name."""


def sound(verdict: object) -> Verdict:
    """*verdict*, if a back end may say that. ValueError, TypeError."""
    if not isinstance(verdict, Verdict):
        raise TypeError(f"a classifier returns a Verdict, not a {type(verdict).__name__}")
    guesses = tuple(verdict.alternatives)
    for category in (verdict.category, *(guess.category for guess in guesses)):
        if category is not None and category not in CATEGORIES:
            raise ValueError(f"there is no category {str(category)[:100]!r}")
    for confidence in (verdict.confidence, *(guess.confidence for guess in guesses)):
        if not 0.0 <= float(confidence) <= 1.0:
            raise ValueError(f"a confidence is a number from 0 to 1, not {confidence}")
    if len(guesses) > 3:
        raise ValueError(f"a verdict has up to three alternatives, not {len(guesses)}")
    if verdict.category is not None and verdict.category not in (g.category for g in guesses[:1]):
        raise ValueError("the first alternative is the category itself")
    if not isinstance(verdict.backend, str) or not 0 < len(verdict.backend) <= BACKEND:
        raise ValueError(f"backend is a name of at most {BACKEND} characters")
    return verdict
