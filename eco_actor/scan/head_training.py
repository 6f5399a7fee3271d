"""Fits the material head to photos, and measures it honestly.

Everything that is chosen from data (mean, components, temperature, bounds) is chosen anew within
each fold's training photos: there by leave-one-out, which kernel ridge regression has in closed
form. The server's own code prepares the photos and judges the features, bytes for floats included.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from eco_actor.scan.lite0 import Network, to_tensor
from eco_actor.scan.material_head import (
    NATIVE_CHANNELS,
    Floats,
    MaterialHead,
    compressed,
    softmax,
    squared_distances,
)

Labels = NDArray[np.int64]

FOLDERS: Final = {
    "cardboard": "cardboard",
    "glass": "glass",
    "metal": "metal",
    "paper": "paper",
    "plastic": "plastic",
    "trash": "general",
}
COMPONENTS: Final = 128
GAMMA: Final = 2.0
RIDGE: Final = 0.03
MAX_WRONG_SHARE: Final = 0.025
"""The confidence bound is set so that this share of all training photos is answered wrongly."""
NOVEL_SHARE: Final = 0.03
"""The distance bound is set so that this share of the training photos lies beyond it."""
POOL_ENDS: Final = (NATIVE_CHANNELS, NATIVE_CHANNELS + 80, NATIVE_CHANNELS + 192)
LONGEST_SIDE: Final = 768


class _Kernel(NamedTuple):
    """The regression over the training photos, before it is calibrated."""

    votes: Floats
    left_out_scores: Floats  # of each photo, by all the others
    left_out_distance: Floats  # to the nearest other photo


def read_photo(path: Path) -> NDArray[np.uint8]:
    """An upright RGB picture as the server would hand it to the classifier."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        upright.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        return np.asarray(upright)


def extract(photos: Path, network: Network) -> tuple[Floats, Labels]:
    """The features [n, length] and class numbers [n] of all photos.

    Class by class, in the order of the numbers in their names: that of their taking. Raises
    `ValueError` when a class has no photos.
    """
    features: list[Floats] = []
    labels: list[int] = []
    for label, folder in enumerate(FOLDERS):
        paths = sorted((photos / folder).glob("*.jpg"), key=_number)
        if not paths:
            raise ValueError(f"no photos in {photos / folder}")
        for path in paths:
            features.append(network.run(to_tensor(read_photo(path)))[1])
            labels.append(label)
    return np.stack(features), np.asarray(labels)


def _number(path: Path) -> tuple[int, str]:
    return int("".join(filter(str.isdigit, path.stem)) or 0), path.stem


def split(labels: Labels, folds: int, seed: int) -> Labels:
    """The fold of each photo, every class spread evenly."""
    random = np.random.default_rng(seed)
    fold = np.zeros_like(labels)
    for label in range(len(FOLDERS)):
        members = np.flatnonzero(labels == label)
        fold[random.permutation(members)] = np.arange(len(members)) % folds
    return fold


def split_by_runs(labels: Labels, folds: int) -> Labels:
    """The fold of each photo, each fold an unbroken run of a class.

    The same object was often photographed several times in a row. This split keeps such photos on
    one side, so it tells more about objects never seen than the random one does.
    """
    fold = np.zeros_like(labels)
    for label in range(len(FOLDERS)):
        members = np.flatnonzero(labels == label)
        fold[members] = np.arange(len(members)) * folds // len(members)
    return fold


def fit(features: Floats, labels: Labels, provenance: str = "{}") -> MaterialHead:
    """The head fitted and calibrated to these photos alone."""
    mean, scale = _standardisation(features)
    standard = (compressed(features) - mean) / scale
    _, vectors = np.linalg.eigh(standard.T @ standard)
    projection, projection_step = _as_bytes(vectors[:, ::-1][:, :COMPONENTS], axis=0)
    projected = (standard @ projection.astype(np.float32)) * projection_step
    prototypes, prototype_step = _as_bytes(projected)
    stored = prototypes.astype(np.float32) * prototype_step
    distances = squared_distances(stored, stored)
    unit = float(distances.mean())
    kernel = _regress(distances / unit, labels)
    sharpness = _sharpness(kernel.left_out_scores, labels)
    likelihoods = softmax(np.float32(sharpness) * kernel.left_out_scores)
    return MaterialHead(
        classes=np.array(list(FOLDERS.values())),
        mean=mean,
        scale=scale,
        projection=projection,
        projection_step=projection_step,
        prototypes=prototypes,
        prototype_step=prototype_step,
        votes=kernel.votes.astype(np.float16),
        gamma=np.array(GAMMA, np.float32),
        unit=np.array(unit, np.float32),
        sharpness=np.array(sharpness, np.float32),
        min_confidence=np.array(_confidence_bound(likelihoods, labels), np.float32),
        max_distance=np.array(_distance_bound(kernel.left_out_distance), np.float32),
        provenance=np.array(provenance),
    )


