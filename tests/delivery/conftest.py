"""What may block the loop in these tests: SQLite, where a store is told to live in the loop."""

import pytest
from blockbuster import BlockBuster

IN_THE_LOOP = ("open", "pump", "close")


@pytest.fixture(autouse=True)
def sqlite_in_the_loop(blockbuster: BlockBuster) -> None:
    """Only the store that does without a thread may block, and only in what is a thread's work."""
    for function in blockbuster.functions.values():
        for name in IN_THE_LOOP:
            function.can_block_in("tests/delivery/inline_store.py", name)
