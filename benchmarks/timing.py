"""Time calls in turn, in short windows, and compare only times of the same window.

The speed of a shared machine may change by half within a minute. So each window runs every case, in
another order each time, and a ratio uses two figures of the same window.
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

# Runs a number of operations; returns the time in seconds.
Case = Callable[[int], float]
# The time of one operation in seconds, for each window.
Times = dict[str, list[float]]
# The first quartile, the median and the third quartile.
Figure = list[float]


def figure(values: list[float]) -> Figure:
    """Summarize the values of all windows; repeat a single value."""
    if len(values) == 1:
        return values * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def statement(code: str, setup: str = "pass", **names: object) -> Case:
    """Return a case for a statement, compiled separately so that it specializes for its objects."""
    return timeit.Timer(code, setup, globals=names).timeit


def together(*cases: Case) -> Case:
    """Return a case that runs each given case in a thread, timed until the last thread is done."""

    def run(number: int) -> float:
        def call(case: Case) -> tuple[float, float]:
            start = time.perf_counter()
            case(number)
            return start, time.perf_counter()

        starts, ends = zip(*in_threads(*[partial(call, case) for case in cases]), strict=True)
        return max(ends) - min(starts)

    return run


def calibrate(case: Case, seconds: float) -> int:
    """Return the number of operations that take about this many seconds."""
    number = 1
    while (took := case(number)) < seconds / 2:
        number *= 2 if took > seconds / 20 else 10
    return max(1, round(number * seconds / took))


def in_turn(cases: Mapping[str, Case], windows: int, seconds: float) -> Times:
    """Time every case in each window, for this many seconds; return seconds per operation."""
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
    """Divide, window by window; skip windows whose divisor is not positive."""
    return [each / other for each, other in zip(times, others, strict=True) if other > 0]


def refuse_if_the_gil_came_on() -> None:
    """Exit with an error if the GIL came on, because the figures are worthless."""
    if FREE_THREADED and is_gil_enabled():
        sys.exit("the GIL came on: no figure of this run shows threads without the GIL")
