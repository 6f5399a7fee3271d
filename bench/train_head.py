"""Trains the material head on a folder of photos, one sub-folder a class, named as TrashNet's.

    python -m bench.train_head --photos DIR [--folds 5] [--out FILE]

Prints one JSON line with the cross-validated figures. With --out it then fits on all photos and
writes the head there.
"""

import argparse
import datetime
import json
import os
import sys
from pathlib import Path
from typing import Final

from eco_actor.scan.head_training import FOLDERS, cross_validate, extract, fit, split, split_by_runs
from eco_actor.scan.lite0 import HEAD_FILE, Network
from eco_actor.scan.model_cache import WEIGHTS_SHA256, default_cache_dir, ensure_model

FRESH_SEEDS: Final = [11, 12, 13]
"""Splits on which nothing was tuned: on the one that was, seed 0, figures are a little higher."""
CITATION: Final = "M. Yang, G. Thung: Classification of Trash for Recyclability Status, 2016 (MIT)"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--photos", type=Path, default=os.environ.get("ECO_TRASHNET"))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=FRESH_SEEDS)
    parser.add_argument("--out", type=Path, help=f"the server reads {HEAD_FILE}")
    parser.add_argument("--data", default="TrashNet", help="what the photos are, for provenance")
    parser.add_argument("--cite", default=CITATION)
    parser.add_argument("--cache-dir", type=Path, default=default_cache_dir())
    options = parser.parse_args()
    if options.photos is None:
        parser.error("--photos, or the environment variable ECO_TRASHNET, names the folder")
    unknown = {each.name for each in options.photos.iterdir() if each.is_dir()} - set(FOLDERS)
    if unknown:
        parser.error(f"no class is named {', '.join(sorted(unknown))}: only {', '.join(FOLDERS)}")
    features, labels = extract(options.photos, Network(ensure_model(options.cache_dir)))
    random = [split(labels, options.folds, seed) for seed in options.seeds]
    figures = cross_validate(features, labels, random)
    figures["by_runs"] = cross_validate(features, labels, [split_by_runs(labels, options.folds)])
    del figures["by_runs"]["per_class"]
    print(json.dumps(figures))
    if options.out is None:
        return 0
    provenance = {
        "data": options.data,
        "cite": options.cite,
        "weights_sha256": WEIGHTS_SHA256,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "folds": options.folds,
        "seeds": options.seeds,
        "cross_validation": figures,
    }
    fit(features, labels, json.dumps(provenance)).save(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
