"""Every row of the contract has a test over real sockets, and the list of them stays true."""

import ast
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.web.api_rows import SCANS, STREAMS
from tests.web.api_rows_operating import OPERATING

TESTS: Final = Path(__file__).resolve().parents[1]
WITHOUT_SOCKETS: Final = {"runtime", "eventlog", "scan", "delivery"}
"""Folders of tests in which nobody is connected."""


TABLES: Final = {**SCANS, **STREAMS, **OPERATING}


@cache
def named(module: str) -> set[str]:
    """The tests in the one module of this name."""
    (file,) = (*TESTS.glob(f"{module}.py"), *TESTS.glob(f"*/{module}.py"))
    assert file.parent.name not in WITHOUT_SOCKETS
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    found = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in found if name.startswith("test_")}


def test_no_part_is_there_twice() -> None:
    """Or one would hide the other."""
    assert len(TABLES) == len(SCANS) + len(STREAMS) + len(OPERATING)


@pytest.mark.parametrize("part", TABLES)
def test_each_row_of_the_contract_has_its_test(part: str) -> None:
    """Where it is said to be, and in a module that talks to a server."""
    for row, test in TABLES[part].items():
        module, _, name = test.partition("::")
        assert name in named(module), row
