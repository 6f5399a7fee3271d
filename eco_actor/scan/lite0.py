"""The on-device back end: EfficientNet-Lite0 features, a material head, ImageNet's own labels.

Two witnesses are heard. The head knows six materials and knows when a picture is like nothing it
was trained on. Only then are ImageNet's labels asked, which know clothes, food and electronics but
nothing about materials. A picture that neither recognises is unsure, and the answer asks the user.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eco_actor.scan.imagenet import category_likelihoods
from eco_actor.scan.material_head import MaterialHead, Opinion, softmax
from eco_actor.scan.memory import return_freed
from eco_actor.scan.model_cache import INPUT_SIDE, ModelUnavailable, default_cache_dir, ensure_model
from eco_actor.scan.vision import Classifier, Guess, Pixels, Verdict

# Some builds of onnxruntime report home, and read this while they are loaded. Nothing here does.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

Floats = NDArray[np.float32]

HEAD_FILE: Final = Path(__file__).with_name("material_head.npz")
ALTERNATIVES: Final = 3

MIN_IMAGENET_CONFIDENCE: Final = 0.6
"""From where on ImageNet's labels are believed about a picture that is new to the head."""
NOVELTY_DISCOUNT: Final = 0.5
"""What the head's likelihoods count when the picture is new to it: at most a hint.

Below the least confidence that is believed, so the head alone never decides about such a picture.
"""


def to_tensor(pixels: Pixels) -> Floats:
    """A picture as the network's input, [1, 3, 224, 224], about -1 to 1.

    The whole picture is squeezed into the square: cutting the edges off lost more accuracy than
    the distortion does. Raises `ValueError` when the picture is not uint8 of shape (h, w, 3).
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ValueError(f"not an RGB picture: {pixels.dtype} of shape {pixels.shape}")
    square = Image.fromarray(pixels).resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BILINEAR)
    tensor = (np.asarray(square, np.float32) - 127) / 128
    return np.ascontiguousarray(tensor.transpose(2, 0, 1)[None])


class Network:
    """The converted network in an onnxruntime session.

    `run` may be called from several threads; each one that runs at the same time takes 12 MB.
    """

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A kiosk is idle most of the time: waiting threads must not spin.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own exceptions share no public base
            raise ModelUnavailable(f"onnxruntime cannot load {model}: {error}") from error
        # The first run allocates the arena.
        self.run(np.zeros((1, 3, INPUT_SIDE, INPUT_SIDE), np.float32))
        return_freed()  # what loading took: about 25 MB

    def run(self, tensor: Floats) -> tuple[Floats, Floats]:
        """The logits [1000] and the feature [1664] of one input tensor."""
        logits, feature = self._session.run(["logits", "feature"], {"image": tensor})
        return np.asarray(logits, np.float32)[0], np.asarray(feature, np.float32)[0]


class Lite0(Classifier):
    """The `Classifier` back end "lite0". `classify` takes about 10 ms of one core."""

    def __init__(self, network: Network, head: MaterialHead) -> None:
        self._network = network
        self._head = head

    @classmethod
    def load(cls, cache_dir: Path | None = None, *, threads: int = 1) -> "Lite0":
        """The warm back end; blocks for 0.1 s, or for a second or two when the model is made first.

        `cache_dir` (by default `default_cache_dir()`) keeps the converted model. Raises
        `ModelUnavailable` when it cannot be made or written, `HeadError` when the head is spoilt.
        """
        model = ensure_model(default_cache_dir() if cache_dir is None else cache_dir)
        return cls(Network(model, threads=threads), MaterialHead.load(HEAD_FILE))

    @property
    def backend(self) -> str:
        return "lite0"

    def classify(self, pixels: Pixels) -> Verdict:
        """What the picture shows. Raises `ValueError` when it is not uint8 of (h, w, 3)."""
        logits, feature = self._network.run(to_tensor(pixels))
        opinion = self._head.judge(feature)
        novel = opinion.distance > self._head.max_distance
        if novel:
            guesses = self._hints(opinion, category_likelihoods(softmax(logits)))
            least = MIN_IMAGENET_CONFIDENCE
        else:
            guesses = dict(zip(self._head.classes.tolist(), opinion.likelihoods, strict=True))
            least = float(self._head.min_confidence)
        return self._verdict(guesses, least)

    def _hints(self, opinion: Opinion, labelled: Mapping[str, float]) -> dict[str, float]:
        """Both witnesses on a novel picture. What ImageNet leaves open, the head may guess at."""
        hints = dict(labelled)
        left = NOVELTY_DISCOUNT * (1 - sum(labelled.values()))
        for category, likelihood in zip(
            self._head.classes.tolist(), opinion.likelihoods.tolist(), strict=True
        ):
            hints[category] = hints.get(category, 0.0) + left * likelihood
        return hints

    def _verdict(self, likelihoods: Mapping[str, float], least: float) -> Verdict:
        ranked = sorted(likelihoods.items(), key=lambda item: -item[1])[:ALTERNATIVES]
        guesses = tuple(Guess(name, min(1.0, max(0.0, float(p)))) for name, p in ranked)
        best = guesses[0]
        category = best.category if best.confidence >= least else None
        return Verdict(category, best.confidence, guesses, self.backend)
