"""What scans keep beside their events: who is unfinished, at which step a process may have died,
pictures not yet seen, rewards given, which scans are gone, and how many there were for each bin.

All times are those of `EventLog.now_ms`.
"""

from typing import Final

import msgpack

from eco_actor.eventlog import Statement, Tables

ADD_SCAN: Final = Statement(
    "INSERT INTO scans (task_id, created_ms, options, keyed, step, tries) VALUES ", "(?,?,?,?,?,?)"
)
ADD_PICTURE: Final = Statement("INSERT INTO pictures (task_id, jpeg) VALUES ", "(?,?)")
DROP_PICTURE: Final = Statement("DELETE FROM pictures WHERE task_id IN (", "?", ")")
# For scans that ask again: the task that they name, or the one whose thing that one was.
NAME_THING: Final = Statement(
    "UPDATE scans SET thing = coalesce((SELECT asked.thing FROM scans AS asked"
    " WHERE asked.task_id = named.column2), named.column2) FROM (VALUES ",
    "(?,?)",
    ") AS named WHERE scans.task_id = named.column1",
)
# The primary key is what grants a reward once, whatever happens in between. It is the first scan of
# the thing, and goes with it.
ADD_REWARD: Final = Statement(
    "INSERT OR IGNORE INTO rewards (task_id, points, character, at_ms)"
    " SELECT column1, column2, column3, column4 FROM (VALUES ",
    "(?,?,?,?)",
    ") CROSS JOIN scans ON scans.task_id = column1",
)
MARK_TRY: Final = Statement(
    "UPDATE scans SET step = mark.column2, tries = mark.column3 FROM (VALUES ",
    "(?,?,?)",
    ") AS mark WHERE scans.task_id = mark.column1",
)
# Another statement, because it may come with the mark that it takes back, and runs behind it.
UNDO_TRY: Final = Statement(
    "UPDATE scans SET step = undone.column2, tries = undone.column3 FROM (VALUES ",
    "(?,?,?)",
    ") AS undone WHERE scans.task_id = undone.column1",
)
FINISH_SCAN: Final = Statement(
    "UPDATE scans SET finished = 1, ended_ms = ended.column2 FROM (VALUES ",
    "(?,?)",
    ") AS ended WHERE scans.task_id = ended.column1",
)
DROP_SCAN: Final = Statement("DELETE FROM scans WHERE task_id IN (", "?", ")")
DROP_REWARD: Final = Statement("DELETE FROM rewards WHERE task_id IN (", "?", ")")
ADD_GONE: Final = Statement("INSERT OR REPLACE INTO gone (task_id, at_ms) VALUES ", "(?,?)")
DROP_GONE: Final = Statement("DELETE FROM gone WHERE task_id IN (", "?", ")")
COUNT_SCAN: Final = Statement(
    "INSERT INTO bin_counts (bin, answers, unsure) VALUES ",
    "(?,?,?)",
    " ON CONFLICT (bin) DO UPDATE SET answers = answers + excluded.answers,"
    " unsure = unsure + excluded.unsure",
)
# A scan that was unsure counts as answered once, however many answer it, also in one batch.
COUNT_CHOICE: Final = Statement(
    "INSERT INTO bin_counts (bin, unsure_answered) SELECT column2, 1 FROM (VALUES ",
    "(?,?)",
    ") CROSS JOIN scans ON scans.task_id = column1 AND answered = 0 WHERE true GROUP BY column1"
    " ON CONFLICT (bin) DO UPDATE SET unsure_answered = unsure_answered + 1",
)
MARK_CHOICE: Final = Statement("UPDATE scans SET answered = 1 WHERE task_id IN (", "?", ")")


def _named(option: str) -> str:
    """SQL for the task id in the packed options of a scan; NULL for none.

    It looks for the name and the head of a text of 33 bytes. No text that a user wrote has these
    bytes: they are not UTF-8.
    """
    name = msgpack.packb(option) + b"\xd9\x21"
    at = f"instr(options, x'{name.hex()}')"
    return f"CASE WHEN {at} THEN CAST(substr(options, {at} + {len(name)}, 33) AS TEXT) END"


