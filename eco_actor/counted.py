"""What is counted of scans, for people: read from a database, with a server running or not."""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from eco_actor.eventlog import StoreError
from eco_actor.eventlog.copying import consult
from eco_actor.eventlog.schema import IDENTIFIED, check_ours
from eco_actor.scan.counts import Counted, Row, by_bin
from eco_actor.scan.rules import RuleBook
from eco_actor.scan.tables import ALL_COUNTS, COUNTED, TABLES
from eco_actor.upkeep import check_there, database_in

HEAD: Final = ("answers", "unsure", "of these answered", "bin")


def read_counts(data_dir: Path) -> list[Row]:
    """The counts in the database of *data_dir*. Blocks. StoreError."""
    check_there(data_dir)
    database = database_in(data_dir)

    def read(db: sqlite3.Connection) -> list[Row]:
        known = {}
        if check_ours(db, [TABLES]) >= IDENTIFIED:
            known = dict(db.execute("SELECT name, version FROM schemas"))
        if known.get(TABLES.name, 0) < COUNTED:
            raise StoreError(
                f"{database}: nothing was counted yet: the version of the program that wrote it did"
                " not; starting the server once makes a place for it"
            )
        return db.execute(ALL_COUNTS).fetchall()

    return consult(database, read)


def report(data_dir: Path, book: RuleBook, *, as_json: bool) -> str:
    """A line for each bin of *book* that is here or was asked for: or all as one JSON object.

    Blocks. StoreError.
    """
    counted = by_bin(read_counts(data_dir), book.bin_ids)
    looks = {str(each["id"]): each for each in book.bins("ko")}
    names = {bin_id: look["name"] for bin_id, look in looks.items()}
    english = {str(each["id"]): each["name"] for each in book.bins("en")}
    shown = {
        bin_id: numbers
        for bin_id, numbers in counted.items()
        if any(numbers) or (bin_id in looks and looks[bin_id]["here"])
    }
    if as_json:
        bins = [
            {
                "id": bin_id,
                "name": {"ko": names[bin_id], "en": english[bin_id]} if bin_id in names else None,
                **numbers._asdict(),
            }
            for bin_id, numbers in shown.items()
        ]
        return json.dumps({"bins": bins}, ensure_ascii=False)
    return _table(shown, {key: f"{names[key]} ({english[key]})" for key in names})


def _table(shown: Mapping[str, Counted], names: Mapping[str, str]) -> str:
    total = Counted(*(sum(column) for column in zip(*shown.values(), strict=True)))
    lines = [
        HEAD,
        *((*map(str, each), f"{key}  {names.get(key, '')}".strip()) for key, each in shown.items()),
        (*map(str, total), "all"),
    ]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD) - 1)]
    padded = [
        [f"{each:>{width}}" for each, width in zip(line, widths, strict=False)] for line in lines
    ]
    return "\n".join(
        "  ".join([*numbers, line[-1]]) for numbers, line in zip(padded, lines, strict=True)
    )
