"""What the documents point at exists."""

import re
from pathlib import Path

import pytest

from tests.web.serving import ROOT

CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

FOLDERS = ("eco_actor", "static", "bench", "tests", ".ci", "deploy")
ENDINGS = (".py", ".md", ".cfg", ".toml", ".json", ".html", ".js", ".css", ".npz", ".yml")


def named_paths(text: str) -> set[str]:
    """What stands in backticks or links and looks like a path of this repository."""
    found = set(LINK.findall(FENCE.sub("", text)))
    for code in CODE.findall(FENCE.sub("", text)):
        word = code.strip()
        if " " in word or "<" in word or "*" in word or word.startswith(("/", "http", "-")):
            continue
        if word.split("/")[0] in FOLDERS or ("/" not in word and word.endswith(ENDINGS)):
            found.add(word.split("::")[0].split(":")[0])
    return found


def exists(name: str) -> bool:
    """Whether it is there: from the root, or for a bare file name anywhere in the tree."""
    if (ROOT / name).exists():
        return True
    places = (ROOT / folder for folder in FOLDERS)
    return "/" not in name and any(any(place.rglob(name)) for place in places)


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md"])
def test_each_path_in_a_document_exists(document: str) -> None:
    """A file that was moved is moved in the documents, too."""
    path = ROOT / document
    if not path.exists():
        pytest.skip(f"{document} is not written yet")
    names = named_paths(path.read_text("utf-8"))
    assert sorted(name for name in names if not exists(name)) == []


def test_paths_are_told_from_other_code(tmp_path: Path) -> None:
    """Commands, routes and identifiers are no paths; files and folders are."""
    text = (
        "`eco_actor/app.py`, `run.py`, `tests/web/`, [the server](eco_actor/web/server.py),"
        " [elsewhere](https://example.org/x.py), `/scan/classify`, `python run.py`, `Actor.tell`,"
        " `eco_actor/nowhere.py`\n```\neco_actor/fenced.py\n```\n"
    )
    named = named_paths(text)
    assert named == {
        "eco_actor/app.py", "run.py", "tests/web/", "eco_actor/web/server.py",
        "eco_actor/nowhere.py",
    }  # fmt: skip
    assert [name for name in sorted(named) if not exists(name)] == ["eco_actor/nowhere.py"]
