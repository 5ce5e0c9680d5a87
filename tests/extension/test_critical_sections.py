"""How critical sections behave: tested without sleeping, by reading the lock.

These tests show why account.c uses SECTION2 and checksum.c a mutex. A thread that blocks, or
detaches in another way, suspends all its critical sections. So threads that must not suspend theirs
wait in a loop.
"""

import gc
import threading
from functools import partial

import pytest

import ftdemo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.free_threaded,
    pytest.mark.thread_unsafe(reason="starts threads"),
]


@pytest.fixture(autouse=True)
def no_collection():
    """Disable garbage collection: it stops all threads, which suspends their critical sections."""
    gc.disable()
    yield
    gc.enable()


class Sign:
    """A flag that one thread sets and another one waits for without blocking.

    Do not use the locked object for this: reading it may take its lock.
    """

    def __init__(self):
        self.happened = False

    def wait(self, at_most=2**63):
        while not self.happened and at_most:  # stays attached
            at_most -= 1


def test_a_section_is_suspended_when_its_thread_blocks(sections, in_threads):
    """Two threads are inside the same section at once."""
    a, first_is_in, second_was_in = object(), threading.Event(), threading.Event()

    def first():
        first_is_in.set()
        second_was_in.wait()  # this would deadlock if a section were a mutex
        return sections.held(a)

    def second():
        inside = sections.held(a)
        second_was_in.set()
        return inside

    def enter_second():
        first_is_in.wait()
        return sections.section(a, second)

    assert in_threads(partial(sections.section, a, first), enter_second) == [True, True]


def test_nested_sections_lose_the_outer_lock(sections, in_threads):
    """While a thread waits for the inner lock, other threads may take the outer one."""

    def try_it():
        a, b = object(), object()
        a_is_taken, b_is_taken = Sign(), Sign()

        def inner():
            return sections.held(a), sections.held(b)

        def outer():
            assert sections.held(a)
            a_is_taken.happened = True
            b_is_taken.wait()
            return sections.section(b, inner)

        def hold_b():
            b_is_taken.happened = True
            while sections.held(a):  # for ever, if the outer lock stayed held
                pass

        def enter_b():
            a_is_taken.wait()
            sections.section(b, hold_b)

        return in_threads(partial(sections.section, a, outer), enter_b)[0]

    # The interpreter may stop all threads at any time; then the thread does not wait for b.
    assert (False, True) in (try_it() for _ in range(100))


def test_section2_holds_both_locks(sections, in_threads):
    """The thread waits for the second lock too, and then has the first one again."""
    a, b, b_is_taken, both_are_asked_for = object(), object(), Sign(), Sign()

    def both():
        return sections.held(a), sections.held(b)

    def enter_both():
        b_is_taken.wait()
        both_are_asked_for.happened = True
        return sections.section2(a, b, both)

    def hold_b():
        b_is_taken.happened = True
        both_are_asked_for.wait()
        for _ in range(10_000):  # so that the other thread usually waits
            pass

    seen, _ = in_threads(enter_both, partial(sections.section, b, hold_b))
    assert seen == (True, True)


def test_section2_accepts_one_object_twice(sections):
    a = object()
    assert sections.section2(a, a, partial(sections.held, a)) is True
    assert not sections.held(a)


OPERATIONS = {
    "deposit": lambda a, b: a.deposit(1),
    "withdraw": lambda a, b: a.withdraw(1),
    "balance": lambda a, b: a.balance,
    "transfer_to": lambda a, b: a.transfer_to(b, 1),
    "transfer_to_it": lambda a, b: b.transfer_to(a, 1),
    "transfer": lambda a, b: ftdemo.transfer(a, b, 1),
    "transfer_it": lambda a, b: ftdemo.transfer(b, a, 1),
    "total": ftdemo.total,
    "total_with_it": lambda a, b: ftdemo.total(b, a),
}


def completes_meanwhile(sections, in_threads, thing, operation):
    """Tell whether an operation completes while another thread is in a section on thing."""
    inside, done = Sign(), Sign()

    def hold():
        inside.happened = True
        done.wait(at_most=500_000)  # longer than a time slice
        return done.happened

    def operate():
        inside.wait()
        operation()
        done.happened = True

    return in_threads(partial(sections.section, thing, hold), operate)[0]


def usually_waits(completes_meanwhile):
    """Not always: the interpreter may stop all threads at any time, which suspends the section."""
    completed = [completes_meanwhile() for _ in range(9)]
    assert completed.count(False) > 5, completed


@pytest.mark.parametrize("name", OPERATIONS)
def test_account_operation_waits_for_a_section(sections, in_threads, name):
    a, b = ftdemo.Account(100), ftdemo.Account(100)
    operation = partial(OPERATIONS[name], a, b)
    usually_waits(partial(completes_meanwhile, sections, in_threads, a, operation))


def test_next_ticket_waits_for_a_section(sections, in_threads):
    tickets = ftdemo.Tickets()
    operation = partial(next, tickets)
    usually_waits(partial(completes_meanwhile, sections, in_threads, tickets, operation))


def test_a_transfer_waits_for_both_accounts(sections, in_threads):
    """While another thread is in a section on one account, neither balance changes."""
    # SECTION2 takes the lower address first: while it waits for b, it does not hold a.
    b, a = sorted([ftdemo.Account(100), ftdemo.Account(100)], key=id)

    def completes_meanwhile():
        before = b.balance
        b_is_taken, transfer_began, a_is_taken, changed = Sign(), Sign(), Sign(), Sign()

        def hold_b():
            b_is_taken.happened = True
            a_is_taken.wait(at_most=20_000_000)

        def enter_b():
            sections.section(b, hold_b)
            while b.balance == before:
                pass
            changed.happened = True

        def transfer():
            b_is_taken.wait()
            transfer_began.happened = True
            ftdemo.transfer(a, b, 1)

        def hold_a():
            a_is_taken.happened = True
            changed.wait(at_most=5_000_000)  # longer than a few time slices
            return changed.happened

        def enter_a():
            transfer_began.wait()
            for _ in range(2_000_000):  # by now, the transfer waits for b
                pass
            return sections.section(a, hold_a)

        return in_threads(enter_a, enter_b, transfer)[0]

    usually_waits(completes_meanwhile)
    assert (a.balance, b.balance) == (91, 109)
