"""Measure the speed-up of threads, on a machine that other processes use too."""

import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context

from ftdemo.demo.finding import SkipDemo, attempts, seconds_of
from ftdemo.threads import in_threads


def gain(work: Callable[[], object], threads: int) -> tuple[float, float]:
    """Return the speed-up of parallel threads over one thread, and how many cores they use.

    Both are medians of five pairs of runs. The runs of a pair follow each other, so a change in the
    machine's speed affects both. On a busy machine, several threads get a larger share of the time
    than one, but they use more than one core only if they really run in parallel.
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
    """Tell whether threads ran one at a time; a shared machine may add up to 0.3 by chance."""
    return ratio < 1.3


def full_gain(ratio: float, threads: int) -> bool:
    """Tell whether threads ran in parallel: each core after the first added at least half.

    Half, because other processes use the cores too, and two cores may be two hardware threads of
    one.
    """
    return ratio > 1 + (threads - 1) / 2


def busy(steps: int) -> int:
    return sum(i * i for i in range(steps))


def processes_gain(count: int) -> float:
    """Return the speed-up of processes, which share no GIL: a control that shows free cores."""
    work = [1_000_000] * count
    ratios = []
    # Their processes are in the session of this one: Linux may divide the cores by session.
    with get_context("spawn").Pool(count) as pool:
        pool.map(busy, [0] * count, chunksize=1)
        for _ in range(3):
            alone = seconds_of(lambda: [pool.apply(busy, [steps]) for steps in work])
            ratios.append(alone / seconds_of(lambda: pool.map(busy, work, chunksize=1)))
    return statistics.median(ratios)


def measure(
    work: Callable[[], object], threads: int, *, gains: bool, seconds: float
) -> tuple[float, bool]:
    """Measure until threads gain, or do not, as expected; return the speed-up and the verdict.

    A missing gain counts as a failure only if no measurement showed a gain and processes, the
    control, gained in every measurement. An unexpected gain counts as a failure only if the threads
    used more than one core in every measurement. In all other cases other processes use the cores,
    and the demo is skipped.
    """
    ratios, used, controls = [], [], []
    for _ in attempts(seconds):
        ratio, cores = gain(work, threads)
        if full_gain(ratio, threads) if gains else no_gain(ratio):
            return ratio, True
        ratios.append(ratio)
        used.append(cores)
        controls.append(processes_gain(threads))
    if gains:
        wrong = no_gain(max(ratios)) and full_gain(min(controls), threads)
    else:
        wrong = not no_gain(min(used))
    if not wrong:
        raise SkipDemo(
            f"needs {threads} free cores, but other processes use them: {threads} processes are "
            f"{min(controls):.2f} to {max(controls):.2f} times as fast as one, threads "
            f"{min(ratios):.2f} to {max(ratios):.2f} times, on {max(used):.2f} cores"
        )
    return ratios[-1], False
