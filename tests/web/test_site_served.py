"""A server with --site: what clients are told, what is counted, and what the operator is told."""

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from eco_actor.scan.categories import CATEGORIES
from tests.scan.site_files import EXAMPLE, written
from tests.test_cli import run
from tests.web.client import Client
from tests.web.serving import Server

Start = Callable[..., Server]

SITE = ("--site", str(EXAMPLE))


def told(server: Server, path: str) -> Any:
    with urlopen(f"{server.url}{path}", timeout=30) as answer:
        return json.load(answer)


def scanned(server: Server, **options: Any) -> Any:
    """The result of a scan, once its last event is out."""
    request = Request(
        f"{server.url}/scan/classify",
        json.dumps({**options, "realtime": False}).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30) as answer:
        result = json.load(answer)
    with urlopen(f"{server.url}/scan/{result['task_id']}/stream", timeout=30) as stream:
        stream.read()
    return result


def counts_of(data_dir: Path, *options: str) -> dict[str, tuple[int, int, int]]:
    done = run("counts", "--json", "--data-dir", data_dir, *options)
    assert (done.returncode, done.stderr) == (0, "")
    bins = json.loads(done.stdout)["bins"]
    names = ("answers", "unsure", "unsure_answered")
    return {each["id"]: tuple(each[name] for name in names) for each in bins}


async def test_without_a_site_all_bins_are_here(plain: Client) -> None:
    """The page of a server that nobody described asks all the same."""
    answer = await plain.get("/site?lang=en")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    site = answer.json()
    assert {key: site[key] for key in ("name", "region", "texts")} == {
        "name": None,
        "region": None,
        "texts": {},
    }
    assert len(site["bins"]) == 19
    for each in site["bins"]:
        assert each.keys() == {"id", "name", "color", "shape", "here"}
        assert each["here"] is True


@pytest.mark.parametrize(
    ("query", "accepted", "name"),
    [
        ("?lang=ko", "en", "투명 페트병 수거함"),
        ("", "en-GB", "clear PET bin"),
        ("", "", "투명 페트병 수거함"),
    ],
)
async def test_the_site_is_told_in_the_language_asked_for(
    plain: Client, query: str, accepted: str, name: str
) -> None:
    """As the categories are."""
    headers = {"Accept-Language": accepted} if accepted else {}
    site = (await plain.get(f"/site{query}", headers=headers)).json()
    assert site["bins"][0]["name"] == name
    refused = await plain.get("/site?lang=fr", headers=headers)
    assert (refused.status, refused.json()["code"]) == (422, "bad_option")


def test_a_site_is_served(server: Start) -> None:
    """Its name and bins, its rules in the answers, and where to take what is not taken here."""
    running = server(options=SITE)
    site = told(running, "/site?lang=en")
    assert (site["name"], site["region"]) == ("Eunha Library, ground floor", "Eunha-gu")
    assert [each["id"] for each in site["bins"] if each["here"]] == [
        *("plastic", "metal", "battery", "paper", "books", "general")
    ]
    listed = told(running, "/scan/categories?lang=en")["categories"]
    assert [each["id"] for each in listed] == list(CATEGORIES)
    assert {each["id"]: each["here"] for each in listed if each["id"] in ("glass", "film")} == {
        "glass": False,
        "film": True,
    }
    glass = scanned(running, category="glass", lang="en")
    assert (glass["rule"]["here"], glass["rule"]["layer"]) == (False, "site")
    assert glass["rule"]["where"] == "Take it to the recycling point at the car park."
    assert glass["rule"]["where"] in glass["answer"]["text"]
    film = scanned(running, category="film", lang="ko")
    assert (film["rule"]["bin"], film["rule"]["here"]) == ("일반쓰레기통", True)
    assert film["rule"]["where"] is None


def test_counts_are_read_beside_a_server_and_outlive_it(server: Start) -> None:
    """On the command line, at /metrics, and after a restart the same."""
    running = server(options=SITE)
    for category in ("glass", "pet_clear", "plastic"):
        scanned(running, category=category)
    expected = {"plastic": (2, 0, 0), "glass": (1, 0, 0)}
    found = counts_of(running.data_dir, *SITE)
    assert {key: numbers for key, numbers in found.items() if any(numbers)} == expected
    assert list(found)[:6] == ["plastic", "metal", "battery", "paper", "books", "general"]
    running.stop()
    assert counts_of(running.data_dir, *SITE) == found
    lines = run("counts", "--data-dir", running.data_dir, *SITE).stdout.splitlines()
    assert [line.split()[:4] for line in lines if "plastic" in line] == [["2", "0", "0", "plastic"]]
    assert lines[-1].split() == ["3", "0", "0", "all"]
    running.start()
    assert metrics_of(running)["eco_scan_answers_total", "plastic"] == 2
    assert metrics_of(running)["eco_scan_unsure_answered_total", "books"] == 0


