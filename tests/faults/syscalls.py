"""What strace recorded of a process, pure: its system calls, when each began and when it ended.

The record is one file for all threads (`-f -o`), with what a descriptor is (`-yy`) and with every
string in hex (`-xx`), so that nothing in a string can be taken for syntax. A moment is the number
of a line. Where one call is the cause of another in a different thread, their lines are in that
order: strace lets a thread go on only once it has noted where it stopped.
"""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

NEVER: Final = 1 << 62
"""The moment at which a call ended that had not when the process did."""

LONGEST: Final = 1 << 20
"""Bytes of a string that are recorded; more than anything that a server of a test writes."""

OPTIONS: Final = ("-f", "--seccomp-bpf", "-yy", "-xx", f"-s{LONGEST}", "-esignal=none")
"""What strace is given, beside the calls to record and the file to record them in."""

WRITES: Final = frozenset({"write", "writev", "sendto", "sendmsg", "pwrite64", "pwritev"})
SYNCS: Final = frozenset({"fsync", "fdatasync"})
OPENS: Final = frozenset({"open", "openat", "creat"})
CHANGES: Final = frozenset(
    {"mkdir", "mkdirat", "mknod", "mknodat", "link", "linkat", "symlink", "symlinkat", "rename",
     "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "truncate", "ftruncate", "fallocate"}
)  # fmt: skip
"""Calls that change what is on a disk without writing into a file."""

DEVICES: Final = ("/dev/null", "/dev/tty", "/dev/urandom")

_LINE: Final = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
_UNFINISHED: Final = " <unfinished ...>"
_RESULT: Final = re.compile(r"(.*)\) += (-?\d+|\?|0x[0-9a-f]+)")
_TARGET: Final = re.compile(r"-?\d+<(.*?)>(?=[,()]|$)")
_STRING: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_PARTS: Final = re.compile(r'iov_base="((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_HEX: Final = re.compile(r"(?:\\x[0-9a-f]{2})+")
_WRITING: Final = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE|O_TRUNC|O_APPEND")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call. `args` is as in the record; `result` None: it had not ended."""

    thread: int
    name: str
    args: str
    result: int | None
    began: int
    ended: int

    @property
    def target(self) -> str:
        """What its first argument, a descriptor, stands for: a path, `TCP:[from->to]`, …"""
        found = _TARGET.match(self.args)
        return _text(found[1]) if found else ""

    @property
    def strings(self) -> list[bytes]:
        """Its strings: of a call on files, the paths."""
        return [_whole(found) for found in _STRING.finditer(self.args)]

    @property
    def data(self) -> bytes:
        """The bytes of a write that were taken; all of them when it did not come back."""
        if self.name in ("writev", "sendmsg", "pwritev"):
            given = b"".join(_whole(found) for found in _PARTS.finditer(self.args))
        else:
            given = self.strings[0]
        return given if self.result is None else given[: max(self.result, 0)]

    @property
    def offset(self) -> int:
        """Where in the file a `pwrite64` writes: its last argument."""
        return int(self.args.rpartition(", ")[2])


def calls(record: Iterable[str]) -> list[Call]:
    """The calls of *record*, in the order in which they began. ValueError for a strange line."""
    found: list[Call] = []
    begun: dict[int, tuple[str, str, int]] = {}
    for number, line in enumerate(record):
        parsed = _LINE.match(line)
        if parsed is None:
            if line.strip() and not re.match(r"\d+ +(\+\+\+|---|<\.\.\. )", line):
                raise ValueError(f"line {number + 1} is no call: {line[:200]}")
            continue
        thread, resumed, name, rest = int(parsed[1]), parsed[2], parsed[3], parsed[4]
        if resumed:
            name, args, began = begun.pop(thread)
            if name != resumed:
                raise ValueError(f"line {number + 1}: {resumed} goes on, but {name} was under way")
            rest = args + rest
        else:
            began = number
        if rest.endswith(_UNFINISHED):
            begun[thread] = (name, rest.removesuffix(_UNFINISHED), began)
            continue
        ended = _RESULT.match(rest)
        if ended is None:
            raise ValueError(f"line {number + 1} has no result: {line[:200]}")
        result = None if ended[2] == "?" else int(ended[2], 0)
        over = NEVER if result is None else number
        found.append(Call(thread, name, ended[1], result, began, over))
    for thread, (name, args, began) in begun.items():
        found.append(Call(thread, name, args, None, began, NEVER))
    return sorted(found, key=lambda call: call.began)


def touched(made: Iterable[Call]) -> Iterator[str]:
    """What the disk was touched by: files opened to be written, written or synced, and changes."""
    for call in made:
        if call.result is not None and call.result < 0:
            continue
        if call.name in OPENS:
            path = call.strings[0].decode()
            if (call.name == "creat" or _WRITING.search(call.args)) and path not in DEVICES:
                yield f"{call.name} {path}"
        elif call.name in CHANGES:
            yield f"{call.name} {[path.decode() for path in call.strings] or call.target}"
        elif call.name in WRITES | SYNCS:
            target = call.target
            if target.startswith("/") and target not in DEVICES:
                yield f"{call.name} {target}"


def unsynced(made: Sequence[Call], paths: Collection[str], before: int) -> list[str]:
    """Those of *paths* that were made and may be gone after a loss of power at this moment: the
    directory that has their entry was not synced behind it."""
    entries: dict[str, int] = {}
    for call in made:
        makes = call.name in ("mkdir", "mkdirat") or (call.name in OPENS and "O_CREAT" in call.args)
        if makes and call.result is not None and call.result >= 0:
            entries.setdefault(call.strings[0].decode(), call.ended)
    syncs = [call for call in made if call.name in SYNCS and call.result == 0]
    return [
        path
        for path, at in entries.items()
        if path in paths
        and not any(
            sync.target == posixpath.dirname(path) and at < sync.began and sync.ended < before
            for sync in syncs
        )
    ]


def _whole(found: re.Match[str]) -> bytes:
    if found[2]:
        raise ValueError(f"the record has only the beginning of a string: {found[1][:80]}")
    return bytes.fromhex(found[1].replace("\\x", ""))


def _text(escaped: str) -> str:
    return _HEX.sub(lambda run: bytes.fromhex(run[0].replace("\\x", "")).decode(), escaped)
