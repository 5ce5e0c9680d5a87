"""`n += 1` is a read, an addition and a write, so threads lose updates; a lock prevents it.

Without the GIL, the threads run at the same time. With the GIL they take turns, and CPython
switches threads only at calls and at the ends of loops. No such point lies inside `n += 1`, but one
lies inside `n += one()`, which therefore loses updates with the GIL too. The language does not
promise where threads switch, so both were always wrong; free threading only exposes it.

Source: https://docs.python.org/3/library/threadsafety.html, PEP 703.
"""

import threading
from collections.abc import Callable

from ftdemo.demo.finding import Finding, attempts, seconds_of, switch_often
from ftdemo.interpreter import cores, is_gil_enabled
from ftdemo.threads import in_threads


class Counter:
    """A counter that the threads share."""

    def __init__(self) -> None:
        self.n = 0
        self.lock = threading.Lock()

    def add(self, steps: int) -> None:
        for _ in range(steps):
            self.n += 1

    def add_with_a_call(self, steps: int) -> None:
        for _ in range(steps):
            self.n += one()

    def add_locked(self, steps: int) -> None:
        for _ in range(steps):
            with self.lock:
                self.n += one()


def one() -> int:
    return 1


def lost(add: Callable[[Counter, int], None], steps: int) -> tuple[int, float]:
    """Return how many updates two threads lose, and how many seconds they take."""
    counter = Counter()
    seconds = seconds_of(lambda: in_threads(*[lambda: add(counter, steps)] * 2))
    return 2 * steps - counter.n, seconds


def demo(*, quick: bool) -> Finding:
    """Run until updates are lost; then run with the lock."""
    steps = 50_000 if quick else 500_000
    switch_often()
    plain_is_seen = is_gil_enabled() or cores() == 1  # threads take turns on one core too
    for _ in attempts():
        plain, _ = lost(Counter.add, steps)
        called, unlocked_seconds = lost(Counter.add_with_a_call, steps)
        if called and (plain or plain_is_seen):
            break
    locked, locked_seconds = lost(Counter.add_locked, steps)
    cost = locked_seconds / unlocked_seconds
    return Finding(
        bool(called and (plain or plain_is_seen) and not locked),
        f"of {2 * steps} updates by two threads, {plain} lost by n += 1, {called} by n += one(), "
        f"{locked} with a Lock, which took {cost:.1f} times as long",
        {"updates": 2 * steps, "lost": plain, "lost_with_a_call": called, "lost_with_lock": locked},
    )
