"""How often Python's collector of cycles looks: a setting for processes that are mostly actors."""

import gc
from typing import Final

COLLECT_AFTER: Final = (10_000, 20, 20)
"""New objects before a collection, and collections of each age before one of the next."""


def settle_memory() -> None:
    """To be called once everything has started: what is there stays, and is not looked at again.

    Nor need the collector look as often as by default: actors are freed without it, and each is
    some five objects, so that starting many of them would be mostly collecting. It sets the whole
    process, so it is the application's to call, not the library's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
