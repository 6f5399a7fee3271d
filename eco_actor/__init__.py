"""Scan-to-answer server for recycling kiosks: one asyncio process of supervised actors.

runtime   actors, mailboxes, supervision            knows nothing of what is below
eventlog  a durable, ordered log and its watchers   knows the runtime
scan      from a picture to "which bin, and how"    knows both, not the next
delivery  from the log to a client                  knows both, not the one before
web       the HTTP edge                             knows them all
client    the other end of it                       knows none of them
app, embedding, config, cli                         put it together

What another program needs of it can be imported from here: `Eco` runs a server in its process,
`setup` mounts one in its web application, and the rest is what these are given and raise. Nothing
of it is loaded before it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eco_actor.app import Eco
    from eco_actor.config import Config, ConfigError, Unavailable
    from eco_actor.embedding import setup
    from eco_actor.eventlog import Durability, StoreError
    from eco_actor.inside import ScanFailed, UnknownScan
    from eco_actor.runtime import StartFailed
    from eco_actor.scan.admission import Busy
    from eco_actor.scan.model_cache import ModelUnavailable
    from eco_actor.scan.own_stages import BadStage
    from eco_actor.scan.picture import BadPicture
    from eco_actor.scan.stages import Stage, StageInput
    from eco_actor.scan.views import Stopped
    from eco_actor.scan.vision import Classifier, Guess, Verdict

__all__ = [
    "BadPicture",
    "BadStage",
    "Busy",
    "Classifier",
    "Config",
    "ConfigError",
    "Durability",
    "Eco",
    "Guess",
    "ModelUnavailable",
    "ScanFailed",
    "Stage",
    "StageInput",
    "StartFailed",
    "Stopped",
    "StoreError",
    "Unavailable",
    "UnknownScan",
    "Verdict",
    "setup",
]

_HOMES = {
    "app": ("Eco",),
    "config": ("Config", "ConfigError", "Unavailable"),
    "embedding": ("setup",),
    "eventlog": ("Durability", "StoreError"),
    "inside": ("ScanFailed", "UnknownScan"),
    "runtime": ("StartFailed",),
    "scan.admission": ("Busy",),
    "scan.model_cache": ("ModelUnavailable",),
    "scan.own_stages": ("BadStage",),
    "scan.picture": ("BadPicture",),
    "scan.stages": ("Stage", "StageInput"),
    "scan.views": ("Stopped",),
    "scan.vision": ("Classifier", "Guess", "Verdict"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
