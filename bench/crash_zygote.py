"""The parent of the servers that the crash harness kills: it has imported all, and forks a start.

A new interpreter takes half a second to import the server; a fork of one that has takes none. What
is forked is a whole server process all the same: this one has no thread, no loop, no connection
and no file but its pipes, and the child closes those first. What looks at pictures is imported by
each server itself, for it starts threads.

It reads commands from its input, a JSON object a line, and answers so: `{"pid"}` once a server was
forked, `{"ended"}` with its status once it has ended (below 0: the signal). Its end of input is the
end of the server, too.
"""

import gc
import importlib
import json
import os
import select
import signal
import sys
from io import FileIO
from pathlib import Path
from typing import Any, Final

from bench.crash_board import Board
from bench.crash_install import install
from bench.crash_points import POINTS
from eco_actor import cli

FREE: Final = 3
"""The first file descriptor that is not an input, output or log."""


def main() -> int:
    os.closerange(FREE, os.sysconf("SC_OPEN_MAX"))
    gc.freeze()  # what is here is shared with all servers; none of them needs to look at it again
    task = _wait_for_task()
    return 0 if task is None else _serve(task, Path(sys.argv[1]))


def _wait_for_task() -> dict[str, Any] | None:
    """In each child its task; in the parent None, at the end of the input."""
    commands = FileIO(0, closefd=False)
    more = True
    while more and (line := commands.readline()):
        command: dict[str, Any] = json.loads(line)
        if "signal" in command:
            continue  # for a server that has just ended by itself
        assert len(os.listdir("/proc/self/task")) == 1, "a fork leaves threads behind"
        pid = os.fork()
        if pid == 0:
            return command
        _answer(pid=pid)
        more = _attend(pid, commands)
    return None


def _attend(pid: int, commands: FileIO) -> bool:
    """Pass signals on until the child has ended; False when there will be no more commands."""
    more, child = True, os.pidfd_open(pid)
    while True:
        ready, _, _ = select.select((child, commands.fileno()) if more else (child,), (), ())
        if child in ready:
            break
        line = commands.readline()
        number = json.loads(line)["signal"] if line else signal.SIGKILL
        more = bool(line)
        signal.pidfd_send_signal(child, number)
    os.close(child)
    _, status = os.waitpid(pid, 0)
    _answer(ended=os.waitstatus_to_exitcode(status))
    return more


def _answer(**told: int) -> None:
    os.write(1, json.dumps(told).encode() + b"\n")


def _serve(task: dict[str, Any], board: Path) -> int:
    """Be a server. What it has of the parent is what was imported, and where it logs to."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.closerange(FREE, os.sysconf("SC_OPEN_MAX"))
    print(f"--- server {os.getpid()}", file=sys.stderr, flush=True)
    os.environ.update(task["environment"])
    install(Board(board, [point.name for point in POINTS]))
    for stand_in in task["stand_ins"]:
        module, _, function = stand_in.partition(":")
        getattr(importlib.import_module(module), function)()
    return cli.main(task["arguments"])


if __name__ == "__main__":
    sys.exit(main())
