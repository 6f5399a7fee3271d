"""Where the operator's token is kept, and where it is shown."""

import logging
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from eco_actor.web.operator_token import UnusableToken, keep_token
from tests.test_cli import check_refused, run
from tests.web.client import Client
from tests.web.credentials import OPENED, SECRET, bearer, tried
from tests.web.serving import Server


async def test_a_token_is_made_at_the_first_start_and_kept(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """256 bits in a file of the owner's alone; the log has it in the observer's address only."""
    running = server()
    file = running.data_dir / "operator-token"
    token = file.read_text().strip()
    assert re.fullmatch(r"[\w-]{43}", token)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    client = Client(session, running.url)
    assert await tried(client, bearer(token)) == OPENED
    running.stop()
    running.start()
    assert file.read_text().strip() == token
    lines = running.log_text().splitlines()
    said = [place for place, line in enumerate(lines) if token in line]
    assert len(said) == 2
    for place in said:
        assert lines[place].endswith(f" observer: {running.url}/observer?token={token}")
        assert lines[place + 1].endswith(f" listening on {running.url}")


def test_the_file_is_nobody_elses_whatever_the_umask(tmp_path: Path) -> None:
    """Mode 600, and what a start that was cut short left behind is in nobody's way."""
    (tmp_path / "operator-token.new").write_text("half")
    before = os.umask(0)
    try:
        token = keep_token(tmp_path / "operator-token")
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == ["operator-token"]
    assert stat.S_IMODE((tmp_path / "operator-token").stat().st_mode) == 0o600
    assert keep_token(tmp_path / "operator-token") == token


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o606, 0o600, 0o400])
def test_a_file_that_others_may_touch_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    """It is taken, and the log says what to do: without the token."""
    file = tmp_path / "operator-token"
    file.write_text(f"  {SECRET}\r\n")
    file.chmod(mode)
    with caplog.at_level(logging.WARNING):
        assert keep_token(file) == SECRET
    assert ("chmod 600" in caplog.text) == (mode not in (0o600, 0o400))
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"two words", b"\xff\xfe", "schlüssel".encode(), b"a\0b", b"x" * 1025]
)
def test_a_file_without_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    """Named, with what helps, rather than replaced: it may have been meant."""
    file = tmp_path / "operator-token"
    file.write_bytes(content)
    with pytest.raises(UnusableToken, match=str(file)):
        keep_token(file)
    assert file.read_bytes() == content


def test_a_spoilt_token_is_said_in_one_line(tmp_path: Path) -> None:
    """Exit 2 when it is empty; 1 when the system does not give it, which may pass."""
    words: list[str | Path] = ["serve", "--port", "0", "--data-dir", tmp_path, "--vision", "off"]
    file = tmp_path / "operator-token"
    file.touch()
    check_refused(run(*words), 2, str(file), "empty")
    file.unlink()
    file.mkdir()
    check_refused(run(*words), 1, str(file))


async def test_without_durability_nothing_is_written(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """The token is in memory, and in the log for who started it."""
    running = server(options=["--durability", "off"])
    assert [path.name for path in running.data_dir.glob("operator*")] == []
    (token,) = re.findall(r"observer\?token=([\w-]{43})\n", running.log_text())
    assert await tried(Client(session, running.url), bearer(token)) == OPENED


async def test_a_token_of_ones_own_is_never_shown(
    session: aiohttp.ClientSession, server: Callable[..., Server]
) -> None:
    """Neither in the log nor in a file; as a configured secret it allows any address."""
    running = server(env={"ECO_OPERATOR_TOKEN": SECRET}, options=["--host", "0.0.0.0"])
    assert await tried(Client(session, running.url), bearer(SECRET)) == OPENED
    running.stop()
    assert f"observer: {running.url}/observer\n" in running.log_text()
    assert f"listening on http://0.0.0.0:{running.port}\n" in running.log_text()
    assert SECRET not in running.log_text()
    assert not (running.data_dir / "operator-token").exists()


@pytest.mark.parametrize("token", ["", "two words", "schlüssel", "x" * 1025])
def test_a_token_that_cannot_be_is_refused_without_showing_it(tmp_path: Path, token: str) -> None:
    """Exit 2, naming the variable; an empty one is no secret."""
    words: list[str | Path] = ["serve", "--port", "0", "--data-dir", tmp_path, "--vision", "off"]
    done = run(*words, env={"ECO_OPERATOR_TOKEN": token})
    check_refused(done, 2, "ECO_OPERATOR_TOKEN")
    assert not token or token not in done.stderr
    done = run("serve", "--host", "0.0.0.0", "--vision", "off", env={"ECO_OPERATOR_TOKEN": ""})
    check_refused(done, 2, "0.0.0.0", "ECO_OPERATOR_TOKEN", "--insecure")
