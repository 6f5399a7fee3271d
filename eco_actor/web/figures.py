"""The figures of `/metrics`, by where they come from: names, units, and what they tell an operator.

Each function reads counters and returns families that hold plain numbers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from eco_actor.delivery.admission import Gate
from eco_actor.delivery.traffic import Traffic
from eco_actor.eventlog import EventLog
from eco_actor.runtime import Cell, DynamicSupervisor, System
from eco_actor.scan.counts import Counts, by_bin
from eco_actor.web.drain import Drained

Samples = Iterable[tuple[Sequence[str], float]]
"""Values of labels, and the value that they have."""

_COUNTED: Final = (
    ("opened", "eco_streams_opened", "Streams opened. Of long polling, each poll is one."),
    ("deliveries", "eco_events_delivered", "Events written to clients, each client counted."),
    ("writes", "eco_writes", "Writes to clients' sockets; events for each shows the batching."),
    ("broken", "eco_writes_failed", "Writes to a socket that was closed already."),
    ("bytes", "eco_written_bytes", "Bytes written to clients, heartbeats included."),
    ("heartbeats", "eco_heartbeats", "Comments and the like that broke a silence."),
    ("pings", "eco_pings", "WebSocket pings sent; who does not answer ends with code pong."),
)
"""Counters of one transport: attribute, name, what it tells."""


def counter(name: str, tells: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = CounterMetricFamily(name, tells, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def gauge(name: str, tells: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, tells, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def stream_figures(traffic: Traffic) -> Iterator[Metric]:
    """Streams and what goes over them, by transport."""
    streams = traffic.streams()
    for attribute, name, tells in _COUNTED:
        samples = [((transport,), getattr(each, attribute)) for transport, each in streams]
        yield counter(name, tells, ["transport"], samples)
    yield gauge(
        "eco_streams",
        "Streams that are open now.",
        ["transport"],
        [((transport,), each.open) for transport, each in streams],
    )
    yield counter(
        "eco_streams_ended",
        "Streams that ended, by why: gone is the client's doing, slow_consumer, progress and age"
        " are clients that do not read fast enough.",
        ["transport", "code"],
        [((where, code), n) for where, each in streams for code, n in each.ended.items()],
    )
    yield counter(
        "eco_streams_refused",
        "Streams turned away before they were opened: too many at once, no room, or draining.",
        ["transport", "client"],
        [
            ((where, client), n)
            for where, each in streams
            for client, n in (("fresh", each.refused_fresh), ("resuming", each.refused_resuming))
        ],
    )


def subscription_figures(traffic: Traffic) -> Iterator[Metric]:
    """Subscriptions, of which a stream may have several, and polls that wait."""
    streams = traffic.streams()
    yield counter(
        "eco_resumes",
        "Subscriptions by how they began; with partial and reset a client has missed something.",
        ["transport", "verdict"],
        [((where, verdict), n) for where, each in streams for verdict, n in each.resumes.items()],
    )
    yield gauge(
        "eco_subscriptions",
        "Subscriptions now: in_step gets events as they come, behind has some queued in memory,"
        " paging reads on from the log.",
        ["transport", "state"],
        [
            ((where, state), n)
            for where, each in streams
            for state, n in (
                ("in_step", each.subscribed - each.behind - each.paging),
                ("behind", each.behind),
                ("paging", each.paging),
            )
        ],
    )
    waiting = [((), traffic.polls_waiting)]
    yield gauge("eco_polls_waiting", "Polls that wait for something to happen.", [], waiting)


def loss_figures(traffic: Traffic) -> Iterator[Metric]:
    """What was published, in how many rounds it went out, and what clients were not shown."""
    yield counter(
        "eco_events_published",
        "Events published, by whether they are kept in the log.",
        ["kind"],
        [
            (("durable",), traffic.published_durable),
            (("transient",), traffic.published_transient),
        ],
    )
    yield counter(
        "eco_flushes",
        "Rounds in which what was published since the last went out to subscribers.",
        [],
        [((), traffic.flushes)],
    )
    yield counter(
        "eco_gaps",
        "Gaps that clients were told of, by the overflow rule they chose and the reason.",
        ["rule", "reason"],
        traffic.gaps.items(),
    )
    yield counter(
        "eco_events_lost",
        "Events inside such gaps, as far as they were counted; those in the log can be read again.",
        ["rule", "reason"],
        traffic.lost.items(),
    )


def admission_figures(gate: Gate, drained: Drained) -> Iterator[Metric]:
    """Who may come in."""
    yield counter(
        "eco_admissions",
        "Streams that asked to be opened, by whether they resume and whether the rate allowed it.",
        ["client", "outcome"],
        [
            (("fresh", "admitted"), gate.admitted_fresh),
            (("resuming", "admitted"), gate.admitted_resuming),
            (("fresh", "refused"), gate.refused_fresh),
            (("resuming", "refused"), gate.refused_resuming),
        ],
    )
    yield gauge(
        "eco_draining",
        "1 while the server drains: nobody new is admitted, all streams are told to go.",
        [],
        [((), drained.draining)],
    )


def log_figures(log: EventLog) -> Iterator[Metric]:
    """The event log and its store."""
    yield gauge(
        "eco_log_head_position", "Position of the last event of the log.", [], [((), log.head)]
    )
    yield gauge(
        "eco_store_waiting_appends",
        "Appends that wait to be written; near the bound publishers are refused.",
        [],
        [((), log.store.depth)],
    )
    yield gauge(
        "eco_store_troubled",
        "1 while nothing can be written, as on a full disk; /readyz says why.",
        [],
        [((), int(log.trouble is not None))],
    )
    durability = {"durability": log.store.durability.value}
    yield InfoMetricFamily("eco_log", "What an answer promises about an event.", durability)


@dataclass(frozen=True, slots=True)
class ScanCounts:
    """How many scans there were, in a database; the bins that are shown though they have none."""

    counts: Counts
    bins: Sequence[str]


def scan_figures(scans: ScanCounts) -> Iterator[Metric]:
    """What each bin was asked for, since the log was begun; nothing until it was read."""
    if scans.counts.rows is None:
        return
    counted = by_bin(scans.counts.rows, scans.bins)
    for name, tells, place in (
        ("eco_scan_answers", "Scans with an answer, by the bin of the answer.", 0),
        (
            "eco_scan_unsure",
            "Scans that were not recognised, by the bin of the best guess.",
            1,
        ),
        (
            "eco_scan_unsure_answered",
            "Scans that were not recognised until somebody said what it was, by the bin of that.",
            2,
        ),
    ):
        samples = [((bin_id,), numbers[place]) for bin_id, numbers in counted.items()]
        yield counter(name, tells, ["bin"], samples)


def actor_figures(system: System) -> Iterator[Metric]:
    """The tree, without those below dynamic supervisors: these are only counted, by theirs.

    So labels are paths of actors that the program itself names, and no more than it names.
    """
    counted: list[tuple[tuple[str], int]] = []
    bounds: list[tuple[tuple[str], int]] = []
    cells = list(_standing(system))
    for cell in cells:
        match cell.actor:
            case DynamicSupervisor() as dynamic:
                counted.append(((cell.path,), len(dynamic)))
                bounds.append(((cell.path,), dynamic.max_children))
            case None:
                pass
            case actor if children := len(list(actor.children())):
                counted.append(((cell.path,), children))
    yield gauge("eco_actors", "Actors directly below a supervisor.", ["supervisor"], counted)
    most = "Actors that a dynamic supervisor takes; beyond that new ones are refused."
    yield gauge("eco_actors_max", most, ["supervisor"], bounds)
    yield counter(
        "eco_actor_restarts",
        "Restarts of an actor since its supervisor started it; one that grows is failing.",
        ["actor"],
        [((cell.path,), max(0, cell.incarnation - 1)) for cell in cells],
    )
    yield gauge(
        "eco_mailbox_messages",
        "Messages that wait for an actor.",
        ["actor"],
        [((cell.path,), len(cell.mailbox)) for cell in cells],
    )
    yield counter(
        "eco_mailbox_refused",
        "Messages that an actor's mailbox refused, as it was full or its actor had ended.",
        ["actor"],
        [((cell.path,), cell.mailbox.refused) for cell in cells],
    )
    letters = "Messages that were accepted and that nobody will handle."
    yield counter("eco_dead_letters", letters, [], [((), system.dead_letters)])
    yield gauge("eco_jobs", "Tasks of actors that run now.", [], [((), len(system.jobs))])
    yield from _warnings(system)


def _standing(system: System) -> Iterator[Cell]:
    """All actors that are not below a dynamic supervisor."""
    waiting = list(islice(system.walk(), 1))  # the root; a walk goes on only when asked to
    while waiting:
        cell = waiting.pop()
        if not hasattr(cell, "mailbox"):
            continue  # its constructor runs right now
        yield cell
        if not isinstance(cell.actor, DynamicSupervisor):
            waiting.extend(reversed(list(cell.children)))


def _warnings(system: System) -> Iterator[Metric]:
    if system.watchdog is None:
        return
    counted = system.watchdog.counted
    limits = system.watchdog
    for name, tells, value in (
        (
            "eco_slow_turns",
            f"Turns of an actor that took {limits.slow_turn:g} s or more and held up all others.",
            counted.slow_turns,
        ),
        (
            "eco_long_queue_delays",
            f"Messages that waited {limits.queue_delay:g} s or more to be taken.",
            counted.long_delays,
        ),
        (
            "eco_loop_stalls",
            f"Times that the event loop stood still for {limits.loop_stall:g} s or more.",
            counted.loop_stalls,
        ),
    ):
        yield counter(name, tells, [], [((), value)])


def loop_figures(lag: float) -> Iterator[Metric]:
    """*lag*: seconds of one round of the loop."""
    yield gauge(
        "eco_loop_lag_seconds",
        "How long the event loop took to come round, once, at this very scrape.",
        [],
        [((), lag)],
    )
