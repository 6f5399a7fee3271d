"""What pictures are looked at with."""

import os
import tempfile
import time
from pathlib import Path

from eco_actor.doctor.disk import existing
from eco_actor.doctor.finding import Finding, fail, ok
from eco_actor.scan.model_cache import MODEL_FILE, ModelUnavailable, default_cache_dir, is_whole


def look_at_model(*, vision: bool) -> Finding:
    """Whether it is there, or can be made, and runs: it is loaded, and made if it has to be, not
    where servers look for it. Blocks for seconds.
    """
    what = "model"
    if not vision:
        return ok(what, "not used: vision is off")
    cache = default_cache_dir()
    if is_whole(cache / MODEL_FILE):
        return _load(what, cache, f"in {cache}")
    place = existing(cache)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        advice = "let ECO_CACHE_DIR name a directory that can be, or --vision off"
        return fail(what, f"it has to be made in {cache}, which cannot be written", advice)
    with tempfile.TemporaryDirectory(prefix="eco-doctor-") as scratch:
        return _load(what, Path(scratch), f"can be made, at the first start, in {cache};")


def _load(what: str, cache: Path, detail: str) -> Finding:
    begun = time.perf_counter()
    try:
        from eco_actor.scan.lite0 import Lite0

        Lite0.load(cache)
    except ImportError as error:
        return fail(what, f"{error}", "pip install -e . again, or --vision off")
    except (ModelUnavailable, OSError, ValueError, RuntimeError) as error:
        return fail(what, f"{error}", "see to that, or --vision off")
    return ok(what, f"{detail} loaded in {time.perf_counter() - begun:.1f} s")
