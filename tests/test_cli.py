"""The command line, as a process: what it says, where it says it, and its exit status."""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests import forking
from tests.scan.site_files import UNREADABLE
from tests.web.pictures import drawn, encoded
from tests.web.serving import ROOT, Server, environment


def run(
    *words: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """run.py with these arguments, to its end."""
    wanted = [str(ROOT / "run.py"), *map(str, words)]
    return forking.run(wanted, env=environment(**(env or {})), cwd=cwd, timeout=150)


def check_refused(done: "subprocess.CompletedProcess[str]", status: int, *words: str) -> None:
    """It ended with this status and one line that has these words; no traceback."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("eco_actor: ")]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def status_of(url: str) -> int:
    with urlopen(url, timeout=10) as answer:
        return int(answer.status)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--help"], ["serve", "scan", "doctor", "backup", "restore", "events"]),
        (["-h"], ["serve", "scan"]),
        (
            ["serve", "--help"],
            ["--host", "--port", "--data-dir", "--durability", "--vision", "--log-level",
             "--insecure", "--allowed-host", "--origin", "ECO_", "ECO_OPERATOR_TOKEN",
             "ECO_CACHE_DIR"],
        ),
        (["scan", "--help"], ["PHOTO", "--lang", "--json"]),
        (["doctor", "--help"], ["--port", "--data-dir", "--durability", "--json", "ECO_"]),
        (["backup", "--help"], ["FILE", "--data-dir", "--force"]),
        (["restore", "--help"], ["FILE", "--data-dir", "stopped"]),
        (["events", "--help"], ["TASK", "--data-dir", "app:"]),
        (["counts", "--help"], ["--site", "--data-dir", "--json"]),
        (["follow", "--help"], ["TASK", "--url", "--transport", "--after", "--json", "ECO_URL"]),
    ],
)  # fmt: skip
def test_help_helps(words: list[str], told: list[str]) -> None:
    """Exit 0, on standard output, naming the commands and options."""
    done = run(*words)
    assert done.returncode == 0
    assert done.stderr == ""
    for word in told:
        assert word in done.stdout


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["serve", "--nonsense"], "--nonsense"),
        (["--nonsense"], "--nonsense"),
        (["frobnicate"], "frobnicate"),
        (["scan"], "PHOTO"),
        (["backup"], "FILE"),
        (["events"], "TASK"),
        (["serve", "--port", "http"], "--port"),
        (["serve", "--durability", "maybe"], "--durability"),
        (["scan", "--lang", "de", "x.jpg"], "--lang"),
    ],
)
def test_an_argument_that_is_none_is_named(words: list[str], named: str) -> None:
    """Exit 2 with usage and the word that was wrong."""
    done = run(*words)
    assert done.returncode == 2
    assert named in done.stderr
    assert "usage:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_an_address_that_others_reach_is_refused_with_the_reason(tmp_path: Path, host: str) -> None:
    """Exit 2: a secret of one's own or --insecure is how to mean it."""
    done = run("serve", "--host", host, "--port", "0", "--data-dir", tmp_path, "--vision", "off")
    check_refused(done, 2, host, "ECO_OPERATOR_TOKEN", "--insecure")


def test_an_address_that_others_reach_can_be_meant(server: Callable[..., Server]) -> None:
    """With --insecure it is served."""
    running = server(options=["--host", "0.0.0.0", "--insecure"])
    assert "http://0.0.0.0:" in running.log_text()
    assert status_of(f"{running.url}/healthz") == 200


def test_a_start_says_where_it_listens_and_nothing_else(plain_server: Server) -> None:
    """No warning, and not a word of SQLite: what is only to be known is for `doctor` to say."""
    before, listens, _ = plain_server.log_text().partition("listening on ")
    assert listens
    lines = before.splitlines()
    assert [line.split()[2:4] for line in lines] == [["INFO", "eco_actor.web.server:"]] * 2
    assert "observer: http" in lines[0]
    assert "sqlite" not in before.lower()


def test_a_data_directory_belongs_to_one_server(server: Callable[..., Server]) -> None:
    """A second one is refused, for now; after the end of the first, even by kill, it is free."""
    first = server()
    command = ("serve", "--port", "0", "--data-dir", first.data_dir, "--vision", "off")
    check_refused(run(*command), 1, str(first.data_dir), "in use")
    assert status_of(f"{first.url}/healthz") == 200
    first.kill()
    server(data_dir=first.data_dir).stop()


def test_what_the_system_fails_to_give_may_be_there_later(tmp_path: Path) -> None:
    """Exit 1, after which the service manager tries again: a token, a site file that is there."""
    words = ("--data-dir", tmp_path)
    counts = run("counts", *words, "--site", UNREADABLE)
    serve = run("serve", "--port", "0", "--vision", "off", *words, "--site", UNREADABLE)
    for done in (counts, serve):
        check_refused(done, 1, str(UNREADABLE), "Input/output error")
    (tmp_path / "operator-token").mkdir()
    done = run("serve", "--port", "0", "--vision", "off", *words)
    check_refused(done, 1, str(tmp_path / "operator-token"))


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    """Exit 1, naming the port, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, "--data-dir", tmp_path / "data", "--vision", "off")
    check_refused(done, 1, port, "taken", "--port")
    reason = f"port {port} is taken: --port picks another, 0 a free one"
    assert f"eco_actor: could not start: {reason}" in done.stderr.splitlines()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--port", "65536"], "port"),
        (["--port", "-1"], "port"),
        (["--origin", "https://app.example/"], "--origin"),
        (["--allowed-host", "eco.example:80"], "--allowed-host"),
        (["--host", "no such host"], "no such host"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path: Path, words: list[str], named: str) -> None:
    """Exit 2 and one line."""
    done = run("serve", *words, "--data-dir", tmp_path / "data", "--vision", "off")
    check_refused(done, 2, named)


@pytest.mark.parametrize("where", ["taken", "taken/data", "/proc/eco"])
def test_a_data_directory_that_cannot_be_had_is_named(tmp_path: Path, where: str) -> None:
    """Exit 1 and one line, where something else is in the way or nothing can be made."""
    (tmp_path / "taken").write_text("here")
    where = str(tmp_path / where)
    done = run("serve", "--port", "0", "--data-dir", where, "--vision", "off")
    check_refused(done, 1, str(where))


def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    """Which is said so, and not in the words of the system."""
    (tmp_path / "file").touch()
    serve = ("serve", "--port", "0", "--vision", "off")
    for command in (serve, ("restore", str(tmp_path / "file"))):
        done = run(*command, "--data-dir", tmp_path / "file")
        check_refused(done, 1, f"data directory {tmp_path / 'file'}: it is a file, not a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Exit 1 and one line, where the rights are missing."""
    tmp_path.chmod(0o500)
    done = run("serve", "--port", "0", "--data-dir", tmp_path / "data", "--vision", "off")
    tmp_path.chmod(0o700)
    check_refused(done, 1, str(tmp_path / "data"))


@pytest.mark.parametrize("content", [b"not a database" * 100, b""])
def test_a_spoilt_database_is_said_in_one_line(tmp_path: Path, content: bytes) -> None:
    """Exit 1 with the file's name; an empty file is a new database, and is left alone here."""
    (tmp_path / "eco.db").write_bytes(content)
    if not content:
        Server(tmp_path).start().stop()
        return
    done = run("serve", "--port", "0", "--data-dir", tmp_path, "--vision", "off")
    check_refused(done, 1, "eco.db")
    assert "StoreError" not in done.stderr.splitlines()[-1]
    assert (tmp_path / "eco.db").read_bytes() == content


def test_settings_come_from_the_environment_and_options_win(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    """ECO_DURABILITY and ECO_LOG_LEVEL count; ECO_DATA_DIR loses to --data-dir."""
    env = {
        "ECO_DURABILITY": "normal",
        "ECO_DATA_DIR": str(tmp_path / "elsewhere"),
        "ECO_VISION": "on",
    }
    running = server(env=env)
    with urlopen(f"{running.url}/readyz", timeout=10) as answer:
        assert json.load(answer)["durability"] == "normal"
    assert not (tmp_path / "elsewhere").exists()
    assert (running.data_dir / "eco.db").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ECO_PORT", "http"),
        ("ECO_VISION", "maybe"),
        ("ECO_MAX_SCANS", "0"),
        ("ECO_DURABILITY", "never"),
        ("ECO_SYNC_WAIT_S", "soon"),
        ("ECO_SYNC_WAIT_S", "nan"),
        pytest.param(
            "ECO_LOG_LEVEL", "loud",
        ),
    ],
)  # fmt: skip
def test_a_variable_that_cannot_be_is_named(tmp_path: Path, name: str, value: str) -> None:
    """Exit 2 and one line, for each variable as for an option."""
    done = run("serve", "--data-dir", tmp_path / "data", env={name: value})
    (line,) = done.stderr.splitlines()
    check_refused(done, 2)
    assert name in line or name.removeprefix("ECO_").lower() in line


