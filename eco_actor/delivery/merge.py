"""Several subscriptions of one connection, told in the order of their positions. Pure."""

from collections.abc import Iterable, Sequence

from eco_actor.delivery.subscription import AFTER, Place, Subscription
from eco_actor.eventlog import Page


def following(
    subscriptions: Sequence[Subscription], now: float, *, ordered: bool
) -> Subscription | None:
    """Whose item is next; None when there is none.

    *ordered*: also None while one of them has to read the log before anything else may be told,
    for a cursor counts for all of them together.
    """
    if len(subscriptions) == 1:
        (only,) = subscriptions
        return None if only.following(now) is None else only
    first: Subscription | None = None
    place: Place | None = None
    held = False
    for each in subscriptions:
        its = each.following(now)
        waits = its is None and ordered and each.wants_page
        if waits:
            accounted = each.accounted  # what is queued and held back counts, too
            its = each.position if accounted is None else accounted, AFTER
        if its is not None and (place is None or its < place):
            first, place, held = each, its, waits
    return None if held else first


def accounted(subscriptions: Iterable[Subscription], most: int) -> int:
    """The position, at most *most*, up to which nothing is left to be told."""
    places = [each.accounted for each in subscriptions]
    return min([most, *(place for place in places if place is not None)])


def cut(page: Page, head: int, most: int) -> Page:
    """As much of *page* as may wait in memory for one client, *most* bytes or one event.

    And nothing behind *head*: what was not offered yet would overtake what comes live on another
    channel. The rest is read again.
    """
    if page.upto > head:
        page = Page([event for event in page.events if event.position <= head], head)
    size = 0
    for n, event in enumerate(page.events):
        size += event.size
        if n and size > most:
            return Page(page.events[:n], page.events[n - 1].position)
    return page
