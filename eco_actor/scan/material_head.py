"""Tells materials apart by comparing a photo's features with those of photos seen in training.

The head is kernel ridge regression: every training photo is a prototype that votes for and against
each of six classes, weighted by its likeness exp(-gamma d²). Far from every prototype all votes
fade, so the softmax over them is flat: the head does not grow surer the stranger a picture is, as
a linear layer does. What is left of false certainty is caught by a second bound, on the distance
to the nearest prototype. Distances are taken in a space of principal components, which makes the
prototypes small enough to ship as bytes.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NATIVE_CHANNELS: Final = 1280  # the network's own feature; what follows are pools further up


class HeadError(ValueError):
    """The head's file is spoilt, or made for something else than this version reads."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """`likelihoods` [classes] sum to 1; `distance` is the squared distance to the nearest
    prototype, 1 being the mean squared distance between two training photos."""

    likelihoods: Floats
    distance: float


def compressed(feature: Floats) -> Floats:
    """Features [n, length] with the root taken of the last layer, whose channels are sparse."""
    result = np.asarray(feature, np.float32).copy()
    result[:, :NATIVE_CHANNELS] = np.sqrt(np.maximum(result[:, :NATIVE_CHANNELS], 0))
    return result


def squared_distances(left: Floats, right: Floats) -> Floats:
    """Squared distances [n, m] between the rows of [n, d] and [m, d]."""
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :]
    distances: Floats = np.maximum(squares - 2 * (left @ right.T), 0)
    return distances


def softmax(scores: Floats) -> Floats:
    """Likelihoods along the last axis."""
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    likelihoods: Floats = shifted / shifted.sum(axis=-1, keepdims=True)
    return likelihoods


@dataclass(frozen=True, slots=True, eq=False)
class MaterialHead:
    """The fitted head; the field names are the names of the arrays in the file."""

    classes: NDArray[np.str_]
    """Category ids, [c]."""
    mean: Floats
    """Of the compressed feature, [length]."""
    scale: Floats
    """What the compressed feature is divided by, [length]."""
    projection: NDArray[np.int8]
    """Principal components, [length, d], each in steps of its `projection_step`."""
    projection_step: Floats
    prototypes: NDArray[np.int8]
    """Projected training photos, [n, d], in steps of `prototype_step`."""
    prototype_step: Floats
    votes: NDArray[np.float16]
    """What a prototype adds to the score of each class, [n, c]."""
    gamma: Floats
    """How fast likeness falls with the squared distance (as in `unit`), a scalar."""
    unit: Floats
    """The mean squared distance between two training photos, a scalar."""
    sharpness: Floats
    """What scores are multiplied by before the softmax (1 / temperature), a scalar."""
    min_confidence: Floats
    """Below this likelihood the best class is not believed, a scalar."""
    max_distance: Floats
    """Beyond this distance (see `Opinion`) no class is believed, a scalar."""
    provenance: NDArray[np.str_]
    """JSON: the photos it was fitted on, whom to cite, the cross-validated figures."""

    def project(self, feature: Floats) -> Floats:
        """Features [n, length] to the prototypes' space, [n, d]."""
        standard = (compressed(feature) - self.mean) / self.scale
        projected: Floats = (standard @ self.projection.astype(np.float32)) * self.projection_step
        return projected

    def judge(self, feature: Floats) -> Opinion:
        """What one photo's feature [length] looks like."""
        prototypes = self.prototypes.astype(np.float32) * self.prototype_step
        distances = squared_distances(self.project(feature[None]), prototypes)[0] / self.unit
        scores = np.exp(-self.gamma * distances) @ self.votes.astype(np.float32)
        return Opinion(softmax(self.sharpness * scores), float(distances.min()))

    def save(self, path: Path) -> None:
        """Writes the arrays to an .npz file, compressed, without pickles."""
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "MaterialHead":
        """Reads what `save` wrote. Raises `HeadError` when it is not that, `OSError` if unread."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                head = cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except OSError:
            raise
        except Exception as error:  # zip, zlib, header and key errors all mean the same here
            raise HeadError(f"{path} is not a material head: {error}") from error
        head._check(path)
        return head

    def _check(self, path: Path) -> None:
        length, depth = self.projection.shape
        count, classes = self.votes.shape
        if not (
            self.mean.shape == self.scale.shape == (length,)
            and self.projection_step.shape == (depth,)
            and self.prototypes.shape == (count, depth)
            and self.classes.shape == (classes,)
        ):
            raise HeadError(f"{path} holds arrays that do not fit together")
