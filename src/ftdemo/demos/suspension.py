"""A critical section is not a mutex: it is given up while its thread blocks.

set.add() is in a critical section on its set, and calls __eq__ of the keys in it. When __eq__
blocks, another thread gets into that section. A section that is nested in it and has to wait for
its own lock gives up the outer one meanwhile. set.update() is in one section on two sets (SECTION2)
and has both locks whenever it runs. With the GIL there are no such locks; the GIL itself is given
up in the same places. tests/test_critical_sections.py shows the same in C, and with `Account`.

Source: https://docs.python.org/3/c-api/synchronization.html, PEP 703.
"""

import gc
from collections.abc import Callable
from threading import Event

from ftdemo.demos.common import ABI3T, FREE_THREADED, Finding, attempts, in_threads


class Key:
    """Equal to every other, and calls a function to find out."""

    def __init__(self, function: Callable[[], object] = lambda: None) -> None:
        self.function = function

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        self.function()
        if isinstance(other, Key):
            other.function()
        return True


def section(a: set[Key], function: Callable[[], object]) -> bool:
    """Call a function inside a critical section on a."""
    a.add(Key(function))
    return True


def held(a: set[Key]) -> bool:
    """Whether any thread has the lock of a."""
    from ftdemo._object_header import object_header

    return bool(object_header(a)["locked"])


def two_inside() -> bool:
    """Block inside a section until another thread is inside, too."""
    a, first_is_in, second_is_in = {Key()}, Event(), Event()

    def block() -> None:
        first_is_in.set()
        second_is_in.wait(10)

    in_threads(
        lambda: section(a, block), lambda: first_is_in.wait() and section(a, second_is_in.set)
    )
    return second_is_in.is_set()


def locks_inside(*, nested: bool) -> tuple[bool, bool]:
    """Get into sections on a and b while b is taken; give which of the two are held inside."""
    taken, asked, free = Event(), Event(), Event()  # looked at only: to block gives up sections
    seen: list[tuple[bool, bool]] = []

    def look() -> None:
        while not free.is_set():  # then whatever is held is ours
            pass
        seen.append((held(a), held(b)))

    def enter() -> None:
        while not taken.is_set():
            pass
        if nested:
            section(a, lambda: asked.set() or section(b, look))
        else:
            asked.set()
            a.update(b)

    def hold() -> None:
        taken.set()
        for _ in attempts(0.1):
            if asked.is_set() and not held(a):  # it waits, and has given up a
                return

    a, b = {Key() if nested else Key(look)}, {Key()}
    in_threads(enter, lambda: section(b, hold) and free.set())
    return seen[0]


def demo(*, quick: bool) -> Finding:
    """Get in twice; then look at the locks from inside."""
    entered = two_inside()
    told = f"while one thread blocked in set.add(), another got into the same section: {entered}"
    if not FREE_THREADED or ABI3T:  # no locks, or nothing to look at them with
        return Finding(entered, told, {"two_inside": entered})
    gc.disable()  # a collection stops all threads, and so suspends their sections
    for _ in attempts():
        nested = locks_inside(nested=True)
        if nested == (False, True):
            break
    both = {locks_inside(nested=False) for _ in range(5 if quick else 50)}
    return Finding(
        entered and nested == (False, True) and both == {(True, True)},
        f"{told}; inside nested sections that had to wait, held are (outer, inner): {nested}; "
        f"inside SECTION2, (first, second): {', '.join(map(str, both))}",
        {"two_inside": entered, "nested": nested, "section2": sorted(both)},
    )
