"""How calls are timed: in turn, in short windows. Only what was timed together is compared.

A shared machine may change its speed by half within a minute. So every case has its turn in each
window, in another order each time, and a ratio is one of two figures of the same window.
"""

import random
import statistics
import sys
import time
import timeit
from collections.abc import Callable, Mapping
from functools import partial

from ftdemo.interpreter import FREE_THREADED, is_gil_enabled
from ftdemo.threads import in_threads

# Runs so many operations, and gives the seconds that they took.
Case = Callable[[int], float]
# The seconds that one operation took, in each window.
Times = dict[str, list[float]]
# The first quartile, the median and the third quartile.
Figure = list[float]


def figure(values: list[float]) -> Figure:
    """Sum up what the windows gave. One value stands for itself."""
    if len(values) == 1:
        return values * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def statement(code: str, setup: str = "pass", **names: object) -> Case:
    """Make a case of a statement: code of its own, which specializes for these objects alone."""
    return timeit.Timer(code, setup, globals=names).timeit


def together(*cases: Case) -> Case:
    """Make a case of threads that run one case each; it takes until the last thread is done."""

    def run(number: int) -> float:
        def call(case: Case) -> tuple[float, float]:
            start = time.perf_counter()
            case(number)
            return start, time.perf_counter()

        starts, ends = zip(*in_threads(*[partial(call, case) for case in cases]), strict=True)
        return max(ends) - min(starts)

    return run


def calibrate(case: Case, seconds: float) -> int:
    """Find how many operations take about so many seconds."""
    number = 1
    while (took := case(number)) < seconds / 2:
        number *= 2 if took > seconds / 20 else 10
    return max(1, round(number * seconds / took))


def in_turn(cases: Mapping[str, Case], windows: int, seconds: float) -> Times:
    """Time every case in each window, for so many seconds; gives seconds for one operation."""
    numbers = {name: calibrate(case, seconds) for name, case in cases.items()}
    times: Times = {name: [] for name in cases}
    for window in range(windows):
        for name in random.Random(window).sample(list(cases), len(cases)):
            times[name].append(cases[name](numbers[name]) / numbers[name])
    return times


def minus(times: list[float], others: list[float]) -> list[float]:
    """Subtract, window by window."""
    return [each - other for each, other in zip(times, others, strict=True)]


def ratios(times: list[float], others: list[float]) -> list[float]:
    """Divide, window by window, by what is more than nothing."""
    return [each / other for each, other in zip(times, others, strict=True) if other > 0]


def refuse_if_the_gil_came_on() -> None:
    """End a process whose figures are worthless, and say so."""
    if FREE_THREADED and is_gil_enabled():
        sys.exit("the GIL came on: no figure of this run is about threads without it")
