"""What is true in a world of scans, and what the server says against it.

The truth is read from the disk after each transaction; of the server it knows what events mean, and
nothing of how they come about. Whatever does not fit together is a violation.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import msgpack

from bench.simulation_disk import Disk
from bench.simulation_stories import STEPS, Asked, Story
from eco_actor.eventlog import Event
from eco_actor.eventlog.hub import Hub
from eco_actor.eventlog.pages import LAST
from eco_actor.web.idempotency import KEPT_MS


class Truth:
    """*clock* is that of the world; *forgetful*: a loss of power may take what was durable."""

    def __init__(self, disk: Disk, clock: Callable[[], float], *, forgetful: bool) -> None:
        self.disk, self.now, self.forgetful = disk, clock, forgetful
        self.events: dict[int, tuple[str, Any]] = {}
        self.channels: dict[str, list[int]] = {}
        self.cursors: dict[str, tuple[str, Any]] = {}
        self.head = 0  # the last position ever given, in this history
        self.offered = 0  # the last that the process that runs has offered
        self.stories: dict[str, Story] = {}
        self.asked: dict[int, Asked] = {}
        self.saved_at: dict[tuple[int, int], float] = {}  # when which clocks were noted
        self.looks: Counter[str] = Counter()
        self.violations: list[str] = []
        self.checks = self.crashes = self.lost = 0
        self.early_ms = 0  # how much older than it is the log may think something
        self._hash = hashlib.blake2b(digest_size=8)

    def note(self, what: str) -> None:
        """A part of the trace."""
        self._hash.update(f"{self.now():.6f} {what}\n".encode())

    @property
    def trace(self) -> str:
        return self._hash.hexdigest()

    def broken(self, what: str) -> None:
        self.violations.append(f"at {self.now():.4f} s: {what}")

    def expect(self, true: bool, what: str) -> None:
        self.checks += 1
        if not true:
            self.broken(what)

    # ---- what becomes durable

    def committed(self) -> None:
        """A transaction is through: what is new on the disk?"""
        if not self.disk.ask("SELECT 1 FROM sqlite_master WHERE name = 'schemas'"):
            return  # the tables are being made
        for steady, wall in self.disk.ask("SELECT steady_ms, wall_ms FROM clock"):
            self.saved_at.setdefault((steady, wall), self.now())
        rows = self.disk.ask(
            "SELECT position, channel, at_ms, data FROM events WHERE position > ?"
            " ORDER BY position",
            self.head,
        )
        touched: dict[str, None] = {}
        for position, channel, at_ms, packed in rows:
            data = msgpack.unpackb(packed, strict_map_key=False)
            self.head = position
            self.events[position] = (channel, data)
            self.channels.setdefault(channel, []).append(position)
            self.note(f"{position} {channel} {data.get('seq', data.get('n'))}")
            if channel.startswith("scan:"):
                touched[channel[5:]] = None
                self._told(channel[5:], data, at_ms)
            else:
                self._published(data["n"])
        for task_id in touched:
            self._audit_rows(self.stories[task_id])

    def _told(self, task_id: str, data: Any, at_ms: int) -> None:
        """A scan has one more event: is it the one that may come now?"""
        step, status = data["step"], data["status"]
        story = self.stories.get(task_id)
        if story is None:
            self._begins(task_id, data, at_ms)
            return
        self.expect(
            data["seq"] == story.seq + 1, f"{task_id}: seq {data['seq']} comes after {story.seq}"
        )
        if story.over:
            self.broken(f"{task_id}: {step} {status} after the end")
            return
        at = STEPS[story.next]
        self.expect(step == at, f"{task_id}: {step} {status} instead of {at}")
        self.expect(
            status in ("completed", "failed") or (status == "cancelled" and at != "reward"),
            f"{task_id}: {step} cannot be {status}",
        )
        code = (data.get("error") or {}).get("code")
        self.expect(
            code != "step_crashed" or story.deaths[step] >= 3,
            f"{task_id}: {code} after {story.deaths[step]} crashes",
        )
        story.take(data, self.now(), at_ms)

    def _begins(self, task_id: str, data: Any, at_ms: int) -> None:
        first = (data["seq"], data["step"], data["status"])
        self.expect(first == (1, "vision", "processing"), f"{task_id} begins with {first}")
        rows = self.disk.ask("SELECT options FROM scans WHERE task_id = ?", task_id)
        self.expect(len(rows) == 1, f"{task_id}: an event, and no row")
        options = msgpack.unpackb(rows[0][0]) if rows else {"user_input": "0"}
        marker, before = (
            int(options["user_input"]),
            options.get("revises") or options.get("after_scan"),
        )
        thing = self.stories[before].thing if before in self.stories else before or task_id
        pictures = self.disk.ask("SELECT 1 FROM pictures WHERE task_id = ?", task_id)
        begun = (self.now(), at_ms)
        self.stories[task_id] = Story(task_id, marker, bool(pictures), begun, thing)
        asked = self.asked[marker]
        self.expect(asked.state != "refused", f"scan {marker} was refused, and is in the log")
        again = [self.stories[each] for each in asked.stored if each in self.stories]
        self.expect(
            all(self._may_repeat(each, at_ms) for each in again),
            f"scan {marker} is in the log more than once",
        )
        asked.stored.append(task_id)

    def _may_repeat(self, story: Story, at_ms: int) -> bool:
        """Whether its key may stand for another scan: it came to nothing, or its day is over."""
        if story.status in ("failed", "cancelled"):
            return True
        began, began_ms = story.begun
        passed = int((self.now() - began) * 1000) + self.early_ms
        return min(passed, at_ms - began_ms) >= KEPT_MS

    def _published(self, number: int) -> None:
        asked = self.asked[number]
        self.expect(asked.state != "refused", f"event {number} was refused, and is in the log")
        self.expect(not asked.stored, f"event {number} is in the log twice")
        asked.stored.append(str(self.head))

    def _audit_rows(self, story: Story) -> None:
        """What is kept beside the events of a scan is of the same moment."""
        ask, task_id = self.disk.ask, story.task_id
        ((finished,),) = ask("SELECT finished FROM scans WHERE task_id = ?", task_id) or [(None,)]
        self.expect(finished == story.over, f"{task_id}: finished {finished}, over {story.over}")
        pictures = len(ask("SELECT 1 FROM pictures WHERE task_id = ?", task_id))
        needed = story.picture and story.next == 0
        self.expect(pictures == needed, f"{task_id}: {pictures} pictures at step {story.next}")
        self._audit_ledger(story.thing)

    def _audit_ledger(self, thing: str) -> None:
        """It has what clients were told of, as long as the first scan of the thing is kept."""
        told = [each for each in self.stories.values() if each.thing == thing and each.rewarded]
        rewards = len(self.disk.ask("SELECT 1 FROM rewards WHERE task_id = ?", thing))
        kept = bool(self.disk.ask("SELECT 1 FROM scans WHERE task_id = ?", thing))
        self.expect(len(told) <= 1, f"{thing}: {len(told)} rewards are told of one thing")
        self.expect(
            rewards == (len(told) if kept else 0), f"{thing}: {rewards} rewards are granted"
        )

    # ---- what a process says

    def opened(self) -> None:
        """A process, or a part of one that was restarted, has opened the log."""
        self.offered = self.head
        self.note("opened")

    def offers(self, events: Iterable[Event]) -> None:
        """The hub shows these to whoever listens."""
        for event in events:
            if event.cursor is None:
                continue
            position = event.position
            self.expect(
                self.events.get(position) == (event.channel, event.data),
                f"{event} is shown, and not what is durable there",
            )
            waiting = (p for p in range(self.offered + 1, position) if p in self.events)
            self.expect(
                position > self.offered and next(waiting, None) is None,
                f"{event} is shown after position {self.offered}",
            )
            self.offered = position
            self.shown(str(event.cursor), event.channel, event.data)

    def shown(self, cursor: str, channel: str, data: Any) -> None:
        """Somebody has seen this: the cursor names it, and nothing else, for ever."""
        named = self.cursors.setdefault(cursor, (channel, data))
        self.expect(named == (channel, data), f"{cursor} names two events")

    def looked_at(self, pixels: str) -> None:
        """Vision begins with a picture."""
        self.looks[pixels] += 1
        if pixels.endswith("poison") and not self.forgetful:
            scans = len(self.asked[int(pixels.partition(" ")[0])].stored)
            most = 3 * max(1, scans)  # a key is free again once its scan has failed
            self.expect(self.looks[pixels] <= most, f"picture {pixels} is looked at once too often")

    def accepted(self, asked: Asked, task_id: str) -> None:
        """A client was told that its scan is accepted."""
        self.note(f"accepted {task_id}")
        story = self.stories.get(task_id)
        if story is None:
            self.broken(f"{asked.what}: {task_id} is accepted, and not in the log")
            return
        self.checks += 1
        asked.state = "accepted"
        asked.task_ids.append(task_id)
        self.expect(task_id in asked.stored, f"{asked.what} is told of another: {task_id}")

    def refused(self, asked: Asked, error: Exception) -> None:
        """A client was told that nothing of it was accepted."""
        self.note(f"{asked.what} is refused: {type(error).__name__}")
        self.expect(not asked.stored, f"{asked.what} is refused ({error}), and is in the log")
        asked.state = "refused"

    def crashed(self) -> None:
        """The process has ended, and not in order."""
        self.crashes += 1
        self.note("crash")
        for story in self.stories.values():
            if not story.over:
                story.deaths[STEPS[story.next]] += 1

    def power_lost(self) -> None:
        """What is not on the disk any more never was."""
        if not self.disk.ask("SELECT 1 FROM sqlite_master WHERE name = 'floor'"):
            self.head = 0
        else:
            ((self.head,),) = self.disk.ask(LAST)
        lost = [position for position in self.events if position > self.head]
        self.lost += len(lost)
        for position in lost:
            channel, _ = self.events.pop(position)
            self.channels[channel].remove(position)
        before, self.stories = self.stories, {}
        for story in before.values():
            its = self.channels.get(f"scan:{story.task_id}")
            if its:
                again = Story(story.task_id, story.marker, story.picture, story.begun, story.thing)
                again.deaths = story.deaths
                for position in its:
                    ended = story.ended or (self.now(), 0)
                    again.take(self.events[position][1], *ended)
                again.gone = story.gone and bool(
                    self.disk.ask("SELECT 1 FROM gone WHERE task_id = ?", story.task_id)
                )
                if not again.over and again.next != story.next:
                    again.deaths[STEPS[again.next]] += 1  # that is where it was when power went
                self.stories[story.task_id] = again
        for asked in self.asked.values():
            scans = [each for each in asked.stored if each in self.stories]
            events = [each for each in asked.stored if each.isdigit() and int(each) <= self.head]
            asked.stored = scans or events
            asked.task_ids.clear()


class WatchedHub(Hub):
    """The hub of a process, of which the truth hears first."""

    def __init__(self, process: Any) -> None:
        super().__init__()
        self._process = process

    def offer(self, events: Iterable[Event]) -> None:
        events = list(events)
        if not self._process.severed:
            self._process.truth.offers(events)
        super().offer(events)
