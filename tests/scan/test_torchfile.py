"""The torch file reader: what it reads, and that nothing hostile gets further than an error."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eco_actor.scan.torchfile import MAX_FILE_BYTES, TorchFileError, read_tensors

FLOAT = b"ctorch\nFloatStorage\n"
MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
PROTOCOL = pickle.dumps(1001, 2)
SYSTEM = pickle.dumps({"little_endian": True}, 2)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def together(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def storage(elements: int = 6, key: str = "7", kind: bytes = FLOAT) -> bytes:
    return together(text("storage"), kind, text(key), text("cpu"), number(elements), b"N") + b"Q"


def tensor(shape: list[int], strides: list[int], offset: int = 0, held: bytes = b"") -> bytes:
    arguments = together(
        held or storage(),
        number(offset),
        together(*map(number, shape)),
        together(*map(number, strides)),
        b"\x89",
        b"ccollections\nOrderedDict\n)R",
    )
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def torch_file(value: bytes, *, keys: object = ("7",), elements: bytes | None = None) -> bytes:
    """A file of one tensor named "w", whose storage "7" holds the six floats 0 to 5."""
    if elements is None:
        elements = struct.pack("<q6f", 6, *range(6))
    named = b"\x80\x02}" + text("w") + value + b"s."
    listed = pickle.dumps(list(keys) if isinstance(keys, tuple) else keys, 2)
    return MAGIC + PROTOCOL + SYSTEM + named + listed + elements


WHOLE = torch_file(tensor([2, 3], [3, 1]))


def read(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    path = folder / "weights.pth"
    path.write_bytes(content)
    return read_tensors(path)


def test_tensor_is_read_with_its_shape_and_values(tmp_path: Path) -> None:
    """A tensor comes out with the shape, type and elements that were stored."""
    array = read(tmp_path, WHOLE)["w"]
    assert array.dtype == np.float32
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_strides_and_offset_are_followed(tmp_path: Path) -> None:
    """A transposed part of a storage comes out as its own contiguous array."""
    array = read(tmp_path, torch_file(tensor([2, 2], [1, 2], offset=1)))["w"]
    assert array.tolist() == [[1, 3], [2, 4]]
    assert array.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x80\x02K\x01.", b"hello\n" * 9])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """An empty file, a newer torch file, another pickle and plain text are not read."""
    with pytest.raises(TorchFileError, match=r"weights\.pth"):
        read(tmp_path, content)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    """Wherever the file is cut short, it is refused."""
    for end in range(len(WHOLE)):
        with pytest.raises(TorchFileError):
            read(tmp_path, WHOLE[:end])


def test_trailing_bytes_are_refused(tmp_path: Path) -> None:
    """A file with something after its last storage is not what was written."""
    with pytest.raises(TorchFileError, match="after the last storage"):
        read(tmp_path, WHOLE + b"\0")


def test_code_in_the_pickle_is_not_run(tmp_path: Path) -> None:
    """A pickle that calls a function of the standard library is refused before the call."""
    made = tmp_path / "made"
    call = b"cos\nmkdir\n" + together(text(str(made))) + b"R"
    with pytest.raises(TorchFileError, match=r"os\.mkdir"):
        read(tmp_path, torch_file(call))
    assert not made.exists()


@pytest.mark.parametrize(
    ("value", "instruction"),
    [
        (text("os") + text("mkdir") + b"\x93", "STACK_GLOBAL"),
        (b"(" + text("x") + b"ios\nmkdir\n", "INST"),
        (b"ccollections\nOrderedDict\n)\x81", "NEWOBJ"),
        (b"\x82\x01", "EXT1"),
    ],
)
def test_other_ways_to_reach_code_are_refused(
    tmp_path: Path, value: bytes, instruction: str
) -> None:
    """Instructions that a dictionary of tensors never needs do not reach the unpickler."""
    with pytest.raises(TorchFileError, match=instruction):
        read(tmp_path, torch_file(value))


@pytest.mark.parametrize("target", [b"ctorch._utils\n_rebuild_tensor_v2\n", FLOAT])
def test_readers_own_parts_cannot_be_changed_by_the_pickle(tmp_path: Path, target: bytes) -> None:
    """Setting attributes on what the names resolve to fails, and later reads are unharmed."""
    with pytest.raises(TorchFileError):
        read(tmp_path, torch_file(target + b"}" + text("__call__") + text("x") + b"sb"))
    assert read(tmp_path, WHOLE)["w"].shape == (2, 3)


def test_huge_memo_index_is_refused(tmp_path: Path) -> None:
    """A memo index that would make the unpickler allocate gigabytes is refused."""
    with pytest.raises(TorchFileError, match="memo"):
        read(tmp_path, torch_file(b"Nr\xff\xff\xff\x0f"))


@pytest.mark.parametrize(
    "value",
    [
        tensor([1 << 20, 1 << 20], [0, 0]),
        tensor([2, 3], [3, 1], offset=1),
        tensor([2, 3], [300, 1]),
        tensor([2, 3], [-3, 1]),
        tensor([-2, 3], [3, 1]),
        tensor([0, 1 << 28], [1, 1]),
        tensor([6], [1, 1]),
        tensor([1] * 9, [1] * 9),
        tensor([2, 3], [3, 1], held=number(7)),
        tensor([2, 3], [3, 1], held=storage(elements=5)),
        tensor([2, 3], [3, 1], held=storage(elements=1 << 27)),
        tensor([2, 3], [3, 1], held=storage(elements=-1)),
        tensor([2, 3], [3, 1], held=storage(key="8")),
        tensor([2, 3], [3, 1], held=storage(kind=text("a string"))),
        tensor([2, 3], [3, 1], held=together(text("module")) + b"Q"),
        number(5),
    ],
    ids=range(16),
)
def test_tensor_that_does_not_fit_its_storage_is_refused(tmp_path: Path, value: bytes) -> None:
    """Shapes, strides, offsets and storages that do not fit together never become an array."""
    with pytest.raises(TorchFileError):
        read(tmp_path, torch_file(value))


@pytest.mark.parametrize("keys", [(), ("7", "7"), ("7", "8"), (7,), {"7": 1}])
def test_wrong_list_of_storages_is_refused(tmp_path: Path, keys: object) -> None:
    """The storages listed must be those that the tensors use, each once."""
    with pytest.raises(TorchFileError):
        read(tmp_path, torch_file(tensor([6], [1]), keys=keys))


def test_file_of_another_byte_order_is_refused(tmp_path: Path) -> None:
    """A file written by a big-endian machine is not misread."""
    big = pickle.dumps({"little_endian": False}, 2)
    with pytest.raises(TorchFileError, match="little-endian"):
        read(tmp_path, WHOLE.replace(SYSTEM, big))


def test_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    """A file beyond the bound is refused by its size alone."""
    path = tmp_path / "huge.pth"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(TorchFileError, match="more than"):
        read_tensors(path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255))
def test_damaged_byte_ends_in_tensors_or_the_one_error(
    tmp_path: Path, position: int, value: int
) -> None:
    """Whatever single byte is changed, the reader gives arrays or `TorchFileError`, no other."""
    damaged = bytearray(WHOLE)
    damaged[position] = value
    try:
        tensors = read(tmp_path, bytes(damaged))
    except TorchFileError:
        return
    assert all(array.size <= 6 for array in tensors.values())
