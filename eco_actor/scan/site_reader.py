"""A site file as a whole, with that of its region: checked, and made into overlays. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from eco_actor.scan.answer import with_particle
from eco_actor.scan.data_reader import LANGUAGES, Text, join
from eco_actor.scan.presence import Instead, Presence
from eco_actor.scan.rules_file import LAYERS, faults_in, merge
from eco_actor.scan.site_file import LocalReader
from eco_actor.scan.site_values import Overlay
from eco_actor.scan.yaml_file import Document, Fault

_OF_REGION: Final = ("name", "bins", "rules")
_OF_SITE: Final = ("name", "region", "bins", "instead", "elsewhere", "rules", "texts")
_TEXTS: Final = ("title", "lead", "notice")
_LEAST: Final = ("name: Library",)
_NATIONAL, _REGION, _SITE = LAYERS

Rules = Mapping[str, Any]
"""A complete rules file, as parsed JSON."""


@dataclass(slots=True)
class Description:
    """What the files say; only good when both lists of faults are empty."""

    name: Text | None = None
    region: Text | None = None
    texts: Mapping[str, Text] = field(default_factory=dict)
    presence: Presence = field(default_factory=Presence)
    overlays: list[Overlay] = field(default_factory=list)
    site_faults: list[Fault] = field(default_factory=list)
    region_faults: list[Fault] = field(default_factory=list)


class _RegionReader(LocalReader):
    of_region = True

    def __init__(self, document: Document, path: str, national: Rules) -> None:
        super().__init__(document, national["bins"], tuple(national["tag_priority"]))
        self.path = path

    def region(self, value: object, known: tuple[str, ...]) -> tuple[Text | None, Overlay]:
        """The region's name, and its overlay."""
        entry = self.given(value, self.path, "key", known)
        path, overlay = self.path, Overlay()
        if "bins" in entry:
            overlay["bins"] = self.bins_of(entry["bins"], join(path, "bins"), stand=False)
        if "rules" in entry:
            overlay |= self.rules_of(entry["rules"], join(path, "rules"), _REGION)
        name = self.name(entry["name"], join(path, "name")) if "name" in entry else None
        return name, overlay


class _SiteReader(LocalReader):
    path = ""

    def site(self, value: object, known: Description) -> None:
        """Fill in what the file of the site says."""
        entry = self.given(value, "", "key", _OF_SITE)
        overlay, here = Overlay(), None
        if "bins" in entry:
            overlay["bins"] = self.bins_of(entry["bins"], "bins", stand=True)
            here = tuple(self.declared)
        if "rules" in entry:
            overlay |= self.rules_of(entry["rules"], "rules", _SITE)
        if "name" in entry:
            known.name = self.name(entry["name"], "name")
        texts = self.given(entry.get("texts", {}), "texts", "text", _TEXTS)
        known.texts = {key: self.name(text, join("texts", key)) for key, text in texts.items()}
        in_doubt = any(path.startswith("bins") for path, _ in self.faults)
        self._here = None if in_doubt else Presence(here)
        instead = self._instead(entry.get("instead", {}))
        elsewhere = self._elsewhere(entry.get("elsewhere", {}), instead)
        known.presence = Presence(here, instead, elsewhere)
        known.overlays.append({"layer": _SITE, **overlay})

    def _absent(self, value: object, path: str) -> Overlay:
        """A mapping whose keys are bins that are not here."""
        entries = self.given(value, path, "bin", tuple(self.bins))
        for bin_id in entries:
            if self._here is not None and self._here.has(bin_id):
                self.note(join(path, bin_id), f"the bin {bin_id!r} is here: {self._why(bin_id)}")
        return entries

    def _why(self, bin_id: str) -> str:
        """Why a bin is here, and what to write if it is not."""
        if (at := self.declared.get(bin_id)) is None:
            return "without a list `bins` all are; list those that are here, or take this away"
        return f"it is in bins (line {self.document.line(at)}); take one of the two away"

    def _instead(self, value: object) -> dict[str, Instead]:
        found = {}
        for bin_id, item in self._absent(value, "instead").items():
            path, at, why = join("instead", bin_id), join("instead", bin_id), None
            target: object = item
            if isinstance(item, dict):
                entry, at = self.given(item, path, "key", ("bin", "why")), join(path, "bin")
                target = entry.get("bin")
                why = self.name(entry["why"], join(path, "why")) if "why" in entry else None
                if "bin" not in item:
                    self.note(at, "missing: write which bin is used instead, as in bin: general")
                if target is None:
                    continue
            other = self.one_of(target, at, "bin", self.bins)
            if other in self.bins and self._here is not None and not self._here.has(other):
                what = "add it to bins, or name one that is"
                self.note(at, f"the bin {other!r} is not here either: {what}")
            if other in self.bins:
                found[bin_id] = Instead(other, why or self._reason(bin_id, other))
        return found

    def _reason(self, bin_id: str, other: str) -> Text:
        missing, used = (self.bins[each].get("name", {}) for each in (bin_id, other))
        lacks = with_particle(missing.get("ko", ""), "이/가")
        return {
            "ko": f"이곳에는 {lacks} 없어서 {used.get('ko', '')}에 버려요.",
            "en": f"There is no {missing.get('en', '')} here, so the {used.get('en', '')} is used.",
        }

    def _elsewhere(self, value: object, instead: Mapping[str, Instead]) -> dict[str, Text]:
        entries = self._absent(value, "elsewhere")
        for bin_id in entries.keys() & instead.keys():
            at = self.document.line(join("instead", bin_id))
            what = f"instead has another bin for this (line {at}); take one of the two away"
            self.note(join("elsewhere", bin_id), f"never told: {what}")
        return {key: self.name(item, join("elsewhere", key)) for key, item in entries.items()}