TABLES: Final = Tables(
    name="scan",
    migrations=(
        (
            "CREATE TABLE IF NOT EXISTS scans (task_id TEXT PRIMARY KEY,"
            " created_ms INTEGER NOT NULL, options BLOB NOT NULL,"
            " finished INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
            "CREATE INDEX IF NOT EXISTS scans_unfinished ON scans (task_id) WHERE finished = 0",
            "CREATE TABLE IF NOT EXISTS pictures (task_id TEXT PRIMARY KEY, jpeg BLOB NOT NULL)",
            "CREATE TABLE IF NOT EXISTS rewards (task_id TEXT PRIMARY KEY, points INTEGER NOT NULL,"
            " character TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID",
        ),
        (
            # how many tries at which step have begun, and are not known to have ended
            "ALTER TABLE scans ADD COLUMN step TEXT",
            "ALTER TABLE scans ADD COLUMN tries INTEGER NOT NULL DEFAULT 0",
            # whether it came with an Idempotency-Key
            "ALTER TABLE scans ADD COLUMN keyed INTEGER NOT NULL DEFAULT 0",
            # NULL in those that ended before this version
            "ALTER TABLE scans ADD COLUMN ended_ms INTEGER",
            "CREATE TABLE gone (task_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID",
        ),
        (
            "CREATE TABLE bin_counts (bin TEXT PRIMARY KEY, answers INTEGER NOT NULL DEFAULT 0,"
            " unsure INTEGER NOT NULL DEFAULT 0, unsure_answered INTEGER NOT NULL DEFAULT 0)"
            " WITHOUT ROWID",
            # whether somebody said what it was that could not be told
            "ALTER TABLE scans ADD COLUMN answered INTEGER NOT NULL DEFAULT 0",
        ),
        (
            # the first scan of the same thing; NULL: it is that itself
            "ALTER TABLE scans ADD COLUMN thing TEXT",
        ),
        (
            # Scans of before only have what they named, in their options: go back to the first.
            f"UPDATE scans SET thing = coalesce({_named('revises')}, {_named('after_scan')})"
            " WHERE thing IS NULL",
            "UPDATE scans SET thing = (WITH RECURSIVE earlier (id) AS (SELECT scans.thing"
            " UNION SELECT asked.thing FROM earlier JOIN scans AS asked ON asked.task_id = id"
            " WHERE asked.thing IS NOT NULL) SELECT min(id) FROM earlier) WHERE thing IS NOT NULL",
            # Each had a reward of its own. What the thing was given first is the thing's.
            "UPDATE OR IGNORE rewards SET task_id = (SELECT thing FROM scans"
            " WHERE scans.task_id = rewards.task_id) WHERE task_id IN (SELECT scans.task_id"
            " FROM scans JOIN scans AS first ON first.task_id = scans.thing)",
        ),
    ),
    # A thing is added before it is dropped or changed: groups of a batch run in this order.
    statements=(
        ADD_SCAN,
        NAME_THING,
        ADD_PICTURE,
        DROP_PICTURE,
        ADD_REWARD,
        MARK_TRY,
        UNDO_TRY,
        FINISH_SCAN,
        COUNT_SCAN,
        COUNT_CHOICE,
        MARK_CHOICE,
        DROP_SCAN,
        DROP_REWARD,
        ADD_GONE,
        DROP_GONE,
    ),
)

UNFINISHED: Final = (
    "SELECT task_id FROM scans WHERE finished = 0 AND task_id > ? ORDER BY task_id LIMIT ?"
)
"""Oldest first, since task ids are in the order of time; behind the one given, so many."""

UNFINISHED_SCAN: Final = (
    "SELECT options, step, tries, jpeg FROM scans LEFT JOIN pictures USING (task_id)"
    " WHERE scans.task_id = ?"
)

OLDEST: Final = (
    "SELECT task_id, created_ms, finished, keyed, coalesce(ended_ms, created_ms),"
    " (SELECT coalesce(sum(length(data)), 0) FROM events WHERE channel = 'scan:' || task_id)"
    " FROM scans WHERE task_id > ? ORDER BY task_id LIMIT ?"
)
"""Scans as `retention.Row`, oldest first; behind the one given, so many."""

VOLUME: Final = (
    "SELECT count(DISTINCT channel), coalesce(sum(length(data)), 0) FROM events"
    " WHERE channel >= 'scan:' AND channel < 'scan;' AND position <= ?"
)
"""How many scans there are, and the bytes of their events, up to a position: reads all of them."""

KEYED_COUNT: Final = "SELECT count(*) FROM scans WHERE keyed = 1 AND created_ms > ?"
"""How many scans their keys hold; reads all rows, so only when there are too many."""

UNREWARDED: Final = (
    "SELECT first.task_id FROM scans CROSS JOIN scans AS first ON first.task_id = scans.thing"
    " WHERE scans.task_id = ? AND (first.finished = 1 OR first.task_id = ?)"
    " AND NOT EXISTS (SELECT 1 FROM rewards WHERE rewards.task_id = first.task_id)"
)
"""The first scan of the thing that a scan asks about again, if it is kept, over (or the one of the
second value), and nothing was granted for the thing."""

GONE: Final = "SELECT 1 FROM gone WHERE task_id = ? AND at_ms >= ?"

GONE_COUNT: Final = "SELECT count(*) FROM gone"

OLDEST_GONE: Final = "SELECT task_id, at_ms FROM gone ORDER BY task_id LIMIT ?"

COUNTED: Final = 3
"""The first version of these tables in which scans are counted."""

ALL_COUNTS: Final = "SELECT bin, answers, unsure, unsure_answered FROM bin_counts"
"""As many rows as there are, or were, bins."""
