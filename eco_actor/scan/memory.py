"""Giving freed memory back to the system, which glibc puts off for ever."""

import ctypes
from typing import Final

_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only


def return_freed() -> None:
    """Worth calling after something large was freed; takes about a millisecond."""
    if _trim is not None:
        _trim(0)
