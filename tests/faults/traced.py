"""run.py under strace: `python traced.py FILE CALLS serve …` records these system calls in FILE.

The server is the process that was started, and strace looks on from beside it (`-D`), so that
signals reach the server as they would without.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults.syscalls import OPTIONS
from tests.web.serving import RUN

if __name__ == "__main__":
    record, names, *words = sys.argv[1:]
    options = ["-D", *OPTIONS, f"-etrace={names}", "-o", record]
    os.execvp("strace", ["strace", *options, sys.executable, *RUN, *words])
