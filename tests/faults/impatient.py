"""run.py that gives up a write that hangs after 3 seconds, not 20. Nothing else is changed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eco_actor import cli
from eco_actor.eventlog import sqlite

if __name__ == "__main__":
    setattr(sqlite, "HANG_S", 1.0)  # noqa: B010  # constants
    setattr(sqlite, "GIVE_UP_S", 3.0)  # noqa: B010
    sys.exit(cli.main())
