"""The worker's script, the manifest and the icons, as files that the server sends."""

import configparser
import fnmatch
import json
import re

import pytest

from eco_actor.web.pages import in_shell, shell_version, static_dir, worker_script
from tests.web.client import Client
from tests.web.serving import ROOT

SHELL = re.compile(rb"const SHELL = (\{.*\});\n")

IMPORT = re.compile(rb'(?:from|import) "\./([^"]+)"')
LINK = re.compile(rb'(?:href|src)="([^"]+)"')


async def test_the_worker_lists_all_that_the_page_loads(plain: Client) -> None:
    """What the page or one of its scripts names is kept, and what is kept is there."""
    worker = await plain.get("/sw.js")
    found = SHELL.match(worker.body)
    assert found
    files = json.loads(found[1])["files"]
    assert len(set(files)) == len(files)
    waiting = {link.decode() for link in LINK.findall((await plain.get("/")).body)}
    assert "static/shell.js" in waiting
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        body = (await plain.get(f"/{name}")).body
        waiting |= {f"static/{each.decode()}" for each in IMPORT.findall(body)} - seen
    assert seen <= set(files)
    for name in files:
        answer = await plain.get(f"/{name}")
        assert answer.status == 200, name
        assert answer.headers["Eco-Shell"] == json.loads(found[1])["version"]


async def test_what_a_browser_needs_to_take_them(plain: Client) -> None:
    """Types, the policy that lets both in, and no copy that is used unasked."""
    types = {
        "/sw.js": "text/javascript",
        "/manifest.webmanifest": "application/manifest+json",
        "/static/icon-192.png": "image/png",
    }
    for path, kind in types.items():
        answer = await plain.get(path)
        assert answer.headers["Content-Type"].partition(";")[0] == kind
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = (await plain.get("/")).headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'self'", "worker-src 'self'", "manifest-src 'self'"} <= set(policy)


@pytest.mark.parametrize("path", ["/", "/sw.js", "/manifest.webmanifest", "/static/icon-192.png"])
async def test_what_did_not_change_is_not_sent_again(plain: Client, path: str) -> None:
    """304 for who has it, and the whole for who has another."""
    first = await plain.get(path)
    again = await plain.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["Eco-Shell"] == first.headers["Eco-Shell"]
    other = await plain.get(path, headers={"If-None-Match": '"another"'})
    assert (other.status, other.body) == (200, first.body)


async def test_no_address_begins_with_a_slash(plain: Client) -> None:
    """So all of it works wherever it is mounted."""
    for path in ("/", "/sw.js", "/manifest.webmanifest"):
        body = (await plain.get(path)).body
        assert not re.search(rb"""["'](?:/[a-z]|https?:)""", body), path
    manifest = (await plain.get("/manifest.webmanifest")).body
    assert json.loads(manifest)["start_url"] == json.loads(manifest)["scope"] == "."


def test_a_version_is_that_of_names_and_contents() -> None:
    """Whatever changes in one file, or moves from one to another, is another version."""
    files = {"a.js": b"1", "b.js": b"2"}
    version = shell_version(files)
    assert shell_version(dict(reversed(files.items()))) == version
    others = [
        {"a.js": b"1", "b.js": b"3"},
        {"a.js": b"1", "c.js": b"2"},
        {"a.js": b"2", "b.js": b"1"},
        {"a.js": b"1"},
        {"a.js": b"1\nb.js 1\n2"},
    ]
    assert len({version, *map(shell_version, others)}) == 6


def test_the_worker_is_another_when_the_version_is() -> None:
    """Browsers compare it byte by byte; what it keeps stands in its first line."""
    script = worker_script(b"source", "v1", ["b.js", "a.js"])
    listed = b'"files":["manifest.webmanifest","static/a.js","static/b.js"]'
    assert script == b'const SHELL = {"version":"v1",' + listed + b"};\nsource"
    assert worker_script(b"source", "v2", ["b.js", "a.js"]) != script


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("app.js", True), ("style.css", True), ("icon.svg", True), ("icon-512.png", True),
        ("font.woff2", True), ("observer.js", False), ("observer-tree.css", False),
        ("observer.png", False), ("screenshot.png", False), ("eco.d.ts", False), ("sw.js", False),
        ("index.html", False),
    ],
)  # fmt: skip
def test_what_belongs_to_the_shell(name: str, kept: bool) -> None:
    """Scripts, styles, icons and fonts of the page; not the observer, nor what is for readers."""
    assert in_shell(name) is kept


def test_a_wheel_carries_the_shell() -> None:
    """What the package's data are takes in each file that the page needs."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = [each.strip() for each in setup["options.package_data"]["*"].split(",")]
    names = {path.name for path in static_dir().iterdir()}
    needed = {name for name in names if in_shell(name)} | {
        "index.html", "observer.html", "manifest.webmanifest", "sw.js",
    }  # fmt: skip
    assert needed <= names
    for name in needed:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name
