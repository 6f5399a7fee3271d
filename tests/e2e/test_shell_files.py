"""The worker's script, the manifest and the icons, as files that the server sends."""

import configparser
import fnmatch
import json
import re
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from PIL import Image
from pytest_aiohttp.plugin import AiohttpClient

from eco_actor.web.pages import PageRoutes, in_shell, shell_version, static_dir, worker_script
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
    whatever = await plain.get(path, headers={"If-None-Match": "*"})
    assert (whatever.status, whatever.body) == (304, b"")
    other = await plain.get(path, headers={"If-None-Match": '"another"'})
    assert (other.status, other.body) == (200, first.body)


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        ("TAG", 206), ("MODIFIED", 206), ('"another"', 200), ("W/TAG", 200),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 200), ("x", 200),
    ],
)  # fmt: skip
async def test_the_rest_of_a_file_is_of_the_same_file_or_all_of_it(
    plain: Client, rest: str, status: int
) -> None:
    """If-Range names what the client has the beginning of, by its tag or its date."""
    first = await plain.get("/static/icon.svg")
    for name, value in (("TAG", "ETag"), ("MODIFIED", "Last-Modified")):
        rest = rest.replace(name, first.headers[value])
    headers = {"Range": "bytes=10-", "If-Range": rest}
    answer = await plain.get("/static/icon.svg", headers=headers)
    assert answer.status == status
    assert answer.body == (first.body[10:] if status == 206 else first.body)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("If-Match", "TAG", 200), ("If-Match", '"x", TAG', 200), ("If-Match", "*", 200),
        ("If-Match", "W/TAG", 412), ("If-Match", '"x"', 412),
        ("If-None-Match", "W/TAG", 304), ("If-None-Match", '"x", TAG', 304),
        ("If-Unmodified-Since", "MODIFIED", 200),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 412),
        ("If-Modified-Since", "MODIFIED", 304),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
    ],
)  # fmt: skip
async def test_conditions_of_a_file(plain: Client, name: str, value: str, status: int) -> None:
    """Strong ones to be meant, weak ones to be known."""
    first = await plain.get("/static/icon.svg")
    value = value.replace("TAG", first.headers["ETag"])
    value = value.replace("MODIFIED", first.headers["Last-Modified"])
    answer = await plain.get("/static/icon.svg", headers={name: value})
    assert answer.status == status
    if status == 200:
        assert answer.body == first.body


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Page files of this test alone."""
    return Path(shutil.copytree(static_dir(), tmp_path / "static"))


@pytest.fixture
def pages(folder: Path) -> web.Application:
    """What a server sends that was started with these files."""
    app = web.Application()
    PageRoutes(folder).add_to(app)
    return app


async def test_what_becomes_of_the_files_of_a_running_server_does_not_matter(
    folder: Path, pages: web.Application, aiohttp_client: AiohttpClient
) -> None:
    """An upgrade in place: changed or removed, all is sent as it was at the start."""
    client = await aiohttp_client(pages)
    paths = ["/", "/sw.js", "/manifest.webmanifest", "/static/app.js", "/static/dom.js"]
    before = [await _sent(client, path) for path in paths]
    for name in ("index.html", "sw.js", "manifest.webmanifest", "app.js"):
        (folder / name).write_text("another", "utf-8")
    (folder / "dom.js").unlink()
    assert [await _sent(client, path) for path in paths] == before


async def _sent(client: Any, path: str) -> tuple[int, dict[str, str], bytes]:
    async with client.get(path) as answer:
        headers = {name: answer.headers[name] for name in ("Eco-Shell", "ETag", "Content-Type")}
        return answer.status, headers, await answer.read()


async def test_the_icons_are_those_that_the_manifest_promises(plain: Client) -> None:
    """Each is there in its size; only a maskable one has no see-through corners."""
    sizes = set()
    for icon in (await plain.get("/manifest.webmanifest")).json()["icons"]:
        answer = await plain.get(f"/{icon['src']}")
        assert answer.headers["Content-Type"] == icon["type"]
        if icon["type"] == "image/png":
            image = Image.open(BytesIO(answer.body)).convert("RGBA")
            assert f"{image.width}x{image.height}" == icon["sizes"]
            alpha: Any = image.getpixel((0, 0))
            assert (alpha[3] == 255) == (icon["purpose"] == "maskable")
            sizes.add((image.width, icon["purpose"]))
    assert sizes == {(192, "any"), (512, "any"), (512, "maskable")}


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
