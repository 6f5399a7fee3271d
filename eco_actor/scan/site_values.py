"""The values of a site file: texts, lists, names with values; what each may be, and how it looks.

Pure.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from eco_actor.scan.data_reader import LANGUAGES, DataReader, did_you_mean, join
from eco_actor.scan.site_examples import example_of
from eco_actor.scan.yaml_file import Document, Fault
from eco_actor.scan.yaml_words import of_look_alikes

MAX_TEXT: Final = 1000
"""Characters of one text."""

_KINDS: Final[Mapping[type, str]] = {
    dict: "names with values",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    type(None): "nothing",
}

Overlay = dict[str, Any]
_T = TypeVar("_T")


class ValueReader(DataReader):
    """Reads values of *document*. Texts may be given once for all languages.

    `of_region`: they are of a region, where some look otherwise.
    """

    of_region = False

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self._misshapen: set[str] = set()  # paths of what has another shape than it should

    @property
    def located(self) -> list[Fault]:
        """What was noted, with its line, and how it should look where that was the fault."""
        return [
            Fault(
                self.document.line(path),
                path,
                what,
                example_of(path, of_region=self.of_region) if path in self._misshapen else (),
            )
            for path, what in self.faults
        ]

    def kind_of(self, value: object) -> str:
        return _KINDS[type(value)]

    def table(self, value: object, path: str) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        self._note_shape(path, "names with values belong here", value)
        return {}

    def items(self, value: object, path: str, read: Callable[[object, str], _T]) -> tuple[_T, ...]:
        if isinstance(value, list):
            return super().items(value, path, read)
        hint = of_look_alikes(str(value))
        if isinstance(value, str) and value.startswith("-"):
            hint = ": write a space behind each dash"
        self._note_shape(path, "a list belongs here, each part of it behind a dash", value, hint)
        return ()

    def _note_shape(self, path: str, what: str, value: object, hint: str = "") -> None:
        if isinstance(value, str):
            hint = hint or of_look_alikes(value)
        self.note(path, f"{what}, not {self.kind_of(value)}{hint}")
        self._misshapen.add(path)

    def one_of(self, value: object, path: str, kind: str, known: Iterable[str]) -> str:
        text = self.text(value, path)
        if text and text not in known:
            hint = _meant(text, known)
            if " - " in text:
                hint = ": each dash begins a line, all in the same column"
            self.note(path, f"unknown {kind} {text!r}{hint}")
        return text

    def keyed(self, value: object, path: str, kind: str, known: tuple[str, ...]) -> Overlay:
        """A mapping with some of the *known* keys; what is wrong with the keys is noted."""
        entries = self.table(value, path)
        for key, item in entries.items():
            if key not in known:
                bare = item is None and self.document.in_braces(join(path, key))
                hint = "; a text with a comma stands in quotes" if bare else ""
                self.note(join(path, key), f"unknown {kind} {key!r}{_meant(key, known)}{hint}")
        return {key: item for key, item in entries.items() if key in known}

    def given(self, value: object, path: str, kind: str, known: tuple[str, ...]) -> Overlay:
        """The same without those that are given no value, which is a fault."""
        entries = self.keyed(value, path, kind, known)
        for key, item in entries.items():
            if item is None:
                self._note_empty(join(path, key))
        return {key: item for key, item in entries.items() if item is not None}

    def _note_empty(self, path: str) -> None:
        hint = ": write one, or take this away"
        if self.document.has_comment(path):
            hint = ': what follows a # without quotes is a comment, so write "#..."'
        self.note(path, f"no value is given{hint}")

    def text(self, value: object, path: str) -> str:
        if value is None:
            self._note_empty(path)
            return ""
        if not isinstance(value, str):
            hint = ": put it in quotes" if isinstance(value, int) else ""
            self._note_shape(path, "a text belongs here", value, hint)
            return ""
        if len(value) > MAX_TEXT:
            self.note(path, f"a text has at most {MAX_TEXT} characters, this has {len(value)}")
        return super().text(value.strip(), path)

    def localized(
        self, value: object, path: str, read: Callable[[object, str], _T]
    ) -> dict[str, _T]:
        """One value for each language; one that is given alone is that of all."""
        if not isinstance(value, dict):
            return dict.fromkeys(LANGUAGES, read(value, path))
        table = self.given(value, path, "language", LANGUAGES)
        found = {lang: read(item, join(path, lang)) for lang, item in table.items()}
        if not value:
            self.note(path, f"no value is given: write it in one of {', '.join(LANGUAGES)}")
        if not found:
            return {}
        other = next(iter(found.values()))
        return {lang: found.get(lang, other) for lang in LANGUAGES}


def _meant(name: str, known: Iterable[str]) -> str:
    """Which of the *known* names was meant; all of them, where none is near."""
    known = tuple(dict.fromkeys(known))
    return did_you_mean(name, known) or f": one of {', '.join(known)}"