def region_file(site: Document) -> str | None:
    """The name of the file of the region, if the file of the site has it in another."""
    match site.value:
        case {"region": {"file": str(name)}} if name.strip():
            return name.strip()
    return None


def read_site(site: Document, region: Document | None, national: Rules) -> Description:
    """What *site* says, and *region*, should that be in a file of its own. Never raises."""
    known = Description(
        site_faults=list(site.faults), region_faults=list(region.faults) if region else []
    )
    whole: object = site.value
    for document, faults in ((site, known.site_faults), (region, known.region_faults)):
        if document is not None and document.value is None and not faults:
            faults.append(Fault(1, "", "the file is empty: write at least a name", _LEAST))
    if site.broken or whole is None:
        return known
    if region is not None and (region.broken or region.value is None):
        return known
    about = whole.get("region") if isinstance(whole, dict) else None
    regional = _read_region(about, site, region, national, known)
    reader = _SiteReader(site, regional.bins, tuple(national["tag_priority"]))
    reader.site(whole, known)
    merged: Mapping[str, Any] = national
    for overlay in known.overlays:
        merged = merge(merged, {key: each for key, each in overlay.items() if key != "layer"})
    in_all = faults_in(merged)
    known.site_faults += [*reader.located, *_caused(in_all, reader, regional)]
    own = known.region_faults if region is not None else known.site_faults
    own += [*regional.located, *_caused(in_all, regional, reader)]
    if in_all and not (known.site_faults or known.region_faults):
        known.site_faults += [Fault(1, path, what) for path, what in in_all]
    return known


def _read_region(
    value: object, site: Document, region: Document | None, national: Rules, known: Description
) -> _RegionReader:
    """What is known of the region: only its name, or more, here or in a file of its own."""
    if region is not None:
        reader = _RegionReader(region, "", national)
        known.region, overlay = reader.region(region.value, _OF_REGION)
        for key in value if isinstance(value, dict) else ():
            if key != "file":
                where = f"region.{key}"
                what = "belongs into the file of the region: write it there"
                known.site_faults.append(Fault(site.line(where), where, what))
    else:
        reader = _RegionReader(site, "region", national)
        if value is None:
            return reader
        if not isinstance(value, dict) or value.keys() <= set(LANGUAGES):
            known.region = reader.name(value, "region")
            return reader
        known.region, overlay = reader.region(value, (*_OF_REGION, "file"))
        if value.get("file") is not None:
            reader.text(value["file"], "region.file")
    known.overlays.append({"layer": _REGION, **overlay})
    return reader


def _caused(
    faults: Sequence[tuple[str, str]],
    reader: _RegionReader | _SiteReader,
    other: _RegionReader | _SiteReader,
) -> Iterable[Fault]:
    """The faults of the rules as a whole that what *reader* read has caused, and not *other*.

    Only what is missing is looked for: the rest was noted when it was read. A fault belongs to
    whoever says more about the place, the site before its region.
    """
    for path, what in faults:
        top, _, below = path.partition(".")
        if top != "categories" or not below or not what.startswith(("missing", "has no effect")):
            continue
        own, others = _said(reader, below), _said(other, below)
        if own == 0 or own < others or (own == others and isinstance(reader, _RegionReader)):
            continue
        at = join(join(reader.path, "rules"), below)
        if not any(_inside(at, noted) or _inside(noted, at) for noted, _ in reader.faults):
            yield Fault(reader.document.line(at), at, what)


def _said(reader: _RegionReader | _SiteReader, below: str) -> int:
    """How much of a path below the rules is in the file: 0 when not even the category is."""
    root = join(reader.path, "rules")
    return max(0, len(reader.document.nearest(join(root, below))) - len(root))


def _inside(path: str, outer: str) -> bool:
    return path == outer or path.startswith((f"{outer}.", f"{outer}["))
