"""`scan`: photos classified one after the other, without a server."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eco_actor.inside import Inside, ScanFailed
from eco_actor.scan.picture import BadPicture


async def tell(eco: Inside, photos: Sequence[Path], lang: str, as_json: bool) -> int:
    """Classify one after the other; 1 when one of them could not be."""
    failed = False
    for photo in photos:
        try:
            result = await eco.scan(photo.read_bytes(), lang=lang)
        except (OSError, BadPicture, ScanFailed) as error:
            print(f"{photo}: {_told(error)}", file=sys.stderr)
            failed = True
            continue
        if as_json:
            print(json.dumps({"photo": str(photo), **result}, ensure_ascii=False))
        else:
            print(_sentence(photo, result))
    return int(failed)


def _told(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "it is a directory"
        case OSError():
            return error.strerror or str(error)
        case _:
            return str(error)


def _sentence(photo: Path, result: Mapping[str, Any]) -> str:
    seen, said = result["classification"], result["answer"]["text"]
    if seen["unsure"]:
        return f"{photo}: ? {said}"
    sure = int(seen["confidence"] * 100)  # nothing is 100 % but what the user said
    return f"{photo}: {seen['name']} ({sure} %): {said}"
