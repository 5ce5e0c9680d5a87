"""How much faster threads do what one does: measured on a machine that others use, too."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from ftdemo.demos.common import SkipDemo, attempts, in_threads, seconds_of

# Waits to be told, then measures how long it takes for what is always the same.
WORKER = """
import time
input()
start = time.perf_counter()
sum(i * i for i in range(1_000_000))
print(time.perf_counter() - start)
"""


def gain(work: Callable[[], object], threads: int) -> float:
    """How many times faster threads do what one after the other does.

    The median of pairs, each measured in turn: when the machine's speed changes, so do both.
    """

    def one_after_the_other() -> None:
        for _ in range(threads):
            work()

    def at_once() -> None:
        in_threads(*[work] * threads)

    return statistics.median(seconds_of(one_after_the_other) / seconds_of(at_once) for _ in "12345")


def no_gain(ratio: float) -> bool:
    """Whether threads ran one at a time; the rest is what a shared machine adds by chance."""
    return ratio < 1.3


def full_gain(ratio: float, threads: int) -> bool:
    """Whether threads ran at once: at least half of what each core after the first can add.

    Not all: other processes want cores too, and two cores may be one with two threads.
    """
    return ratio > 1 + (threads - 1) / 2


def processes_gain(count: int) -> float:
    """The same for processes, which share no GIL: a control that shows if there are free cores."""

    def slowest(of: int) -> float:
        command = [sys.executable, "-I", "-S", "-c", WORKER]
        workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(of)
        ]
        time.sleep(0.05)  # let them start; who is late makes the gain larger, never smaller
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(b"\n")
            worker.stdin.flush()
        return max(float(worker.communicate()[0]) for worker in workers)

    return statistics.median(count * slowest(1) / slowest(count) for _ in "123")


def measure(
    work: Callable[[], object], threads: int, *, gains: bool, seconds: float
) -> tuple[float, bool]:
    """Measure until it is clear that threads gain, or do not: the gain, and whether it was.

    Where threads should gain, and it does not show, processes are the control. Only if they do,
    and threads never did, is it seen that threads do not; else the demo is skipped.
    """
    ratios, controls = [], []
    for _ in attempts(seconds):
        ratios.append(gain(work, threads))
        if full_gain(ratios[-1], threads) if gains else no_gain(ratios[-1]):
            return ratios[-1], True
        controls.append(processes_gain(threads))
    control = statistics.median(controls)
    if gains and not (no_gain(max(ratios)) and full_gain(control, threads)):
        raise SkipDemo(
            f"needs {threads} cores, and others use them: {threads} processes are "
            f"{control:.2f} times as fast as one, threads {max(ratios):.2f} times"
        )
    return ratios[-1], False
