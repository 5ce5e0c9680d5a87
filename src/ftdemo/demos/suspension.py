"""A critical section is not a mutex: it is given up while its thread blocks.

set.add() is in a critical section on its set, and calls __eq__ of the keys in it. When __eq__
blocks, another thread gets into that section. A section nested in it that has to wait for its lock
gives up the outer one meanwhile. set.update() is in one section on two sets (SECTION2) and has both
locks whenever it runs. With the GIL there are no such locks; the GIL itself is given up instead.

Sources: https://docs.python.org/3/c-api/synchronization.html;
tests/extension/test_critical_sections.py.
"""

import gc
from functools import partial
from threading import Event

from ftdemo.demo.finding import Finding, attempts
from ftdemo.demo.sections import Key, held, section
from ftdemo.interpreter import FREE_THREADED
from ftdemo.own import READY_ALONE
from ftdemo.threads import in_threads

PATIENCE = 10.0  # of a thread that blocks until the other one is inside


def spin(event: Event) -> None:
    """Wait without blocking. Not for ever: who is to set it may itself have been suspended."""
    for _ in attempts(1):
        if event.is_set():
            return


def two_inside() -> bool:
    """Block inside a section until another thread is inside, too."""
    a, first_is_in, second_is_in = {Key()}, Event(), Event()
    met: list[bool] = []
    first = (first_is_in.set, lambda: met.append(second_is_in.wait(PATIENCE)))

    def enter_second() -> None:
        first_is_in.wait()
        section(a, second_is_in.set)

    in_threads(partial(section, a, *first), enter_second)
    return met == [True]


def locks_inside(*, nested: bool) -> tuple[bool, bool]:
    """Get into sections on a and b while b is taken; give which of the two are held inside."""
    taken, asked, free = Event(), Event(), Event()
    seen: list[tuple[bool, bool]] = []

    def look() -> None:
        spin(free)  # then whatever is held is ours
        seen.append((held(a), held(b)))

    def enter() -> None:
        spin(taken)
        if nested:
            section(a, asked.set, partial(section, b, look))
        else:
            asked.set()
            a.update(b)

    def hold() -> None:
        taken.set()
        for _ in attempts(0.1):
            if asked.is_set() and not held(a):  # it waits, and has given up a
                return

    def enter_b() -> None:
        section(b, hold)
        free.set()

    a, b = {Key() if nested else Key(look)}, {Key()}
    in_threads(enter, enter_b)
    return seen[0]


def demo(*, quick: bool) -> Finding:
    """Get in twice; then look at the locks from inside."""
    entered = two_inside()
    told = f"another thread got into the section of one that blocked: {entered}"
    if not FREE_THREADED or READY_ALONE:  # no locks, or nothing to look at them with
        return Finding(entered, told, {"two_inside": entered})
    gc.disable()  # a collection stops all threads, and so suspends their sections
    for _ in attempts():
        nested = locks_inside(nested=True)
        if nested == (False, True):
            break
    both = {locks_inside(nested=False) for _ in range(5 if quick else 50)}
    return Finding(
        entered and nested == (False, True) and both == {(True, True)},
        f"{told}; held in nested sections (outer, inner): {nested}, in SECTION2: {both}",
        {"two_inside": entered, "nested": nested, "section2": sorted(both)},
    )
