"""The category ids of API.md, in its order; every other table is checked against this one."""

from typing import Final

CATEGORIES: Final = (
    "pet_clear",
    "plastic",
    "film",
    "eps",
    "paper",
    "cardboard",
    "carton",
    "glass",
    "metal",
    "battery",
    "lighting",
    "ewaste",
    "textile",
    "food",
    "general",
    "incombustible",
    "hazardous",
    "bulky",
    "construction",
)
