"""Without the GIL one thread is slower; since 3.14, by less than a factor of two in Python code.

Atomic instructions, locks and larger objects also cost time in a program with one thread. 3.13t
was much slower, because its interpreter did not specialize bytecode. This demo runs the same
programs on both builds of one version, in turn, and compares their processor time. How the two
builds were compiled matters as much: compare builds that were compiled in the same way.

Source: PEP 779, https://docs.python.org/3/howto/free-threading-python.html.
"""

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import ftdemo
from ftdemo.demo.builds import ask, both_builds
from ftdemo.demo.finding import Finding, attempts


def program() -> Callable[[int], None]:
    """Return a typical program in Python: attributes, calls, a dict and a list."""

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
    """Measure processor time; needs only program(), because another interpreter runs this."""
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

    found = {"Python code": best(partial(program(), 100_000))}
    sys.path.append(path)  # has files for both builds in a clone, and from a wheel for both
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
    """Run both builds in turn until the ratio is clear."""
    builds = both_builds()
    path = str(Path(ftdemo.__file__).parent.parent)
    ratios: dict[str, list[float]] = {}
    for attempt in attempts():
        of_gil, of_free = (ask(python, [program, measure], path, 5) for python in builds.values())
        for what in of_gil.keys() & of_free.keys():
            ratios.setdefault(what, []).append(of_free[what] / of_gil[what])
        median = {what: statistics.median(of_all) for what, of_all in sorted(ratios.items())}
        paid = median["Python code"]
        clear = paid > 1 if sys.version_info < (3, 14) else paid < 2
        if clear and attempt >= (1 if quick else 5):
            break
    told = ", ".join(f"{what} takes {ratio:.2f} times as long" for what, ratio in median.items())
    note = "" if len(median) > 1 else " (the other build cannot import ftdemo: no call into C)"
    return Finding(
        clear,
        f"one thread, free-threaded build of {sys.version.split()[0]} compared with the build with "
        f"the GIL: {told}{note}",
        {"ratios": median},
    )
