"""Specs that cannot be get a sentence where they are made: what is wrong, and what is right."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest

from eco_actor.runtime import (
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Mailbox,
    MailboxSpec,
    Overflow,
    RestartWindow,
    Supervisor,
    child,
)
from tests.runtime.kit_actors import Echo

Make = Callable[[], object]
ANY: Any = None
LATEST, COALESCE = Overflow.LATEST, Overflow.COALESCE


@pytest.mark.parametrize(
    "capacity", [0, -1, None, True, False, 1.0, 64.0, math.inf, "64", [64]], ids=repr
)
def test_a_mailbox_without_a_bound_cannot_be_made(capacity: Any) -> None:
    """Neither by a number that is none nor by changing one that is."""
    sentence = "capacity is a whole number, at least 1, not"
    makes: tuple[Make, ...] = (
        lambda: MailboxSpec(capacity),
        lambda: MailboxSpec(capacity, LATEST),
        lambda: dataclasses.replace(MailboxSpec(1), capacity=capacity),
    )
    for make in makes:
        with pytest.raises(ValueError, match=sentence):
            make()
    with pytest.raises(dataclasses.FrozenInstanceError):
        MailboxSpec(1).capacity = capacity  # type: ignore[misc]
    with pytest.raises(TypeError, match="capacity"):
        MailboxSpec()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="spec"):
        Mailbox()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: MailboxSpec(1, ANY), "overflow is one of buffer, latest, drop, close, coalesce"),
        (lambda: MailboxSpec(1, COALESCE), "key function belongs to the rule coalesce"),
        (lambda: MailboxSpec(1, key=len), "key function belongs to the rule coalesce"),
        (lambda: MailboxSpec(1, COALESCE, key="id"), "key is a function of a message, not 'id'"),  # type: ignore[arg-type]
        (lambda: MailboxSpec(1, merge=max), "a merge function belongs to the rule coalesce"),
        (lambda: MailboxSpec(1, max_bytes=9), "max_bytes and size come together"),
        (lambda: MailboxSpec(1, size=len), "max_bytes and size come together"),
        (lambda: MailboxSpec(1, max_bytes=0, size=len), "max_bytes is a whole number, at least 1"),
        (lambda: MailboxSpec(1, reserve=1), "reserve and terminal come together"),
        (lambda: MailboxSpec(1, terminal=bool), "reserve and terminal come together"),
        (
            lambda: MailboxSpec(1, reserve=-1, terminal=bool),
            "reserve is a whole number, at least 0",
        ),
    ],
)
def test_a_mailbox_that_contradicts_itself_is_refused(make: Make, sentence: str) -> None:
    """A rule, a bound or a function without what belongs to it."""
    with pytest.raises((ValueError, TypeError), match=sentence):
        make()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: child("", Echo), "a child's name is a part of its path, without '/', not ''"),
        (lambda: child("a/b", Echo), "a child's name is a part of its path, without '/'"),
        (lambda: ChildSpec("a", ANY), "child a: the factory is called to make the actor"),
        (
            lambda: child("a", Echo, restart=ANY),
            "restart is one of permanent, transient, temporary",
        ),
        (lambda: child("a", Echo, shutdown=0), "child a: shutdown is in seconds above 0, or None"),
        (lambda: child("a", Echo, shutdown=-1), "shutdown is in seconds above 0, or None"),
        (lambda: child("a", Echo, shutdown=math.nan), "shutdown is in seconds above 0, or None"),
        (lambda: Supervisor([child("a", Echo), child("a", Echo)]), "two children are named 'a'"),
        (lambda: Supervisor([ANY]), "a supervisor's children are ChildSpecs, not None"),
        (lambda: Supervisor([], ANY), "strategy is one of one_for_one, one_for_all, rest_for_one"),
        (lambda: Supervisor([], intensity=-1), "intensity is a whole number, 0 or more, not -1"),
        (
            lambda: Supervisor([], intensity=True),
            "intensity is a whole number, 0 or more, not True",
        ),
        (lambda: Supervisor([], period=5.0), "period is a whole number of seconds.*not 5.0"),  # type: ignore[arg-type]
        (lambda: Supervisor([], period=0), "period is a whole number of seconds, 1 or more"),
        (lambda: RestartWindow(3, 0.5), "OTP counts in whole seconds"),  # type: ignore[arg-type]
        (lambda: Supervisor([], backoff=5), "backoff is a Backoff, or None, not 5"),  # type: ignore[arg-type]
        (lambda: DynamicSupervisor(0), "max_children is a whole number, at least 1, not 0"),
        (lambda: DynamicSupervisor(ANY), "max_children is a whole number, at least 1, not None"),
        (lambda: DynamicSupervisor(True), "max_children is a whole number, at least 1, not True"),
        (lambda: DynamicSupervisor(1, period=1.5), "period is a whole number"),  # type: ignore[arg-type]
        (lambda: Backoff(0, 1), "first is a number of seconds above 0, not 0"),
        (lambda: Backoff(2, 1), r"most is a number of seconds, at least first \(2\), not 1"),
        (lambda: Backoff(1, math.inf), "most is a number of seconds"),
        (lambda: Backoff(1, 2, 1.5), "jitter is a share of the delay, from 0 to 1, not 1.5"),
        (
            lambda: Backoff(1, 2, reset_after=0),
            "reset_after is a number of seconds above 0, or None",
        ),
    ],
)
def test_a_tree_that_cannot_be_is_refused_before_it_is_started(make: Make, sentence: str) -> None:
    """Specs are looked at where they are made, with the child's name and what is allowed."""
    with pytest.raises((ValueError, TypeError), match=sentence):
        make()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: child(7, Echo), "a child's name is a part of its path"),  # type: ignore[arg-type]
        (lambda: child(b"a", Echo), "a child's name is a part of its path"),  # type: ignore[arg-type]
        (lambda: child("a", Echo, shutdown="5"), "shutdown is in seconds above 0"),  # type: ignore[arg-type]
        (lambda: Supervisor(ANY), "a supervisor's children are a list of ChildSpecs"),
    ],
)
def test_what_is_of_the_wrong_type_gets_the_same_sentence(make: Make, sentence: str) -> None:
    """And not Python's, about an operator that the user never wrote."""
    with pytest.raises((ValueError, TypeError), match=sentence):
        make()
