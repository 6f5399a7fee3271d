"""The parent of the processes that tests start: it has imported all, and forks a start.

A new interpreter takes most of a second to import the server; a fork of one that has takes none.
What is forked is a whole process all the same: this one has no thread, no loop and no file but its
socket, and the child closes that first. What looks at pictures is imported by each child itself,
for it starts threads.

A message on the socket (input 0) is a task, a JSON object, with the files that are the child's
standard ones and one to which its end is told. The answer is its pid; its end is a line with its
exit status (below 0: the signal). The end of the socket is the end of all that run.
"""

import ctypes
import faulthandler
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, Final

import eco_actor.cli
import eco_actor.routes

PR_SET_PDEATHSIG: Final = 1
"""For prctl: the signal that comes when the parent ends."""

IMPORTED: Final = (eco_actor.cli, eco_actor.routes)
"""And all that they import."""

FREE: Final = 3
"""The first file descriptor that is not an input, output or log."""

TASK_BYTES: Final = 1 << 20


def main() -> None:
    asked = socket.socket(fileno=os.dup(0))
    gc.freeze()  # what is here already is shared; no child needs to look at it again
    task = _tasks(asked)
    if task is not None:
        _be(task)


def _tasks(asked: socket.socket) -> dict[str, Any] | None:
    """In each child its task, its standard files in place; in the parent None, at the end."""
    ends: dict[int, tuple[int, int]] = {}  # of a child its pidfd: its pid, where its end is told
    while True:
        ready, _, _ = select.select((asked.fileno(), *ends), (), ())
        for child in ends.keys() & ready:
            _tell_end(child, *ends.pop(child))
        if asked.fileno() not in ready:
            continue
        line, files, _, _ = socket.recv_fds(asked, TASK_BYTES, 4)
        if not line:
            for child in ends:
                signal.pidfd_send_signal(child, signal.SIGKILL)
            return None
        assert len(os.listdir("/proc/self/task")) == 1, "a fork leaves threads behind"
        pid = os.fork()
        if pid == 0:
            for wanted, given in enumerate(files[:FREE]):
                os.dup2(given, wanted)
            os.closerange(FREE, os.sysconf("SC_OPEN_MAX"))
            asked.detach()
            return dict(json.loads(line))
        for given in files[:FREE]:
            os.close(given)
        ends[os.pidfd_open(pid)] = pid, files[FREE]
        asked.send(str(pid).encode())


def _tell_end(child: int, pid: int, told: int) -> None:
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # nobody waits for it
        os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(told)
    os.close(child)


def _be(task: dict[str, Any]) -> None:
    """Be the program, as if an interpreter had been started with these words."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.clear()
    os.environ.update(task["env"])
    if "PYTHONFAULTHANDLER" in os.environ:  # what an interpreter does about it at its start
        faulthandler.enable()
    os.chdir(task["cwd"])
    sys.argv[:] = task["words"]
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
