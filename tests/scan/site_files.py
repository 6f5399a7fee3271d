"""Site files for tests."""

from pathlib import Path
from typing import Final

from eco_actor.scan.site import Site, SiteError
from eco_actor.scan.yaml_file import INDENT
from tests.web.serving import ROOT

EXAMPLE: Final = ROOT / "deploy" / "site.example.yaml"

UNREADABLE: Final = Path("/proc/self/mem")
"""A regular file that is there, and that a read from its begin fails on (EIO)."""

KIOSK: Final = """
name: 도서관
region: {ko: 은하구, en: Eunha-gu}
bins:
  - plastic
  - id: general
    name: {ko: 일반쓰레기통, en: general waste bin}
  - id: cups
    name: {ko: 컵 수거함, en: cup bin}
    color: "#ABCDEF"
instead:
  pet_clear: plastic
  incombustible: {bin: general, why: {ko: 적은 양은 괜찮아요., en: Small amounts are fine.}}
elsewhere:
  glass: {ko: 주차장으로 가져가 주세요., en: Take it to the car park.}
rules:
  paper:
    bin: cups
    source: {ko: 이용 안내, en: House rules}
  metal:
    steps: [Rinse it.]
texts: {title: 안녕, notice: {ko: 9시, en: 9 pm}}
"""


def written(folder: Path, text: str, name: str = "site.yaml") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def site_of(folder: Path, text: str) -> Site:
    return Site.load(written(folder, text))


def faults_of(folder: Path, text: str) -> list[str]:
    """What is wrong, each as `LINE: path: what`, no examples; of another file with its name."""
    file = written(folder, text)
    try:
        Site.load(file)
    except SiteError as error:
        told = [line for line in str(error).splitlines() if not line.startswith(INDENT)]
        return [line.removeprefix(f"{file}:").removeprefix(f"{folder}/") for line in told]
    return []
