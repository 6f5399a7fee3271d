"""What scans keep beside their events: who is unfinished, pictures not yet seen, rewards given."""

from typing import Final

from eco_actor.eventlog import Statement, Tables

ADD_SCAN: Final = Statement("INSERT INTO scans (task_id, created_ms, options) VALUES ", "(?,?,?)")
ADD_PICTURE: Final = Statement("INSERT INTO pictures (task_id, jpeg) VALUES ", "(?,?)")
DROP_PICTURE: Final = Statement("DELETE FROM pictures WHERE task_id IN (", "?", ")")
# The primary key is what grants a reward once, whatever happens in between.
ADD_REWARD: Final = Statement(
    "INSERT OR IGNORE INTO rewards (task_id, points, character, at_ms) VALUES ", "(?,?,?,?)"
)
FINISH_SCAN: Final = Statement("UPDATE scans SET finished = 1 WHERE task_id IN (", "?", ")")

TABLES: Final = Tables(
    schema=(
        "CREATE TABLE IF NOT EXISTS scans (task_id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL,"
        " options BLOB NOT NULL, finished INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
        "CREATE INDEX IF NOT EXISTS scans_unfinished ON scans (task_id) WHERE finished = 0",
        "CREATE TABLE IF NOT EXISTS pictures (task_id TEXT PRIMARY KEY, jpeg BLOB NOT NULL)",
        "CREATE TABLE IF NOT EXISTS rewards (task_id TEXT PRIMARY KEY, points INTEGER NOT NULL,"
        " character TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID",
    ),
    # A thing is added before it is dropped or changed: groups of a batch run in this order.
    statements=(ADD_SCAN, ADD_PICTURE, DROP_PICTURE, ADD_REWARD, FINISH_SCAN),
)

UNFINISHED: Final = (
    "SELECT task_id FROM scans WHERE finished = 0 AND task_id > ? ORDER BY task_id LIMIT ?"
)
"""Oldest first, since task ids are in the order of time; behind the one given, so many."""

UNFINISHED_SCAN: Final = (
    "SELECT options, jpeg FROM scans LEFT JOIN pictures USING (task_id) WHERE scans.task_id = ?"
)
