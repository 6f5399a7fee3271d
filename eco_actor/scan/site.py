"""What an operator says about one kiosk: its name, its bins, its own rules and texts."""

import errno
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from eco_actor.scan.data_reader import LANGUAGES, Text
from eco_actor.scan.rules import RuleBook, check_language, national_rules
from eco_actor.scan.rules_file import merge
from eco_actor.scan.site_reader import Description, read_site, region_file
from eco_actor.scan.wording import reworded
from eco_actor.scan.yaml_file import Document, Fault, read_yaml, sorted_faults

MAX_FILE: Final = 256 << 10
"""Bytes of a site file."""

MOST_FAULTS: Final = 100
"""Faults that are told of one file."""


class SiteError(ValueError):
    """A site file cannot be used; the text has a line for each fault: `FILE:LINE: path: what`.

    Indented lines below show how it should look. Of one that is not there: `site file FILE: why`.
    """


class SiteUnreadable(Exception):
    """A site file may be as it should, but the system fails to read it now: `FILE: why`."""


_NAMES_NO_FILE: Final = (
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EACCES, errno.EPERM),
)
"""What is wrong with a name, and stays so; all other errors of the system may pass."""


@dataclass(frozen=True, slots=True)
class Site:
    """One kiosk: `book` is what it goes by; `texts` are for its page (title, lead, notice)."""

    book: RuleBook
    name: Text | None = None
    region: Text | None = None
    texts: Mapping[str, Text] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> Self:
        """The kiosk that *file* describes. Blocks. SiteError, with all that is wrong with it;
        SiteUnreadable."""
        site, unread = _read(file)
        if unread is not None:
            raise SiteError(f"site file {file}: {unread}")
        region, other, name = None, file, region_file(site)
        if name is not None:
            other = file.parent / name
            region, unread = _read(other)
        national = national_rules()
        known = read_site(site, region, national)
        if unread is not None:
            known.site_faults.append(
                Fault(site.line("region.file"), "region.file", f"{other}: {unread}")
            )
        told = [*_told(file, known.site_faults), *_told(other, known.region_faults)]
        if told:
            raise SiteError("\n".join(told))
        return cls(_book(national, known), known.name, known.region, known.texts)

    @classmethod
    def none(cls) -> Self:
        """A place of which nothing is known: the national rules, and all bins are there."""
        return cls(RuleBook.load())

    def to_wire(self, lang: str) -> dict[str, object]:
        """What `GET /site` tells, JSON types only. Raises UnknownLanguage."""
        check_language(lang)
        return {
            "name": self.name[lang] if self.name else None,
            "region": self.region[lang] if self.region else None,
            "texts": {key: text[lang] for key, text in self.texts.items()},
            "bins": self.book.bins(lang),
        }


def _read(file: Path) -> tuple[Document, str | None]:
    """What a file says; or an empty mapping, and why it could not be read. SiteUnreadable."""
    why = None
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # to open a pipe would wait for its other end
            why = "it is a directory, not a file" if file.is_dir() else "it is no file"
        else:
            with file.open("rb") as opened:
                data = opened.read(MAX_FILE + 1)
            if len(data) <= MAX_FILE:
                return read_yaml(data), None
            why = f"a file has at most {MAX_FILE >> 10} KiB"
    except OSError as error:
        why = f"cannot read it: {error.strerror}"
        if error.errno not in _NAMES_NO_FILE:
            raise SiteUnreadable(f"{file}: {why}") from error
    except ValueError as error:  # a name with a NUL
        why = f"cannot read it: {error}"
    return Document("", {}), why


def _told(file: Path, faults: list[Fault]) -> list[str]:
    ordered = sorted_faults(faults)
    lines = [f"{file}:{fault}" for fault in ordered[:MOST_FAULTS]]
    if len(ordered) > MOST_FAULTS:
        rest = len(ordered) - MOST_FAULTS
        lines.append(f"{file}:{ordered[MOST_FAULTS].line}: and {rest} faults more from here on")
    return lines


def _book(national: Mapping[str, Any], known: Description) -> RuleBook:
    """The national rules as they are here: also in the names that their steps have for bins.

    So no step sends people to a bin that is called otherwise, or that another one stands in for.
    """
    bins: Mapping[str, Any] = national["bins"]
    for overlay in known.overlays:
        bins = merge(bins, overlay.get("bins", {}))
    names: dict[str, dict[str, str]] = {lang: {} for lang in LANGUAGES}
    for bin_id, look in national["bins"].items():
        instead = known.presence.instead.get(bin_id)
        here = bins[instead.bin if instead is not None else bin_id]["name"]
        for lang in LANGUAGES:
            if here[lang] != look["name"][lang]:
                names[lang][look["name"][lang]] = here[lang]
    return RuleBook.from_layers(reworded(national, names), known.overlays, known.presence)
