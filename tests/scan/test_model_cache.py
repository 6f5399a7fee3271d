"""The converted model: the graph computes the network, and the file on disk can be trusted."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eco_actor.scan.lite0 import Network
from eco_actor.scan.lite0_graph import (
    BATCH_NORM_EPS,
    ConversionError,
    build,
    convert,
    same_padding,
    weights_path,
)
from eco_actor.scan.model_cache import (
    MODEL_FILE,
    ModelUnavailable,
    default_cache_dir,
    ensure_model,
    is_whole,
    seal,
    write_atomically,
)
from eco_actor.scan.torchfile import read_tensors

Array = NDArray[np.float32]
CONVERT = [sys.executable, "-m", "eco_actor.scan.lite0_graph"]


class Reference:
    """The network written down a second time, in plain NumPy and nothing folded."""

    def __init__(self) -> None:
        self.weights = read_tensors(weights_path())

    def convolve(self, image: Array, conv: str, norm: str, stride: int) -> Array:
        """Convolution over `image` [c, h, w] with TensorFlow's SAME padding, and its norm."""
        weight = self.weights[f"{conv}.weight"]
        kernel, side = weight.shape[-1], -(-image.shape[1] // stride)
        total = max((side - 1) * stride + kernel - image.shape[1], 0)
        margins = (total // 2, total - total // 2)
        padded = np.pad(image, ((0, 0), margins, margins))
        result = np.zeros((weight.shape[0], side, side), np.float32)
        for row in range(kernel):
            for column in range(kernel):
                part = padded[:, row:, column:][
                    :, : side * stride : stride, : side * stride : stride
                ]
                factors = weight[:, :, row, column]
                if "depthwise" in conv:
                    result += part * factors[:, :, None]
                else:
                    result += np.tensordot(factors, part, 1)
        scale, bias, mean, variance = (
            self.weights[f"{norm}.{name}"][:, None, None]
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        normalised = (result - mean) / np.sqrt(variance + BATCH_NORM_EPS) * scale + bias
        return np.asarray(normalised, np.float32)

    def run(self, image: Array) -> tuple[Array, Array]:
        """The logits [1000] and the last layer's pooled feature [1280] of `image` [3, 224, 224]."""
        strided = {1: 2, 3: 2, 5: 2, 11: 2}
        tensor = np.clip(self.convolve(image, "_conv_stem", "_bn0", 2), 0, 6)
        for block in range(16):
            name, entry = f"_blocks.{block}", tensor
            if block:
                tensor = np.clip(
                    self.convolve(tensor, f"{name}._expand_conv", f"{name}._bn0", 1), 0, 6
                )
            stride = strided.get(block, 1)
            tensor = self.convolve(tensor, f"{name}._depthwise_conv", f"{name}._bn1", stride)
            tensor = np.clip(tensor, 0, 6)
            tensor = self.convolve(tensor, f"{name}._project_conv", f"{name}._bn2", 1)
            if block and tensor.shape == entry.shape:
                tensor = tensor + entry
        last = np.clip(self.convolve(tensor, "_conv_head", "_bn1", 1), 0, 6).mean((1, 2))
        return self.weights["_fc.weight"] @ last + self.weights["_fc.bias"], last


def test_graph_computes_the_network(tmp_path: Path) -> None:
    """The converted graph gives what the network, computed without onnxruntime, gives."""
    image = np.random.default_rng(1).uniform(-1, 1, (3, 224, 224)).astype(np.float32)
    image = np.sort(image, axis=2)
    logits, last = Reference().run(image)
    seen_logits, seen_feature = Network(ensure_model(tmp_path)).run(image[None])
    np.testing.assert_allclose(seen_logits, logits, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(seen_feature[:1280], last, rtol=1e-3, atol=1e-3)
    assert seen_feature.shape == (1664,)


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "expected"),
    [
        (224, 3, 2, (0, 1)),
        (112, 5, 2, (1, 2)),
        (7, 5, 1, (2, 2)),
        (7, 1, 1, (0, 0)),
        (15, 3, 2, (1, 1)),
    ],
)
def test_padding_puts_the_odd_pixel_last(
    side: int, kernel: int, stride: int, expected: tuple[int, int]
) -> None:
    """TensorFlow's SAME padding gives the odd pixel to the bottom and the right."""
    assert same_padding(side, kernel, stride) == expected


def test_missing_weight_is_named() -> None:
    """A file of other tensors ends with the name of the weight that is not there."""
    with pytest.raises(KeyError, match=r"_conv_stem\.weight"):
        build({})


def test_other_weights_are_not_converted(tmp_path: Path) -> None:
    """A head made for one set of weights must not run on another: the hash is checked."""
    other = tmp_path / "other.pth"
    other.write_bytes(b"other weights")
    with pytest.raises(ConversionError, match="SHA-256"):
        convert(other, tmp_path / "model")
    with pytest.raises(ConversionError, match="missing"):
        convert(tmp_path / "absent.pth", tmp_path / "model")


def test_sealed_model_is_whole_and_any_change_is_seen(tmp_path: Path) -> None:
    """A sealed file is whole; cut, lengthened, changed, empty or absent it is not."""
    path = tmp_path / "model"
    sealed = seal(b"model " * 100)
    path.write_bytes(sealed)
    assert is_whole(path)
    changed = bytearray(sealed)
    changed[50] ^= 1
    for content in (sealed[:-1], sealed[:60], sealed + b"x", bytes(changed), b"", b"model"):
        path.write_bytes(content)
        assert not is_whole(path)
    assert not is_whole(tmp_path / "absent")


def test_whole_model_is_used_without_converting(tmp_path: Path) -> None:
    """A whole file in the cache is taken as it is."""
    write_atomically(tmp_path / MODEL_FILE, seal(b"model"))
    asked: list[Path] = []
    assert ensure_model(tmp_path, asked.append) == tmp_path / MODEL_FILE
    assert asked == []


def test_spoilt_model_is_made_anew(tmp_path: Path) -> None:
    """A file cut short by a power failure is converted again, not loaded."""
    model = tmp_path / MODEL_FILE
    model.write_bytes(seal(b"model")[:-5])
    ensure_model(tmp_path, lambda folder: write_atomically(folder / MODEL_FILE, seal(b"new")))
    assert model.read_bytes() == seal(b"new")


def test_model_spoilt_at_once_is_an_error(tmp_path: Path) -> None:
    """When even a fresh conversion does not read back, the disk is named, not the model used."""
    with pytest.raises(ModelUnavailable, match="failing disk"):
        ensure_model(tmp_path, lambda folder: None)


def test_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    """A cache directory that cannot be made ends in an error that names it."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailable, match=r"file/cache.*NotADirectoryError"):
        ensure_model(tmp_path / "file" / "cache")


def test_working_directory_does_not_get_into_the_converter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the working directory that is named like a library is not imported."""
    (tmp_path / "onnx.py").write_text("raise SystemExit('the wrong onnx')")
    monkeypatch.chdir(tmp_path)
    assert is_whole(ensure_model(tmp_path / "cache"))


def test_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fails during the write, what was there stays and nothing is left behind."""
    target = tmp_path / "model"
    target.write_bytes(b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert target.read_bytes() == b"old"


def test_model_may_be_read_by_another_user(tmp_path: Path) -> None:
    """A model made by the installer is readable for the account that the service runs under."""
    write_atomically(tmp_path / "cache" / "model", b"model")
    assert (tmp_path / "cache" / "model").stat().st_mode & 0o777 == 0o644


def test_two_processes_may_convert_at_once(tmp_path: Path) -> None:
    """Both processes succeed, and one whole model and nothing else is left."""
    folder = tmp_path / "cache"
    processes = [subprocess.Popen([*CONVERT, str(folder)]) for _ in range(2)]
    assert [process.wait(timeout=50) for process in processes] == [0, 0]
    assert [path.name for path in folder.iterdir()] == [MODEL_FILE]
    assert is_whole(folder / MODEL_FILE)


def test_converter_says_how_it_is_called() -> None:
    """Without a directory the converter explains itself and fails."""
    finished = subprocess.run(CONVERT, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert "CACHE_DIR" in finished.stderr


def test_cache_directory_is_chosen_by_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own variable wins over systemd's, that over XDG's, and the home directory is last."""
    for name in ("ECO_CACHE_DIR", "CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/kiosk")
    assert default_cache_dir() == Path("/home/kiosk/.cache/eco_actor")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache_dir() == Path("/xdg/eco_actor")
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/eco:/var/cache/other")
    assert default_cache_dir() == Path("/var/cache/eco")
    monkeypatch.setenv("ECO_CACHE_DIR", "/chosen")
    assert default_cache_dir() == Path("/chosen")
