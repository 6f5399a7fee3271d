"""What the command line says of what cannot be: in this process, for a process costs a second."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from eco_actor import provision
from eco_actor.cli import main
from eco_actor.config import Config, ConfigError
from eco_actor.doctor import examine
from eco_actor.eventlog import Durability
from eco_actor.provision import load_classifier
from eco_actor.scan.model_cache import MODEL_FILE, ModelUnavailable


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is in the environment, and what is made is made in a directory of the test."""
    for name in [name for name in os.environ if name.startswith("ECO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


Said = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*words: str) -> tuple[int, list[str]]:
        """Exit status, and the lines on standard error."""
        try:
            status = main(words)
        except SystemExit as ended:
            status = int(str(ended.code))
        return status, capsys.readouterr().err.splitlines()

    return run


@pytest.mark.parametrize(
    ("words", "usage", "told"),
    [
        (["serve", "--prot", "80"], "serve", "--prot 80: is --port meant?"),
        (["serve", "--datadir=x"], "serve", "--datadir=x: is --data-dir meant?"),
        (["--isnecure"], "serve", "--isnecure: is --insecure meant?"),
        (["backup", "x", "--quickly"], "backup", "--quickly"),
        (["scan", "x.jpg", "--jsno"], "scan", "--jsno: is --json meant?"),
        (["serve", "--port", "http"], "serve", "--port: a number from 0 to 65535, not 'http'"),
        (["serve", "--port", "٣"], "serve", "--port: a number from 0 to 65535, not '٣'"),
        (["follow", "x", "--timeout", "0"], "follow", "a number of seconds above 0, not '0'"),
        (["follow", "x", "--timeout", "soon"], "follow", "a number of seconds above 0, not 'soon'"),
    ],
)
def test_an_option_that_is_none_is_told_with_the_usage_of_its_command(
    said: Said, words: list[str], usage: str, told: str
) -> None:
    """And with the one that may be meant."""
    status, lines = said(*words)
    assert status == 2
    assert lines[0].split()[:3] == ["usage:", Path(sys.argv[0]).name, usage]
    assert lines[-1].endswith(told)


@pytest.mark.parametrize("command", [["backup", "x.db"], ["events", "x"], ["counts"]])
def test_where_no_database_is_it_is_said_how_there_comes_to_be_one(
    said: Said, tmp_path: Path, command: list[str]
) -> None:
    """A file in the place of the directory is told apart; nothing is made."""
    status, (line,) = said(*command)
    assert status == 1
    assert line == (
        f"eco_actor: {tmp_path}/data/eco.db: there is no such database: the first start of a server"
        " makes it; --data-dir names its directory"
    )
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    status, (line,) = said(*command, "--data-dir", "file")
    assert (status, line) == (
        1,
        "eco_actor: data directory file: it is a file, not a directory",
    )


@pytest.mark.parametrize("command", [["backup", "x.db"], ["events", "x"], ["counts"]])
def test_a_directory_that_may_not_be_looked_into_is_said_in_a_line(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """Exit 1, as whoever is not the server's user gets it, without a traceback."""
    (tmp_path / "data").mkdir()

    def refused(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refused)
    assert said(*command) == (1, ["eco_actor: data directory data: Permission denied"])


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "there is no such file"), (b"", "it is empty"), (b"text", "it is no database")],
)
def test_a_file_that_is_no_backup_makes_no_data_directory(
    said: Said, tmp_path: Path, content: bytes | None, why: str
) -> None:
    """It is looked at before anything is made for it."""
    if content is not None:
        (tmp_path / "copy.db").write_bytes(content)
    status, (line,) = said("restore", "copy.db")
    assert status == 1
    assert why in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("ECO_PORT", "http", "it is a whole number"),
        ("ECO_SCAN_RATE", "fast", "it is a number"),
        ("ECO_VISION", "maybe", "it is on or off"),
        ("ECO_DURABILITY", "never", "it is one of full, normal, off"),
    ],
)
def test_a_variable_that_cannot_be_is_told_with_what_it_may_be(
    said: Said, monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
) -> None:
    """Exit 2."""
    monkeypatch.setenv(name, value)
    assert said("serve") == (2, [f"eco_actor: {name} cannot be {value!r}: {wanted}"])


def test_a_variable_that_is_empty_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a file of settings has its name and no value: the default holds. Not so of a token,
    which was meant to be a secret: see `test_operator_token`."""
    for name in ("PORT", "DATA_DIR", "SITE", "VISION", "ORIGIN"):
        monkeypatch.setenv(f"ECO_{name}", "")
    assert Config.from_env() == Config()
    with pytest.raises(ConfigError, match="host is an address to listen on"):
        Config(host=" ", insecure=True)


def test_a_variable_that_is_nearly_a_setting_is_told_by_each_command(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would pass for one without effect. What is like none is another program's, perhaps:
    only those tell it that tell of settings anyway."""
    monkeypatch.setenv("ECO_DATADIR", "x")
    monkeypatch.setenv("ECO_FRIENDLY", "1")
    status, lines = said("counts")
    assert status == 1
    assert lines[0] == (
        "eco_actor: ECO_DATADIR is no setting, and changes nothing: is ECO_DATA_DIR meant?"
    )
    assert len(lines) == 2


def unavailable(*_: object) -> None:
    raise ModelUnavailable("the model could not be made: No space left on device")


def test_a_model_that_cannot_be_had_now_may_be_had_later(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 1, as when the disk is full: a service manager tries again."""
    monkeypatch.setenv("ECO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("eco_actor.scan.lite0.Lite0.load", unavailable)
    with pytest.raises(ModelUnavailable):
        load_classifier()
    monkeypatch.setattr(provision, "load_classifier", unavailable)
    monkeypatch.setattr("eco_actor.parts.load_classifier", unavailable)
    status, lines = said("scan", "x.jpg")
    assert (status, lines) == (
        1,
        ["eco_actor: the model could not be made: No space left on device"],
    )


@pytest.mark.parametrize("where", ["file", "file/cache"])
def test_a_place_where_no_model_can_be_kept_is_a_setting_that_cannot_be(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Exit 2, naming the setting; not where a whole model is there already."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("ECO_CACHE_DIR", str(tmp_path / where))
    monkeypatch.setattr("eco_actor.scan.lite0.Lite0.load", unavailable)
    status, (line,) = said("scan", "x.jpg")
    assert status == 2
    assert line == (
        f"eco_actor: the model cannot be kept in {tmp_path / where}: something else is in the way:"
        " ECO_CACHE_DIR names another place"
    )
    assert MODEL_FILE not in os.listdir(tmp_path)


def test_doctor_tells_what_is_like_no_setting() -> None:
    """With where all that are can be read."""
    found = examine(Config(durability=Durability.OFF, vision=False, port=0), {"ECO_FRIENDLY": None})
    assert found[0].detail == "ECO_FRIENDLY is no setting, and changes nothing"
    assert found[0].advice == "serve --help has all that are"
