"""A critical section is not a mutex: it is suspended while its thread blocks.

set.add() enters a critical section on its set, and calls __eq__ of the keys inside it. When __eq__
blocks, the section is suspended and another thread can enter it. When a thread nests a second
section and has to wait for its lock, the outer section is suspended meanwhile. set.update() enters
one section on two sets (Py_BEGIN_CRITICAL_SECTION2), and holds both locks whenever it runs. With
the GIL there are no such locks; a thread that blocks releases the GIL itself.

Source: https://docs.python.org/3/c-api/synchronization.html;
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

PATIENCE = 10.0  # how long a thread blocks, in seconds, until the other one is inside


def spin(event: Event) -> None:
    """Wait without blocking, for a second at most: the thread that sets it may be suspended."""
    for _ in attempts(1):
        if event.is_set():
            return


def two_inside() -> bool:
    """Block inside a section; tell whether another thread enters it meanwhile."""
    a, first_is_in, second_is_in = {Key()}, Event(), Event()
    met: list[bool] = []
    first = (first_is_in.set, lambda: met.append(second_is_in.wait(PATIENCE)))

    def enter_second() -> None:
        first_is_in.wait()
        section(a, second_is_in.set)

    in_threads(partial(section, a, *first), enter_second)
    return met == [True]


def locks_inside(*, nested: bool) -> tuple[bool, bool]:
    """Enter sections on a and b while b is locked; return which locks are held once inside."""
    taken, asked, free = Event(), Event(), Event()
    seen: list[tuple[bool, bool]] = []

    def look() -> None:
        spin(free)  # from then on, only this thread holds locks
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
        for _ in attempts(0.1):  # until enter() waits for b, and has suspended its section on a
            if asked.is_set() and not held(a):
                return

    def enter_b() -> None:
        section(b, hold)
        free.set()

    a, b = {Key() if nested else Key(look)}, {Key()}
    in_threads(enter, enter_b)
    return seen[0]


def demo(*, quick: bool) -> Finding:
    """Enter one section from two threads; then look at the locks inside nested sections."""
    entered = two_inside()
    told = f"another thread entered the section of a thread that blocked: {entered}"
    if not FREE_THREADED or READY_ALONE:  # no locks, or no module to read them with
        return Finding(entered, told, {"two_inside": entered})
    gc.disable()  # a collection stops all threads, which suspends their sections
    for _ in attempts():
        nested = locks_inside(nested=True)
        if nested == (False, True):
            break
    both = {locks_inside(nested=False) for _ in range(5 if quick else 50)}
    return Finding(
        entered and nested == (False, True) and both == {(True, True)},
        f"{told}; held in nested sections (outer, inner): {nested}; in SECTION2: {both}",
        {"two_inside": entered, "nested": nested, "section2": sorted(both)},
    )
