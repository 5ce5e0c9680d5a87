"""tickets.c: one iterator shared by many threads."""

import copy
import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

MAX = 2**63 - 1
MIN = -(2**63)


def make(ftdemo):
    return ftdemo.Tickets()


def step(ftdemo, tickets):
    assert next(tickets) >= 0


def use(ftdemo):
    step(ftdemo, make(ftdemo))
    assert list(ftdemo.Tickets(2**62, 2**62 + 9)) == list(range(2**62, 2**62 + 9))
    try:
        ftdemo.Tickets(2**70)
    except OverflowError:
        return
    raise AssertionError


@given(start=st.integers(MIN, MAX), length=st.integers(-5, 50))
def test_tickets_agree_with_range(twin, start, length):
    stop = min(max(start + length, MIN), MAX)
    tickets = twin.Tickets(start, stop)
    assert list(tickets) == list(range(start, stop))
    assert list(tickets) == []


def test_defaults_of_the_constructor(twin):
    assert list(itertools.islice(twin.Tickets(), 3)) == [0, 1, 2]
    assert list(itertools.islice(twin.Tickets(start=5, stop=None), 2)) == [5, 6]
    assert list(twin.Tickets(stop=2)) == [0, 1]


def test_iter_returns_the_same_object(twin):
    tickets = twin.Tickets(stop=1)
    assert iter(tickets) is tickets
    assert next(tickets) == 0
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(tickets)


def test_overflow_error_past_64_bits(twin):
    tickets = twin.Tickets(MAX - 1)
    assert next(tickets) == MAX - 1
    for _ in range(2):
        with pytest.raises(OverflowError, match="64-bit"):
            next(tickets)


def test_errors_on_wrong_arguments(twin):
    for wrong in ([True], [1.0], ["1"], [1j], [None], [0, True], [0, 1.0], [0, "1"]):
        with pytest.raises(TypeError, match="expected an int"):
            twin.Tickets(*wrong)
    with pytest.raises(TypeError):
        twin.Tickets(1, 2, 3)
    for too_large in ([MAX + 1], [MIN - 1], [0, MAX + 1], [0, MIN - 1]):
        with pytest.raises(OverflowError):
            twin.Tickets(*too_large)


def test_new_initializes_and_init_changes_nothing(twin):
    assert next(twin.Tickets.__new__(twin.Tickets)) == 0
    tickets = twin.Tickets(5)
    tickets.__init__(9)
    assert next(tickets) == 5


def test_a_subclass_works_like_tickets_and_neither_can_be_copied(twin):
    class Slotted(twin.Tickets):
        __slots__ = ("name",)

    tickets = Slotted(1, stop=3)
    tickets.name = "raffle"
    assert list(tickets) == [1, 2]
    for each in (twin.Tickets(), tickets):
        for operation in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot pickle"):
                operation(each)


@pytest.mark.race
def test_each_ticket_is_handed_out_once(twin, together):
    tickets = [twin.Tickets(-100, 1_000) for _ in range(500)]

    def take(n):
        return list(tickets[n])

    for first, second in zip(*together(take, take, times=len(tickets)), strict=True):
        assert sorted(first + second) == list(range(-100, 1_000))
