"""Whether the storage takes writes: every state with every sign, and the reasons."""

import pytest

from eco_actor.eventlog.faults import DAMAGED, READ_ONLY, REPLACED, Fault
from eco_actor.eventlog.health import NEXT, Health, Sign, State

W, T, H, L = State.WELL, State.TROUBLED, State.HANGING, State.LOST

TABLE = {
    # state: after it worked, failed, failed for good, hangs
    W: (W, T, L, H),
    T: (W, T, L, H),
    H: (W, T, L, H),
    L: (L, L, L, L),
}

WAY = {W: (), T: (Sign.FAILED,), H: (Sign.HANGS,), L: (Sign.FAILED_FOR_GOOD,)}


def give(health: Health, sign: Sign, what: str = "it") -> bool:
    match sign:
        case Sign.WORKED:
            return health.worked()
        case Sign.FAILED:
            return health.failed(Fault(what))
        case Sign.FAILED_FOR_GOOD:
            return health.failed(Fault(what, lasting=True))
        case Sign.HANGS:
            return health.hangs(7.4)


def healthy(state: State) -> Health:
    """One in this state."""
    health = Health()
    for sign in WAY[state]:
        give(health, sign)
    assert health.state is state
    return health


@pytest.mark.parametrize("sign", Sign)
@pytest.mark.parametrize("state", State)
def test_every_sign_in_every_state(state: State, sign: Sign) -> None:
    """The next state is that of the table; it is news exactly when the state is another one."""
    health = healthy(state)
    news = give(health, sign)
    assert health.state is TABLE[state][list(Sign).index(sign)]
    assert news == (health.state is not state)


@pytest.mark.parametrize("sign", Sign)
@pytest.mark.parametrize("state", State)
def test_there_is_a_reason_exactly_while_it_is_not_well(state: State, sign: Sign) -> None:
    """Whatever the way there."""
    health = healthy(state)
    assert (health.reason is None) == (state is State.WELL)
    give(health, sign)
    assert (health.reason is None) == (health.state is State.WELL)


@pytest.mark.parametrize(
    ("signs", "reason"),
    [
        ((), None),
        ((Sign.FAILED,), "0"),
        ((Sign.HANGS,), "a write has not come back for 7 s"),
        ((Sign.FAILED, Sign.HANGS), "a write has not come back for 7 s"),
        ((Sign.HANGS, Sign.FAILED), "1"),
        ((Sign.FAILED, Sign.FAILED_FOR_GOOD), "1"),
        ((Sign.FAILED_FOR_GOOD, Sign.FAILED), "0"),
        ((Sign.FAILED_FOR_GOOD, Sign.FAILED_FOR_GOOD), "0"),
        ((Sign.FAILED_FOR_GOOD, Sign.WORKED), "0"),
        ((Sign.FAILED, Sign.WORKED), None),
        ((Sign.HANGS, Sign.WORKED), None),
        ((Sign.FAILED, Sign.WORKED, Sign.FAILED), "2"),
    ],
)
def test_the_reason_is_that_of_the_state(signs: tuple[Sign, ...], reason: str | None) -> None:
    """What made it so; a loss is for good, and so is its reason."""
    health = Health()
    for n, sign in enumerate(signs):
        give(health, sign, str(n))
    assert health.reason == reason


def test_a_trouble_that_becomes_another_one_names_that_one() -> None:
    """Who freed the disk is told when it is read-only now; it is one trouble all the same."""
    health = Health()
    health.failed(Fault("the disk is full"))
    assert not health.failed(Fault("the disk is read-only"))
    assert health.reason == "the disk is read-only"


@pytest.mark.parametrize("restart", [True, False])
def test_whether_a_restart_is_all_it_takes_is_said_by_the_first_loss(restart: bool) -> None:
    """A file that was replaced, not one that is damaged; what is met later changes nothing."""
    health = Health()
    health.failed(Fault("the disk is full"))
    assert not health.restart
    health.failed(Fault("lost", lasting=True, restart=restart))
    health.failed(Fault("lost otherwise", lasting=True, restart=not restart))
    health.worked()
    assert health.restart is restart
    assert [fault.restart for fault in (REPLACED, DAMAGED, READ_ONLY)] == [True, False, False]


def test_the_table_names_changes_alone() -> None:
    """Nothing in it leads from a state to itself, and every state is there."""
    assert set(NEXT) == set(State)
    assert all(then is not state for state, row in NEXT.items() for then in row.values())
