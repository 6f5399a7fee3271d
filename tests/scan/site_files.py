"""Site files for tests."""

from pathlib import Path
from typing import Final

from eco_actor.scan.site import Site, SiteError
from tests.web.serving import ROOT

EXAMPLE: Final = ROOT / "deploy" / "site.example.yaml"


def written(folder: Path, text: str, name: str = "site.yaml") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def site_of(folder: Path, text: str) -> Site:
    return Site.load(written(folder, text))


def faults_of(folder: Path, text: str) -> list[str]:
    """What is wrong, each as `LINE: path: what`; of another file with its name."""
    file = written(folder, text)
    try:
        Site.load(file)
    except SiteError as error:
        told = str(error).splitlines()
        return [line.removeprefix(f"{file}:").removeprefix(f"{folder}/") for line in told]
    return []