def _standardisation(features: Floats) -> tuple[Floats, Floats]:
    """Mean and scale that give the last layer and each earlier pool the same weight in distances.

    Channels of the last layer keep their relative sizes: evening them out amplified noise.
    """
    flat = compressed(features)
    mean = flat.mean(0)
    scale = flat.std(0) + np.float32(1e-3)
    scale[:NATIVE_CHANNELS] = 1
    starts = (0, *POOL_ENDS)
    for start, end in zip(starts, (*POOL_ENDS, flat.shape[1]), strict=True):
        block = slice(start, end)
        length = np.sqrt((((flat[:, block] - mean[block]) / scale[block]) ** 2).sum(1).mean())
        scale[block] *= length
    return mean, scale


def _as_bytes(values: Floats, axis: int | None = None) -> tuple[NDArray[np.int8], Floats]:
    """Values as whole steps from -127 to 127, and the step (one for each index off `axis`)."""
    step = (np.abs(values).max(axis=axis) / 127).astype(np.float32)
    return np.round(values / step).astype(np.int8), np.asarray(step)


def _regress(distances: Floats, labels: Labels) -> _Kernel:
    targets = (np.eye(len(FOLDERS))[labels] - 1 / len(FOLDERS)).astype(np.float32)
    inverse = np.linalg.inv(np.exp(-GAMMA * distances) + RIDGE * np.eye(len(labels)))
    votes = inverse @ targets
    apart = distances + np.diag(np.full(len(labels), np.inf, np.float32))
    return _Kernel(
        votes.astype(np.float32),
        (targets - votes / np.diag(inverse)[:, None]).astype(np.float32),
        apart.min(1),
    )


def _sharpness(scores: Floats, labels: Labels) -> float:
    """The factor under which the softmax of the scores is best calibrated (least log loss)."""
    own = np.arange(len(labels)), labels
    candidates = np.linspace(2, 20, 73, dtype=np.float32)
    losses = [-np.log(softmax(factor * scores)[own] + 1e-12).mean() for factor in candidates]
    return float(candidates[int(np.argmin(losses))])


def _confidence_bound(likelihoods: Floats, labels: Labels) -> float:
    order = np.argsort(-likelihoods.max(1), kind="stable")
    wrong = (likelihoods.argmax(1) != labels)[order].cumsum() / len(labels)
    last = int(np.flatnonzero(wrong <= MAX_WRONG_SHARE)[-1])
    return float(likelihoods.max(1)[order][last])


def _distance_bound(left_out_distance: Floats) -> float:
    return float(np.quantile(left_out_distance, 1 - NOVEL_SHARE))


def cross_validate(features: Floats, labels: Labels, folds: Sequence[Labels]) -> dict[str, Any]:
    """Figures over all photos, each judged by a head that was fitted and calibrated without it.

    The mean over the splits in `folds`, each the fold numbers [n] of the photos.
    """
    judged = [_judge_folds(features, labels, fold) for fold in folds]
    best, sure, confidence = (np.concatenate(parts) for parts in zip(*judged, strict=True))
    return {
        "photos": len(labels),
        "splits": len(folds),
        **_figures(np.tile(labels, len(folds)), best, sure, confidence),
    }


def _judge_folds(
    features: Floats, labels: Labels, fold: Labels
) -> tuple[Labels, NDArray[np.bool_], Floats]:
    """Best class, whether it is believed, and its likelihood, all [n]."""
    best = np.zeros_like(labels)
    sure = np.zeros(len(labels), np.bool_)
    confidence = np.zeros(len(labels), np.float32)
    for number in range(int(fold.max()) + 1):
        head = fit(features[fold != number], labels[fold != number])
        for index in np.flatnonzero(fold == number):
            opinion = head.judge(features[index])
            best[index] = opinion.likelihoods.argmax()
            confidence[index] = opinion.likelihoods.max()
            sure[index] = (
                confidence[index] >= head.min_confidence and opinion.distance <= head.max_distance
            )
    return best, sure, confidence


def _figures(
    labels: Labels, best: Labels, sure: NDArray[np.bool_], confidence: Floats
) -> dict[str, Any]:
    right = best == labels

    def share(mask: NDArray[np.bool_]) -> float:
        return round(float(mask.mean()), 4)

    return {
        "accuracy_without_reject": share(right),
        "right": share(right & sure),
        "unsure": share(~sure),
        "confidently_wrong": share(~right & sure),
        "accuracy_when_sure": share(right[sure]),
        "mean_confidence": round(float(confidence.mean()), 4),
        "per_class": {
            folder: {
                "accuracy_without_reject": share(right[labels == label]),
                "right": share((right & sure)[labels == label]),
                "confidently_wrong": share((~right & sure)[labels == label]),
            }
            for label, folder in enumerate(FOLDERS)
        },
    }
