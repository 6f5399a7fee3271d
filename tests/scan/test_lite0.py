"""The on-device back end: its verdicts are well formed, right on materials, unsure elsewhere."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.imagenet import IMAGENET_CLASSES, INDICES, category_likelihoods
from eco_actor.scan.lite0 import (
    HEAD_FILE,
    MIN_IMAGENET_CONFIDENCE,
    NOVELTY_DISCOUNT,
    Lite0,
    Network,
    to_tensor,
)
from eco_actor.scan.material_head import HeadError, MaterialHead
from eco_actor.scan.model_cache import MODEL_FILE, WEIGHTS_SHA256, ModelUnavailable, ensure_model
from eco_actor.scan.vision import Pixels, Verdict

SYNTHETIC = ("noise", "blank", "ramp", "checks", "stripes")


@pytest.fixture(scope="module")
def lite0_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache directory that holds the converted model."""
    return ensure_model(tmp_path_factory.mktemp("cache") / "eco_actor").parent


@pytest.fixture(scope="module")
def lite0(lite0_cache: Path) -> Lite0:
    return Lite0.load(lite0_cache)


def synthetic(kind: str) -> Pixels:
    """A picture of nothing, [240, 320, 3]."""
    rows, columns = np.indices((240, 320))
    random = np.random.default_rng(0)
    grey = {
        "noise": random.integers(0, 256, (240, 320)),
        "blank": np.full((240, 320), 255),
        "ramp": columns * 255 // 319,
        "checks": (rows // 20 + columns // 20) % 2 * 255,
        "stripes": columns // 10 % 2 * 255,
    }[kind]
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)


def photo(name: str) -> Pixels:
    """A photograph that scikit-image ships, found without importing the package."""
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("scikit-image, which ships the photographs, is not installed")
    with Image.open(Path(spec.submodule_search_locations[0]) / "data" / name) as image:
        upright = image.convert("RGB")
        upright.thumbnail((768, 768))
        return np.asarray(upright)


def assert_well_formed(verdict: Verdict) -> None:
    names = [guess.category for guess in verdict.alternatives]
    confidences = [guess.confidence for guess in verdict.alternatives]
    assert len(names) == len(set(names)) == 3
    assert set(names) <= set(CATEGORIES)
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= confidence <= 1 for confidence in confidences)
    assert verdict.confidence == confidences[0]
    assert verdict.category in (None, names[0])
    assert verdict.backend == "lite0"


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    seed=st.integers(0, 2**32 - 1),
    low=st.integers(0, 255),
    high=st.integers(0, 255),
)
def test_any_picture_gets_a_well_formed_verdict(
    lite0: Lite0, height: int, width: int, seed: int, low: int, high: int
) -> None:
    """Three distinct known categories, best first, whatever the picture's size and content."""
    least, most = sorted((low, high))
    random = np.random.default_rng(seed)
    pixels = random.integers(least, most + 1, (height, width, 3), np.uint8)
    assert_well_formed(lite0.classify(pixels))


@pytest.mark.parametrize("kind", SYNTHETIC)
def test_picture_of_nothing_is_unsure(lite0: Lite0, kind: str) -> None:
    """Noise, a blank frame and plain patterns are not taken for a material."""
    verdict = lite0.classify(synthetic(kind))
    assert_well_formed(verdict)
    assert verdict.unsure
    assert verdict.confidence < MIN_IMAGENET_CONFIDENCE


@pytest.mark.parametrize(
    "name",
    [
        *("astronaut.png", "chelsea.png", "rocket.jpg", "camera.png", "hubble_deep_field.jpg"),
        *("motorcycle_left.png", "grass.png", "brick.png", "coins.png", "retina.jpg"),
    ],
)
def test_photograph_of_something_else_is_unsure(lite0: Lite0, name: str) -> None:
    """A portrait, a cat, a landscape and their like are unsure, not some material."""
    verdict = lite0.classify(photo(name))
    assert_well_formed(verdict)
    assert verdict.unsure


@pytest.mark.parametrize(
    ("name", "indices"), [("coffee.png", {967}), ("chelsea.png", {281, 282, 285})]
)
def test_network_knows_what_photographs_show(
    lite0_cache: Path, name: str, indices: set[int]
) -> None:
    """The converted network finds the espresso in a cup of coffee and the cat in a cat."""
    logits, _ = Network(lite0_cache / MODEL_FILE).run(to_tensor(photo(name)))
    assert int(logits.argmax()) in indices


def test_verdicts_do_not_depend_on_threads(lite0: Lite0, lite0_cache: Path) -> None:
    """Four threads at once, and a session of two threads, see what one thread alone sees."""
    pictures = [synthetic(kind) for kind in SYNTHETIC] * 4
    alone = [lite0.classify(picture) for picture in pictures[: len(SYNTHETIC)]] * 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lite0.classify, pictures)) == alone
    two = Lite0.load(lite0_cache, threads=2).classify(pictures[0])
    assert two.confidence == pytest.approx(alone[0].confidence, abs=1e-3)


