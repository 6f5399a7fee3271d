"""Training the head: calibration without leaks, and what a head is worth on photos held out."""

import os
from pathlib import Path

import numpy as np
import pytest

from eco_actor.scan.head_training import (
    FOLDERS,
    Labels,
    cross_validate,
    fit,
    read_photo,
    split,
    split_by_runs,
)
from eco_actor.scan.lite0 import HEAD_FILE, Lite0, Network, to_tensor
from eco_actor.scan.material_head import Floats, MaterialHead
from eco_actor.scan.model_cache import ensure_model
from eco_actor.scan.vision import Pixels

PER_CLASS = 80
FEATURE_LENGTH = 1664


def clusters(per_class: int, spread: float) -> tuple[Floats, Labels]:
    """Made-up features: six classes around six points, [n, 1664]."""
    random = np.random.default_rng(0)
    centres = random.uniform(0, 4, (len(FOLDERS), FEATURE_LENGTH))
    labels = np.repeat(np.arange(len(FOLDERS)), per_class)
    noise = random.normal(0, spread, (len(labels), FEATURE_LENGTH))
    return (centres[labels] + noise).astype(np.float32), labels


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return Network(ensure_model(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def photos() -> list[tuple[Pixels, str]]:
    """Every n-th TrashNet photo, so that a class is spread over its sessions, with its category."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "trashnet"
    root = Path(os.environ.get("ECO_TRASHNET") or beside)
    if not root.is_dir():
        pytest.skip(f"the TrashNet photos are not at {root} (set ECO_TRASHNET)")
    chosen: list[tuple[Pixels, str]] = []
    for folder, category in FOLDERS.items():
        paths = sorted((root / folder).glob("*.jpg"))
        chosen += [(read_photo(path), category) for path in paths[:: len(paths) // PER_CLASS]]
    return chosen


def test_head_of_few_photos_is_right_on_others(
    network: Network, photos: list[tuple[Pixels, str]]
) -> None:
    """Trained on 40 photos a class or more, each class of the others is mostly recognised."""
    features = np.stack([network.run(to_tensor(pixels))[1] for pixels, _ in photos])
    labels = np.array([list(FOLDERS.values()).index(category) for _, category in photos])
    held_out = np.arange(len(labels)) % 2 == 1
    head = fit(features[~held_out], labels[~held_out])
    right = np.array(
        [
            head.judge(feature).likelihoods.argmax() == label
            for feature, label in zip(features[held_out], labels[held_out], strict=True)
        ]
    )
    assert right.mean() >= 0.75
    for label in range(len(FOLDERS)):
        assert right[labels[held_out] == label].mean() >= 0.5


def test_shipped_head_knows_the_photos_it_was_fitted_on(
    network: Network, photos: list[tuple[Pixels, str]]
) -> None:
    """The shipped file belongs to this code: decoding, preprocessing and features still match."""
    lite0 = Lite0(network, MaterialHead.load(HEAD_FILE))
    right = [lite0.classify(pixels).category == category for pixels, category in photos[::5]]
    assert np.mean(right) >= 0.97


def test_clear_classes_are_told_apart_and_strangers_rejected() -> None:
    """Well separated classes are all right when cross-validated; a far feature is novel."""
    features, labels = clusters(24, 0.5)
    figures = cross_validate(features, labels, [split(labels, 4, 0)])
    assert figures["accuracy_without_reject"] == 1
    assert figures["confidently_wrong"] == 0
    head = fit(features, labels)
    assert head.judge(features[0] * 5).distance > head.max_distance


def test_pure_noise_is_mostly_unsure_and_never_believed() -> None:
    """Labels without any relation to the features lead to unsure, not to confident errors."""
    features, labels = clusters(24, 0.5)
    shuffled = np.random.default_rng(1).permutation(labels)
    figures = cross_validate(features, shuffled, [split(shuffled, 4, 0)])
    assert figures["accuracy_without_reject"] < 0.4
    assert figures["unsure"] > 0.8


def test_fitting_is_deterministic_and_survives_the_file(tmp_path: Path) -> None:
    """The same photos give the same bytes, and a saved head judges as it did."""
    features, labels = clusters(24, 2.0)
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    head = fit(features, labels, '{"data": "made up"}')
    head.save(first)
    fit(features, labels, '{"data": "made up"}').save(second)
    assert first.read_bytes() == second.read_bytes()
    loaded = MaterialHead.load(first).judge(features[3])
    assert loaded.distance == head.judge(features[3]).distance
    assert loaded.likelihoods.tolist() == head.judge(features[3]).likelihoods.tolist()


def test_folds_are_even_in_every_class() -> None:
    """Each class is spread evenly over the folds, at random or as unbroken runs."""
    labels = np.repeat(np.arange(len(FOLDERS)), 20)
    for fold in (split(labels, 5, 0), split_by_runs(labels, 5)):
        for label in range(len(FOLDERS)):
            assert np.bincount(fold[labels == label]).tolist() == [4] * 5
    assert (np.diff(split_by_runs(labels, 5)[:20]) >= 0).all()
