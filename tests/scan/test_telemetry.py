"""Nothing here reports home, whatever a library would like."""

import os
import subprocess
import sys

ASKED = """
import os, sys
from eco_actor.scan import lite0
assert "onnxruntime" in sys.modules
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


def test_telemetry_is_switched_off_before_the_library_is_there() -> None:
    """In the environment of the process, which is what the library reads."""
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    said = subprocess.run(
        [sys.executable, "-c", ASKED], env=env, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "1"
