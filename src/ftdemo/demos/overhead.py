"""One thread pays for what it does not use: from 3.14 on, less than twice the time in Python.

Atomic instructions, locks and larger objects cost something also where there is one thread. In 3.13
it was much, as the interpreter did not specialize its bytecode without the GIL. Here both builds of
one version run the same programs in turn, and the ratio of their processor time is taken. How the
two were compiled matters as much: compare builds of one kind.

Source: PEP 779, https://docs.python.org/3/howto/free-threading-python.html.
"""

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import ftdemo
from ftdemo.demo.builds import ask, both_builds, partner
from ftdemo.demo.finding import Finding, attempts


def program() -> Callable[[int], None]:
    """Give what programs in Python are made of: attributes, calls, a dict and a list."""

    class Thing:
        def __init__(self) -> None:
            self.n = 0

        def step(self) -> int:
            self.n += 1
            return self.n

    def in_python(steps: int) -> None:
        thing, table, numbers = Thing(), {}, []
        for i in range(steps):
            table[i & 255] = thing.step()
            numbers.append(i)

    return in_python


def measure(path: str, rounds: int) -> dict[str, float]:
    """Measure processor time. Another interpreter runs this, with program(); it needs no more."""
    import sys
    import time
    from functools import partial

    def best(work) -> float:  # type: ignore[no-untyped-def]
        times = []
        for _ in range(rounds):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        return min(times)

    found = {"in Python": best(partial(program(), 100_000))}
    sys.path.append(path)  # where it has both builds' files, as a clone has, and a wheel for both
    try:
        import ftdemo
    except ImportError:
        return found
    account = ftdemo.Account()

    def deposits() -> None:
        for _ in range(100_000):
            account.deposit(1)

    return found | {"Account.deposit": best(deposits)}


def demo(*, quick: bool) -> Finding:
    """Let both builds run in turn, until it is clear."""
    builds = both_builds(partner())
    path = str(Path(ftdemo.__file__).parent.parent)
    ratios: dict[str, list[float]] = {}
    for attempt in attempts():
        of_gil, of_free = (ask(python, [program, measure], path, 5) for python in builds.values())
        for what in of_gil.keys() & of_free.keys():
            ratios.setdefault(what, []).append(of_free[what] / of_gil[what])
        median = {what: statistics.median(of_all) for what, of_all in sorted(ratios.items())}
        paid = median["in Python"]
        clear = paid > 1 if sys.version_info < (3, 14) else paid < 2
        if clear and attempt >= (1 if quick else 5):
            break
    told = ", ".join(f"{ratio:.2f} times as long {what}" for what, ratio in median.items())
    note = "" if len(median) > 1 else " (the other build cannot import ftdemo: no call into C)"
    return Finding(
        clear,
        f"one thread takes, on the free-threaded build of {sys.version.split()[0]} against the one "
        f"with the GIL, {told}{note}",
        {"ratios": median},
    )
