"""The converted model on disk: where it lives, how it is sealed, and how it is made when absent.

The file name carries the weights' hash and the converter's version, so a model made by an older
release is never loaded. The file ends with the SHA-256 of what is before, written as ONNX metadata
so that it stays a plain ONNX file: a copy that a power cut or a dying disk has spoilt is recognised
and made anew. Two processes that convert at once each write a file of their own and rename it: the
last one wins, both are right.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

INPUT_SIDE: Final = 224
WEIGHTS_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CONVERTER_VERSION: Final = 1
MODEL_FILE: Final = f"lite0-{WEIGHTS_SHA256[:12]}-v{CONVERTER_VERSION}.onnx"
CONVERSION_TIMEOUT_S: Final = 120.0

# ModelProto.metadata_props (field 14) holding {key (1): "sha256", value (2): 64 hex digits}.
# Concatenating protobuf messages merges them, so this can be appended to a finished model.
_SEAL_PREFIX: Final = b"\x72\x4a\x0a\x06sha256\x12\x40"
_SEAL_BYTES: Final = len(_SEAL_PREFIX) + 64
_CHUNK_BYTES: Final = 1 << 18


class ModelUnavailable(RuntimeError):
    """The model could not be made, written or read; the message says what stood in the way."""


def default_cache_dir() -> Path:
    """$ECO_CACHE_DIR, else systemd's $CACHE_DIRECTORY, else the user's own cache directory."""
    if chosen := os.environ.get("ECO_CACHE_DIR"):
        return Path(chosen)
    # systemd separates several directories by colons; the first is ours.
    if granted := os.environ.get("CACHE_DIRECTORY", "").split(":")[0]:
        return Path(granted)
    if cache_home := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache_home) / "eco_actor"
    return Path.home() / ".cache" / "eco_actor"


def seal(model: bytes) -> bytes:
    """The model with its SHA-256 appended."""
    return model + _SEAL_PREFIX + hashlib.sha256(model).hexdigest().encode()


def is_whole(path: Path) -> bool:
    """Whether the file is there and its content is what was sealed. Holds one chunk in memory."""
    try:
        left = path.stat().st_size - _SEAL_BYTES
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
                digest.update(chunk)
                left -= len(chunk)
            return file.read() == _SEAL_PREFIX + digest.hexdigest().encode()
    except OSError:
        return False


def write_atomically(target: Path, content: bytes) -> None:
    """Puts `content` at `target` as a whole, durably, or raises `OSError` and leaves no trace."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            # An installer may fill the cache for the service's user; the model is no secret.
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def convert_in_subprocess(cache_dir: Path) -> None:
    """Makes the model file in `cache_dir`; conversion's memory goes with its process.

    Raises `ModelUnavailable` with the converter's own words.
    """
    # -P: whatever lies in the working directory is not imported in place of what is meant.
    command = [sys.executable, "-P", "-m", "eco_actor.scan.lite0_graph", str(cache_dir)]
    path = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        finished = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},  # a checkout is found, too
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CONVERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelUnavailable(f"the model converter did not run: {error}") from error
    if finished.returncode != 0:
        said = finished.stderr.strip().splitlines() or [f"exit status {finished.returncode}"]
        raise ModelUnavailable(f"the model could not be made in {cache_dir}: {said[-1]}")


def ensure_model(cache_dir: Path, convert: Callable[[Path], None] = convert_in_subprocess) -> Path:
    """The path of a whole model file in `cache_dir`, made by `convert` when there is none.

    Raises `ModelUnavailable`, also when the directory cannot be written.
    """
    model = cache_dir / MODEL_FILE
    if not is_whole(model):
        convert(cache_dir)
        if not is_whole(model):
            raise ModelUnavailable(f"{model} is spoilt although it was just made: a failing disk?")
    return model
