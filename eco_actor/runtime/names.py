"""Actors by name: one living actor a name, freed when its incarnation ends."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from eco_actor.runtime.errors import NameTaken

if TYPE_CHECKING:
    from eco_actor.runtime.cell import Cell


class Names(Mapping[str, "Cell"]):
    """Who is registered by which name in one system."""

    def __init__(self) -> None:
        self._cells: dict[str, Cell] = {}

    def register(self, name: str, cell: "Cell") -> None:
        """Let *name* stand for *cell*. NameTaken; once more by the same actor is harmless."""
        other = self._cells.setdefault(name, cell)
        if other is not cell:
            raise NameTaken(cell.path, f"the name {name!r} belongs to {other.path}")

    def unregister(self, name: str) -> None:
        """Harmless when nobody has it."""
        self._cells.pop(name, None)

    def __getitem__(self, name: str) -> "Cell":
        return self._cells[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)
