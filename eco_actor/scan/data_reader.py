"""Checks our own JSON data files while reading them, naming the path of every fault."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

LANGUAGES: Final = ("ko", "en")

_T = TypeVar("_T")

Text = Mapping[str, str]
"""One text per language."""
Texts = Mapping[str, tuple[str, ...]]
"""A list of texts per language, of the same length in each."""


class InvalidData(ValueError):
    """A data file cannot be used; `problems` holds one line per fault, each with its path."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DataReader:
    """Reads parsed JSON into typed values, noting each fault as `path: what is wrong`.

    It never raises: a faulty value is replaced by an empty one, so that one pass finds all faults.
    What was read may be used only while `problems` is empty.
    """

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []

    @property
    def problems(self) -> list[str]:
        return [f"{path}: {fault}" if path else fault for path, fault in self.faults]

    def note(self, path: str, fault: str) -> None:
        self.faults.append((path, fault))

    def kind_of(self, value: object) -> str:
        """What is there instead of what was expected."""
        return type(value).__name__

    def table(self, value: object, path: str) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        self.note(path, f"expected an object, got {self.kind_of(value)}")
        return {}

    def record(
        self, value: object, path: str, required: Sequence[str], optional: Sequence[str] = ()
    ) -> dict[str, object]:
        """An object with these keys and no others; one whose value is null counts as absent."""
        table = self.table(value, path)
        for key in required if isinstance(value, dict) else ():
            if table.get(key) is None:
                self.note(join(path, key), "missing")
        for key in table:
            if key not in required and key not in optional:
                hint = did_you_mean(key, [*required, *optional])
                self.note(join(path, key), f"unknown key{hint}")
        return {key: item for key, item in table.items() if item is not None}

    def text(self, value: object, path: str) -> str:
        if not isinstance(value, str):
            self.note(path, f"expected a string, got {self.kind_of(value)}")
            return ""
        if not value.strip():
            self.note(path, "empty string")
        elif value != value.strip():
            self.note(path, "blanks around the text")
        return value

    def items(self, value: object, path: str, read: Callable[[object, str], _T]) -> tuple[_T, ...]:
        if not isinstance(value, list):
            self.note(path, f"expected a list, got {self.kind_of(value)}")
            return ()
        return tuple(read(item, f"{path}[{index}]") for index, item in enumerate(value))

    def texts(self, value: object, path: str) -> tuple[str, ...]:
        texts = self.items(value, path, self.text)
        if value == []:
            self.note(path, "empty list")
        return texts

    def localized(
        self, value: object, path: str, read: Callable[[object, str], _T]
    ) -> dict[str, _T]:
        table = self.record(value, path, LANGUAGES)
        return {lang: read(table[lang], join(path, lang)) for lang in LANGUAGES if lang in table}

    def name(self, value: object, path: str) -> Text:
        return self.localized(value, path, self.text)

    def steps(self, value: object, path: str) -> Texts:
        steps = self.localized(value, path, self.texts)
        lengths = {lang: len(texts) for lang, texts in steps.items()}
        if len(set(lengths.values())) > 1:
            self.note(path, f"not the same number of items in each language: {lengths}")
        return steps

    def one_of(self, value: object, path: str, kind: str, known: Iterable[str]) -> str:
        text = self.text(value, path)
        if text and text not in known:
            self.note(path, f"unknown {kind} {text!r}{did_you_mean(text, known)}")
        return text


def join(path: str, key: object) -> str:
    """The path of *key* inside the object at *path*."""
    return f"{path}.{key}" if path else str(key)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A hint behind a fault: which of the *known* names was meant by one that is none of them."""
    near = difflib.get_close_matches(str(name), known, n=1)
    return f": did you mean {near[0]!r}?" if near else ""