def metrics_of(server: Server) -> dict[tuple[str, str], float]:
    """The counts of scans; asked for until they were read."""
    for _ in range(1000):
        with urlopen(f"{server.url}/metrics", timeout=30) as answer:
            families = list(parse_text(answer.read().decode()))
        found = {
            (sample.name, sample.labels["bin"]): sample.value
            for family in families
            for sample in family.samples
            if sample.name.startswith("eco_scan_")
        }
        if found:
            return found
    raise AssertionError("no counts")


def test_kills_count_every_scan_once(server: Start) -> None:
    """However often the process dies: as many are counted as there are answers in the log."""
    running = server()
    for _ in range(4):
        for category in ("glass", "metal", "paper"):
            post = Request(
                f"{running.url}/scan/classify",
                json.dumps({"category": category}).encode(),
                {"Content-Type": "application/json"},
            )
            with urlopen(post, timeout=30) as answer:
                assert answer.status == 202
        os.kill(running.pid, signal.SIGKILL)
        running.kill()
        running.start()
    scanned(running, category="glass")
    running.stop()
    counted = counts_of(running.data_dir)
    with sqlite3.connect(running.data_dir / "eco.db") as db:
        ((scans, answers),) = db.execute(
            "SELECT (SELECT count(*) FROM scans), (SELECT count(*) FROM events"
            " WHERE channel LIKE 'scan:%' AND instr(data, CAST('bin_id' AS BLOB)))"
        )
    db.close()
    assert scans == 13
    assert sum(numbers[0] for numbers in counted.values()) == answers


def test_counts_of_no_database_are_refused(tmp_path: Path) -> None:
    """Nothing is made by looking."""
    done = run("counts", "--data-dir", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert list(tmp_path.iterdir()) == []


BAD = "name: x\nbins:\n  - plastc\nrules:\n  glass: {bin: moon}\n"
WHERE = ("3: bins[0]: unknown bin 'plastc'", "5: rules.glass.bin: unknown bin 'moon'")


@pytest.mark.parametrize(
    "command", [("serve", "--port", "0"), ("scan", "x.jpg"), ("counts",)], ids=lambda each: each[0]
)
@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_bad_site_is_refused_before_anything_is_opened(
    tmp_path: Path, command: tuple[str, ...], by: str
) -> None:
    """Exit status 2, a line for each fault that begins with its place, and nothing on the disk."""
    file = written(tmp_path, BAD)
    options = ("--site", file) if by == "option" else ()
    env = {"ECO_SITE": str(file)} if by == "environment" else {}
    env["ECO_DATA_DIR"] = str(tmp_path / "data")
    done = run(*command, *options, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert [line.startswith(f"{file}:{where}") for line, where in zip(lines, WHERE, strict=True)]
    assert all(line.startswith(f"{file}:") for line in lines)
    assert not (tmp_path / "data").exists()


def test_doctor_looks_at_the_site(tmp_path: Path) -> None:
    """Each fault is a finding; of a good one it says what is not taken."""
    common = ("doctor", "--vision", "off", "--data-dir", tmp_path / "data", "--port", "0", "--json")

    def findings(*options: Any) -> tuple[int, list[tuple[str, str]]]:
        done: subprocess.CompletedProcess[str] = run(*common, *options)
        found = json.loads(done.stdout)["findings"]
        site = [(each["level"], each["detail"]) for each in found if each["what"] == "site"]
        return done.returncode, site

    file = written(tmp_path, BAD)
    status, bad = findings("--site", file)
    assert status == 1
    assert [level for level, _ in bad] == ["fail", "fail"]
    assert all(
        detail.startswith(f"{file}:{where}") for (_, detail), where in zip(bad, WHERE, strict=True)
    )
    ((level, detail),) = findings(*SITE)[1]
    assert level == "ok"
    assert "6 of 20 bins are here" in detail
    assert "Glass" in detail
    ((level, detail),) = findings()[1]
    assert (level, "national" in detail) == ("ok", True)


def test_an_unknown_language_of_a_site_is_a_problem(server: Start) -> None:
    """Also where there is a site."""
    with pytest.raises(HTTPError, match="422") as caught:
        told(server(options=SITE), "/site?lang=de")
    caught.value.close()
