"""Reads the tensors of a torch file (the format before torch 1.6) without torch, and safely.

The file is five pickles (a magic number, a protocol number, facts about the writing system, the
object, the keys of its storages) and then, key by key, an element count and raw little-endian
elements. A pickle is a program, so two fences stand around it: only the instructions that a
dictionary of tensors needs are let through, and the only names it can reach are the five below,
each of which resolves to something of ours without attributes that a program could change.
"""

import math
import pickle
import pickletools
import struct
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAX_FILE_BYTES: Final = 256 << 20
_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_MAX_MEMO: Final = 1 << 16  # a memo index is an allocation of that many slots
_MAX_RANK: Final = 8

_OPCODES: Final = frozenset(
    (
        *("PROTO", "STOP"),
        *("MARK", "NONE", "NEWTRUE", "NEWFALSE"),
        *("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"),
        *("GLOBAL", "REDUCE", "BUILD", "BINPERSID"),
        *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("EMPTY_LIST", "APPEND", "APPENDS"),
        *("EMPTY_DICT", "SETITEM", "SETITEMS"),
    )
)
_ELEMENT: Final = {"FloatStorage": "<f4", "LongStorage": "<i8", "HalfStorage": "<f2"}


class TorchFileError(ValueError):
    """The file is not a dictionary of tensors in the old torch format, or only part of one."""


class _Storage(NamedTuple):
    key: str
    element: str
    elements: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _RebuildTensor:
    __slots__ = ()  # nothing a pickle's BUILD instruction could set

    def __call__(
        self, storage: object, offset: object, shape: object, strides: object, *_: object
    ) -> _Tensor:
        if not isinstance(storage, _Storage):
            raise TorchFileError("a tensor without a storage")
        tensor = _Tensor(storage, _count(offset), _counts(shape), _counts(strides))
        if len(tensor.shape) != len(tensor.strides) or len(tensor.shape) > _MAX_RANK:
            raise TorchFileError(f"a tensor of shape {shape} with strides {strides}")
        return tensor


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _RebuildTensor()
        if module == "torch" and name in _ELEMENT:
            return _ELEMENT[name]
        raise TorchFileError(
            f"it refers to {module}.{name}, which a file of tensors has no use for"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(element), str(key), str(), int(count), None):
                if element in _ELEMENT.values():
                    return _Storage(key, element, _count(count))
        raise TorchFileError(f"an unknown kind of storage: {str(pid)[:80]}")


def read_tensors(path: Path) -> dict[str, Array]:
    """The named tensors of the file, C-contiguous float16, float32 or int64 arrays.

    Raises `TorchFileError` when the file is something else, cut short, too large or hostile, and
    `OSError` when it cannot be read. Takes memory for twice the file at most.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise TorchFileError(f"{path} has {size} bytes, more than {MAX_FILE_BYTES}")
    with path.open("rb") as file:
        try:
            named, keys = _read_pickles(file)
            storages = _read_storages(file, named, keys, size)
            return {name: _view(tensor, storages) for name, tensor in named.items()}
        except TorchFileError as error:
            raise TorchFileError(f"{path}: {error}") from error


def _read_pickles(file: IO[bytes]) -> tuple[dict[str, _Tensor], list[str]]:
    if _read_pickle(file) != _MAGIC:
        raise TorchFileError("not a torch file of the old format")
    if _read_pickle(file) != _PROTOCOL:
        raise TorchFileError("a protocol other than 1001")
    system = _read_pickle(file)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise TorchFileError("not written in little-endian order")
    named, keys = _read_pickle(file), _read_pickle(file)
    if not isinstance(named, Mapping) or not isinstance(keys, list):
        raise TorchFileError("not a dictionary of tensors")
    for name, tensor in named.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise TorchFileError(f"not a tensor: {str(name)[:80]}")
    if not all(isinstance(key, str) for key in keys):
        raise TorchFileError("a storage key that is not a string")
    return dict(named), keys


def _read_pickle(file: IO[bytes]) -> object:
    start = file.tell()
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name not in _OPCODES:
                raise TorchFileError(f"the pickle instruction {opcode.name} is not let through")
            if opcode.name.endswith("BINPUT") and (argument or 0) >= _MAX_MEMO:
                raise TorchFileError(f"a memo index of {argument}")
        file.seek(start)
        return _Unpickler(file).load()
    except TorchFileError:
        raise
    except Exception as error:  # a malformed pickle fails in a dozen ways, all meaning this
        raise TorchFileError(f"not a readable pickle at byte {start}: {error}") from error


def _read_storages(
    file: IO[bytes], named: Mapping[str, _Tensor], keys: list[str], size: int
) -> dict[str, Array]:
    declared: dict[str, _Storage] = {}
    for tensor in named.values():
        if declared.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
            raise TorchFileError(f"storage {tensor.storage.key} is declared twice, differently")
    if len(set(keys)) != len(keys) or set(keys) != set(declared):
        raise TorchFileError("the storages listed are not those that the tensors use")
    storages: dict[str, Array] = {}
    for key in keys:
        element, count = np.dtype(declared[key].element), declared[key].elements
        if count * element.itemsize > size - file.tell():
            raise TorchFileError("cut short")
        header, raw = file.read(8), file.read(count * element.itemsize)
        if len(header) != 8 or len(raw) != count * element.itemsize:
            raise TorchFileError("cut short")
        if struct.unpack("<q", header) != (count,):
            raise TorchFileError(f"storage {key} does not hold the {count} elements declared")
        storages[key] = np.frombuffer(raw, element)
    if file.read(1):
        raise TorchFileError("there are bytes after the last storage")
    return storages


def _view(tensor: _Tensor, storages: Mapping[str, Array]) -> Array:
    """The tensor's own C-contiguous array; its extent is checked before memory is looked at."""
    flat = storages[tensor.storage.key]
    elements = math.prod(tensor.shape)
    last = tensor.offset + sum(
        (length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    # The first bound keeps stride 0 from blowing a small storage up into a huge array.
    if not 0 < elements <= flat.size or last >= flat.size:
        raise TorchFileError(f"a tensor of shape {tensor.shape} does not fit its storage")
    strides = [stride * flat.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides)
    return np.ascontiguousarray(view)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_FILE_BYTES:
        raise TorchFileError(f"not a count: {str(value)[:80]}")
    return value


def _counts(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple):
        raise TorchFileError(f"not a shape: {str(value)[:80]}")
    return tuple(_count(item) for item in value)
