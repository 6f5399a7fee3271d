"""The file about the kiosk."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from eco_actor.doctor.finding import Finding, fail, ok
from eco_actor.scan.categories import CATEGORIES
from eco_actor.scan.site import Site, SiteError, SiteUnreadable

_NEXT: Final = re.compile(r"\n(?! )")  # indented lines belong to the one before


def look_at_site(file: Path | None) -> Iterator[Finding]:
    """Whether it can be used, each fault of it by itself, and what it does not take."""
    what = "site"
    if file is None:
        yield ok(what, "none is given: the national rules, and all bins are here")
        return
    try:
        site = Site.load(file)
    except SiteError as error:
        for fault in _NEXT.split(str(error)):
            yield fail(what, fault, "serve refuses that")
        return
    except SiteUnreadable as error:
        yield fail(what, str(error), "serve does not start until it can be read")
        return
    bins, listed = site.book.bins("en"), site.book.categories("en")
    here = sum(bool(each["here"]) for each in bins)
    detail = f"{file}: {here} of {len(bins)} bins are here"
    away = [str(each["name"]) for each in listed if not each["here"]]
    if away:
        detail += f"; {len(away)} of {len(CATEGORIES)} kinds of things go elsewhere: "
        detail += ", ".join(away)
    yield ok(what, detail)