def test_mirrored_view_of_an_array_is_read(lite0: Lite0) -> None:
    """An array that is a view with negative strides gives the verdict of its copy."""
    view = synthetic("ramp")[:, ::-1]
    assert lite0.classify(view) == lite0.classify(view.copy())


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((10, 10, 3), np.float32),
    ],
)
def test_array_that_is_no_picture_is_refused(lite0: Lite0, pixels: Pixels) -> None:
    """Grey, transparent, empty and floating-point arrays are the caller's mistake."""
    with pytest.raises(ValueError, match="not an RGB picture"):
        lite0.classify(pixels)


def test_head_alone_never_decides_about_a_novel_picture(lite0_cache: Path) -> None:
    """With every picture novel, only ImageNet's labels can lift a category over the bound."""
    head = MaterialHead.load(HEAD_FILE)
    strict = Lite0(
        Network(lite0_cache / MODEL_FILE), replace(head, max_distance=np.array(-1, np.float32))
    )
    for kind in SYNTHETIC:
        assert strict.classify(synthetic(kind)).unsure
    assert NOVELTY_DISCOUNT < MIN_IMAGENET_CONFIDENCE


def test_imagenet_recognises_what_the_head_was_never_shown(lite0: Lite0) -> None:
    """Labels that belong to one category add up; all others count for none."""
    likelihoods = np.zeros(IMAGENET_CLASSES, np.float32)
    likelihoods[[954, 950, 281]] = 0.5, 0.25, 0.25
    categories = category_likelihoods(likelihoods)
    assert categories.pop("food") == 0.75
    assert set(categories.values()) == {0.0}


def test_imagenet_table_names_known_categories_and_each_label_once() -> None:
    """The table's categories are the project's, and no label counts twice."""
    indices = [index for group in INDICES.values() for index in group]
    assert set(INDICES) <= set(CATEGORIES) - {"pet_clear"}
    assert len(indices) == len(set(indices))
    assert all(0 <= index < IMAGENET_CLASSES for index in indices)


def test_head_says_where_it_comes_from() -> None:
    """The shipped head names its data, whom to cite, its weights and its measured figures."""
    head = MaterialHead.load(HEAD_FILE)
    provenance = json.loads(str(head.provenance))
    assert set(head.classes) == {"cardboard", "glass", "metal", "paper", "plastic", "general"}
    assert provenance["weights_sha256"] == WEIGHTS_SHA256
    assert "Thung" in provenance["cite"]
    assert provenance["cross_validation"]["right"] >= 0.84
    assert provenance["cross_validation"]["confidently_wrong"] <= 0.05


def test_head_grows_unsure_with_distance() -> None:
    """Far from every training photo the likelihoods are flat and the distance says so."""
    head = MaterialHead.load(HEAD_FILE)
    opinion = head.judge(head.mean + 100 * head.scale)
    assert opinion.distance > head.max_distance
    assert float(opinion.likelihoods.max()) < 0.2


def test_spoilt_head_is_refused(tmp_path: Path) -> None:
    """A head cut short, of another kind, or with arrays that do not match is not used."""
    spoilt = tmp_path / "head.npz"
    for content in (b"", b"not a head", HEAD_FILE.read_bytes()[:-100]):
        spoilt.write_bytes(content)
        with pytest.raises(HeadError, match=r"head\.npz"):
            MaterialHead.load(spoilt)
    head = MaterialHead.load(HEAD_FILE)
    replace(head, votes=head.votes[:-1]).save(spoilt)
    with pytest.raises(HeadError, match="fit together"):
        MaterialHead.load(spoilt)


def test_model_that_onnxruntime_cannot_read_is_an_error_of_ours(tmp_path: Path) -> None:
    """A file that is no model raises `ModelUnavailable`, not the library's own exception."""
    (tmp_path / "model").write_bytes(b"no model")
    with pytest.raises(ModelUnavailable, match="cannot load"):
        Network(tmp_path / "model")


def test_session_needs_a_thread(lite0_cache: Path) -> None:
    """Zero threads, which onnxruntime reads as all cores, is refused."""
    with pytest.raises(ValueError, match="threads"):
        Network(lite0_cache / MODEL_FILE, threads=0)


def test_only_the_back_end_pays_for_its_libraries() -> None:
    """The vision contract loads no onnxruntime, and the back end itself no onnx."""
    program = (
        "import sys, eco_actor.scan.vision; assert 'onnxruntime' not in sys.modules;"
        "import eco_actor.scan.lite0; assert 'onnx' not in sys.modules"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert finished.stderr == b""
    assert finished.returncode == 0
