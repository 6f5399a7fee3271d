"""run.py whose page's files are in the folder ECO_STATIC, so that a test can change them."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eco_actor import cli
from eco_actor.web import pages

STATIC = Path(os.environ.pop("ECO_STATIC"))

if __name__ == "__main__":
    setattr(pages, "static_dir", lambda: STATIC)  # noqa: B010  # the same name, another folder
    sys.exit(cli.main())
