"""tests/web/gated.py whose streams ask their clients to come back soon."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eco_actor import cli, parts
from eco_actor.delivery import sse
from tests.web.gated import Glass, gated_stages

RETRY_MS = 50

if __name__ == "__main__":
    setattr(parts, "stages", gated_stages)  # noqa: B010  # names that it imports, not exports
    setattr(parts, "load_classifier", Glass)  # noqa: B010
    setattr(sse, "RETRY_MS", RETRY_MS)  # noqa: B010
    sys.exit(cli.main())
