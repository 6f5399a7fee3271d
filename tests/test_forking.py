"""A forked program is a process as any other, and nothing of the test's is in it."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.forking import Forked, run

SHOWS = """
import asyncio, json, os, random, sys
print(json.dumps([sys.argv, dict(os.environ), os.getcwd(), sorted(os.listdir("/proc/self/fd"))]))
print(__name__, sys.path[0], sys.stdin.read() == "", random.random(), file=sys.stderr)
sys.exit(3)
"""
WAITS = "import time\nprint('waits', flush=True)\nwhile True: time.sleep(1)\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "script.py"


def test_it_has_its_own_words_environment_and_folder(script: Path, tmp_path: Path) -> None:
    """No variable, file or random number of the test's, or of another's."""
    script.write_text(SHOWS)
    shown = [run([str(script), "a b"], env={"A": "é"}, cwd=tmp_path, timeout=30) for _ in range(2)]
    for each in shown:
        words, env, folder, files = json.loads(each.stdout)
        assert words == [str(script), "a b"]
        assert (env, folder) == ({"A": "é"}, str(tmp_path))
        assert len(files) == 4, "its three, and the listing itself"
        assert each.returncode == 3
        assert each.stderr.startswith(f"__main__ {tmp_path} True 0.")
    assert shown[0].stderr != shown[1].stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_by_a_signal_and_says_which(script: Path, number: signal.Signals) -> None:
    """While another one goes on."""
    script.write_text(WAITS)
    with Forked([str(script)], env={}) as first, Forked([str(script)], env={}) as second:
        assert [first.stdout.readline(), second.stdout.readline()] == ["waits\n"] * 2
        assert first.poll() is None
        first.send_signal(number)
        assert first.wait(10) == -number
        assert (first.poll(), second.poll()) == (-number, None)
        first.send_signal(number)  # nothing happens
    assert second.wait() == -signal.SIGKILL


def test_patience_ends(script: Path) -> None:
    """Waited for in vain: that raises, and it is gone."""
    script.write_text(WAITS)
    with Forked([str(script)], env={}) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(0.01)
        assert process.wait() == -signal.SIGKILL
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


def test_all_is_imported_already(script: Path) -> None:
    """That is what it is for."""
    script.write_text("import sys\nsys.exit('eco_actor.app' not in sys.modules)\n")
    assert run([str(script)], env={}, timeout=30).returncode == 0


def test_whoever_holds_on_to_its_outputs_is_not_waited_for(script: Path) -> None:
    """A process that it started, and that goes on."""
    code = "import subprocess\nprint(subprocess.Popen(['sleep', '60']).pid, flush=True)\n"
    script.write_text(code)
    with Forked([str(script)], env={"PATH": "/bin:/usr/bin"}) as process:
        held = int(process.stdout.readline())
        with pytest.raises(TimeoutError):
            process.communicate(0.5)
        os.kill(held, signal.SIGKILL)
