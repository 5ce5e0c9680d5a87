"""How much faster threads do what one does: measured on a machine that others use, too."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from ftdemo.demo.finding import SkipDemo, attempts, seconds_of
from ftdemo.threads import in_threads

# Says that it is there, waits to be told, and says when it is done with what is always the same.
WORKER = """
print(flush=True)
input()
sum(i * i for i in range(1_000_000))
print(flush=True)
"""


def gain(work: Callable[[], object], threads: int) -> tuple[float, float]:
    """How many times faster threads do what one after the other does, and on how many cores.

    Medians of pairs, each measured in turn: when the machine's speed changes, so do both. Threads
    get more of a busy machine's time than one, but cannot use two cores unless they run at once.
    """

    def one_after_the_other() -> None:
        for _ in range(threads):
            work()

    def at_once() -> None:
        in_threads(*[work] * threads)

    ratios, used = [], []
    for _ in range(5):
        alone = seconds_of(one_after_the_other)
        before = time.process_time()
        together = seconds_of(at_once)
        ratios.append(alone / together)
        used.append((time.process_time() - before) / together)
    return statistics.median(ratios), statistics.median(used)


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

    def seconds_for(of: int) -> float:
        command = [sys.executable, "-I", "-S", "-c", WORKER]
        pipe = subprocess.PIPE
        # In this process's group, whose share of the cores the threads have as well.
        workers = [subprocess.Popen(command, stdin=pipe, stdout=pipe) for _ in range(of)]

        def tell_and_wait() -> None:
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write(b"\n")
                worker.stdin.flush()
            for worker in workers:
                worker.communicate()

        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        return seconds_of(tell_and_wait)

    return statistics.median(count * seconds_for(1) / seconds_for(count) for _ in "123")


def measure(
    work: Callable[[], object], threads: int, *, gains: bool, seconds: float
) -> tuple[float, bool]:
    """Measure until it is clear that threads gain, or do not: the gain, and whether it was.

    That they do not where they should is seen only if they never did, and processes, the control,
    always; that they do where they should not, only if they used more than one core. Else others
    use the cores, and the demo is skipped.
    """
    ratios, used, controls = [], [], []
    for _ in attempts(seconds):
        ratio, so_many = gain(work, threads)
        if full_gain(ratio, threads) if gains else no_gain(ratio):
            return ratio, True
        ratios.append(ratio)
        used.append(so_many)
        controls.append(processes_gain(threads))
    if gains:
        wrong = no_gain(max(ratios)) and full_gain(min(controls), threads)
    else:
        wrong = not no_gain(min(used))
    if not wrong:
        raise SkipDemo(
            f"needs {threads} cores, and others use them: {threads} processes are "
            f"{min(controls):.2f} to {max(controls):.2f} times as fast as one, threads "
            f"{min(ratios):.2f} to {max(ratios):.2f} times, on {max(used):.2f} cores"
        )
    return ratios[-1], False