def test_scan_answers_in_one_sentence_a_photo(photos: Path) -> None:
    """Each on a line of its own, in Korean unless asked otherwise."""
    names = [photos / "glass" / "glass101.jpg", photos / "metal" / "metal101.jpg"]
    done = run("scan", *names)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [str(name) for name in names]
    assert any("가" <= letter <= "힣" for letter in lines[0])
    done = run("scan", "--lang", "en", names[0])
    assert not any("가" <= letter <= "힣" for letter in done.stdout)
    assert "glass" in done.stdout.lower()


def test_scan_gives_json_a_line_as_the_api_does(photos: Path) -> None:
    """--json: one object a photo, with its name and the fields of a result."""
    name = photos / "glass" / "glass101.jpg"
    done = run("scan", "--json", "--lang", "en", name, name)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == 2
    for result in results:
        assert result.keys() == {"photo", "task_id", "classification", "rule", "answer"}
        assert result["photo"] == str(name)
        assert result["classification"]["category"] == "glass"
        assert result["answer"]["lang"] == "en"


def test_scan_names_what_it_cannot_read_and_answers_the_rest(tmp_path: Path) -> None:
    """Missing files, folders and other things: a line each on stderr, exit 1, no traceback."""
    (tmp_path / "text.jpg").write_text("this is no picture")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "half.jpg").write_bytes(encoded(drawn())[:-400])
    (tmp_path / "good.jpg").write_bytes(encoded(drawn()))
    wrong = ["missing.jpg", "text.jpg", "empty.jpg", "half.jpg", "."]
    done = run("scan", *wrong, "good.jpg", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == wrong
    lines = done.stderr.splitlines()
    assert (lines[0], lines[-1]) == ("missing.jpg: no such file", ".: it is a directory")
    assert done.stdout.startswith("good.jpg: ")


def test_scan_leaves_the_data_of_a_server_alone(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    """It works beside a server on the same directory, and makes no file where it runs."""
    running = server(data_dir=tmp_path / "data")
    (tmp_path / "good.jpg").write_bytes(encoded(drawn()))
    before = {path.name for path in (tmp_path / "data").iterdir()}
    done = run("scan", "good.jpg", cwd=tmp_path, env={"ECO_DATA_DIR": str(tmp_path / "data")})
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "data").iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"data", "good.jpg"}
    assert running.log_text().count("listening") == 1
